"""The object that LAMMPS calls, driven by numpy arrays in the place of LAMMPS."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from lamplighter.errors import ConfigError, EngineError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.exchange import LammpsExchange
from lamplighter.lammps_interface.mliap import MliapModel, _threads_of_lammps
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import graph_from_atoms, predict

ELEMENTS = ("O", "Mg")


@pytest.fixture(scope="module")
def mliap(model) -> MliapModel:
    return bundle.load_model(model.float64)


def rank_of(atoms: Atoms) -> PeriodicRank:
    return PeriodicRank(atoms, 4.0, ELEMENTS)


class CountingRank(PeriodicRank):
    """Counts the exchanges that a model makes."""

    n_forward = n_reverse = 0

    def forward_exchange(self, src, dst, n):
        self.n_forward += 1
        super().forward_exchange(src, dst, n)

    def reverse_exchange(self, src, dst, n):
        self.n_reverse += 1
        super().reverse_exchange(src, dst, n)


def test_attributes_that_lammps_reads(mliap):
    assert mliap.element_types == ["O", "Mg"]
    assert mliap.rcutfac == 2.0
    assert (mliap.ndescriptors, mliap.nparams) == (1, 1)


@pytest.mark.parametrize("label", ["rattled", "primitive", "tilted back", "open slab"])
def test_equals_the_source(mliap, potential, structures, label):
    atoms = structures[label]
    rank = rank_of(atoms)
    mliap.compute_descriptors(rank)
    mliap.compute_gradients(rank)
    mliap.compute_forces(rank)
    wanted = predict(potential, graph_from_atoms(atoms, potential.config, "pbe"))
    assert rank.energy == pytest.approx(float(wanted.energy), abs=1e-9 * len(atoms))
    np.testing.assert_allclose(rank.eatoms, wanted.atomic_energies, atol=1e-9)
    np.testing.assert_allclose(rank.forces(), wanted.forces, atol=1e-9)
    np.testing.assert_allclose(rank.virial, wanted.virial[0].detach(), atol=1e-8)


@pytest.mark.parametrize("label", ["rattled", "isolated Mg", "far pair"])
def test_always_the_same_number_of_exchanges(mliap, structures, label):
    rank = CountingRank(structures[label], 4.0, ELEMENTS)
    mliap.compute_forces(rank)
    assert (rank.n_forward, rank.n_reverse) == (1, 1)


def test_rank_without_atoms(mliap):
    rank = CountingRank(Atoms(cell=np.eye(3) * 9, pbc=True), 4.0, ELEMENTS)
    rank.energy = 17.0  # what the last step left behind
    mliap.compute_forces(rank)
    assert rank.energy == 0.0
    assert (rank.n_forward, rank.n_reverse) == (1, 1)


def test_a_rank_without_room_for_energies(mliap):
    """LAMMPS' own ML-IAP raises where a rank without atoms sets their energies."""

    class Bare(CountingRank):
        @property
        def eatoms(self):
            return np.zeros(0)

        @eatoms.setter
        def eatoms(self, _):
            if not self.__dict__.setdefault("ready", False):
                self.__dict__["ready"] = True  # the constructor's own
                return
            message = "attempt to set NULL eatoms"
            raise ValueError(message)

    mliap.compute_forces(Bare(Atoms(cell=np.eye(3) * 9, pbc=True), 4.0, ELEMENTS))


def test_rank_with_ghosts_only(mliap, structures):
    rank = CountingRank(structures["rattled"], 4.0, ELEMENTS)
    ghosts = rank.nlocal
    rank.nlocal = rank.nlistatoms = rank.natomneigh = rank.npairs = 0
    rank.ntotal = ghosts
    rank.elems = rank.elems[:ghosts]
    rank._owner = torch.arange(ghosts)
    mliap.compute_forces(rank)
    assert rank.energy == 0.0
    assert (rank.n_forward, rank.n_reverse) == (1, 1)


def test_arrays_may_be_none_before_any_pair_existed(mliap):
    atoms = Atoms("Mg", cell=np.eye(3) * 20, pbc=True)
    rank, wanted = rank_of(atoms), rank_of(atoms)
    rank.rij = rank.pair_i = rank.pair_j = None
    mliap.compute_forces(rank)
    mliap.compute_forces(wanted)
    assert rank.energy == wanted.energy
    assert rank.energy == pytest.approx(-23.25, abs=3.0)


