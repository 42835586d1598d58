"""The entry point of `lmp` and the loading of models, on the side of Python."""

import ctypes
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from lamplighter.lammps_interface import host


def test_the_entry_point_is_the_plugin_directory():
    points = metadata.entry_points(group="lammps.plugins", name="lamplighter")
    assert {point.load() for point in points} == {host.plugin_directory}


def test_the_plugin_directory_holds_one_plugin_and_prepares_the_child(monkeypatch):
    for name in ("PYTHON", "LIBPYTHON", "PYTHONPATH"):
        monkeypatch.setenv(f"LAMPLIGHTER_{name}", "stale")
    folder = Path(host.plugin_directory())
    assert [path.name for path in folder.glob("*plugin.so")] == [host.PLUGIN]
    assert os.environ["LAMPLIGHTER_PYTHON"] == sys.executable
    assert os.environ.get("LAMPLIGHTER_LIBPYTHON") != "stale"
    assert (Path(os.environ["LAMPLIGHTER_PYTHONPATH"]) / "lamplighter").is_dir()


def test_importing_lammps_loads_neither_numpy_nor_torch_through_us():
    code = (
        "import sys, lamplighter.lammps_interface.host as h; h.plugin_directory(); "
        "print([m for m in ('numpy', 'torch', 'lammps') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_lammps_of_another_release_gets_no_plugin_and_a_warning(monkeypatch):
    versions = {"lammps": "2026.2.1.0.0"}
    monkeypatch.setattr(host.metadata, "version", versions.__getitem__)
    with pytest.warns(RuntimeWarning, match=r"another LAMMPS.*2026\.2\.1.*2025\.7\.22"):
        folder = host.plugin_directory()
    assert not list(Path(folder).glob("*plugin.so"))


def test_a_missing_plugin_is_a_warning(monkeypatch):
    monkeypatch.setattr(host, "PLUGIN", "nosuchplugin.so")
    with pytest.warns(RuntimeWarning, match="compiled pair style is missing"):
        folder = host.plugin_directory()
    assert not list(Path(folder).glob("*plugin.so"))


def test_the_shared_library_of_python_exports_what_the_plugin_needs():
    library = host.find_libpython()
    if library is None:
        pytest.skip("this Python has no shared library")
    assert ctypes.CDLL(str(library)).Py_IsInitialized() in (0, 1)
    assert host.lmp_command() == [str(Path(sys.executable).parent / "lmp")]


def test_a_python_without_a_shared_library_is_no_error(monkeypatch):
    monkeypatch.setattr(host.sysconfig, "get_config_var", lambda _: None)
    monkeypatch.setattr(host.sys, "base_prefix", "/nonexistent")
    assert host.find_libpython() is None
    assert host.lmp_command()[1:] == ["-m", "lamplighter.lammps_interface.host"]


def test_running_without_a_script_says_how(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["host", "-log", "none"])
    assert host.main() == 2
    assert "usage:" in capsys.readouterr().err
