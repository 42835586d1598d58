"""Rattle, strain, overlap and the order of structures."""

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from catalogue import dataset_named, known_structures
from labelling import MissingCodeError
from make_crystal_structures import crystal_structures
from make_surface_structures import adsorbed, slab, top_site
from reaction_ends import (
    decompositions,
    formaldehyde,
    hydrogen_transfers,
    methane_abstractions,
    radical_additions,
    rearrangements,
    water_and_hydroxyl,
)
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
from tight_binding import tight_binding


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


def test_the_crystal_script_makes_the_crystals_of_the_structure_file():
    shipped = {a.info["uid"]: a for a in known_structures(dataset_named("crystal_pbe"))}
    made = crystal_structures()
    assert {atoms.info["uid"] for atoms in made} == set(shipped)
    for atoms in made:
        same = shipped[atoms.info["uid"]]
        assert atoms.info == same.info
        assert list(atoms.numbers) == list(same.numbers)
        np.testing.assert_allclose(atoms.positions, same.positions, atol=1.1e-8)
        np.testing.assert_allclose(atoms.cell.array, same.cell.array, atol=1e-10)


def test_reactions_keep_their_atoms_and_begin_and_end_without_overlap():
    for reaction in (
        *hydrogen_transfers(),
        *methane_abstractions(),
        *formaldehyde(),
        *rearrangements(),
        *radical_additions(),
        water_and_hydroxyl(),
        *decompositions(),
    ):
        assert list(reaction.reactant.numbers) == list(reaction.product.numbers)
        assert no_overlap(reaction.reactant, 0.5), reaction.name
        assert (
            np.abs(reaction.reactant.positions - reaction.product.positions).max() > 0.3
        )


def test_a_slab_has_alternating_layers_and_sites_on_top():
    atoms = slab(3, a=4.2)
    assert atoms.get_chemical_formula() == "Mg6O6"
    assert sorted(set(atoms.positions[:, 2])) == pytest.approx([0.0, 2.1, 4.2])
    assert top_site(atoms, "O")[2] == pytest.approx(4.2)
    magnesium = atoms[atoms.symbols == "Mg"].positions
    oxygen = atoms[atoms.symbols == "O"].positions
    below = {tuple(place) for place in magnesium[:2, :2].round(6)}
    above = {tuple(place) for place in oxygen[2:4, :2].round(6)}
    assert below == above  # over each Mg stands an O
    with_hydrogen = adsorbed(atoms, Atoms("H"), "bridge", 2.0)
    middle = (top_site(atoms, "Mg") + top_site(atoms, "O")) / 2
    np.testing.assert_allclose(with_hydrogen.positions[-1, :2], middle[:2])
    assert with_hydrogen.positions[-1, 2] == pytest.approx(6.2)


def test_tight_binding_without_tblite_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite", None)
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(MissingCodeError, match=r"tblite\.ase cannot be imported"):
        tight_binding("GFN2-xTB")
