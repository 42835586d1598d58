"""Energies, forces and stress that `lmp` computes with a model that passes messages.

Each number is compared with a sum over all periodic images, written without LAMMPS and
without a neighbour list; forces and stress are its finite differences.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

BAR = 1.6021765e6  # bar per eV/Å^3 in LAMMPS' metal units


@dataclass
class Box:
    """A structure whose cell is lower triangular, as LAMMPS wants it."""

    cell: np.ndarray
    positions: np.ndarray
    species: np.ndarray
    commands: str = ""

    def data(self):
        (xx, _, _), (xy, yy, _), (xz, yz, zz) = self.cell
        lines = [
            "a box",
            f"{len(self.positions)} atoms",
            "2 atom types",
            *(
                f"0 {v:.17g} {k}lo {k}hi"
                for k, v in zip("xyz", (xx, yy, zz), strict=True)
            ),
            f"{xy:.17g} {xz:.17g} {yz:.17g} xy xz yz",
            "Atoms # atomic\n",
        ]
        for i, (z, r) in enumerate(zip(self.species, self.positions, strict=True)):
            lines.append(f"{i + 1} {z + 1} {r[0]:.17g} {r[1]:.17g} {r[2]:.17g}")
        return "\n".join(lines) + "\n"


def rattled(cell, n, commands="", span=(0.0, 1.0), seed=5):
    """A box with `n` atoms at least 1.7 Å apart, z coordinates within `span`."""
    rng = np.random.default_rng(seed)
    cell = np.array(cell, dtype=float)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ cell
    positions = []
    while len(positions) < n:
        part = rng.random(3)
        part[2] = span[0] + part[2] * (span[1] - span[0])
        new = part @ cell
        far = [
            np.linalg.norm(old - new + images, axis=1).min() > 1.7 for old in positions
        ]
        if all(far):
            positions.append(new)
    return Box(cell, np.array(positions), rng.integers(0, 2, n), commands)


BOXES = {
    "cube": rattled(np.diag([6.0, 6.5, 7.0]), 9),
    "small": rattled(np.diag([3.1, 3.3, 3.6]), 2),
    "tilted": rattled([[6, 0, 0], [2.0, 6.4, 0], [1.5, -2.1, 7.2]], 8),
    "tilted_back": rattled([[6, 0, 0], [-2.5, 6.4, 0], [-1.5, 2.3, 7.2]], 8),
    "slab": rattled(np.diag([5.0, 5.2, 40.0]), 6, "processors 1 1 *", span=(0.05, 0.2)),
    "isolated": Box(np.diag([20.0] * 3), np.full((1, 3), 3.0), np.array([1])),
    "tiled": rattled(
        np.diag([7.5, 9.0, 14.0]), 18, "comm_style tiled", span=(0.0, 0.6), seed=8
    ),
}

STRUCTURE = """
clear
units metal
atom_style atomic
atom_modify map yes
{commands}
box tilt large
read_data {name}.data
mass * 20.0
pair_style mliap unified {model} {flag}
pair_coeff * * Mg O
{balance}
compute pe all pe/atom
compute s all stress/atom NULL
compute p all pressure NULL virial
compute spe all reduce sum c_pe
compute ss all reduce sum c_s[1] c_s[2] c_s[3] c_s[4] c_s[5] c_s[6]
thermo_style custom step pe c_p[*] c_spe c_ss[*]
run 0 post no
print "energy: $(pe:%.17g) $(c_spe:%.17g)"
print "stress: $(c_p[1]:%.17g) $(c_p[2]:%.17g) $(c_p[3]:%.17g) $(c_p[4]:%.17g) &
 $(c_p[5]:%.17g) $(c_p[6]:%.17g)"
print "sums: $(c_ss[1]:%.17g) $(c_ss[2]:%.17g) $(c_ss[3]:%.17g) $(c_ss[4]:%.17g) &
 $(c_ss[5]:%.17g) $(c_ss[6]:%.17g)"
