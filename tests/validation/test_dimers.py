"""Curves of two atoms: known wells, and every fault that a curve can have."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from lamplighter.errors import ConfigError, EngineError
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import EngineInfo, Result
from lamplighter.validation.properties import dimers
from lamplighter.validation.properties.dimers import DimersSettings

ARGON = DimersSettings(elements=("Ar",), closest=0.7, bonded=0.8, farthest=8.0)


class Pair:
    """An engine made of a function: energy and force of a pair at a distance."""

    def __init__(self, function, cutoff=0.0, elements=None):
        self.function = function
        self.info = EngineInfo(kind="ase", name="pair", model="f(r)", cutoff=cutoff)
        if elements:
            self.elements = elements

    def compute(self, atoms, want=()):
        del want
        energy, forces = 0.0, np.zeros((len(atoms), 3))
        if len(atoms) == 2:
            vector = atoms.positions[1] - atoms.positions[0]
            distance = np.linalg.norm(vector)
            energy, force = self.function(distance)
            forces[1] = force * vector / distance
            forces[0] = -forces[1]
        if not np.isfinite(energy):
            raise EngineError(str(energy))
        return Result(energy=energy, forces=forces, stress=None, energies=None,
                      info=self.info, wall_s=0.0)  # fmt: skip

    def compute_many(self, many, want=()):
        return [self.compute(atoms, want) for atoms in many]


def morse(r, depth=1.5, width=1.8, place=2.2):
    x = np.exp(-width * (r - place))
    return depth * (x * x - 2 * x), 2 * depth * width * (x * x - x)


def curve_of(function, **settings):
    return dimers.run(
        Atoms("Cu"), Pair(function), DimersSettings(farthest=6.0, **settings)
    )


def test_a_morse_curve_gives_its_own_parameters():
    found = curve_of(morse)
    assert found.status == "ok"
    distance = found.values["dimer_distance_Cu_Cu"]
    energy = found.values["dimer_energy_Cu_Cu"]
    assert distance.value == pytest.approx(2.2, abs=1e-4)
    assert energy.value == pytest.approx(1.5, abs=1e-4)
    assert distance.error < 0.01
    assert abs(distance.value - 2.2) < distance.error
    assert (distance.unit, energy.unit) == ("Å", "eV")


def test_lennard_jones_through_ase():
    calculator = LennardJones(sigma=3.4, epsilon=0.0104, rc=11.0, smooth=True)
    found = dimers.run(Atoms("Ar"), AseEngine(calculator), ARGON)
    assert found.status == "ok"
    distance = found.values["dimer_distance_Ar_Ar"].value
    assert distance == pytest.approx(3.4 * 2 ** (1 / 6), abs=2e-3)
    energy = found.values["dimer_energy_Ar_Ar"].value
    assert energy == pytest.approx(0.0104, rel=1e-3)


def test_the_engine_names_the_elements():
    found = dimers.run(Atoms("X"), Pair(morse, cutoff=6.0, elements=("Mg", "O")))
    assert found.arrays["pairs"] == ["Mg-Mg", "Mg-O", "O-O"]
    assert {name for name in found.values if "distance" in name} == {
        "dimer_distance_Mg_Mg",
        "dimer_distance_Mg_O",
        "dimer_distance_O_O",
    }
    found = dimers.run(Atoms("CuAu", [[0, 0, 0], [2, 0, 0]]), Pair(morse))
    assert found.arrays["pairs"] == ["Cu-Cu", "Cu-Au", "Au-Au"]


def hole(r):
    energy, force = morse(r)
    deep = 5.0 * np.exp(-(((r - 1.6) / 0.1) ** 2))
    return energy - deep, force - deep * 2 * (r - 1.6) / 0.01


def step(r):
    energy, force = morse(r)
    return energy + (0.03 if r < 3.0 else 0.0), force


def no_number(r):
    return (np.nan, 0.0) if r < 1.9 else morse(r)


def two_wells(r):
    energy, force = morse(r)
    more = 0.2 * np.exp(-(((r - 4.5) / 0.3) ** 2))
    return energy - more, force - more * 2 * (r - 4.5) / 0.09


def wrong_sign(r):
    energy, force = morse(r)
    return energy, -force


@pytest.mark.parametrize(
    ("function", "check", "hard"),
    [
        (hole, "energy rises on approach", True),
        (step, "no jump", True),
        (wrong_sign, "no jump", True),
        (no_number, "finite energies", True),
        (two_wells, "one minimum", False),
    ],
)
def test_faults_are_found(function, check, hard):
    found = curve_of(function)
    failed = {item.name: item for item in found.failed()}
    assert check in failed
    assert failed[check].hard is hard
    assert found.status == ("invalid" if hard else "warn")
    assert bool(found.values) is not hard
    assert "Cu-Cu" in failed[check].text


def test_an_end_that_is_not_smooth_is_seen():
    def cut(r):
        return morse(r, width=0.9) if r < 5.0 else (0.0, 0.0)

    found = dimers.run(Atoms("Cu"), Pair(cut, cutoff=5.0))
    names = {check.name for check in found.failed()}
    assert {"energy at the cutoff", "force at the cutoff"} <= names
    assert found.status == "warn"
    smooth = dimers.run(Atoms("Cu"), Pair(morse, cutoff=5.0))
    assert smooth.status == "ok"


def test_an_engine_that_fails_everywhere_is_an_error():
    with pytest.raises(EngineError, match="nan"):
        curve_of(lambda r: (np.nan, r))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_points": 5}, "curve of a dimer"),
        ({"closest": 0.8}, "curve of a dimer"),
        ({"elements": ("Xx",)}, "unknown elements of dimers"),
        ({"farthest": 0.0}, "farthest distance of a dimer"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DimersSettings(**settings)
    with pytest.raises(ConfigError, match="no elements for dimers"):
        dimers.run(Atoms(), Pair(morse))
    with pytest.raises(ConfigError, match=r"curve of Cu-Cu is too short"):
        dimers.run(Atoms("Cu"), Pair(morse), DimersSettings(farthest=1.0))
    # Long enough for its beginning, and still without any distance for a bond.
    near = DimersSettings(closest=0.3, farthest=1.5)
    with pytest.raises(ConfigError, match=r"curve of Cu-Cu is too short"):
        dimers.run(Atoms("Cu"), Pair(morse), near)
