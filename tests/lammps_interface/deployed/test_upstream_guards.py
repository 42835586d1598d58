"""What is refused in a LAMMPS whose own ML-IAP holds the model."""

import types

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from lamplighter.errors import EngineError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.exchange import KOKKOS_COLUMNS
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.lammps_interface.upstream import (
    SURE,
    ghost_reach,
    refuse_thin_shell,
    refuse_wrong_exchange,
)

CUTOFF = 4.0


def shell(atoms, thickness):
    """Rows and pairs of one rank whose ghosts lie in a box around the cell."""
    edges = np.diag(atoms.cell.array)
    n = np.ceil(thickness / edges).astype(int) + 1
    big = atoms * tuple(2 * n + 1)
    positions = big.positions - n * edges
    inside = ((positions >= -thickness) & (positions < edges + thickness)).all(axis=1)
    positions = positions[inside]
    own = ((positions >= 0) & (positions < edges)).all(axis=1)
    positions = np.concatenate([positions[own], positions[~own]])
    rows = Atoms(f"H{len(positions)}", positions)
    i, j, vectors = neighbor_list("ijD", rows, CUTOFF)
    return types.SimpleNamespace(
        nlocal=int(own.sum()),
        ntotal=len(rows),
        npairs=len(i),
        pair_i=i.astype(np.int32),
        pair_j=j.astype(np.int32),
        rij=vectors,
    )


@pytest.fixture(scope="module")
def crystal():
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 1, 1)
    atoms.positions += 0.3
    return atoms


def test_ghosts_of_one_layer_are_too_few_for_two(crystal, monkeypatch):
    thin = shell(crystal, CUTOFF + 2.0)
    assert 4.0 < ghost_reach(thin, 99.0) < 8.0
    with pytest.raises(EngineError, match=r"2 layers.*comm_modify cutoff 10 "):
        refuse_thin_shell(thin, CUTOFF, 2)
    refuse_thin_shell(thin, CUTOFF, 1)
    monkeypatch.setenv(SURE, "1")
    refuse_thin_shell(thin, CUTOFF, 2)


def test_ghosts_of_all_layers_are_enough(crystal):
    refuse_thin_shell(shell(crystal, 2 * CUTOFF + 2.0), CUTOFF, 2)
    refuse_thin_shell(shell(crystal, 3 * CUTOFF + 2.0), CUTOFF, 3)
    with pytest.raises(EngineError, match="3 layers"):
        refuse_thin_shell(shell(crystal, 2 * CUTOFF + 2.0), CUTOFF, 3)


def test_atoms_without_ghosts_in_reach_need_no_shell():
    far = Atoms("H2", [[5, 5, 5], [6, 5, 5]], cell=np.eye(3) * 13, pbc=True)
    apart = shell(far, 14.0)
    assert apart.ntotal > apart.nlocal
    refuse_thin_shell(apart, CUTOFF, 2)
    empty = shell(Atoms(cell=np.eye(3) * 13, pbc=True), 6.0)
    refuse_thin_shell(empty, CUTOFF, 2)


@pytest.mark.parametrize(
    ("module", "version", "bad"),
    [
        ("mliap_unified_couple_kokkos", 20251101, True),
        ("mliap_unified_couple_kokkos", 20250722, False),
        ("mliap_unified_couple_kokkos", 20260704, False),
        ("mliap_unified_couple_kokkos", 0, False),
        ("mliap_unified_couple", 20251101, False),
    ],
)
def test_the_releases_with_a_wrong_exchange(module, version, bad):
    data = type("MLIAPDataPy", (), {"__module__": module})()
    if not bad:
        refuse_wrong_exchange(data, lambda: version)
        return
    with pytest.raises(EngineError, match=r"4744, 4808.*20251101"):
        refuse_wrong_exchange(data, lambda: version)


class KokkosRank(PeriodicRank):
    """A rank of a LAMMPS with Kokkos, whose buffers have room for three columns."""

    __module__ = "mliap_unified_couple_kokkos"
    calls = 0

    def forward_exchange(self, src, dst, n):
        self._check(src, dst, n)
        super().forward_exchange(src, dst, n)

    def reverse_exchange(self, src, dst, n):
        self._check(src, dst, n)
        super().reverse_exchange(src, dst, n)

    def _check(self, src, dst, n):
        assert n <= KOKKOS_COLUMNS
        for one in (src, dst):
            assert isinstance(one, torch.Tensor)
            assert one.is_contiguous()
            assert one.shape == (self.ntotal, n)
        type(self).calls += 1


def test_rows_fit_into_the_buffers_of_kokkos(model, structures):
    mliap = bundle.load_model(model.float64)
    atoms = structures["rattled"]
    ranks = [
        kind(atoms, mliap.header.cutoff, mliap.element_types)
        for kind in (PeriodicRank, KokkosRank)
    ]
    for rank in ranks:
        mliap.compute_forces(rank)
    plain, kokkos = ranks
    assert mliap.header.message_width > KOKKOS_COLUMNS
    parts = -(-mliap.header.message_width // KOKKOS_COLUMNS)
    assert KokkosRank.calls == 2 * parts
    assert kokkos.energy == pytest.approx(plain.energy, abs=1e-12)
    np.testing.assert_allclose(kokkos.forces(), plain.forces(), atol=1e-12)
