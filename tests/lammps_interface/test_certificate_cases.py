"""The structures of a rank certificate, and what LAMMPS is told about them."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from lamplighter.errors import ConfigError, DataError, EngineError
from lamplighter.lammps_interface.certificate.cases import (
    NOBODY,
    SKIN,
    heights,
    make_case,
    structure_cases,
)
from lamplighter.lammps_interface.certificate.generate import generated_cases
from lamplighter.lammps_interface.certificate.script import (
    Interaction,
    commands,
    data_text,
    read_snapshot,
)

FILES = [
    (("H",), 3.0),
    (("O", "Mg"), 4.5),
    (("H", "C", "N", "O", "Cs", "U"), 6.0),
    (("Li", "Ni", "Mn", "Co", "O"), 5.0),
]


@pytest.fixture(scope="module", params=FILES, ids=lambda one: "".join(one[0]))
def made(request):
    elements, cutoff = request.param
    return elements, cutoff, {c.name: c for c in generated_cases(elements, cutoff)}


def test_at_least_twenty_cases_that_hold_every_element(made):
    elements, _, cases = made
    assert len(cases) >= 20
    assert len(cases) == len(generated_cases(*made[:2]))  # no name twice
    present = {symbol for case in cases.values() for symbol in case.atoms.symbols}
    assert present == {*elements, NOBODY}
    dense = [case for name, case in cases.items() if name.startswith("crystal")]
    assert {symbol for case in dense for symbol in case.atoms.symbols} == set(elements)


def test_atoms_are_neither_too_close_nor_alone(made):
    _, cutoff, cases = made
    for name, case in cases.items():
        distances = neighbor_list("d", case.atoms, cutoff)
        if name in ("one atom", "far atoms"):
            assert len(distances) == 0, name
        else:
            assert 1.0 < distances.min() < cutoff, name


def test_boxes_are_as_lammps_wants_them(made):
    _, cutoff, cases = made
    reach = cutoff + SKIN
    for name, case in cases.items():
        cell = case.atoms.cell.array
        assert np.array_equal(cell, np.tril(cell)), name
        assert np.diag(cell).min() > 0.0, name
        # LAMMPS loses atoms outside of a fixed wall.
        if not case.atoms.pbc.all() and case.wall == "f":
            inside = case.atoms.get_scaled_positions(wrap=False)
            open_ones = inside[:, ~case.atoms.pbc]
            assert ((open_ones > 0) & (open_ones < 1)).all(), name
        if name not in ("primitive", "skewed"):
            assert case.obstacle("tiled", reach) == "", name
        assert case.obstacle("brick", reach) == ""
    assert "at least as wide" in cases["primitive"].obstacle("tiled", reach)


def test_shapes_are_what_their_names_say(made):
    _, cutoff, cases = made

    def tilts(name):
        cell = cases[name].atoms.cell.array
        lengths = np.diag(cell)[[0, 0, 1]]
        return np.array([cell[1, 0], cell[2, 0], cell[2, 1]]) / lengths

    assert tilts("tilted").min() > 0.1
    assert tilts("tilted back").max() < -0.1
    assert tilts("tilted both ways").min() < 0 < tilts("tilted both ways").max()
    assert np.abs(tilts("skewed")).min() > 0.5
    assert heights(cases["primitive"].atoms.cell.array).min() < cutoff
    slab = cases["slab"].atoms
    assert np.ptp(slab.positions[:, 2]) < slab.cell[2, 2] / 4
    scaled = cases["outside"].atoms.get_scaled_positions(wrap=False)
    assert scaled.min() < -1.0
    assert scaled.max() > 2.0
    for n in (2, 3, 4):
        layers = cases[f"chain of {n}"].atoms.get_scaled_positions()[:, 2] * n
        assert sorted(layers.astype(int)) == list(range(n))
    absent = cases["absent types"]
    assert max(absent.kinds) < len(absent.types)
    doubled = cases["doubled type"]
    assert doubled.types.count(doubled.types[-1]) == 2
    assert {1, len(doubled.types)} <= set(doubled.kinds)


def test_the_same_seed_gives_the_same_cases():
    first, again = (generated_cases(("O", "Mg"), 4.5, seed=3) for _ in range(2))
    other = generated_cases(("O", "Mg"), 4.5, seed=4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.atoms.positions, b.atoms.positions)
    assert not np.array_equal(first[0].atoms.positions, other[0].atoms.positions)


def test_a_structure_of_the_user_is_turned_into_lammps_axes():
    atoms = bulk("MgO", "rocksalt", a=4.2)
    atoms.positions += [0.1, 20.0, -7.0]
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    (still,) = structure_cases(atoms, ("O", "Mg"))
    cell = still.atoms.cell.array
    assert np.array_equal(cell, np.tril(cell))
    wanted = np.sort(neighbor_list("d", atoms, 5.0))
    np.testing.assert_allclose(np.sort(neighbor_list("d", still.atoms, 5.0)), wanted)
    moves = structure_cases(atoms * (2, 2, 2), ("O", "Mg"))[1]
    assert moves.steps > 0


@pytest.mark.parametrize(
    ("atoms", "message"),
    [(bulk("Cu"), "elements Cu; wanted: atoms of O Mg"), (Atoms(), "no atoms")],
)
def test_a_structure_that_the_file_does_not_know_is_refused(atoms, message):
    with pytest.raises(DataError, match=message):
        structure_cases(atoms, ("O", "Mg"))


def test_an_element_without_a_type_is_refused():
    with pytest.raises(ConfigError, match="without a type; got: Mg; wanted: some of O"):
        make_case("odd", "", Atoms("MgO"), types=("O",))


def test_the_script_says_what_the_case_is():
    cases = {case.name: case for case in generated_cases(("O", "Mg"), 4.5)}
    file = Interaction(file="/some/model.pt", flag=1, comm_cutoff=9.5)
    hidden = commands(cases["hidden atoms"], "tiled", "7.data", file, 3)
    lines = hidden.splitlines()
    assert "comm_style tiled" in lines
    assert "comm_modify cutoff 9.5" in lines
    assert "balance 1.0 rcb" in lines
    assert (
        'pair_style hybrid/overlay mliap unified "/some/model.pt" 1 zero 4.0' in lines
    )
    assert "pair_coeff * * mliap O Mg NULL" in lines
    plain = commands(cases["wire"], "brick", "2.data", Interaction(file="m.pt"), 2)
    assert "boundary p f f" in plain
    assert "tiled" not in plain
    assert "comm_modify" not in plain
    moving = cases["moving, balanced"]
    assert "shift xyz" in commands(moving, "brick", "1.data", file, 2)
    assert "4 1.0 rcb" in commands(moving, "tiled", "1.data", file, 2)


def test_a_data_file_holds_every_digit():
    cases = {case.name: case for case in generated_cases(("O", "Mg"), 4.5)}
    case = cases["skewed"]
    lines = data_text(case).splitlines()
    (tilts,) = (line.split()[:3] for line in lines if line.endswith("xy xz yz"))
    cell = case.atoms.cell.array
    assert [float(word) for word in tilts] == [cell[1, 0], cell[2, 0], cell[2, 1]]
    rows = lines[lines.index("Atoms # atomic") + 2 :]
    found = np.array([row.split() for row in rows], dtype=float)
    np.testing.assert_array_equal(found[:, 2:], case.atoms.positions)
    np.testing.assert_array_equal(found[:, 1], case.kinds)
    assert "xy xz yz" not in data_text(cases["crystal"])


DUMP = """ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS {header}
{bounds}
ITEM: ATOMS id type x y z fx fy fz c_lc_e proc
1 2 1.5 2.5 3.5 0.1 0.2 0.3 -4.5 1
{second} 1 0.5 0.25 0.125 -0.1 -0.2 -0.3 -5.5 0
"""


def test_a_dump_is_read_back(tmp_path):
    low, high = np.array([0.5, -1.0, 2.0]), np.array([8.5, 6.0, 11.0])
    xy, xz, yz = 1.25, -2.5, 0.75
    corners = [
        low + np.array([s * xy + t * xz, t * yz, 0.0])
        for s, t in itertools.product((0, 1), repeat=2)
    ]
    lowest = np.min(corners, axis=0)
    highest = np.max(corners, axis=0) + (high - low)
    rows = zip(lowest, highest, (xy, xz, yz), strict=True)
    bounds = "\n".join(f"{a} {b} {t}" for a, b, t in rows)
    path = tmp_path / "end.dump"
    path.write_text(DUMP.format(header="xy xz yz pp pp pp", bounds=bounds, second=2))
    shot = read_snapshot(path)
    np.testing.assert_allclose(shot.cell, [[8, 0, 0], [xy, 7, 0], [xz, yz, 9]])
    np.testing.assert_allclose(shot.positions[0], np.array([1.5, 2.5, 3.5]) - low)
    assert shot.kinds.tolist() == [2, 1]
    assert shot.owners.tolist() == [1, 0]
    assert shot.energies.tolist() == [-4.5, -5.5]
    assert shot.forces[1].tolist() == [-0.1, -0.2, -0.3]


def test_a_lost_atom_is_noticed(tmp_path):
    path = tmp_path / "end.dump"
    path.write_text(DUMP.format(header="pp pp pp", bounds="0 4\n0 5\n0 6", second=1))
    with pytest.raises(EngineError, match=r"lost or doubled; got: ids \[1, 1\]"):
        read_snapshot(path)
