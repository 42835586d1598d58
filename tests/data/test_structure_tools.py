"""Rattle, strain, overlap and the order of structures."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from structure_tools import (
    Collection,
    OverlapError,
    boxed,
    no_overlap,
    random_strain,
    rattled,
    strained,
    write_structures,
)


def test_overlap_is_a_fraction_of_the_covalent_radii():
    pair = Atoms("OH", [(0, 0, 0), (0, 0, 0.97)])  # radii add up to 0.97
    assert no_overlap(pair, 0.99)
    assert not no_overlap(pair, 1.01)
    assert no_overlap(Atoms("H"))


def test_overlap_is_seen_through_the_cell_boundary():
    pair = Atoms("MgO", [(0, 0, 0.1), (0, 0, 7.9)], cell=[8, 8, 8], pbc=True)
    assert not no_overlap(pair)


def test_a_rattle_is_reproducible_cut_and_free_of_overlap():
    atoms = bulk("MgO", "rocksalt", a=4.26, cubic=True)
    first = rattled(atoms, 0.2, np.random.default_rng(1))
    again = rattled(atoms, 0.2, np.random.default_rng(1))
    np.testing.assert_array_equal(first.positions, again.positions)
    steps = np.linalg.norm(first.positions - atoms.positions, axis=1)
    assert 0 < steps.max() <= 0.3 + 1e-12
    assert no_overlap(first)
    assert len(set(steps)) > 1


def test_a_rattle_without_room_is_refused():
    tight = Atoms("O2", [(0, 0, 0), (0, 0, 0.4)])
    with pytest.raises(OverlapError, match=r"200 rattles of O2 by 0\.01"):
        rattled(tight, 0.01, np.random.default_rng(0))


def test_a_strain_multiplies_the_cell_rows_and_keeps_the_fractions():
    atoms = bulk("MgO", "rocksalt", a=4.26)
    shear = np.array([[0, 0.01, 0], [0.01, 0, 0], [0, 0, 0.02]])
    moved = strained(atoms, shear)
    np.testing.assert_allclose(moved.cell.array, atoms.cell.array @ (np.eye(3) + shear))
    np.testing.assert_allclose(
        moved.get_scaled_positions(), atoms.get_scaled_positions(), atol=1e-12
    )
    assert atoms.cell.array[0, 0] == 0


def test_a_random_strain_is_symmetric_and_bounded():
    strain = random_strain(0.04, np.random.default_rng(3))
    np.testing.assert_array_equal(strain, strain.T)
    assert 0 < np.abs(strain).max() <= 0.04


def test_a_boxed_molecule_is_periodic_and_centred():
    box = boxed(molecule("H2O"), [7.5, 7.8, 8.2])
    assert box.pbc.all()
    middle = (box.positions.max(axis=0) + box.positions.min(axis=0)) / 2
    np.testing.assert_allclose(middle, [3.75, 3.9, 4.1])


def test_a_collection_numbers_orders_and_writes(tmp_path):
    collection = Collection("tst", factor=0.6)
    for index in range(6):
        pair = Atoms("MgO", [(0, 0, 0), (0, 0, 2 + index / 10)])
        collection.add(pair, "first" if index == 4 else "rest", "molecule", spin=1)
    collection.add(Atoms("O2", [(0, 0, 0), (0, 0, 0.2)]), "rest", "molecule")
    assert len(collection.structures) == 6  # the overlapping one is left out
    ordered = collection.ordered({"first"}, np.random.default_rng(2))
    uids = [atoms.info["uid"] for atoms in ordered]
    assert uids[0] == "tst0005"
    assert sorted(uids) == [f"tst000{i}" for i in range(1, 7)]
    assert uids[1:] != sorted(uids[1:])
    write_structures(tmp_path / "new" / "tst.xyz", ordered)
    back = read(tmp_path / "new" / "tst.xyz", ":")
    assert [atoms.info["uid"] for atoms in back] == uids
    assert back[0].info["spin"] == 1
    assert back[0].info["box"] == 0
