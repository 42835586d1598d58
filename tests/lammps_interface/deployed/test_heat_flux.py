"""The many-body virial of each atom, and the heat flux that LAMMPS makes of it.

W_j = sum_i (r_i - r_j) dU_i/dr_j, checked against its definition in an unfolded
crystal, and against the time derivative of the energy moment in dynamics.
"""

import itertools

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data
from ase.neighborlist import neighbor_list

from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import graph_from_atoms

ELEMENTS = ("O", "Mg")
CUTOFF = 4.0


@pytest.fixture(scope="module")
def mliap(model) -> MliapModel:
    return bundle.load_model(model.float64)


class RankWithPositions(PeriodicRank):
    """One rank, with what the pair style adds when it wants the many-body virial."""

    def __init__(self, atoms: Atoms) -> None:
        super().__init__(atoms, CUTOFF, ELEMENTS)
        _, j, shift = neighbor_list("ijS", atoms, CUTOFF)
        images = shift.any(axis=1)
        keys = np.unique(np.column_stack([j, shift])[images], axis=0)
        self.x = np.concatenate(
            [atoms.positions, atoms.positions[keys[:, 0]] + keys[:, 1:] @ atoms.cell]
        )
        self.centroid = np.zeros((self.ntotal, 3, 3))

    def virials(self):
        folded = np.zeros((self.nlocal, 3, 3))
        np.add.at(folded, self._owner.numpy(), self.centroid)
        return folded


def from_the_definition(potential, atoms):
    """W of the atoms of a cell, from a cluster in which no image is an image."""
    reach = 2 * CUTOFF  # two layers
    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    n = [int(np.ceil(2 * reach / height)) for height in heights]
    shifts = np.array(list(itertools.product(*(range(-k, k + 1) for k in n))))
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]
    positions = np.concatenate([atoms.positions + s @ atoms.cell for s in shifts])
    near = np.linalg.norm(positions[:, None] - atoms.positions, axis=-1).min(axis=1)
    symbols = np.tile(atoms.symbols, len(shifts))
    inner = near[near < 2 * reach] < reach + 1e-9
    cluster = Atoms(symbols[near < 2 * reach], positions[near < 2 * reach])
    graph = graph_from_atoms(cluster, potential.config, "pbe")
    x = torch.tensor(cluster.positions, requires_grad=True)
    vectors = x[graph.neighbors] - x[graph.centers]
    energies = potential(graph.with_pair_vectors(vectors))[inner]
    fixed = torch.tensor(cluster.positions)

    def gradient(total):
        return torch.autograd.grad(total, x, retain_graph=True)[0][: len(atoms)]

    here = fixed[: len(atoms)]
    plain = gradient(energies.sum())
    rows = [
        gradient((fixed[inner, a] * energies).sum()) - here[:, a, None] * plain
        for a in range(3)
    ]
    return torch.stack(rows, dim=1).numpy()


@pytest.mark.parametrize("skewed", [False, True])
def test_equals_its_definition(mliap, potential, rng, skewed):
    atoms = bulk("MgO", "rocksalt", a=4.6)
    if skewed:
        strain = np.eye(3) + 0.1 * rng.random((3, 3))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    atoms.positions += rng.normal(scale=0.1, size=(2, 3))
    rank = RankWithPositions(atoms)
    mliap.compute_forces(rank)
    wanted = from_the_definition(potential, atoms)
    assert np.abs(wanted).max() > 0.5
    np.testing.assert_allclose(rank.virials(), wanted, rtol=0, atol=1e-10)
    # it is not the pair-wise split, and yet has the same sum
    np.testing.assert_allclose(rank.virials().sum(axis=0), rank.virial, atol=1e-10)
    assert np.abs(wanted - wanted.transpose(0, 2, 1)).max() > 1e-5


def test_energies_and_forces_do_not_depend_on_it(mliap, structures):
    atoms = structures["rattled"]
    rank, plain = RankWithPositions(atoms), PeriodicRank(atoms, CUTOFF, ELEMENTS)
    mliap.compute_forces(rank)
    mliap.compute_forces(plain)
    assert rank.energy == plain.energy
    np.testing.assert_array_equal(rank.f, plain.f)


def test_the_origin_does_not_matter(mliap, structures):
    here, there = (RankWithPositions(structures["tilted"]) for _ in range(2))
    there.x += (3.0, -7.0, 11.0)
    mliap.compute_forces(here)
    mliap.compute_forces(there)
    np.testing.assert_allclose(here.virials(), there.virials(), atol=1e-11)


