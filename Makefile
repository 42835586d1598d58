# Two commands for a new user: `make demo` and `make test`. They need Python 3.11 or newer,
# make and g++; everything else goes into the folder .venv.

VENV := .venv
BIN := $(VENV)/bin
REPORT := demo-report
# More options for every pip install, for example an index with CPU builds of torch:
# make demo PIP_OPTIONS="--extra-index-url URL"
PIP_OPTIONS :=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet \
	-c constraints.txt $(PIP_OPTIONS)

# The first Python on the path that is new enough and can make virtual environments.
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if "$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	>/dev/null 2>&1; then echo "$$name"; break; fi; done)

BUILD_INPUTS := pyproject.toml CMakeLists.txt constraints.txt src/lamplighter/__init__.py \
	$(shell find lammps_interface/plugin model/compiled/native -type f \( -name '*.cpp' -o -name '*.h' -o -name CMakeLists.txt \) 2>/dev/null)

.PHONY: help demo test test-all lint types format docs wheel clean
.DEFAULT_GOAL := help

help: ## this list
	@echo "Lamplighter: make TARGET, with TARGET one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-10s %s\n", $$1, $$2}'

demo: $(VENV)/.installed ## set up, post-train, convert, run LAMMPS, validate, write demo-report/
	$(BIN)/lamplighter demo --output $(REPORT)

# One process for each core, one thread each; the tests of a file stay together.
TEST_OPTIONS := -n auto --dist loadfile

test: lint types $(VENV)/.dev ## set up, lint, check types, run the tests that take seconds
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" $(TEST_OPTIONS)

test-all: lint types $(VENV)/.dev ## the same with the slow tests
	$(BIN)/python -m pytest

lint: $(VENV)/.dev ## ruff and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev ## mypy --strict on the package
	$(BIN)/mypy src

format: $(VENV)/.dev ## rewrite the files in the style that lint asks for
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## build the site of the documentation: build/site/index.html
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 $(BIN)/mkdocs build --strict --quiet

wheel: $(VENV)/.dev ## build dist/lamplighter-*.whl
	$(BIN)/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove everything that make made
	rm -rf $(VENV) build dist $(REPORT) .mypy_cache .pytest_cache .ruff_cache .hypothesis .nox

# A stamp is written when its step is complete, so that an interrupted set-up starts that
# step again and a finished one costs nothing.
$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Lamplighter needs Python 3.11 to 3.14 with the venv module." >&2; \
	echo "None was found on the path. Install one (Debian, Ubuntu: apt install python3 python3-venv)" >&2; \
	echo "or name it: make PYTHON=/path/to/python3.12" >&2; exit 3; }
	@command -v g++ >/dev/null || { echo "Lamplighter needs g++ (Debian, Ubuntu: apt install g++)." >&2; exit 3; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); the first time takes a few minutes."
	@$(PYTHON) -m venv --clear $(VENV)
	@# Dependency groups need pip 25.1.
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet $(PIP_OPTIONS) --upgrade "pip>=25.1"
	@touch $@

# torch comes first and by itself: whatever resolves later finds the constrained build.
$(VENV)/.torch: constraints.txt | $(VENV)/.created
	@echo "Installing torch ..."
	@$(PIP) torch
	@touch $@

# Without build isolation, so that the pair style is compiled against the very LAMMPS and
# MPI that it will be loaded into.
$(VENV)/.installed: $(BUILD_INPUTS) | $(VENV)/.torch
	@echo "Installing LAMMPS and what builds the pair style ..."
	@$(PIP) scikit-build-core cmake ninja "lammps[mpi]"
	@echo "Building the pair style, installing Lamplighter and what it needs ..."
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo "Installing the tools that check and test ..."
	@$(PIP) --group dev
	@touch $@
