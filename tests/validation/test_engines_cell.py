"""The one module that knows LAMMPS' axes: geometry, and what LAMMPS makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from lamplighter.errors import DataError
from lamplighter.lammps_interface.placement import MARGIN, dump_text, place
from lamplighter.validation.engines import AseEngine, LammpsLibEngine, pair_style

POSITIVE = [[4.0, 0.0, 0.0], [1.5, 4.2, 0.0], [1.2, 1.3, 3.9]]
NEGATIVE = [[4.0, 0.0, 0.0], [-1.5, 4.2, 0.0], [-1.2, -1.3, 3.9]]
STEEP = [[4.0, 0.0, 0.0], [9.1, 4.2, 0.0], [-7.3, 13.3, 3.9]]
LEFT = [[0.0, 4.0, 0.3], [4.1, 0.0, 0.2], [0.1, 0.4, 3.9]]


def structure(cell, pbc=True) -> Atoms:
    rng = np.random.default_rng(3)
    return Atoms("MgOMgOH", rng.uniform(-9.0, 9.0, (5, 3)), cell=cell, pbc=pbc)


@pytest.mark.parametrize("cell", [POSITIVE, NEGATIVE, STEEP, LEFT])
@pytest.mark.parametrize("seed", [None, 5])
def test_placement_is_the_same_crystal(cell, seed):
    atoms = structure(cell)
    if seed is not None:
        turn = Rotation.random(random_state=seed).as_matrix()
        atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    spot = place(atoms)
    assert_allclose(spot.rotation @ spot.rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(spot.rotation) == pytest.approx(1.0)
    assert_allclose(spot.box, np.tril(spot.box))
    assert np.all(np.diag(spot.box) > 0.0)
    half = 0.5 + 1e-12
    assert abs(spot.box[1, 0]) <= half * spot.box[0, 0]
    assert abs(spot.box[2, 0]) <= half * spot.box[0, 0]
    assert abs(spot.box[2, 1]) <= half * spot.box[1, 1]
    # Same lattice: each basis is an integer combination of the other.
    change = np.linalg.solve(atoms.cell.array.T, (spot.box @ spot.rotation.T).T).T
    assert_allclose(change, np.round(change), atol=1e-12)
    assert abs(np.linalg.det(change)) == pytest.approx(1.0)
    # Same atoms: moved by lattice vectors only, and into the box.
    moves = spot.positions - atoms.positions @ spot.rotation
    steps = np.linalg.solve(spot.box.T, moves.T).T
    assert_allclose(steps, np.round(steps), atol=1e-12)
    inside = np.linalg.solve(spot.box.T, spot.positions.T).T
    assert np.all((inside > -1e-12) & (inside < 1.0 + 1e-12))


def test_the_sign_of_the_tilt_is_kept():
    assert place(structure(POSITIVE)).box[1, 0] == pytest.approx(1.5)
    assert place(structure(NEGATIVE)).box[1, 0] == pytest.approx(-1.5)
    assert place(structure(NEGATIVE)).box[2, 1] == pytest.approx(-1.3)


@pytest.mark.parametrize(
    "pbc", [(1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)]
)
@pytest.mark.parametrize("cell", [POSITIVE, NEGATIVE, LEFT])
def test_open_directions_enclose_the_atoms(cell, pbc):
    atoms = structure(cell, pbc)
    spot = place(atoms)
    turned = atoms.positions @ spot.rotation
    for axis in range(3):
        if pbc[axis]:
            continue
        length = spot.box[axis, axis]
        assert spot.positions[:, axis].min() == pytest.approx(MARGIN)
        assert spot.positions[:, axis].max() == pytest.approx(length - MARGIN)
        # An open direction is normal to the two others.
        others = [k for k in range(3) if k != axis]
        assert_allclose(spot.box[axis, others], 0.0, atol=1e-13)
        assert_allclose(spot.box[others, axis], 0.0, atol=1e-13)
        shift = spot.positions[:, axis] - turned[:, axis]
        assert_allclose(shift, shift[0], atol=1e-12)


def test_vectors_and_tensors_come_back():
    atoms = structure(LEFT)
    spot = place(atoms)
    rng = np.random.default_rng(0)
    forces = rng.normal(size=(5, 3))
    assert_allclose(spot.forces_back(forces @ spot.rotation), forces, atol=1e-14)
    # A dyad of a vector turns as the vector does.
    vector = rng.normal(size=3)
    turned = vector @ spot.rotation
    back = spot.stress_back(np.outer(turned, turned))
    assert_allclose(back, np.outer(vector, vector), atol=1e-13)


def test_stress_times_volume_is_conserved_with_vacuum():
    slab = structure(POSITIVE, (1, 1, 0))
    spot = place(slab)
    back = spot.stress_back(np.eye(3))
    assert back is not None
    ratio = np.prod(np.diag(spot.box)) / slab.get_volume()
    assert_allclose(back, np.eye(3) * ratio)


def test_a_molecule_has_no_stress():
    assert place(molecule("H2O")).stress_back(np.eye(3)) is None


def test_dump_states_the_bounding_box():
    text = dump_text(place(structure(NEGATIVE)), [1, 2, 1, 2, 3]).splitlines()
    assert text[4] == "ITEM: BOX BOUNDS xy xz yz pp pp pp"
    low, high, tilt = map(float, text[5].split())
    assert (low, high, tilt) == pytest.approx((-2.7, 4.0, -1.5))
    assert len(text) == 9 + 5
    assert [line.split()[1] for line in text[9:]] == ["1", "2", "1", "2", "3"]


def test_missing_and_flat_cells_are_refused():
    with pytest.raises(DataError, match="missing or linearly dependent"):
        place(Atoms("H", pbc=(True, False, False)))
    with pytest.raises(DataError, match="missing or linearly dependent"):
        place(Atoms("H", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True))
    atoms = bulk("Cu")
    atoms.positions[0, 0] = np.nan
    with pytest.raises(DataError, match="positions must be finite"):
        place(atoms)


@st.composite
def cells(draw):
    """Any lattice that is not flat: oblique, left-handed, turned, long and short."""
    entries = draw(arrays(np.float64, (3, 3), elements=st.floats(-12.0, 12.0)))
    lengths = np.linalg.norm(entries, axis=1)
    assume(lengths.min() > 2.0)
    assume(abs(np.linalg.det(entries)) > 0.05 * np.prod(lengths))
    return entries


@settings(max_examples=60, deadline=None)
@given(cell=cells(), seed=st.integers(0, 2**32 - 1))
def test_any_cell_is_the_same_crystal_in_a_box_that_lammps_takes(cell, seed):
    rng = np.random.default_rng(seed)
    atoms = Atoms("MgOH", rng.uniform(-20, 20, (3, 3)), cell=cell, pbc=True)
    spot = place(atoms)
    assert np.linalg.det(spot.rotation) == pytest.approx(1.0)
    assert np.all(np.triu(spot.box, 1) == 0.0)
    assert np.all(np.diag(spot.box) > 0.0)
    limit = (0.5 + 1e-9) * np.array([spot.box[0, 0], spot.box[0, 0], spot.box[1, 1]])
    assert np.all(np.abs([spot.box[1, 0], spot.box[2, 0], spot.box[2, 1]]) <= limit)
    change = np.linalg.solve(cell.T, (spot.box @ spot.rotation.T).T).T
    assert_allclose(change, np.round(change), atol=1e-8)
    assert abs(np.linalg.det(change)) == pytest.approx(1.0)
    moves = spot.positions - atoms.positions @ spot.rotation
    steps = np.linalg.solve(spot.box.T, moves.T).T
    assert_allclose(steps, np.round(steps), atol=1e-8)


@pytest.fixture(scope="module")
def library():
    lines = ("pair_style lj/cut 5.0", "pair_coeff * * 0.01 2.0")
    with LammpsLibEngine(pair_style(lines, ("Ar",))) as engine:
        yield engine


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cell=cells(), seed=st.integers(0, 2**32 - 1), open_axes=st.integers(0, 7))
def test_lammps_gives_any_cell_the_numbers_of_ase(library, cell, seed, open_axes):
    """Forces and stress come back in the axes of the input, whatever those were."""
    rng = np.random.default_rng(seed)
    atoms = Atoms("Ar3", cell=cell, pbc=[not open_axes >> k & 1 for k in range(3)])
    atoms.set_scaled_positions(rng.uniform(0, 1, (3, 3)))
    assume(_closest(atoms) > 1.5)
    reference = AseEngine(LennardJones(sigma=2.0, epsilon=0.01, rc=5.0, smooth=False))
    ours, theirs = library.compute(atoms), reference.compute(atoms)
    scale = 1.0 + np.abs(theirs.forces).max()
    assert_allclose(ours.forces, theirs.forces, atol=1e-10 * scale)
    assert_allclose(ours.stress, theirs.stress, atol=1e-10 * scale)


def _closest(atoms: Atoms) -> float:
    """Shortest distance to an atom or an image, of itself as well."""
    return min(neighbor_list("d", atoms, 5.0), default=9.0)
