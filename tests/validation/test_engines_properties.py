"""The same property through ASE and through LAMMPS: the numbers are the same."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.lammps import LammpsEngine, pair_style
from lamplighter.validation.properties import phonon, surface

# The cutoff lies between two shells of neighbours, which both codes then agree on.
CUTOFF = 6.0
LJ_LINES = (
    f"pair_style lj/cut {CUTOFF}",
    "pair_coeff * * 0.2 2.3",
    "pair_modify shift yes",
)


@pytest.fixture(scope="module")
def engines():
    by_ase = AseEngine(LennardJones(sigma=2.3, epsilon=0.2, rc=CUTOFF, smooth=False))
    with LammpsEngine(pair_style(LJ_LINES, ("Cu",), cutoff=CUTOFF)) as by_lammps:
        yield by_ase, by_lammps


def both(engines, run, settings):
    first, second = (run(bulk("Cu", "fcc", a=3.55), e, settings) for e in engines)
    assert first.status == second.status == "ok"
    assert first.values.keys() == second.values.keys()
    assert second.engine.kind == "lammps"
    return first, second


def test_phonons_are_the_same_in_both_engines(engines):
    settings = phonon.PhononSettings(
        supercell=(3, 3, 3), check_displacement=None, mesh=7, n_points=30
    )
    first, second = both(engines, phonon.run, settings)
    for name, value in first.values.items():
        assert second.values[name].value == pytest.approx(value.value, abs=2e-5), name
    np.testing.assert_allclose(
        first.arrays["frequencies"], second.arrays["frequencies"], atol=2e-4
    )


def test_surface_energies_are_the_same_in_both_engines(engines):
    settings = surface.SurfaceSettings(min_length=13.0)
    first, second = both(engines, surface.run, settings)
    for name, value in first.values.items():
        assert second.values[name].value == pytest.approx(value.value, abs=1e-6), name
    assert second.arrays["energies"] == pytest.approx(
        first.arrays["energies"], abs=1e-7
    )
