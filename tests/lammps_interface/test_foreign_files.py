"""Files of other programs: nothing in them is executed, unless that very file may."""

import gzip
import hashlib
import io
import json
import os
import pickle
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from hand_pickles import rewritten

from lamplighter import cli
from lamplighter.errors import (
    ArtifactError,
    ConfigError,
    OptionalDependencyError,
    UnsafeFileError,
    UnsupportedModelError,
)
from lamplighter.lammps_interface import bundle, foreign
from lamplighter.lammps_interface.foreign import lammps_module
from lamplighter.lammps_interface.foreign.contents import contents, first_name
from lamplighter.lammps_interface.foreign.mace_torch import read_mace_file
from lamplighter.lammps_interface.foreign.trust import is_trusted
from lamplighter.lammps_interface.loading import load, note_of
from lamplighter.model import graph_from_atoms, potential_from_bytes, predict
from lamplighter.model.inert import Record
from lamplighter.model.mace_import import model_in

MLIAP = Path(__file__).parents[1] / "oracle" / "mliap"
LJ = "lammps.mliap.mliap_unified_lj"


def mace_bytes(name: str = "command-heads") -> bytes:
    return gzip.decompress((MLIAP / f"{name}.pt.gz").read_bytes())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Harmless:
    """Makes a folder when it is unpickled, and becomes a usable model."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


class Recorder:
    """An exchange that notes how much it is given."""

    def forward(self, features):
        self.width = features.shape[1]
        return features


class Model:
    """What an ML-IAP file may hold; importable from here while a test runs."""

    element_types = ("Mg", "O")
    rcutfac = 2.0

    def compute_forces(self, data):
        data.energy = 0.0


@pytest.fixture
def other_program(monkeypatch):
    """A module of another program that can be imported."""
    module = types.ModuleType("some_program")
    module.Model = type("Model", (Model,), {"__module__": "some_program"})
    monkeypatch.setitem(sys.modules, "some_program", module)
    return module


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an object as another program would."""

    def to_file(thing, name="other.pkl"):
        path = tmp_path / name
        if path.suffix == ".pt":
            torch.save(thing, path)
        else:
            path.write_bytes(pickle.dumps(thing))
        return path

    return to_file


# Trust.


@pytest.mark.parametrize("name", ["trap.pkl", "trap.pt"])
def test_nothing_is_executed_by_default(write, tmp_path, name, monkeypatch):
    marker = tmp_path / "marker"
    path = write(Harmless(marker), name)
    with pytest.raises(UnsafeFileError, match=r"executes code.*posix\.mkdir") as caught:
        load(str(path))
    assert not marker.exists()
    # The message holds the very line that allows it.
    line = re.search(r"export (\w+)=(\w+)", str(caught.value))
    assert line is not None
    assert line[2] == sha256(path)
    monkeypatch.setenv(line[1], line[2])
    load(str(path))
    assert marker.is_dir()  # the trap works where it is allowed to


def test_the_hash_of_another_file_does_not_count(write, tmp_path, monkeypatch):
    path = write(Harmless(tmp_path / "marker"))
    monkeypatch.setenv(foreign.TRUST, "0" * 64)
    with pytest.raises(UnsafeFileError, match="nothing of it was loaded"):
        load(str(path))
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    write(Harmless(tmp_path / "other"))  # the same name, changed afterwards
    with pytest.raises(UnsafeFileError, match="nothing of it was loaded"):
        load(str(path))
    assert not (tmp_path / "marker").exists()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("value", ["1", "yes", "abc123", "0" * 64 + ",1"])
def test_a_switch_is_not_a_hash(value):
    with pytest.raises(ConfigError, match="does not name files"):
        is_trusted(b"", {foreign.TRUST: value})


def test_several_hashes_and_spaces():
    content = b"content"
    digest = hashlib.sha256(content).hexdigest()
    assert is_trusted(content, {foreign.TRUST: f" {'0' * 64}, {digest.upper()} ,"})
    assert not is_trusted(content, {foreign.TRUST: ""})
    assert not is_trusted(content, {})


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model.pth"])
def test_a_trusted_file_is_loaded(write, other_program, monkeypatch, name):
    path = write(other_program.Model(), name.replace(".pth", ".pt"))
    path = path.rename(path.with_name(name))
    with pytest.raises(UnsafeFileError, match=r"some_program\.Model"):
        load(str(path))
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    model = load(str(path))
    assert type(model) is other_program.Model
    assert "some_program.Model, elements Mg O, cutoff 4" in note_of(model, str(path))


