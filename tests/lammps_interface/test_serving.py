"""What the pair style asks of Python, and the loading of models."""

import ctypes
import pickle
import types

import pytest

from lamplighter.errors import ArtifactError, ConfigError, EngineError
from lamplighter.lammps_interface import loading, pair_abi, serving


class Model:
    element_types = ("Mg", "O")
    rcutfac = 2.5
    interface = None

    def compute_forces(self, data):
        data.energy = 1.25


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(loading, "_registered", {})
    monkeypatch.setattr(serving, "_open", {})
    return loading._registered


def opened(name=b"EXISTS", **fields):
    request = pair_abi.Open(version=pair_abi.ABI_VERSION, path=name, **fields)
    return request, serving.serve("open", ctypes.addressof(request))


@pytest.mark.usefixtures("registered")
def test_opening_tells_cutoff_and_elements():
    model = Model()
    loading.register(model)
    request, problem = opened(ghostneigh=1)
    assert problem == ""
    assert request.cutoff == 5.0
    assert request.elements == b"Mg O"
    assert request.note.startswith(b"Lamplighter: EXISTS: ")
    assert request.note.endswith(b"Model, elements Mg O, cutoff 5 Angstrom")
    assert model.interface == loading.Interface(
        path="EXISTS", ghostneigh=True, embedded=False
    )
    step = pair_abi.Step(version=pair_abi.ABI_VERSION, handle=request.handle)
    assert serving.serve("compute", ctypes.addressof(step)) == ""
    assert step.energy == 1.25
    assert serving.serve("close", ctypes.addressof(step)) == ""
    assert not serving._open


@pytest.mark.usefixtures("registered")
def test_computing_with_a_closed_model_is_an_error():
    step = pair_abi.Step(version=pair_abi.ABI_VERSION, handle=77)
    assert "KeyError: 77" in serving.serve("compute", ctypes.addressof(step))


@pytest.mark.usefixtures("registered")
def test_structures_of_another_release_are_refused():
    request = pair_abi.Open(version=9)
    problem = serving.serve("open", ctypes.addressof(request))
    assert "do not belong together" in problem
    step = pair_abi.Step(version=9)
    assert "do not belong together" in serving.serve("compute", ctypes.addressof(step))


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
        loading.register(model)
    assert not registered


@pytest.mark.usefixtures("registered")
def test_a_dict_is_not_a_model():
    with pytest.raises(ConfigError, match="is not an ML-IAP model"):
        loading.register({"state_dict": {}}, "checkpoint")


@pytest.mark.usefixtures("registered")
def test_the_note_names_the_head():
    model = Model()
    model.header = types.SimpleNamespace(head="pbe", level_of_theory="PBE-D3")
    loading.register(model)
    assert opened()[0].note.endswith(b", head pbe, level of theory PBE-D3")
    model.header.conditions = {"total_charge": -1.0, "total_spin": 2.0}
    assert opened()[0].note.endswith(b"PBE-D3, total charge -1, total spin 2")


@pytest.mark.usefixtures("registered")
def test_more_names_than_fit_are_refused():
    model = Model()
    model.element_types = [f"Element{n}" for n in range(1000)]
    loading.register(model)
    assert "too many element names" in opened()[1]


@pytest.mark.usefixtures("registered")
def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"no ML-IAP file .*none\.pt"):
        loading.load(str(tmp_path / "none.pt"))


@pytest.mark.usefixtures("registered")
def test_a_file_is_not_executed(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(EngineError("x")))
    with pytest.raises(ArtifactError, match="nothing of it was loaded"):
        loading.load(str(path))


@pytest.mark.usefixtures("registered")
def test_keywords_reach_the_model():
    class Choosing(Model):
        header = types.SimpleNamespace(heads=("pbe", "scan"), head="pbe")
        chosen = None

        def with_settings(self, *settings):
            other = Choosing()
            other.chosen = settings
            return other

    loading.register(Choosing())
    request, problem = opened(
        keywords=b"head scan charge -1 device cpu backend compiled check 20"
    )
    assert problem == ""
    assert request.check_every == 20
    used = serving._open[request.handle].model
    assert used.chosen == ("scan", {"total_charge": -1.0}, "cpu", "compiled")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    "words", [b"head pbe", b"charge 1", b"device cuda", b"backend compiled", b"check 5"]
)
def test_keywords_for_an_object_that_has_none_are_refused(words):
    loading.register(Model())
    assert "cannot take keywords" in opened(keywords=words)[1]


@pytest.mark.usefixtures("registered")
def test_running_out_of_memory_comes_with_advice():
    class Greedy(Model):
        def compute_forces(self, _):
            raise self.trouble

    for trouble in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        Greedy.trouble = trouble
        loading.register(Greedy())
        request, _ = opened()
        step = pair_abi.Step(version=pair_abi.ABI_VERSION, handle=request.handle)
        problem = serving.serve("compute", ctypes.addressof(step))
        assert "more ranks" in problem
        assert type(trouble).__name__ in problem


@pytest.mark.usefixtures("registered")
def test_a_many_body_virial_that_the_model_lacks_is_an_error():
    loading.register(Model())
    request, _ = opened()
    room = (ctypes.c_double * 9)()
    step = pair_abi.Step(
        version=pair_abi.ABI_VERSION,
        handle=request.handle,
        centroid=ctypes.addressof(room),
    )
    assert "no many-body virial" in serving.serve("compute", ctypes.addressof(step))
