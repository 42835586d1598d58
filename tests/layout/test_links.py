"""The rooms at the root are the package's subpackages, through real links."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

LINKS = {
    "model": "../../model",
    "lammps_interface": "../../lammps_interface",
    "train": "../../train",
    "validation": "../../validation",
    "datasets": "../../data",
    "models": "../../models",
}


@pytest.mark.parametrize(("name", "target"), LINKS.items())
def test_link_is_relative_and_resolves(root: Path, name: str, target: str) -> None:
    link = root / "src" / "lamplighter" / name
    assert link.is_symlink()
    assert str(link.readlink()) == target
    assert link.resolve() == (root / Path(target).name).resolve()
    assert link.is_dir()


@pytest.mark.parametrize("name", ["model", "lammps_interface", "train", "validation"])
def test_room_is_imported_from_the_package(name: str) -> None:
    module = importlib.import_module(f"lamplighter.{name}")
    assert module.__file__ is not None
    parts = Path(module.__file__).parts
    assert parts[-3:] == ("lamplighter", name, "__init__.py")


@pytest.mark.parametrize("name", ["model", "lammps_interface", "train", "validation"])
def test_git_stores_the_room_as_a_link(root: Path, name: str) -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-s", f"src/lamplighter/{name}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listing.stdout.startswith("120000 ")


@pytest.mark.parametrize("broken", LINKS)
def test_cmake_refuses_a_checkout_without_links(
    root: Path, tmp_path: Path, broken: str
) -> None:
    package = tmp_path / "src" / "lamplighter"
    package.mkdir(parents=True)
    (tmp_path / "CMakeLists.txt").write_text((root / "CMakeLists.txt").read_text())
    for name, target in LINKS.items():
        if name == broken:  # what git writes where links are not supported
            (package / name).write_text(target)
        else:
            (package / name).mkdir()
    done = subprocess.run(
        [
            Path(sys.executable).parent / "cmake",
            "-S",
            tmp_path,
            "-B",
            tmp_path / "build",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    message = " ".join(done.stderr.split())
    assert f"src/lamplighter/{broken} is not a folder" in message
    assert "core.symlinks=true" in message