def test_a_trusted_file_that_begins_with_plain_containers(
    write, other_program, monkeypatch
):
    path = write({torch.float64: other_program.Model()}, "model.pt")
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    assert isinstance(load(str(path))[torch.float64], Model)


def test_a_missing_module_is_named(write, other_program, monkeypatch):
    path = write(other_program.Model())
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    monkeypatch.delitem(sys.modules, "some_program")
    with pytest.raises(OptionalDependencyError, match="no module 'some_program'"):
        load(str(path))


def test_another_release_of_the_program(write, other_program, monkeypatch):
    path = write(other_program.Model())
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    monkeypatch.delattr(other_program, "Model")
    with pytest.raises(ArtifactError, match="installed release of its program"):
        load(str(path))


def test_a_truncated_file_that_is_trusted(write, other_program, monkeypatch):
    path = write(other_program.Model())
    path.write_bytes(path.read_bytes()[:-5])
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load(str(path))


def test_names_of_a_file_that_only_python_can_read(other_program):
    # an opcode that the reader does not follow, after the name of the class
    data = pickle.dumps(other_program.Model(), protocol=4)
    broken = data[:-1] + b"\x97."  # NEXT_BUFFER
    found = contents(broken, "x")
    assert found.root is None
    assert found.module == "some_program"


def test_the_module_of_a_file_is_not_that_of_a_helper(other_program):
    found = contents(pickle.dumps([other_program.Model()]), "x")
    assert found.class_name == "some_program.Model"
    found = contents(pickle.dumps(other_program.Model(), protocol=0), "x")
    assert found.names == ()  # a text, which no writer of ML-IAP files makes


def test_files_that_are_no_foreign_pickles():
    plain = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, plain)
    for content in (b"", b"text", b"PK broken", pickle.dumps({"a": 1})):
        assert first_name(content) == ""
        assert not foreign.is_foreign(content)
    assert not foreign.is_foreign(plain.getvalue())


# LAMMPS' own example.


def lj_pickle(state=None, extra=b""):
    """Return what MLIAPUnifiedLJ.pickle writes, without importing LAMMPS."""
    module = types.ModuleType(LJ)
    module.MLIAPUnifiedLJ = type("MLIAPUnifiedLJ", (), {"__module__": LJ})
    model = module.MLIAPUnifiedLJ()
    values = {"element_types": ["Ar"], "epsilon": 0.5, "sigma": 1.0, "rcutfac": 1.25}
    values |= {"interface": None, "ndescriptors": 1, "nparams": 3}
    model.__dict__.update(values if state is None else values | state)
    sys.modules[LJ], kept = module, sys.modules.get(LJ)
    try:
        return pickle.dumps(model) + extra
    finally:
        if kept is None:
            del sys.modules[LJ]
        else:
            sys.modules[LJ] = kept


def test_the_example_of_lammps_needs_no_trust(tmp_path):
    path = tmp_path / "lj.pkl"
    path.write_bytes(lj_pickle({"epsilon": np.float64(0.25)}))
    model = load(str(path))
    assert type(model).__module__ == LJ
    assert type(model).__name__ == "MLIAPUnifiedLJ"
    assert (model.epsilon, model.sigma, model.rcutfac) == (0.25, 1.0, 1.25)
    assert (model.element_types, model.interface) == (["Ar"], None)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"epsilon": "0.5"}, "type str as epsilon"),
        ({"sigma": float("nan")}, "type float as sigma"),
        ({"rcutfac": True}, "type bool as rcutfac"),
        ({"element_types": "Ar"}, "type str as element_types"),
        ({"element_types": [1]}, "type list as element_types"),
        ({"compute_forces": 1}, "the attributes"),
        ({"interface": types.SimpleNamespace()}, "names types.SimpleNamespace"),
    ],
)
def test_the_example_with_anything_else_is_refused(tmp_path, state, message):
    path = tmp_path / "lj.pkl"
    path.write_bytes(lj_pickle(state))
    with pytest.raises(ArtifactError, match=f"MLIAPUnifiedLJ, but is not.*{message}"):
        load(str(path))


def test_the_example_without_an_attribute_is_refused(tmp_path):
    path = tmp_path / "lj.pkl"
    data = lj_pickle()
    path.write_bytes(data.replace(b"epsilon", b"epsilom"))
    with pytest.raises(ArtifactError, match="the attributes"):
        load(str(path))


