"""Elastic constants from DFT's published stresses, and from deformations of our own."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from lamplighter.errors import ConfigError, DataError
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines import AseEngine
from lamplighter.validation.properties import elastic
from lamplighter.validation.properties.elastic_published import (
    stiffness_of_strained_cells,
)
from lamplighter.validation.properties.elastic_tensor import project
from lamplighter.validation.refs import load_references
from lamplighter.validation.refs.strain_sets import strain_set
from lamplighter.validation.relax import relax_crystal
from lamplighter.validation.structures import point_group


@pytest.fixture(scope="module")
def silicon():
    return strain_set("Si")


def test_strained_silicon_gives_its_published_constants(silicon):
    found = stiffness_of_strained_cells(silicon.gradients, silicon.stresses, 0.02)
    c = project(found.stiffness, point_group(bulk("Si")))
    assert c[0, 0] == pytest.approx(152.8, abs=0.05)
    assert c[0, 1] == pytest.approx(56.6, abs=0.05)
    assert c[3, 3] == pytest.approx(99.1, abs=0.05)
    # Every column by itself says the same: the order of the shears is right.
    assert np.abs(found.stiffness - c).max() < 0.05
    assert found.error.max() < 0.5
    assert np.allclose(found.size, [0.02] * 3 + [0.04] * 3, rtol=1e-3)
    assert len(silicon.gradients) == 60
    assert silicon.ions == "clamped"


def test_the_records_quote_these_numbers(silicon):
    found = stiffness_of_strained_cells(silicon.gradients, silicon.stresses)
    quoted = {
        r.quantity: r.value for r in load_references("Si") if r.level == silicon.level
    }
    for name, (i, j) in {"C11": (0, 0), "C12": (0, 1), "C44_clamped": (3, 3)}.items():
        assert found.stiffness[i, j] == pytest.approx(quoted[name], abs=0.05)


def test_stress_is_the_slope_of_the_energy(silicon):
    # An independent check of sign, unit and order: dE/dstrain = V0 S.
    volume = silicon.lattice_constant**3 / 8
    for mode, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]):
        rows = np.arange(10 * mode, 10 * mode + 10)
        f = silicon.gradients[rows]
        eta = ((f.transpose(0, 2, 1) @ f)[:, i, j] - (i == j)) / 2
        factor = 1.0 if i == j else 2.0
        slope = np.polynomial.Polynomial.fit(eta, silicon.energies[rows], 6).deriv()
        for k in (3, 5, 7):
            inverse = np.linalg.inv(f[k])
            piola = np.linalg.det(f[k]) * inverse @ silicon.stresses[rows[k]]
            piola = (piola @ inverse.T)[i, j] / GPA_PER_EV_A3
            assert slope(eta[k]) / volume / factor == pytest.approx(
                piola, abs=0.3 / GPA_PER_EV_A3
            )


def test_rotated_deformations_agree_with_the_elastic_property():
    engine = AseEngine(EMT())
    crystal = relax_crystal(bulk("Cu"), engine).atoms
    gradients, stresses = [], []
    for component in range(6):
        for size in (-0.001, 0.001):
            i, j = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)][component]
            green = np.zeros((3, 3))
            green[i, j] = green[j, i] = size
            # A triangular root of 1 + 2 green holds a rotation, as a LAMMPS box does.
            f = np.linalg.cholesky(np.eye(3) + 2 * green).T
            cell = crystal.copy()
            cell.set_cell(crystal.cell.array @ f.T, scale_atoms=True)
            gradients.append(f)
            stresses.append(engine.compute(cell).stress * GPA_PER_EV_A3)
    found = stiffness_of_strained_cells(np.array(gradients), np.array(stresses))
    ours = elastic.run(crystal, engine)
    for name, (i, j) in {"C11": (0, 0), "C12": (0, 1), "C44": (3, 3)}.items():
        assert found.stiffness[i, j] == pytest.approx(ours.values[name].value, rel=3e-3)


def test_what_is_missing_is_named(silicon):
    with pytest.raises(DataError, match=r"no pair of opposite strains for xx.*±0.03"):
        stiffness_of_strained_cells(silicon.gradients, silicon.stresses, 0.03)
    positive = silicon.gradients[[5, 15]]
    with pytest.raises(DataError, match="the same size with both signs"):
        stiffness_of_strained_cells(positive, silicon.stresses[[5, 15]])
    with pytest.raises(ConfigError, match=r"no published stresses.*got: Ge.*Si"):
        strain_set("Ge")
