"""Phonons from displacements: exact for harmonic crystals, static when it is cold."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError, EngineError
from lamplighter.validation.dynamics.base import BOLTZMANN
from lamplighter.validation.engines import LammpsEngine, pair_style
from lamplighter.validation.properties import covariance, md_phonon, phonon
from lamplighter.validation.properties.force_constants import force_constants
from lamplighter.validation.properties.md_phonon import MdPhononSettings
from lamplighter.validation.properties.phonon import PhononSettings
from lamplighter.validation.refs.force_sets import to_ase

STYLE = pair_style(
    ["pair_style lj/smooth/linear 8.0", "pair_coeff * * 0.0104 3.4"], ["Ar"], cutoff=8.0
)
ARGON = bulk("Ar", "fcc", a=5.25)


@pytest.fixture(scope="module")
def copper():
    cell = bulk("Cu", a=3.62, cubic=True)
    found = force_constants(cell, np.diag([2, 2, 2]), SmoothPairs(), 0.01)
    return to_ase(found.phonons.supercell), np.asarray(found.phonons.force_constants)


def covariance_of(constants, temperature):
    """The covariance of harmonic atoms: kT times the inverse."""
    n = len(constants)
    matrix = constants.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    return BOLTZMANN * temperature * np.linalg.pinv(matrix, rcond=1e-8, hermitian=True)


def test_a_harmonic_covariance_gives_its_force_constants(copper):
    crystal, constants = copper
    moves = covariance_of(constants, 150.0)
    again = covariance.effective_constants(moves, 150.0)
    assert again == pytest.approx(constants, abs=1e-6)
    operations = covariance.supercell_operations(crystal)
    assert len(operations) == 48 * 32
    mean = covariance.symmetrised(moves, operations)
    assert mean == pytest.approx(moves, abs=1e-9)


def test_the_average_has_the_symmetry_of_the_crystal(copper):
    crystal, constants = copper
    n = 3 * len(crystal)
    draw = np.random.default_rng(3).normal(size=(n, n))
    operations = covariance.supercell_operations(crystal)
    mean = covariance.symmetrised(draw @ draw.T, operations)
    blocks = mean.reshape(32, 3, 32, 3).transpose(0, 2, 1, 3)
    for rotation, order in operations[::97]:
        back = np.argsort(order)
        turned = np.einsum(
            "ab,ijbc,dc->ijad", rotation, blocks[np.ix_(back, back)], rotation
        )
        assert turned == pytest.approx(blocks, abs=1e-9)
    del constants


def test_a_cold_crystal_has_the_static_frequencies():
    shared = {"supercell": (2, 2, 2)}
    settings = MdPhononSettings(
        temperature_K=0.5, timestep_fs=8.0, equilibration_ps=8.0, duration_ps=120.0,
        friction_per_ps=1.0, n_runs=1, n_blocks=6, every=10, **shared,
    )  # fmt: skip
    with LammpsEngine(STYLE) as engine:
        still = phonon.run(ARGON, engine, PhononSettings(reference="none", **shared))
        found = md_phonon.run(ARGON, engine, settings)
    assert found.status == "ok"
    names = [f"frequency_{q}_{n}" for q in ("X", "L", "W") for n in (1, 2, 3)]
    for name in names:
        measured = found.values[f"{name}_0.5K"]
        assert measured.unit == "THz"
        assert 0 < measured.error < 0.1
        assert abs(measured.value - still.values[name].value) < 4 * measured.error
    ratio = found.values["harmonic_energy_ratio_0.5K"].value
    assert ratio == pytest.approx(1.0, abs=0.05)
    assert len(found.arrays["frequencies"]) == len(found.arrays["distances"])


def short(**changes):
    given = {
        "temperature_K": 300.0,
        "min_length": 3.0,
        "timestep_fs": 4.0,
        "equilibration_ps": 0.2,
        "duration_ps": 2.0,
        "n_runs": 1,
        "every": 5,
    }
    return MdPhononSettings(**(given | changes))


def test_any_engine_and_a_stretched_cell():
    copper = bulk("Cu", a=3.6)
    found = md_phonon.run(copper, SmoothPairs(), short(max_error=9.0))
    wide = md_phonon.run(
        copper, SmoothPairs(), short(max_error=9.0, linear_strain=0.01)
    )
    assert found.status == wide.status == "ok"
    assert "frequency_X_1_300K" in found.values
    lengths = [np.linalg.norm(one.method["cell"][0]) for one in (wide, found)]
    assert lengths[0] / lengths[1] == pytest.approx(1.01)


def test_too_few_samples_are_a_failed_check_and_no_crash():
    # Without symmetry two samples leave nearly all modes without data.
    brief = {"duration_ps": 0.004, "every": 1, "equilibration_ps": 0.0}
    with pytest.raises(ConfigError, match="too few samples for the blocks"):
        md_phonon.run(bulk("Cu", a=3.6), SmoothPairs(), short(**brief))
    settings = short(n_blocks=2, **brief)
    phonons = md_phonon._empty(bulk("Cu", a=3.6), settings)
    sampled = md_phonon.sample(to_ase(phonons.supercell), SmoothPairs(), settings)
    checks = md_phonon._sample_checks(sampled, to_ase(phonons.supercell), 1)
    assert "samples" in {check.name for check in checks if not check.ok and check.hard}


class Fails(SmoothPairs):
    def propagate(self, atoms, plan):
        raise EngineError(str((atoms, plan)))


def test_what_went_wrong_is_invalid():
    copper = bulk("Cu", a=3.6)
    few = md_phonon.run(copper, SmoothPairs(), short(duration_ps=0.004, every=1,
                        n_blocks=2, equilibration_ps=0.0))  # fmt: skip
    assert (few.status == "invalid") == bool(few.values == {})
    few_samples = {check.name: check for check in few.checks}["samples"]
    assert few_samples.limit == 24.0
    hot = md_phonon.run(copper, SmoothPairs(), short(temperature_K=8000.0))
    assert hot.status == "invalid"
    assert "atoms stay at their sites" in {check.name for check in hot.failed()}
    failed = md_phonon.run(copper, Fails(), short())
    assert [check.name for check in failed.failed()] == ["dynamics run"]
    assert failed.values == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature_K": 0.0}, "temperature_K of md_phonon"),
        ({"supercell": (2, 2)}, "supercell of md_phonon"),
        ({"n_runs": 0}, "runs of md_phonon"),
        ({"linear_strain": -1.0}, "cell or equilibration of md_phonon"),
        ({"min_length": 0.0}, "min_length of md_phonon must be positive"),
        ({"n_runs": 1, "n_blocks": 1}, "runs of md_phonon"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MdPhononSettings(**settings)