def test_a_python_without_libpython_has_the_example_too(tmp_path, monkeypatch):
    # lammps/mliap/__init__.py raises OSError there
    import ctypes

    def absent(name, *_, **__):
        raise OSError(name)

    for name in ("lammps.mliap", LJ, "lammps.mliap.mliap_unified_abc"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    path = tmp_path / "lj.pkl"
    path.write_bytes(lj_pickle())
    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", absent)
        assert type(load(str(path))).__name__ == "MLIAPUnifiedLJ"
        # a trusted program whose module imports its base class from there
        (tmp_path / "program.py").write_text(
            "from lammps.mliap.mliap_unified_abc import MLIAPUnified as Base\n"
            "def make():\n    return Base.__name__\n"
        )
        patch.syspath_prepend(tmp_path)
        content = b"\x80\x02cprogram\nmake\n)R."
        patch.setenv(foreign.TRUST, hashlib.sha256(content).hexdigest())
        assert foreign.load_foreign("p.pkl", content) == "MLIAPUnified"
    assert "lammps.mliap" not in sys.modules


def test_a_lammps_without_the_example(tmp_path, monkeypatch):
    path = tmp_path / "lj.pkl"
    path.write_bytes(lj_pickle())
    monkeypatch.setitem(sys.modules, LJ, None)
    with pytest.raises(OptionalDependencyError, match="needs lammps"):
        load(str(path))


def test_no_lammps_at_all(monkeypatch):
    monkeypatch.delitem(sys.modules, "lammps.mliap", raising=False)
    monkeypatch.setitem(sys.modules, "lammps", None)
    with lammps_module.lammps_mliap():
        assert "lammps.mliap" not in sys.modules


# mace-torch.


@pytest.mark.parametrize(
    ("name", "head", "dtype", "conditions"),
    [
        ("command-heads", "r2scan", "float64", {}),
        ("command-float32", "Default", "float32", {}),
        (
            *("class-charged", "first", "float64"),
            {"total_charge": -2.0, "total_spin": 1.0},
        ),
    ],
)
def test_what_a_file_of_mace_torch_holds(name, head, dtype, conditions):
    found = read_mace_file(mace_bytes(name), "x.pt", "0")
    reference = json.loads(gzip.decompress((MLIAP / f"{name}.json.gz").read_bytes()))
    assert (found.head, found.dtype, found.conditions) == (head, dtype, conditions)
    config = found.imported.potential.config
    assert list(config.elements) == reference["elements"]
    assert [spec.name for spec in config.heads] == reference["heads"]


def test_the_head_of_the_file_unless_another_is_named(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(mace_bytes())
    model = load(str(path))
    assert model.header.head == "r2scan"
    assert model.header.heads == ("r2scan", "pbe", "wb97m")
    assert model.with_settings(None).header.head == "r2scan"
    assert model.with_settings("pbe").with_settings(None).header.head == "pbe"
    with pytest.raises(ConfigError, match="pbe"):
        model.with_settings("scan")


def test_charge_and_spin_of_the_file_unless_others_are_named(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(mace_bytes("class-charged"))
    model = load(str(path))
    assert model.header.conditions == {"total_charge": -2.0, "total_spin": 1.0}
    other = model.with_settings(None, {"total_charge": 0.0})
    assert other.header.conditions == {"total_charge": 0.0, "total_spin": 1.0}


def test_a_file_of_mace_torch_is_not_executed(tmp_path):
    # What mace-torch would unpickle is followed by a call of os.mkdir.
    marker = tmp_path / "marker"
    more = b"0" + pickle.dumps(Harmless(marker), protocol=2)[2:]
    path = tmp_path / "m.pt"
    path.write_bytes(rewritten(mace_bytes(), lambda data: data[:-1] + more))
    with pytest.raises(UnsafeFileError, match=r"posix\.mkdir"):
        load(str(path))
    assert not marker.exists()


def test_a_trusted_file_of_mace_torch_needs_mace_torch(tmp_path, monkeypatch):
    path = tmp_path / "m.pt"
    path.write_bytes(mace_bytes())
    monkeypatch.setenv(foreign.TRUST, sha256(path))
    monkeypatch.setitem(sys.modules, "mace", None)
    with pytest.raises(
        (OptionalDependencyError, ArtifactError), match=r"mace.*LAMMPS_MLIAP_MACE"
    ):
        load(str(path))


def damaged_wrapper(**changes):
    """Return the record of an ML-IAP object whose wrapper is odd."""
    state = {"_modules": {}, "_buffers": {}, "_parameters": {}} | changes
    wrapper = Record("mace.calculators.lammps_mliap_mace", "MACEEdgeForcesWrapper")
    wrapper.state = state
    root = Record("mace.calculators.lammps_mliap_mace", "LAMMPS_MLIAP_MACE")
    root.state = {"model": wrapper}
    return root


def test_a_wrapper_without_a_model():
    with pytest.raises(ArtifactError, match="no model inside"):
        model_in(damaged_wrapper(), "m.pt")
    root = damaged_wrapper()
    root.state["model"] = 3
    with pytest.raises(ArtifactError, match=r"no model inside.*type int"):
        model_in(root, "m.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.replace(b"X\x02\x00\x00\x00Mg", b"X\x02\x00\x00\x00Al"), "Al for"),
        (
            lambda d: d.replace(b"X\x02\x00\x00\x00Mg", b"X\x02\x00\x00\x00Qq"),
            "element_types.*Qq",
        ),
        (lambda d: d.replace(b"\x04\x00\x00\x00head", b"\x04\x00\x00\x00haed"), "head"),
        (
            lambda d: d.replace(b"ScaleShiftMACE\n", b"ScaleShiftXACE\n"),
            "ScaleShiftXACE.*lamplighter import",
        ),
        (lambda d: d[:200], "damaged"),
    ],
    ids=["elements", "no elements", "head", "class", "truncated"],
)
def test_a_damaged_file_of_mace_torch(tmp_path, change, message):
    path = tmp_path / "m.pt"
    path.write_bytes(rewritten(mace_bytes(), change))
    with pytest.raises((ArtifactError, UnsupportedModelError), match=message):
        load(str(path))


def test_a_model_that_was_not_made_for_lammps(tmp_path):
    packed = MLIAP.parent / "fixtures" / "one-layer-mace.model.gz"
    path = tmp_path / "m.model"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    with pytest.raises(ArtifactError, match=r"not made for LAMMPS yet.*import"):
        load(str(path))


# The commands.


def test_commands_say_what_it_is(tmp_path, capfd):
    path = tmp_path / "m.pt"
    path.write_bytes(mace_bytes())
    assert cli.run(["inspect", str(path), "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["kind"].startswith("ML-IAP file of mace-torch")
    assert (facts["head_in_use"], facts["dtype"]) == ("r2scan", "float64")
    words = ["--head", "r2scan", "--elements", "Mg", "-o", str(tmp_path / "n.pt")]
    assert cli.run(["convert", str(path), *words]) == 2
    assert f"lamplighter import {path} -o" in capfd.readouterr().err
    model = tmp_path / "m.safetensors"
    assert cli.run(["import", str(path), "-o", str(model)]) == 0
    assert cli.run(["convert", str(model), *words]) == 0


def test_inspect_names_what_loading_would_call(tmp_path, write, capfd):
    path = write(Harmless(tmp_path / "marker"))
    assert cli.run(["inspect", str(path), "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["class"] == "posix.mkdir"
    assert facts["to_load_it"].startswith(f"{foreign.TRUST}={sha256(path)}")
    assert not (tmp_path / "marker").exists()
    path.write_bytes(lj_pickle())
    assert cli.run(["inspect", str(path)]) == 0
    assert "runs as it is" in capfd.readouterr().out


def test_other_tools_read_the_head_of_a_file_of_mace_torch(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(mace_bytes())
    found = bundle.read(path)
    assert (found.header.head, found.header.heads) == ("r2scan", ("r2scan",))
    assert found.header.model_sha256 == sha256(path)
    own = potential_from_bytes(found.potential, dtype="float64")
    whole = read_mace_file(mace_bytes(), "m.pt", "0").imported.potential
    atoms = bulk("MgO", "rocksalt", a=4.25)
    atoms.rattle(0.1, seed=3)
    graphs = [
        graph_from_atoms(atoms, one.config, "r2scan", torch.float64)
        for one in (own, whole)
    ]
    energies = predict(own, graphs[0]).atomic_energies
    assert torch.equal(energies, predict(whole, graphs[1]).atomic_energies)
    recorder = Recorder()
    own(graphs[0], recorder)
    assert found.header.message_width == recorder.width


def test_a_model_that_cannot_be_imported_is_an_artifact_error(tmp_path):
    path = tmp_path / "m.pt"
    change = (b"ScaleShiftMACE\n", b"ScaleShiftXACE\n")
    path.write_bytes(rewritten(mace_bytes(), lambda data: data.replace(*change)))
    with pytest.raises(ArtifactError, match="ScaleShiftXACE"):
        bundle.read(path)
