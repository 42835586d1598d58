"""Second derivatives against differences of forces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.vibrations import VibrationsData

from lamplighter.errors import ConfigError
from lamplighter.model import (
    Calculator,
    Curvature,
    Potential,
    hessian,
    hessian_vector_product,
)


def _differences(calculator: Calculator, atoms: Atoms, step: float) -> np.ndarray:
    """Return the Hessian by central differences of forces, of fourth order."""
    n = len(atoms)
    found = np.zeros((n, 3, n, 3))
    for i in range(n):
        for a in range(3):
            for k, weight in ((1, -8.0), (-1, 8.0), (2, 1.0), (-2, -1.0)):
                moved = atoms.copy()
                moved.positions[i, a] += k * step
                forces = calculator.evaluate(moved).forces
                found[i, a] += weight * forces / (12.0 * step)
    return found


@pytest.fixture
def small_cell() -> Atoms:
    """Return two atoms in a cell far smaller than the cutoff: many own images."""
    atoms = bulk("MgO", "rocksalt", a=4.2)
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.mark.parametrize("which", ["small_cell", "water", "slab", "one"])
def test_hessian_is_the_derivative_of_the_forces(
    potential: Potential, small_cell: Atoms, which: str
) -> None:
    slab = small_cell * (1, 2, 1)
    slab.pbc = [True, False, True]
    structures = {
        "small_cell": small_cell,
        "water": Atoms("OH2", [[0.0, 0, 0], [0.96, 0, 0.1], [-0.24, 0.93, 0]]),
        "slab": slab,
        "one": Atoms("Mg", cell=[2.5, 2.6, 2.7], pbc=True),
    }
    atoms = structures[which]
    found = hessian(potential, atoms, "other", chunk=4)
    wanted = _differences(Calculator(potential, "other"), atoms, 1e-3)
    scale = max(np.abs(wanted).max(), 1e-3)
    np.testing.assert_allclose(found / scale, wanted / scale, atol=2e-6)
    if which != "one":
        assert np.abs(found).max() > 1e-2


def test_hessian_is_symmetric_and_free_of_translations(
    potential: Potential, crystal: Atoms
) -> None:
    found = hessian(potential, crystal, "pbe")
    np.testing.assert_allclose(found, found.transpose(2, 3, 0, 1), atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=2), 0.0, atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-10)


def test_hessian_turns_with_the_structure(potential: Potential, crystal: Atoms) -> None:
    turned = crystal.copy()
    turned.rotate(70, (1, 2, 3), rotate_cell=True)
    R = np.linalg.solve(crystal.cell.array, turned.cell.array).T
    one, two = hessian(potential, crystal, "pbe"), hessian(potential, turned, "pbe")
    np.testing.assert_allclose(np.einsum("ab,ibjd,cd->iajc", R, one, R), two, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_chunks_do_not_matter(
    potential: Potential, small_cell: Atoms, chunk: int
) -> None:
    wanted = hessian(potential, small_cell, "pbe")
    found = hessian(potential, small_cell, "pbe", chunk=chunk)
    np.testing.assert_allclose(found, wanted, atol=1e-13)


def test_products_with_vectors(potential: Potential, crystal: Atoms) -> None:
    full = hessian(potential, crystal, "pbe")
    vectors = np.random.default_rng(0).normal(size=(3, len(crystal), 3))
    wanted = np.einsum("iajb,kjb->kia", full, vectors)
    found = hessian_vector_product(potential, crystal, vectors, "pbe")
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    curvature = Curvature(potential, crystal, "pbe")
    for vector, product in zip(vectors, wanted, strict=True):
        np.testing.assert_allclose(curvature.times(vector), product, atol=1e-10)


def test_vibrations_of_ase(potential: Potential, small_cell: Atoms) -> None:
    found = Calculator(potential, "pbe").get_hessian(small_cell)
    wanted = hessian(potential, small_cell, "pbe")
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    energies = VibrationsData(small_cell, found).get_energies()
    assert energies.shape == (6,)
    # translations cost nothing
    assert np.sort(np.abs(energies))[2] < 1e-4


def test_no_atoms_and_no_neighbours(potential: Potential) -> None:
    assert hessian(potential, Atoms(), "pbe").shape == (0, 3, 0, 3)
    lone = hessian(potential, Atoms("OMg", [[0, 0, 0], [0, 0, 50.0]]), "pbe")
    np.testing.assert_array_equal(lone, 0.0)
    assert lone.shape == (2, 3, 2, 3)
    none = hessian_vector_product(potential, Atoms("O"), np.zeros((0, 1, 3)), "pbe")
    assert none.shape == (0, 1, 3)


def test_other_interactions_can_be_differentiated_twice(
    make_potential: Callable[..., Potential], small_cell: Atoms
) -> None:
    potential = make_potential(
        interaction=("density", "density_residual"),
        distance_transform="soft",
        radial_basis="gaussian",
        cutoff_inside=True,
        product_weights="by_element",
        correlation=2,
    )
    found = hessian(potential, small_cell, "pbe")
    wanted = _differences(Calculator(potential, "pbe"), small_cell, 1e-3)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found / scale, wanted / scale, atol=2e-6)


def test_bad_arguments(potential: Potential, small_cell: Atoms) -> None:
    with pytest.raises(ConfigError, match="bad chunk"):
        hessian(potential, small_cell, "pbe", chunk=0)
    with pytest.raises(ConfigError, match="another shape"):
        hessian_vector_product(potential, small_cell, np.zeros((3, 3)), "pbe")
