"""Energies that add up, forces that reach as far as the potential does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties import extensivity, locality
from lamplighter.validation.properties.extensivity import (
    ExtensivitySettings,
    molecule_of,
)
from lamplighter.validation.properties.locality import LocalitySettings

COPPER = bulk("Cu", a=3.6, cubic=True)
SHORT = SmoothPairs(cutoff=4.2)


class Spoiled:
    """An engine whose results a function changes."""

    def __init__(self, engine, spoil):
        self.engine, self.spoil = engine, spoil
        self.info = dataclasses.replace(engine.info, name="spoiled")

    def compute(self, atoms, want=()):
        result = self.engine.compute(atoms, ("energy", "forces"))
        del want
        return dataclasses.replace(result, **self.spoil(atoms, result))

    def compute_many(self, many, want=()):
        return [self.compute(atoms, want) for atoms in many]


def test_emt_adds_up():
    found = extensivity.run(COPPER, AseEngine(EMT()))
    assert found.status == "ok"
    assert found.values["replica_energy_error"].value < 1e-10
    assert found.values["additivity_energy_error"].value < 1e-10
    assert found.values["replica_force_error"].unit == "eV/Å"


def test_a_molecule_has_no_replicas():
    found = extensivity.run(molecule("H2O"), AseEngine(EMT()))
    assert found.status == "ok"
    assert set(found.values) == {"additivity_energy_error", "additivity_force_error"}


def offset(_, result):
    return {"energy": result.energy + 1e-3}


def long_range(atoms, result):
    pull = 1e-5 * (atoms.positions - atoms.positions.mean(axis=0))
    return {"forces": result.forces + pull}


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (offset, {"replica energy", "additivity energy"}),
        (long_range, {"replica forces", "additivity forces"}),
    ],
)
def test_what_does_not_add_up_is_invalid(spoil, names):
    found = extensivity.run(COPPER, Spoiled(AseEngine(EMT()), spoil))
    assert found.status == "invalid"
    assert {check.name for check in found.failed()} == names
    assert found.values == {}


def test_float32_has_limits_of_its_own():
    info = EngineInfo(kind="ase", name="single", model="EMT", dtype="float32")
    found = extensivity.run(COPPER, AseEngine(EMT(), info))
    assert found.method["max_energy"] == 1e-5


def test_the_piece_of_a_crystal_is_compact():
    piece = molecule_of(COPPER, 13)
    assert len(piece) == 13
    assert not piece.pbc.any()
    assert np.ptp(piece.positions, axis=0).max() < 8
    assert len(molecule_of(molecule("H2O"), 13)) == 3


def test_the_reach_is_the_range_of_the_potential():
    # Pairs end at 4.2 Å; shells are at 2.55, 3.6, 4.41 Å, and the atom moves by 0.1 Å.
    found = locality.run(COPPER, SHORT, LocalitySettings(radius=7.0))
    radius = found.values["locality_radius"]
    assert found.status == "ok"
    assert radius.value == pytest.approx(3.6)
    assert radius.error == pytest.approx(3.6 * 1.5**0.5 - 3.6)
    assert found.values["force_reach"].value <= radius.value
    # EMT's atoms feel changes of density at neighbours of neighbours.
    emt = locality.run(COPPER, AseEngine(EMT()), LocalitySettings(radius=7.0))
    assert emt.values["locality_radius"].value > radius.value


def test_forces_without_reaction_and_short_cells_are_seen():
    def push(atoms, result):
        moved = result.forces.copy()
        moved[0] += 1e-3 * atoms.positions[0]
        return {"forces": moved}

    engine = Spoiled(SHORT, push)
    found = locality.run(COPPER, engine, LocalitySettings(radius=5.0))
    assert found.status == "invalid"
    assert found.failed()[0].name == "no net force"
    short = locality.run(COPPER, SHORT, LocalitySettings(radius=2.7))
    assert short.status == "warn"
    assert [check.name for check in short.failed()] == [
        "range within the cell",
        "locality within the cell",
    ]
    # A weak tail beyond the sphere is no noticeable force, and still no bound.
    weak = LocalitySettings(radius=2.7, noticeable=1e3)
    (failed,) = locality.run(COPPER, SHORT, weak).failed()
    assert failed.name == "locality within the cell"


def test_a_limit_of_zero_is_a_limit():
    settings = ExtensivitySettings(max_energy=0.0, max_force=0.0)
    found = extensivity.run(COPPER, SHORT, settings)
    assert found.method["max_energy"] == found.method["max_force"] == 0.0
    assert found.status == "invalid"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"displacement": 0.0}, "displacement of locality"),
        ({"radius": -1.0}, "radius of locality"),
        ({"noise": 0.0}, "noise of locality"),
    ],
)
def test_locality_refuses(settings, message):
    with pytest.raises(ConfigError, match=message):
        LocalitySettings(**settings)
    engine = SHORT
    with pytest.raises(ConfigError, match="measured in a crystal"):
        locality.run(Atoms("Cu"), engine)
    with pytest.raises(ConfigError, match="cell for locality is too large"):
        locality.run(COPPER, engine, LocalitySettings(max_atoms=100))


@pytest.mark.parametrize("settings", [{"n_atoms": 1}, {"gap": 0.0}])
def test_extensivity_refuses(settings):
    with pytest.raises(ConfigError, match="molecules for extensivity"):
        ExtensivitySettings(**settings)
