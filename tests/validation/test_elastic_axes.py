"""Tensors in all 32 crystal classes, IEEE axes, sound and Debye temperatures."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from pymatgen.core.tensors import Tensor
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.spatial.transform import Rotation

from lamplighter.errors import DataError
from lamplighter.validation.properties.elastic_axes import ieee_axes
from lamplighter.validation.properties.elastic_tensor import (
    averages,
    project,
    rotate,
)
from lamplighter.validation.properties.sound import (
    christoffel,
    debye,
    density,
    isotropic_velocities,
    polarisations,
)
from lamplighter.validation.structures import point_group, standard_primitive

# Crystal class -> a space group of it, and the number of independent stiffnesses
# (J. F. Nye, Physical Properties of Crystals, table 9).
CLASSES = {
    "1": (1, 21), "-1": (2, 21),
    "2": (5, 13), "m": (8, 13), "2/m": (12, 13),
    "222": (19, 9), "mm2": (33, 9), "mmm": (62, 9),
    "4": (79, 7), "-4": (82, 7), "4/m": (87, 7),
    "422": (92, 6), "4mm": (99, 6), "-42m": (121, 6), "4/mmm": (136, 6),
    "3": (146, 7), "-3": (148, 7),
    "32": (152, 6), "3m": (160, 6), "-3m": (166, 6),
    "6": (173, 5), "-6": (174, 5), "6/m": (176, 5),
    "622": (180, 5), "6mm": (186, 5), "-6m2": (187, 5), "6/mmm": (194, 5),
    "23": (198, 3), "m-3": (205, 3), "432": (208, 3), "-43m": (216, 3),
    "m-3m": (225, 3),
}  # fmt: skip
# Laue classes whose lattice has two-fold axes that the crystal has not: the standard
# does not say which of the two senses of c is meant.
TWO_SENSES = {"4", "-4", "4/m", "3", "-3"}


def cell_of(number: int) -> list[float]:
    if number <= 2:
        return [5.1, 6.3, 4.4, 98.0, 103.0, 95.0]
    if number <= 15:
        return [6.1, 5.2, 4.6, 90.0, 104.0, 90.0]
    if number <= 74:
        return [5.7, 6.4, 4.9, 90.0, 90.0, 90.0]
    if number <= 142:
        return [5.6, 5.6, 7.3, 90.0, 90.0, 90.0]
    if number <= 194:
        return [5.6, 5.6, 8.9, 90.0, 90.0, 120.0]
    return [7.0, 7.0, 7.0, 90.0, 90.0, 90.0]


def example(number: int) -> Atoms:
    """Return a crystal with an atom in the general position."""
    return crystal(
        ["Cu"],
        basis=[(0.113, 0.236, 0.071)],
        spacegroup=number,
        cellpar=cell_of(number),
    )


def some_stiffness(seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(6, 6))
    return half @ half.T + 8 * np.eye(6)


@pytest.mark.parametrize("name", CLASSES)
def test_projection_leaves_the_constants_of_the_class(name):
    number, expected = CLASSES[name]
    rotations = point_group(example(number))
    basis = []
    for i in range(6):
        for j in range(i, 6):
            one = np.zeros((6, 6))
            one[i, j] = one[j, i] = 1.0
            basis.append(project(one, rotations).ravel())
    assert np.linalg.matrix_rank(np.array(basis), tol=1e-8) == expected


@pytest.mark.parametrize("name", CLASSES)
def test_ieee_constants_do_not_depend_on_the_cell_or_its_orientation(name):
    first = standard_primitive(example(CLASSES[name][0]))
    stiffness = project(some_stiffness(), point_group(first))
    axes = ieee_axes(first)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    expected = [rotate(stiffness, axes)]
    if name in TWO_SENSES:
        expected.append(rotate(expected[0], np.diag([1.0, -1.0, -1.0])))
    turn = Rotation.from_euler("zyx", [33, 71, -18], degrees=True).as_matrix()
    cells = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    other = Atoms(
        first.numbers, positions=first.positions, cell=cells @ first.cell, pbc=True
    )
    other.wrap()
    other.set_cell(other.cell @ turn.T, scale_atoms=True)
    found = rotate(rotate(stiffness, turn), ieee_axes(other))
    misfit = min(np.abs(found - one).max() for one in expected)
    assert misfit < 1e-3


@pytest.mark.parametrize(
    "name", ["m-3m", "4/mmm", "mmm", "6/mmm", "-3m", "2/m", "32", "222"]
)
def test_ieee_constants_agree_with_pymatgen(name):
    atoms = standard_primitive(example(CLASSES[name][0]))
    stiffness = project(some_stiffness(), point_group(atoms))
    peer = Tensor.get_ieee_rotation(AseAtomsAdaptor.get_structure(atoms))
    theirs = rotate(stiffness, np.array(peer))
    ours = rotate(stiffness, ieee_axes(atoms))
    # It does not turn a to an obtuse angle: the sense of X may differ, hence also
    # signs; and it is free in the sense of c.
    turns = (np.diag([1, 1, 1.0]), np.diag([1, -1, -1.0]), np.diag([-1, -1, 1.0]))
    assert min(np.abs(rotate(theirs, t) - ours).max() for t in turns) < 1e-3


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return matrix


def test_velocities_along_symmetry_directions():
    c11, c12, c44, rho = 168.4, 121.4, 75.4, 8930.0
    matrix = cubic(c11, c12, c44)
    cases = {
        (1, 0, 0): [c44, c44, c11],
        (1, 1, 0): [(c11 - c12) / 2, c44, (c11 + c12 + 2 * c44) / 2],
        (1, 1, 1): [(c11 - c12 + c44) / 3] * 2 + [(c11 + 2 * c12 + 4 * c44) / 3],
    }
    for direction, moduli in cases.items():
        found = christoffel(matrix, rho, np.array(direction))
        assert found == pytest.approx(np.sqrt(np.array(moduli) * 1e9 / rho))
    values, vectors = polarisations(matrix, np.array([1.0, 1.0, 0.0]))
    assert values == pytest.approx(cases[1, 1, 0])
    assert np.abs(vectors[:, 0]) == pytest.approx([2**-0.5, 2**-0.5, 0.0])


def test_an_isotropic_solid_has_two_velocities_everywhere():
    k, g, rho = 100.0, 40.0, 3000.0
    matrix = cubic(k + 4 * g / 3, k - 2 * g / 3, g)
    fast, slow = np.sqrt((k + 4 * g / 3) * 1e9 / rho), np.sqrt(g * 1e9 / rho)
    found = christoffel(matrix, rho, np.random.default_rng(0).normal(size=(7, 3)))
    assert found == pytest.approx(np.tile([slow, slow, fast], (7, 1)))
    assert isotropic_velocities(matrix, rho) == pytest.approx((fast, slow))
    copper = bulk("Cu")
    factor = density(copper) / rho
    mean = debye(matrix * factor, copper)
    assert mean.velocity == pytest.approx(((2 / slow**3 + 1 / fast**3) / 3) ** (-1 / 3))


@pytest.mark.parametrize(
    ("crystal", "constants", "temperature"),
    [
        # Elastic constants at 0 K and what the literature gets from them: Cu 344.4
        # (Overton and Gaffney 1955), Al 430.6 (Kamm and Alers 1964), and from the heat
        # capacity of Si 645.
        (bulk("Cu", a=3.6029), (176.2, 124.9, 81.8), 344.4),
        (bulk("Al", a=4.0317), (114.3, 61.9, 31.6), 430.6),
        (bulk("Si", a=5.4298), (167.0, 65.0, 80.0), 647.0),
    ],
)
def test_debye_temperatures_of_the_literature(crystal, constants, temperature):
    assert debye(cubic(*constants), crystal).temperature == pytest.approx(
        temperature, rel=5e-3
    )


def test_debye_temperature_of_an_almost_isotropic_crystal_is_that_of_its_average():
    tungsten = bulk("W", a=3.165)
    matrix = cubic(523.0, 203.0, 160.0)
    slow_fast = isotropic_velocities(matrix, density(tungsten))
    mean = (sum(v**-3 for v in slow_fast) + slow_fast[1] ** -3) / 3
    assert debye(matrix, tungsten).velocity == pytest.approx(mean ** (-1 / 3), rel=1e-3)
    assert averages(matrix).universal_anisotropy == pytest.approx(0.0, abs=1e-3)


def test_velocities_of_an_unstable_crystal_are_refused():
    with pytest.raises(DataError, match=r"unstable crystal.*-20\.00 GPa"):
        christoffel(cubic(100.0, 60.0, -20.0), 1000.0, np.array([1.0, 0.0, 0.0]))
