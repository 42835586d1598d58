"""The registry: built-in properties keep the contract, strangers' are found by name."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ase.build import bulk

from lamplighter.errors import ConfigError
from lamplighter.validation import registry
from lamplighter.validation.registry import BUILT_IN, find

EXAMPLE = Path(__file__).parents[2] / "examples" / "validation-plugin"


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_property_keeps_the_contract(name: str) -> None:
    found = find(name)
    assert found.settings.__dataclass_params__.frozen
    settings = found.settings()
    assert dataclasses.is_dataclass(settings)
    assert found.applies_to
    assert found.description[0].islower() or found.description.startswith("LAMMPS")
    if name != "parity":
        names = list(inspect.signature(found.run).parameters)
        assert len(names) == 3
        assert names[1:] == ["engine", "settings"]


def test_unknown_properties_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'phonon'"):
        find("fonon")


def lamplighter(words: list[str], cwd: Path, packages: Path | None = None) -> str:
    """Run the command line with a folder of packages; return what it printed."""
    paths = [str(packages)] if packages else []
    done = subprocess.run(
        [sys.executable, "-m", "lamplighter", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example package is installed."""
    folder = tmp_path_factory.mktemp("packages")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg*"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--disable-pip-version-check",
         "--target", str(folder / "site"), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "site"


def test_an_installed_plug_in_is_listed_and_run(packages: Path, tmp_path: Path) -> None:
    found = json.loads(lamplighter(["validate", "list", "--json"], tmp_path, packages))
    mine = [p for p in found["properties"] if p["name"] == "cold_curve"]
    assert mine[0]["package"] == "lamplighter-cold-curve 1.0"
    assert mine[0]["description"].startswith("stiffness against")
    shutil.copy(EXAMPLE / "suite.yaml", tmp_path)
    words = ["validate", "run", "suite.yaml", "-o", "run", "-j", "1"]
    lamplighter([*words, "--junit", "junit.xml"], tmp_path, packages)
    results = [json.loads(p.read_text()) for p in (tmp_path / "run/results").iterdir()]
    curves = [r for r in results if r["property"] == "cold_curve"]
    assert sorted(r["material"] for r in curves) == ["Al", "Cu"]
    assert all(r["values"]["compression_energy"]["value"] > 0 for r in curves)
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    named = [case.get("name", "") for case in suites.iter("testcase")]
    assert sum("cold_curve" in name for name in named) >= 2, named


@pytest.mark.slow
def test_the_tests_of_the_example_pass(packages: Path, tmp_path: Path) -> None:
    # In a process of its own: the package must not stay in this one.
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         str(EXAMPLE / "tests")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), *sys.path])},
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a package with a property called ``strange``."""

    def install(code: str, value: str = "strangers_code:PROPERTY") -> None:
        (tmp_path / "strangers_code.py").write_text(code)
        info = tmp_path / "strangers_code-2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: strangers-code\nVersion: 2.1\nSummary: odd\n"
        )
        (info / "entry_points.txt").write_text(
            f"[lamplighter.properties]\nstrange = {value}\nbulk = {value}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "strangers_code", raising=False)
        find.cache_clear()

    yield install
    find.cache_clear()
    sys.modules.pop("strangers_code", None)


GOOD = """\
from dataclasses import dataclass
from lamplighter.validation.registry import Property

@dataclass(frozen=True)
class Settings:
    size: int = 2

PROPERTY = Property(
    name={name!r}, description="odd", applies_to={kinds!r}, settings={settings},
    run=print,
)
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no weights')", "RuntimeError: no weights"),
        ("PROPERTY = 3", "strangers_code:PROPERTY is a int"),
        ("x = 1", "AttributeError"),
        (GOOD.format(name="other", kinds=("crystal",), settings="Settings"), "'other'"),
        (
            GOOD.format(name="strange", kinds=("gas",), settings="Settings"),
            "applies_to",
        ),
        (GOOD.format(name="strange", kinds=("slab",), settings="int"), "no dataclass"),
        (
            GOOD.replace("size: int = 2", "size: int").format(
                name="strange", kinds=("slab",), settings="Settings"
            ),
            "its settings",
        ),
    ],
)
def test_a_broken_plug_in_names_its_package(stranger, code: str, message: str) -> None:
    stranger(code)
    match = f"'strange' of package strangers-code 2.1 cannot be used; got: .*{message}"
    with pytest.raises(ConfigError, match=match):
        find("strange")


def test_nothing_of_a_stranger_is_imported_unasked(stranger) -> None:
    stranger("raise SystemExit('imported')")
    entry = next(entry for entry in registry.entries() if entry.name == "strange")
    assert (entry.package, entry.description) == ("strangers-code 2.1", "odd")
    assert find("bulk").run.__module__ == "lamplighter.validation.properties.bulk"
    assert "strangers_code" not in sys.modules
    names = [point.name for point in metadata.entry_points(group=registry.GROUP)]
    assert names.count("bulk") == 1  # the stranger's; the built-in one needs none


def test_a_list_loads_nothing_that_computes(tmp_path: Path) -> None:
    code = (
        "import sys; from lamplighter.validation.listing import listing;"
        " found = listing(); assert found['properties'] and found['references'];"
        " heavy = {'torch', 'phonopy', 'pymatgen', 'lammps'} & set(sys.modules);"
        " sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_one_property_from_the_command_line(tmp_path: Path) -> None:
    bulk("Cu", a=3.6).write(tmp_path / "cu.xyz", format="extxyz")
    text = lamplighter(["validate", "vacancy", "--help"], tmp_path)
    assert "extrapolated in size" in text
    assert "--set" in text