class BareRank(PeriodicRank):
    """Arrays of a plain upstream LAMMPS, which cannot be made without entries."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if isinstance(value, np.ndarray) and value.size == 0:
            message = "Invalid shape in axis 0: 0."
            raise ValueError(message)
        return value


def test_arrays_without_entries_are_not_asked_for(mliap):
    rank = BareRank(Atoms(cell=np.eye(3) * 9, pbc=True), 4.0, ELEMENTS)
    mliap.compute_forces(rank)
    assert rank.energy == 0.0


def test_centres_in_any_order(mliap, structures, rng):
    ordered, shuffled = rank_of(structures["rattled"]), rank_of(structures["rattled"])
    order = rng.permutation(shuffled.npairs)
    for name in ("pair_i", "pair_j", "rij"):
        setattr(shuffled, name, getattr(shuffled, name)[order])
    mliap.compute_forces(ordered)
    mliap.compute_forces(shuffled)
    np.testing.assert_allclose(shuffled.forces(), ordered.forces(), atol=1e-10)


def test_atoms_without_an_element_are_invisible(mliap, structures):
    """NULL types: the rest is what it would be without them."""
    mixed = structures["rattled"].copy()
    null = np.array([1, 4, 9])
    alone = mixed.copy()
    del alone[null]
    rank, wanted = rank_of(mixed), rank_of(alone)
    rank.elems[np.isin(rank._owner.numpy(), null)] = -1
    listed = np.setdiff1d(np.arange(len(mixed)), null)
    rank.iatoms = listed.astype(np.int32)
    rank.nlistatoms = rank.natomneigh = len(listed)
    mliap.compute_forces(rank)
    mliap.compute_forces(wanted)
    assert rank.energy == pytest.approx(wanted.energy, abs=1e-9)
    np.testing.assert_allclose(rank.eatoms, wanted.eatoms, atol=1e-9)
    np.testing.assert_allclose(rank.forces()[listed], wanted.forces(), atol=1e-9)
    np.testing.assert_array_equal(rank.forces()[null], 0.0)
    np.testing.assert_allclose(rank.virial, wanted.virial, atol=1e-9)


def test_rank_whose_atoms_all_lack_an_element(mliap, structures):
    rank = CountingRank(structures["rattled"], 4.0, ELEMENTS)
    rank.elems[:] = -1
    rank.iatoms = rank.iatoms[:0]
    rank.nlistatoms = rank.natomneigh = 0
    mliap.compute_forces(rank)
    assert rank.energy == 0.0
    assert (rank.n_forward, rank.n_reverse) == (1, 1)
    np.testing.assert_array_equal(rank.f, 0.0)


def test_live_array_of_atom_energies_without_a_setter(mliap, structures):
    class KokkosRank(PeriodicRank):
        """Atom energies as a Kokkos build of LAMMPS offers them."""

        @property
        def eatoms(self):
            return self._live

        def __setattr__(self, name, value):
            if name == "eatoms" and hasattr(self, "_live"):
                message = "can't set attribute"
                raise AttributeError(message)
            super().__setattr__("_live" if name == "eatoms" else name, value)

    rank, wanted = (
        KokkosRank(structures["tilted"], 4.0, ELEMENTS),
        rank_of(structures["tilted"]),
    )
    mliap.compute_forces(rank)
    mliap.compute_forces(wanted)
    np.testing.assert_array_equal(rank.eatoms, wanted.eatoms)


def test_exchange_is_its_own_adjoint(structures, rng):
    """<b, F a> = <F* b, a> for the two communications."""
    rank = rank_of(structures["primitive"])
    a = torch.from_numpy(rng.normal(size=(rank.ntotal, 5))).requires_grad_()
    b = torch.from_numpy(rng.normal(size=(rank.ntotal, 5)))
    filled = LammpsExchange(rank).forward(a)
    (back,) = torch.autograd.grad(filled, a, b)
    assert float((b * filled.detach()).sum()) == pytest.approx(
        float((back * a.detach()).sum())
    )
    np.testing.assert_array_equal(back[rank.nlocal :], 0.0)


class WideRank:
    """A plain LAMMPS, ``unified FILE 1``: neighbours of ghosts, but no exchange."""

    def __init__(self, atoms: Atoms, cutoff: float, reach: float):
        _, j, shift = neighbor_list("ijS", atoms, reach)
        images = np.unique(np.column_stack([j, shift])[shift.any(axis=1)], axis=0)
        n = len(atoms)
        self.owner = np.concatenate([np.arange(n), images[:, 0]])
        shifts = np.concatenate([np.zeros((n, 3)), images[:, 1:]])
        positions = atoms.positions[self.owner] + shifts @ atoms.cell.array
        rows = Atoms(atoms.symbols[self.owner], positions)
        self.pair_i, self.pair_j, self.rij = neighbor_list("ijD", rows, cutoff)
        self.elems = np.array([ELEMENTS.index(s) for s in rows.symbols], np.int32)
        self.nlocal = self.nlistatoms = n
        self.ntotal = self.natomneigh = len(rows)
        self.npairs = len(self.pair_i)
        self.iatoms = np.arange(self.ntotal)
        self.energy, self.eatoms = 0.0, np.zeros(n)
        self.folded = np.zeros((n, 3))

    def update_pair_forces(self, fij):
        np.add.at(self.folded, self.owner[self.pair_i], fij)
        np.subtract.at(self.folded, self.owner[self.pair_j], fij)


@pytest.mark.parametrize("label", ["rattled", "slab", "isolated Mg"])
def test_neighbours_of_ghosts_in_place_of_an_exchange(mliap, structures, label):
    rank = WideRank(structures[label], cutoff=4.0, reach=10.0)
    wanted = rank_of(structures[label])
    mliap.compute_forces(rank)
    mliap.compute_forces(wanted)
    assert rank.energy == pytest.approx(wanted.energy, abs=1e-9)
    np.testing.assert_allclose(rank.eatoms, wanted.eatoms, atol=1e-9)
    np.testing.assert_allclose(rank.folded, wanted.forces(), atol=1e-9)


def test_a_thin_shell_of_ghosts_is_refused(model, structures):
    fresh = bundle.load_model(model.float64)
    rank = WideRank(structures["rattled"], cutoff=4.0, reach=5.0)
    with pytest.raises(EngineError, match="comm_modify cutoff 10 "):
        fresh.compute_forces(rank)


def test_exchange_wins_over_neighbours_of_ghosts(mliap, structures):
    """FLAG 1 where an exchange exists: pairs of ghost centres are left out."""
    wanted, rank = (CountingRank(structures["rattled"], 4.0, ELEMENTS) for _ in "ab")
    ghosts = np.arange(rank.nlocal, rank.ntotal, dtype=np.int32)
    rank.iatoms = np.concatenate([rank.iatoms, ghosts])
    rank.natomneigh = rank.ntotal
    rank.pair_i = np.concatenate([rank.pair_i, ghosts])
    rank.pair_j = np.concatenate([rank.pair_j, ghosts[::-1]])
    rank.rij = np.concatenate([rank.rij, np.ones((len(ghosts), 3))])
    rank.npairs += len(ghosts)
    mliap.compute_forces(rank)
    mliap.compute_forces(wanted)
    assert rank.energy == pytest.approx(wanted.energy, abs=1e-9)
    np.testing.assert_allclose(rank.forces(), wanted.forces(), atol=1e-9)
    assert (rank.n_forward, rank.n_reverse) == (1, 1)


def test_lammps_without_exchange_is_refused(mliap, structures):
    rank = rank_of(structures["primitive"])
    rank.forward_exchange = None
    with pytest.raises(EngineError, match="no exchange of ghost features"):
        mliap.compute_forces(rank)


def test_arrays_on_a_device_are_refused(mliap, structures):
    rank = rank_of(structures["primitive"])
    rank.elems = object()
    with pytest.raises(EngineError, match="not in host memory; got: object"):
        mliap.compute_forces(rank)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_numbers_of_the_cpu(mliap, structures):
    """What comes back to LAMMPS is in host memory, whatever computed it."""
    on_gpu = mliap.with_settings("pbe", None, "cuda")
    assert on_gpu.device.type == "cuda"
    for label in ("rattled", "tilted back", "isolated Mg", "far pair"):
        ranks = [rank_of(structures[label]) for _ in range(2)]
        mliap.compute_forces(ranks[0])
        on_gpu.compute_forces(ranks[1])
        assert ranks[1].energy == pytest.approx(ranks[0].energy, abs=1e-9)
        np.testing.assert_allclose(ranks[1].eatoms, ranks[0].eatoms, atol=1e-9)
        np.testing.assert_allclose(ranks[1].f, ranks[0].f, atol=1e-9)
    empty = rank_of(Atoms(cell=np.eye(3) * 9, pbc=True))
    on_gpu.compute_forces(empty)
    assert empty.energy == 0.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(mliap):
    with pytest.raises(ConfigError, match="no GPU for device cuda"):
        mliap.with_settings("pbe", None, "cuda")


def test_threads_are_those_of_lammps(monkeypatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        torch.set_num_threads(3)
        _threads_of_lammps()
        assert torch.get_num_threads() == 3
        monkeypatch.delenv("OMP_NUM_THREADS")
        _threads_of_lammps()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
