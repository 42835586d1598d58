"""Tables in ML-IAP files: what evaluates, with which of them, and what is said."""

import dataclasses

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError, EngineError
from lamplighter.lammps_interface import backend, bundle, convert
from lamplighter.lammps_interface.loading import note_of
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import load_potential, save_potential
from lamplighter.model.compiled import DevicePotential


def evaluated(model, atoms):
    rank = PeriodicRank(atoms, 4.0, model.element_types)
    model.compute_forces(rank)
    return rank.energy, rank.forces()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_file_with_tables_is_compiled(model, structures, dtype, monkeypatch):
    content = bundle.read(model.compiled(dtype))
    reference = MliapModel(content, backend="reference")
    assert reference.compiled == ()
    assert "compiled" not in note_of(reference, "m.pt")
    monkeypatch.setattr(backend, "compile_potential", None)  # nothing is compiled
    for wanted in (None, "compiled"):
        fast = MliapModel(content, backend=wanted)
        assert len(fast.compiled) == 1
        assert note_of(fast, "m.pt").endswith("compiled")
        within = 2e-6 if dtype == "float64" else 2e-3
        for found, number in zip(
            evaluated(fast, structures["rattled"]),
            evaluated(reference, structures["rattled"]),
            strict=True,
        ):
            np.testing.assert_allclose(found, number, atol=within)
    header = content.header
    assert header.format_version == 3
    assert 0 < header.compiled["forces"] < header.compiled["forces_tolerance"]
    assert header.compiled["knots"] >= 65
    assert header.not_compiled == ""


def test_a_file_without_tables_says_so(model):
    plain = MliapModel(bundle.read(model.float64))
    assert plain.compiled == ()
    assert "not compiled: the file has no tables" in note_of(plain, "m.pt")
    assert len(MliapModel(bundle.read(model.float64), backend="compiled").compiled) == 1


def test_all_heads_have_tables(model, tmp_path):
    out = tmp_path / "two.pt"
    convert.convert(model.path, ["pbe", "scan"], ["Mg", "O"], out)
    content = bundle.read(out)
    assert sorted(content.tables) == ["0.pbe", "0.scan"]
    for head in ("pbe", "scan"):
        assert len(MliapModel(content, head=head).compiled) == 1


def test_tables_of_another_release_are_not_used(model, monkeypatch):
    content = bundle.read(model.compiled64)
    monkeypatch.setattr(backend, "_origin", lambda *_: "another")
    found = MliapModel(content)
    assert found.compiled == ()
    assert "of another release" in note_of(found, "m.pt")


def test_without_the_library_the_reference_evaluates(model, monkeypatch):
    def missing(*_args, **_settings):
        message = "the library is missing"
        raise EngineError(message)

    monkeypatch.setattr(backend, "tables_from_bytes", missing)
    found = MliapModel(bundle.read(model.compiled64))
    assert "not compiled: the library is missing" in note_of(found, "m.pt")
    with pytest.raises(EngineError, match="the library is missing"):
        MliapModel(bundle.read(model.compiled64), backend="compiled")


def test_a_gpu_is_for_the_reference_unless_the_script_says_compiled(model, monkeypatch):
    cuda = torch.device("cuda:1")
    assert backend.choose_backend(None, None, None, (), cuda) == backend.Backend()
    found = bundle.read(model.compiled64)
    there = []

    def on_device(compiled, device):
        there.append(device)
        return DevicePotential(compiled, "cpu")

    monkeypatch.setattr(backend, "DevicePotential", on_device)
    members = MliapModel(found).members
    chosen = backend.choose_backend("compiled", found, found.header, members, cuda)
    assert there == ["cuda:1"]
    assert isinstance(chosen.compiled[0], DevicePotential)


def test_what_cannot_be_compiled_is_written_without_tables(
    model, tmp_path, monkeypatch
):
    def refuse(*_args, **_settings):
        message = "too many elements"
        raise ConfigError(message)

    monkeypatch.setattr(backend, "compile_potential", refuse)
    out = tmp_path / "m.pt"
    convert.convert(model.path, ["pbe", "scan"], ["Mg", "O"], out)
    content = bundle.read(out)
    assert content.tables == {}
    assert content.header.compiled == {}
    assert content.header.not_compiled == "too many elements"
    assert "too many elements" in note_of(MliapModel(content, head="pbe"), "m.pt")


def test_a_committee_has_tables_of_each(model, tmp_path, structures):
    potential = load_potential(model.path)
    with torch.no_grad():
        potential.embedding.mul_(1.1)
    save_potential(potential, tmp_path / "b.safetensors", provenance={})
    out = tmp_path / "two.pt"
    paths = [model.path, tmp_path / "b.safetensors"]
    convert.convert(paths, "pbe", ["Mg", "O"], out)
    content = bundle.read(out)
    assert sorted(content.tables) == ["0.pbe", "1.pbe"]
    fast, slow = MliapModel(content), MliapModel(content, backend="reference")
    assert len(fast.compiled) == 2
    for found, wanted in zip(
        evaluated(fast, structures["rattled"]),
        evaluated(slow, structures["rattled"]),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_conditions_of_the_script_need_other_tables(model):
    content = bundle.read(model.compiled64)
    file = dataclasses.replace(content.header, conditions={"total_charge": 0.0})
    wanted = dataclasses.replace(file, conditions={"total_charge": 1.0})
    assert backend._unfit(file, wanted) == (
        "its tables are for total charge 0 (backend compiled makes others)"
    )
