"""Recipes, citation and metadata say the same as the pins and the package."""

import re
import runpy
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

import lamplighter

_INSTRUCTIONS = {
    *("ARG", "CMD", "COPY", "ENV", "FROM", "LABEL", "RUN", "SHELL", "USER", "WORKDIR"),
}


@pytest.fixture
def pyproject(root):
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture
def pins(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def test_the_recipes_are_up_to_date(root):
    command = [sys.executable, str(root / "packaging" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + "run: python packaging/generate.py"


def test_a_changed_pin_is_noticed(root, monkeypatch):
    script = runpy.run_path(str(root / "packaging" / "generate.py"))
    recipes = script["recipes"]
    before = recipes()
    pins = script["pins"]()
    changed = {**pins, "numpy": "1.0"}
    monkeypatch.setitem(recipes.__globals__, "pins", lambda: changed)
    assert all(
        text != before[path] and "1.0" in text for path, text in recipes().items()
    )


def test_the_container_is_a_list_of_known_instructions(root):
    text = (root / "packaging" / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", text).splitlines()
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert words[0] == "FROM"
    assert set(words) <= _INSTRUCTIONS
    stages = re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE)
    assert set(re.findall(r"--from=(\w+)", text)) <= set(stages)


@pytest.mark.parametrize("name", ["environment.yml", "recipe.yaml"])
def test_the_recipes_of_conda_are_yaml_with_the_pins(name, root, pins):
    text = (root / "packaging" / "conda" / name).read_text()
    assert isinstance(yaml.safe_load(text), dict)
    found = dict(re.findall(r"^ +- ([\w.-]+) ?={1,2}(\d[\w.]+)$", text, re.MULTILINE))
    assert len(found) > 10
    renamed = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
    for package, version in found.items():
        if package != "python":
            assert pins[renamed.get(package, package)] == version


def test_every_dependency_and_extra_is_pinned(pyproject, pins):
    project = pyproject["project"]
    asked = [*project["dependencies"]]
    for name in ("data", "dask", "dispersion", "docs", "gpu", "surfaces"):
        asked += project["optional-dependencies"][name]
    for one in asked:
        assert re.split(r"[\[<>=~; ]", one)[0] in pins, one


def test_the_extra_for_pages_and_the_group_are_the_same(pyproject):
    extra = pyproject["project"]["optional-dependencies"]["docs"]
    assert extra == pyproject["dependency-groups"]["docs"]


def test_the_citation_names_this_version(root):
    found = yaml.safe_load((root / "CITATION.cff").read_text())
    assert found["cff-version"] == "1.2.0"
    assert found["version"] == lamplighter.__version__
    assert {"title", "authors", "message", "references"} <= set(found)
    for reference in found["references"]:
        assert {"type", "title", "authors", "year"} <= set(reference)


def test_a_wheel_fits_every_python(pyproject):
    assert pyproject["tool"]["scikit-build"]["wheel"]["py-api"] == "py3"
    wheels = pyproject["tool"]["cibuildwheel"]
    assert set(wheels["linux"]["archs"]) == {"x86_64", "aarch64"}


def test_nothing_native_is_linked_to_python():
    folder = Path(sysconfig.get_path("platlib")) / "lamplighter"
    found = [*folder.rglob("*plugin.so"), *folder.rglob("compiled_*.so")]
    assert len(found) >= 2
    for path in found:
        command = ["readelf", "-d", str(path)]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        needed = re.findall(r"NEEDED.*\[(.*)\]", said.stdout)
        assert needed
        assert not [
            name for name in needed if re.match(r"lib(python|mpi|lammps)", name)
        ]


def test_workflows_run_what_there_is(root):
    sessions = set(
        re.findall(
            r"^def (\w+)\(session", (root / "noxfile.py").read_text(), re.MULTILINE
        )
    )
    targets = set(
        re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE)
    )
    for path in (root / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text())["jobs"]
        for job in jobs.values():
            lines = [step["run"] for step in job["steps"] if "run" in step]
            for line in lines:
                assert set(re.findall(r"nox -s (\w+)", line)) <= sessions
                assert set(re.findall(r"make ([\w-]+)", line)) <= targets


@pytest.mark.slow
def test_the_source_distribution_is_whole(root, tmp_path):
    script = (
        "import scikit_build_core.build as b, sys; print(b.build_sdist(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (path,) = tmp_path.glob("lamplighter-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "CMakeLists.txt",
        "LICENSE",
        "mkdocs.yml",
        "docs/index.md",
        "lammps_interface/plugin/LICENSE",
        "src/lamplighter/model/potential.py",
        "src/lamplighter/models/base.safetensors",
        "tests/docs/test_site.py",
    } <= names
    assert not [name for name in names if name.startswith((".venv", "build/"))]