def test_a_rank_without_atoms_takes_part(mliap):
    rank = RankWithPositions(Atoms(cell=np.eye(3) * 9, pbc=True))
    calls = []
    rank.reverse_exchange = lambda *_: calls.append("reverse")
    mliap.compute_forces(rank)
    assert len(calls) == 4  # one for the energy, one for each direction
    assert rank.centroid.shape == (0, 3, 3)


FLUX = """
units metal
atom_style atomic
boundary {boundary}
read_data {name}.data
mass 1 24.305
mass 2 15.999
pair_style mliap unified {file} 0
pair_coeff * * Mg O
velocity all create 900 4711 loop geom mom yes rot no
velocity all set 1.5 -0.7 0.4 sum yes
compute ke all ke/atom
compute pe all pe/atom
compute c all centroid/stress/atom NULL virial
compute p all pressure NULL virial
compute sums all reduce sum c_c[*]
compute flux all heat/flux ke pe c
fix 1 all nve
timestep 1e-5
thermo 1
thermo_style custom step pe vol c_flux[*] c_p[*] c_sums[*]
thermo_modify format float %.17g
dump 1 all custom 1 {name}.dump id xu yu zu c_ke c_pe c_c[*] vx vy vz
dump_modify 1 sort id format float %.17g
run {steps}
"""


def dynamics(atoms, model, folder, *, ranks, steps):
    """Return the thermo table and the dumps [steps + 1, n, columns] of a short run."""
    boundary = " ".join("p" if periodic else "s" for periodic in atoms.pbc)
    write_lammps_data(
        folder / "a.data",
        atoms,
        specorder=["Mg", "O"],
        prismobj=Prism(atoms.cell.array),
    )
    text = FLUX.format(name="a", boundary=boundary, file=model.float64, steps=steps)
    (folder / "in.lammps").write_text(text)
    table = run_lammps(folder / "in.lammps", ranks=ranks, timeout_s=300).thermo[0]
    rows = [
        line.split()
        for line in (folder / "a.dump").read_text().splitlines()
        if len(line.split()) == 18 and not line.startswith("ITEM")
    ]
    return table, np.array(rows, float).reshape(steps + 1, len(atoms), 18)


def flux_of(table):
    return np.stack([table[f"c_flux[{k}]"] for k in (1, 2, 3)], axis=1)


@pytest.fixture(scope="module")
def cluster(structures):
    """Atoms that all stay in sight of each other, in vacuum: r needs no unfolding."""
    atoms = structures["slab"].copy()
    atoms.set_pbc(False)
    atoms.center(vacuum=6.0)
    return atoms


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_flux_is_the_rate_of_the_energy_moment(cluster, model, tmp_path, ranks):
    table, dumps = dynamics(cluster, model, tmp_path, ranks=ranks, steps=40)
    positions, energies = dumps[:, :, 1:4], dumps[:, :, 4] + dumps[:, :, 5]
    # what all atoms share moves with the cluster: taken out, it costs no digits
    shift = energies[0].mean()
    moments = np.einsum("tn,tnx->tx", energies - shift, positions)
    velocity_sum = dumps[:, :, 15:18].sum(axis=1)
    dt = 1e-5
    flux = flux_of(table) - shift * velocity_sum
    rate = (moments[2:] - moments[:-2]) / (2 * dt)
    scale = np.abs(rate).max()
    assert scale > 10.0
    assert np.abs(flux[1:-1] - rate).max() < 1e-6 * scale
    # conservation: what has flowed in between is what the moment has gained
    gained = np.trapezoid(flux, dx=dt, axis=0)
    assert (
        np.abs(gained - (moments[-1] - moments[0])).max() < 1e-6 * np.abs(gained).max()
    )


@pytest.mark.mpi
def test_two_ranks_and_the_global_virial(structures, model, tmp_path):
    """In a periodic, skewed crystal: ranks agree, and the sum is what it must be."""
    atoms = structures["tilted"] * (2, 1, 1)
    found = {}
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        found[ranks] = dynamics(atoms, model, folder, ranks=ranks, steps=3)
    table, dumps = found[1]
    again, dumps_again = found[2]
    np.testing.assert_allclose(flux_of(again), flux_of(table), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dumps_again, dumps, rtol=1e-8, atol=1e-5)
    bar = 1.6021765e6  # per eV/Å^3, in LAMMPS
    pressure = np.stack([table[f"c_p[{k}]"] for k in range(1, 7)], axis=1)
    sums = np.stack([table[f"c_sums[{k}]"] for k in range(1, 7)], axis=1)
    np.testing.assert_allclose(
        -sums, pressure * table["Volume"][:, None], rtol=1e-9, atol=1e-6 * bar
    )