write_dump all custom {name}.dump id fx fy fz c_pe &
 modify sort id format float %.17g
"""


@dataclass
class Result:
    energy: float
    atom_energy_sum: float
    virial: np.ndarray
    atom_virial_sum: np.ndarray
    forces: np.ndarray
    atom_energies: np.ndarray


@pytest.fixture(scope="module")
def evaluate(lmp_in, tmp_path_factory):
    """Evaluates all boxes in one `lmp`; returns a result for each name."""

    def run(model="TOY", *, ranks=1, flag=0, boxes=BOXES, commands=""):
        script, folder = "", tmp_path_factory.mktemp("boxes")
        for name, box in boxes.items():
            (folder / f"{name}.data").write_text(box.data())
            rcb = "balance 1.0 rcb" if "tiled" in box.commands and ranks > 1 else ""
            script += STRUCTURE.format(
                name=name,
                model=model,
                flag=flag,
                commands=f"{box.commands}\n{commands}",
                balance=rcb,
            )
        outcome = lmp_in(folder, script, ranks=ranks)
        assert outcome.status == 0, outcome.text[-3000:]
        results = {}
        for at, (name, box) in enumerate(boxes.items()):
            table = np.loadtxt(folder / f"{name}.dump", skiprows=9, ndmin=2)
            total, summed = outcome.numbers("energy")[at]
            volume = np.linalg.det(box.cell)
            results[name] = Result(
                total,
                summed,
                np.array(outcome.numbers("stress")[at]) * volume / BAR,
                -np.array(outcome.numbers("sums")[at]) / BAR,
                table[:, 1:4],
                table[:, 4],
            )
        return results

    return run


@pytest.fixture(scope="module")
def one(evaluate):
    """The toy on one rank."""
    return evaluate()


def voigt(matrix):
    """LAMMPS' order: xx yy zz xy xz yz."""
    return matrix[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]


def assert_same(a, b, name, tolerance=1e-11):
    for field in ("energy", "forces", "virial", "atom_energies"):
        got, wanted = getattr(a, field), getattr(b, field)
        assert got == pytest.approx(wanted, rel=tolerance, abs=tolerance), (name, field)


def test_everything_equals_the_sum_over_images(one, toy):
    for name, result in one.items():
        box = BOXES[name]
        args = box.positions, box.cell, box.species
        energies = toy.energies(*args)
        assert result.atom_energies == pytest.approx(energies, rel=1e-12), name
        assert result.energy == pytest.approx(energies.sum(), rel=1e-12), name
        assert result.atom_energy_sum == pytest.approx(result.energy, rel=1e-12), name
        assert result.forces == pytest.approx(toy.forces(*args), abs=1e-8), name
        assert result.virial == pytest.approx(voigt(toy.virial(*args)), abs=1e-7), name
        assert result.atom_virial_sum == pytest.approx(result.virial, abs=1e-7), name
        # The boxes are worth comparing: something pulls in all but the isolated atom.
        assert np.abs(result.forces).max() > 0.1 or name == "isolated"


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_agree_with_one_rank(evaluate, one, ranks):
    many = evaluate(ranks=ranks)
    for name in BOXES:
        assert_same(many[name], one[name], name)


@pytest.mark.mpi
def test_wide_rows_travel_in_blocks(evaluate, one):
    for name, result in evaluate("TOY300", ranks=2).items():
        assert_same(result, one[name], name)


@pytest.mark.mpi
def test_float32_rows_travel_as_float32(evaluate, one):
    for name, result in evaluate("TOYFLOAT", ranks=2).items():
        assert_same(result, one[name], name, tolerance=1e-5)
        assert result.energy != one[name].energy or name == "isolated"


