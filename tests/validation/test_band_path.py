"""Band paths of every kind of lattice, carried over into the basis of the cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from phonopy import Phonopy
from pymatgen.core.structure import Structure
from pymatgen.symmetry.bandstructure import HighSymmKpath

from lamplighter.errors import DataError
from lamplighter.validation.properties.band_path import (
    basis_of,
    default_path,
    general_path,
)
from lamplighter.validation.properties.crystal import conventional
from lamplighter.validation.properties.force_constants import centring
from lamplighter.validation.refs.force_sets import to_ase, to_phonopy


def one(symbols, positions, number, cell):
    return crystal(symbols, positions, spacegroup=number, cellpar=cell)


LATTICES = {
    "triclinic": one("Na", [(0.1, 0.2, 0.3)], 2, [4, 5, 6, 80, 75, 70]),
    "monoclinic": one("Na", [(0.1, 0.2, 0.3)], 14, [4, 6, 5, 90, 100, 90]),
    "C monoclinic": one("Na", [(0.1, 0, 0.3)], 12, [10, 3, 5, 90, 110, 90]),
    "C monoclinic, b long": one("Na", [(0.1, 0, 0.3)], 12, [4, 9, 5, 90, 100, 90]),
    "Pnma": one(
        ("Ca", "O"), [(0.1, 0.25, 0.2), (0.3, 0.05, 0.4)], 62, [5, 7, 6, 90, 90, 90]
    ),
    "Cmcm": one("Na", [(0, 0.1, 0.25)], 63, [3, 6, 5, 90, 90, 90]),
    "Cmcm, a long": one("Na", [(0, 0.1, 0.25)], 63, [6, 3, 5, 90, 90, 90]),
    "Amm2": one(("Na", "Cl"), [(0, 0, 0.1), (0.5, 0, 0.4)], 38, [3, 4, 5, 90, 90, 90]),
    "Fddd": one("Na", [(0, 0, 0.1)], 70, [5, 7, 11, 90, 90, 90]),
    "Immm": one("Na", [(0, 0, 0)], 71, [3, 4, 5, 90, 90, 90]),
    "I4/mmm": one("In", [(0, 0, 0)], 139, [3.2, 3.2, 4.9, 90, 90, 90]),
    "I4/mmm, flat": one("In", [(0, 0, 0)], 139, [4.9, 4.9, 3.2, 90, 90, 90]),
    "R-3m": one("Bi", [(0, 0, 0.23)], 166, [4.5, 4.5, 11.8, 90, 90, 120]),
    "R-3m, flat": one("Bi", [(0, 0, 0)], 166, [4.5, 4.5, 3.0, 90, 90, 120]),
    "R-3c": one(
        ("Al", "O"),
        [(0, 0, 0.352), (0.306, 0, 0.25)],
        167,
        [4.76, 4.76, 12.99, 90, 90, 120],
    ),
    "P3_121": one(
        ("Si", "O"),
        [(0.47, 0, 1 / 3), (0.41, 0.27, 0.21)],
        152,
        [4.91, 4.91, 5.4, 90, 90, 120],
    ),
    "P6_3mc": bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.38),
}


def squares(atoms, q):
    """Return squared frequencies of springs between neighbours, at a wave vector."""
    first, second, vectors = neighbor_list("ijD", atoms, 4.6)
    phase = np.exp(2j * np.pi * (vectors @ (q @ np.linalg.inv(atoms.cell.array).T)))
    lengths = np.linalg.norm(vectors, axis=1)
    stiffness = np.exp(-lengths) * (1.0 + 0.01 * (atoms.numbers[first] % 5))
    stiffness *= 1.0 + 0.01 * (atoms.numbers[second] % 5)
    springs = np.einsum("p,pa,pb->pab", stiffness, vectors, vectors)
    matrix = np.zeros((len(atoms), len(atoms), 3, 3), dtype=complex)
    np.add.at(matrix, (first, first), springs)
    np.add.at(matrix, (first, second), -springs * phase[:, None, None])
    matrix = matrix.transpose(0, 2, 1, 3)
    return np.linalg.eigvalsh(matrix.reshape(3 * len(atoms), -1))


@pytest.mark.filterwarnings("ignore:The input structure does not match")
@pytest.mark.parametrize("name", LATTICES)
def test_a_corner_is_the_same_wave_vector_as_in_the_standard_cell(name):
    unit = conventional(LATTICES[name])
    phonons = Phonopy(
        to_phonopy(unit), np.eye(3), primitive_matrix=centring(unit), log_level=0
    )
    atoms = to_ase(phonons.primitive)
    path = default_path(phonons)
    theirs = HighSymmKpath(
        Structure(
            atoms.cell.array, atoms.get_chemical_symbols(), atoms.get_scaled_positions()
        ),
        symprec=1e-4,
    )
    standard = Atoms(
        numbers=theirs.prim.atomic_numbers,
        cell=theirs.prim.lattice.matrix,
        scaled_positions=theirs.prim.frac_coords,
        pbc=True,
    )
    corners = path.corners()
    for label in {one for part in theirs.kpath["path"] for one in part}:
        q = theirs.kpath["kpoints"][label]
        mine = corners[label.replace("\\Gamma", "Γ").replace("\\Sigma", "Σ")]
        # The two cells agree to 1e-5 Å.
        assert squares(atoms, np.array(mine)) == pytest.approx(
            squares(standard, np.asarray(q)), abs=2e-4
        ), label
    assert not any("\\" in label for label in corners)


@pytest.mark.parametrize(
    ("crystal_", "corner", "turn"),
    [
        (bulk("Al", a=4.0), "W", [[1, 0, 0], [0, 1, 0], [1, 0, 1]]),
        (bulk("Fe", a=2.9), "P", [[1, 0, 0], [1, 1, 0], [0, 0, 1]]),
        (bulk("CsCl", "cesiumchloride", a=4.1), "M", [[1, 0, 0], [0, 1, 0], [1, 0, 1]]),
    ],
)
def test_tables_of_cubic_crystals_follow_the_choice_of_the_vectors(
    crystal_, corner, turn
):
    other = crystal_.copy()
    other.set_cell(np.array(turn) @ crystal_.cell.array)
    other.wrap()
    other.rotate(40, (1, 2, 3), rotate_cell=True)
    one, two = (
        Phonopy(to_phonopy(atoms), np.eye(3), primitive_matrix="P", log_level=0)
        for atoms in (crystal_, other)
    )
    names = default_path(one).corners()
    for label, q in default_path(two).corners().items():
        expected = squares(crystal_, np.array(names[label]))
        assert squares(other, np.array(q)) == pytest.approx(expected, abs=1e-8), label
    # The table itself, in this basis, is another wave vector.
    wrong = squares(other, np.array(names[corner]))
    right = squares(crystal_, np.array(names[corner]))
    assert np.abs(wrong - right).max() > 1e-3


def test_cells_of_two_crystals_have_no_common_basis():
    zinc = bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.38)
    with pytest.raises(DataError, match="no band path for this primitive cell"):
        basis_of(zinc, bulk("Mg"))
    moved = zinc.copy()
    moved.positions[2, 2] += 0.3
    with pytest.raises(DataError, match="wanted: the crystal of 4 atoms"):
        basis_of(zinc, moved)
    with pytest.raises(DataError, match="no band path"):
        general_path(zinc * (2, 1, 1))
