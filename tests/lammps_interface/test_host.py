"""The entry point of `lmp` and the loading of models, on the side of Python."""

import ctypes
import os
import pickle
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest

from lamplighter.errors import ArtifactError, ConfigError, EngineError
from lamplighter.lammps_interface import host, loading, pair_data


class Model:
    element_types = ("Mg", "O")
    rcutfac = 2.5
    interface = None

    def compute_forces(self, data):
        data.energy = 1.25


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(loading, "_registered", {})
    monkeypatch.setattr(host, "_open", {})
    return loading._registered


def opened(name=b"EXISTS", **fields):
    request = pair_data.Open(version=pair_data.ABI_VERSION, path=name, **fields)
    return request, host.serve("open", ctypes.addressof(request))


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


@pytest.mark.usefixtures("registered")
def test_opening_tells_cutoff_and_elements():
    model = Model()
    host.register(model)
    request, problem = opened(ghostneigh=1)
    assert problem == ""
    assert request.cutoff == 5.0
    assert request.elements == b"Mg O"
    assert request.note == b"Lamplighter: EXISTS: elements Mg O, cutoff 5 Angstrom"
    assert model.interface == loading.Interface(
        path="EXISTS", ghostneigh=True, embedded=False
    )
    step = pair_data.Step(version=pair_data.ABI_VERSION, handle=request.handle)
    assert host.serve("compute", ctypes.addressof(step)) == ""
    assert step.energy == 1.25
    assert host.serve("close", ctypes.addressof(step)) == ""
    assert not host._open


@pytest.mark.usefixtures("registered")
def test_computing_with_a_closed_model_is_an_error():
    step = pair_data.Step(version=pair_data.ABI_VERSION, handle=77)
    assert "KeyError: 77" in host.serve("compute", ctypes.addressof(step))


@pytest.mark.usefixtures("registered")
def test_structures_of_another_release_are_refused():
    request = pair_data.Open(version=9)
    problem = host.serve("open", ctypes.addressof(request))
    assert "do not belong together" in problem
    step = pair_data.Step(version=9)
    assert "do not belong together" in host.serve("compute", ctypes.addressof(step))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"element_types": []}, "no list element_types"),
        ({"element_types": "MgO"}, "no list element_types"),
        ({"element_types": ["Mg", "O O"]}, "not words"),
        ({"element_types": ["Mg", 8]}, "not words"),
        ({"rcutfac": 0.0}, r"rcutfac 0\.0"),
        ({"rcutfac": float("nan")}, "rcutfac nan"),
        ({"rcutfac": "5"}, "rcutfac '5'"),
        ({"compute_forces": None}, "no method compute_forces"),
    ],
)
def test_an_object_that_is_no_model_is_refused(registered, change, message):
    model = Model()
    vars(model).update(change)
    with pytest.raises(ConfigError, match=message):
        host.register(model)
    assert not registered


@pytest.mark.usefixtures("registered")
def test_a_dict_is_not_a_model():
    with pytest.raises(ConfigError, match="is not an ML-IAP model"):
        host.register({"state_dict": {}}, "checkpoint")


@pytest.mark.usefixtures("registered")
def test_the_note_names_the_head():
    model = Model()
    model.header = types.SimpleNamespace(head="pbe", level_of_theory="PBE-D3")
    host.register(model)
    assert opened()[0].note.endswith(b", head pbe, level of theory PBE-D3")


@pytest.mark.usefixtures("registered")
def test_more_names_than_fit_are_refused():
    model = Model()
    model.element_types = [f"Element{n}" for n in range(1000)]
    host.register(model)
    assert "too many element names" in opened()[1]


@pytest.mark.usefixtures("registered")
def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"no ML-IAP file .*none\.pt"):
        host.load(str(tmp_path / "none.pt"))


@pytest.mark.usefixtures("registered")
def test_a_file_is_not_executed(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(EngineError("x")))
    with pytest.raises(ArtifactError, match="nothing in it was executed"):
        host.load(str(path))


def test_running_without_a_script_says_how(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["host", "-log", "none"])
    assert host.main() == 2
    assert "usage:" in capsys.readouterr().err