def test_torch_tensors_are_exchanged_in_place(evaluate, one):
    boxes = {name: BOXES[name] for name in ("cube", "tilted")}
    for name, result in evaluate("TOYTORCH", boxes=boxes).items():
        assert_same(result, one[name], name)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_ghost_neighbours_replace_the_exchange(evaluate, one, ranks):
    boxes = {name: box for name, box in BOXES.items() if name != "tiled"}
    wide = "comm_modify cutoff 10.5"
    ghosts = evaluate("TOYGHOST", flag=1, ranks=ranks, boxes=boxes, commands=wide)
    for name in boxes:
        assert_same(ghosts[name], one[name], name)


LJ = """
units metal
atom_style atomic
lattice fcc 5.2
region b block 0 3 0 3 0 3
create_box 1 b
create_atoms 1 box
mass 1 40
displace_atoms all random 0.1 0.1 0.1 3
compute s all stress/atom NULL
compute ss all reduce sum c_s[1] c_s[4]
thermo_style custom step pe pxx pyz c_ss[*]
pair_style mliap unified LJ
pair_coeff * * Ar
run 0 post no
print "ours: $(pe:%.17g) $(pxx:%.17g) $(pyz:%.17g) $(c_ss[1]:%.17g) $(c_ss[2]:%.17g)"
pair_style lj/cut 6.0
pair_coeff * * 0.01 3.4
run 0 post no
print "theirs: $(pe:%.17g) $(pxx:%.17g) $(pyz:%.17g) $(c_ss[1]:%.17g) $(c_ss[2]:%.17g)"
"""


def test_a_pair_potential_equals_the_one_in_lammps(lmp):
    outcome = lmp(LJ)
    assert outcome.numbers("ours")[0] == pytest.approx(
        outcome.numbers("theirs")[0], rel=1e-11
    )


NULL_TYPES = """
units metal
atom_style atomic
read_data cube.data
mass * 20.0
pair_style {style}
{coeff}
compute pe all pe/atom
thermo_style custom step pe
run 0 post no
print "energy: $(pe:%.17g)"
write_dump all custom null.dump id fx fy fz c_pe modify sort id format float %.17g
"""


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_types_mapped_to_null_take_no_part(lmp, tmp_path, toy, ranks):
    box = BOXES["cube"]
    (tmp_path / "cube.data").write_text(box.data())
    coeff = "pair_coeff * * mliap Mg NULL\npair_coeff * 2 zero"
    style = "hybrid mliap unified TOY 0 zero 4.0"
    outcome = lmp(NULL_TYPES.format(style=style, coeff=coeff), ranks=ranks)
    assert outcome.status == 0, outcome.text[-3000:]
    seen = box.species == 0
    wanted = toy.energies(box.positions[seen], box.cell, box.species[seen])
    table = np.loadtxt(tmp_path / "null.dump", skiprows=9)
    assert table[seen, 4] == pytest.approx(wanted, rel=1e-12)
    assert not table[~seen, 1:].any()
    assert outcome.numbers("energy")[0][0] == pytest.approx(wanted.sum(), rel=1e-12)
    forces = toy.forces(box.positions[seen], box.cell, box.species[seen])
    assert table[seen, 1:4] == pytest.approx(forces, abs=1e-8)


def test_overlay_adds_to_another_style(lmp, tmp_path, toy):
    box = BOXES["cube"]
    (tmp_path / "cube.data").write_text(box.data())
    coeff = "pair_coeff * * mliap Mg O\npair_coeff * * lj/cut 0.001 1.5"
    style = "hybrid/overlay mliap unified TOY 0 lj/cut 4.0"
    both = lmp(NULL_TYPES.format(style=style, coeff=coeff))
    alone = lmp(NULL_TYPES.format(style="lj/cut 4.0", coeff="pair_coeff * * 0.001 1.5"))
    wanted = toy.energies(box.positions, box.cell, box.species).sum()
    sum_of_both = wanted + alone.numbers("energy")[0][0]
    assert both.numbers("energy")[0][0] == pytest.approx(sum_of_both, rel=1e-12)
