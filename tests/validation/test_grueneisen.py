"""Grüneisen parameters: closed formulae, DFT's own, two engines, and every guard."""

import dataclasses
import math

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from phonopy import PhonopyGruneisen

from lamplighter.errors import ConfigError
from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.properties import grueneisen
from lamplighter.validation.properties.grueneisen import (
    GrueneisenSettings,
    mean_parameter,
    mode_parameters,
)
from lamplighter.validation.refs.force_sets import VOLUME_SETS

FAST = GrueneisenSettings(supercell=(2, 2, 2), mesh=9, n_points=20)
# For what needs no converged number: forces folded into one cell.
TINY = GrueneisenSettings(supercell=(1, 1, 1), mesh=3, n_points=8)
DEPTH, STEEP, LENGTH = 0.4, 5.0, 2.7


@pytest.fixture(scope="module")
def springs():
    """An fcc crystal whose Morse wells end before the second neighbours."""
    morse = MorsePotential(epsilon=DEPTH, rho0=STEEP, r0=LENGTH, rcut1=1.15, rcut2=1.35)
    crystal = bulk("Al", "fcc", a=LENGTH * math.sqrt(2))
    settings = dataclasses.replace(FAST, displacement=0.005)
    return grueneisen.run(crystal, AseEngine(morse), settings)


def closed(q: np.ndarray, stretch: float) -> np.ndarray:
    """Return squares of frequencies, without units, of the fcc crystal of springs.

    D = sum over neighbours (1 - cos q r) [(k - t) n n + t], k = phi'', t = phi'/r.
    """
    a = STEEP / LENGTH
    r = LENGTH * stretch
    e = math.exp(-a * (r - LENGTH))
    t = 2 * DEPTH * a * (e - e * e) / r
    k = 2 * DEPTH * a * a * (2 * e * e - e)
    total = np.zeros((3, 3))
    for i in range(3):
        for s in (1, -1):
            for u in (1, -1):
                n = np.zeros(3)
                n[i], n[(i + 1) % 3] = s, u
                phase = 1 - math.cos(math.pi * (q @ n))
                n /= math.sqrt(2)
                total += phase * ((k - t) * np.outer(n, n) + t * np.eye(3))
    return np.linalg.eigvalsh(total)


def test_springs_give_the_closed_formula(springs):
    assert springs.status == "ok", springs.failed()
    # Cubic axes in units of 2 pi/a: X is (0, 0, 1), L is (1/2, 1/2, 1/2).
    for label, q in {"X": [0, 0, 1.0], "L": [0.5, 0.5, 0.5]}.items():
        h = 1e-4
        lower, middle, upper = (
            closed(np.array(q), (1 + dv) ** (1 / 3)) for dv in (-h, 0.0, h)
        )
        exact = np.sort(-(upper - lower) / (2 * h) / (2 * middle))
        found = [springs.values[f"grueneisen_{label}_{n}"] for n in (1, 2, 3)]
        assert np.sort([f.value for f in found]) == pytest.approx(exact, rel=4e-3)
        assert all(f.error < 0.02 * abs(f.value) for f in found)


def test_mean_and_expansion_of_the_springs(springs):
    mean = springs.values["grueneisen_mean_300K"].value
    lowest = springs.values["grueneisen_lowest"].value
    assert lowest < mean < springs.values["grueneisen_highest"].value
    b = springs.values["bulk_modulus_pressure"].value
    # K = sum over bonds: 2 sqrt(2) k / (3 r) with 6 bonds an atom.
    k = 2 * DEPTH * (STEEP / LENGTH) ** 2
    expected = 160.2177 * 2 * math.sqrt(2) / 3 * k / LENGTH
    assert b == pytest.approx(expected, rel=5e-3)
    gammas = np.array(springs.arrays["mesh_grueneisen"], dtype=float)
    assert np.isnan(gammas[0]).all()  # Γ of one atom: acoustic modes alone
    assert np.isfinite(gammas[1:]).all()


