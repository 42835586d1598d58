"""Sound velocities from phonons, wave vectors that fit a supercell, the verdict."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.properties import elastic
from lamplighter.validation.properties.elastic import ElasticSettings
from lamplighter.validation.properties.force_constants import force_constants
from lamplighter.validation.properties.sound import christoffel, density
from lamplighter.validation.properties.spectra import (
    acoustic_velocities,
    commensurate_points,
)
from lamplighter.validation.properties.stability import judge_stability
from lamplighter.validation.refs.force_sets import force_set
from lamplighter.validation.relax import relax_crystal


def test_phonons_and_elastic_constants_give_one_sound_velocity():
    engine = AseEngine(EMT())
    relaxed = relax_crystal(bulk("Cu", cubic=True), engine).atoms
    found = force_constants(relaxed, np.diag([3, 3, 3]), engine, 0.01)
    constants = elastic.run(bulk("Cu"), engine, ElasticSettings()).arrays["C"]
    for direction in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
        expected = christoffel(
            np.array(constants), density(relaxed), np.array(direction)
        )
        velocities = acoustic_velocities(found.phonons, direction)
        assert velocities == pytest.approx(expected, rel=0.01), direction


@pytest.mark.parametrize(("material", "count"), [("MgO", 32), ("Si", 8), ("MgB2", 18)])
def test_every_wave_vector_that_fits_comes_once(material, count):
    phonons = force_set(material).phonons()
    points = commensurate_points(phonons)
    assert np.allclose(points[0], 0.0)
    phases = points @ np.linalg.inv(phonons.primitive.cell).T @ phonons.supercell.cell.T
    assert phases == pytest.approx(np.rint(phases), abs=1e-6)
    both = {tuple(np.round(s * q, 6) % 1.0) for q in points for s in (1, -1)}
    assert len({tuple(np.round(np.array(q), 5) % 1.0) for q in both}) == count


@pytest.mark.parametrize(
    ("mesh", "limit", "noise", "verdict", "text"),
    [
        (0.5, 0.05, 0.01, "stable", "no imaginary mode"),
        (-0.3, 0.05, 0.01, "undecided", "take a larger supercell"),
        (-0.3, 0.05, 0.4, "undecided", "within the noise"),
    ],
)
def test_the_verdict_of_a_stable_crystal(mesh, limit, noise, verdict, text):
    phonons = force_set("MgO").phonons()
    found = judge_stability(phonons, mesh, limit=limit, noise=noise)
    assert found.verdict == verdict
    assert found.lowest_exact > 5.0
    check = found.check()
    assert text in check.text
    assert f"noise floor {noise:.3f} THz" in check.text
    assert check.ok == (verdict == "stable")


def test_an_exact_imaginary_mode_is_an_instability():
    item = force_set("NaCl")
    phonons = item.phonons().replicate()
    phonons.force_constants = -np.array(item.phonons().force_constants)
    found = judge_stability(phonons, -6.0, limit=0.05, noise=0.01)
    assert found.verdict == "unstable"
    assert found.lowest_exact == pytest.approx(-6.24, abs=0.1)
    assert not np.allclose(found.qpoint, 0.0)
    noisy = judge_stability(phonons, -6.0, limit=0.05, noise=7.0)
    assert noisy.verdict == "undecided"