def test_silicon_of_dft_has_negative_transverse_parameters():
    below, middle, above = (item.phonons() for item in VOLUME_SETS["Si"])
    points = np.array([[0.5, 0.0, 0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
    frequencies, gammas = mode_parameters(below, middle, above, points)
    assert frequencies[0] == pytest.approx(
        [4.403] * 2 + [12.053] * 2 + [13.425] * 2, abs=0.01
    )
    assert gammas[0, :2] == pytest.approx([-1.81] * 2, abs=0.02)
    assert np.isnan(gammas[2, :3]).all()
    assert gammas[2, 3:] == pytest.approx([0.983] * 3, abs=0.01)
    peer = PhonopyGruneisen(middle, above, below)
    peer.set_band_structure([points])
    theirs = np.sort(np.array(peer.get_band_structure()[4])[0][:2], axis=1)
    assert np.sort(gammas[:2], axis=1) == pytest.approx(theirs, abs=2e-3)


def test_the_mean_weighs_modes_by_their_heat_capacity():
    frequencies = np.array([[1.0, 30.0], [0.0, 2.0]])
    gammas = np.array([[1.0, 5.0], [np.nan, 2.0]])
    weights = np.array([1.0, 3.0])
    hot = mean_parameter(frequencies, gammas, weights, 1e5)
    assert hot == pytest.approx((1 + 5 + 3 * 2) / 5, rel=1e-4)
    cold = mean_parameter(frequencies, gammas, weights, 5.0)
    assert cold == pytest.approx(1.0, abs=0.01)


def test_one_definition_through_ase_and_through_lammps():
    cutoff = 6.0
    lines = (
        f"pair_style lj/cut {cutoff}",
        "pair_coeff * * 0.2 2.3",
        "pair_modify shift yes",
    )
    crystal = bulk("Cu", "fcc", a=3.55)
    calculator = LennardJones(sigma=2.3, epsilon=0.2, rc=cutoff, smooth=False)
    first = grueneisen.run(crystal, AseEngine(calculator), TINY)
    with LammpsEngine(pair_style(lines, ("Cu",), cutoff=cutoff)) as engine:
        second = grueneisen.run(crystal, engine, TINY)
    assert first.status == second.status == "ok", second.failed()
    assert first.values.keys() == second.values.keys()
    for name, quantity in first.values.items():
        other = second.values[name].value
        assert quantity.value == pytest.approx(other, rel=1e-4, abs=1e-4), name


class Upside(EMT):
    """EMT with forces of the wrong sign: every mode is imaginary."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = -self.results["forces"]


def test_imaginary_modes_have_no_parameters():
    found = grueneisen.run(bulk("Al", a=4.0), AseEngine(Upside()), TINY)
    assert found.status == "invalid"
    assert "imaginary modes" in {check.name for check in found.failed()}
    assert found.values == {}


def test_steps_that_disagree_are_invalid():
    strict = dataclasses.replace(TINY, max_step_difference=1e-6)
    found = grueneisen.run(bulk("Al", a=4.0), AseEngine(EMT()), strict)
    assert {check.name for check in found.failed()} == {"two steps of the volume"}
    assert found.values == {}


def test_a_crystal_that_does_not_relax_has_no_phonons():
    stuck = dataclasses.replace(TINY, max_steps=1)
    found = grueneisen.run(bulk("Al", a=4.3), AseEngine(EMT()), stuck)
    assert "relaxation converged" in {check.name for check in found.failed()}
    assert found.arrays == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": (0.02, 0.01)}, "'steps'"),
        ({"steps": (0.01, 0.2)}, "'steps'"),
        ({"steps": (0.01,)}, "'steps'"),
        ({"mesh": 0}, "mesh of phonons at several volumes"),
        ({"supercell": (2, 0, 2)}, "supercell of phonons"),
        ({"displacement": math.nan}, "displacement of phonons"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        GrueneisenSettings(**settings)
