"""Ghosts whose features are fetched give what periodic images give."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms

from lamplighter.lammps_interface.exchange import LammpsExchange
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import Graph, Potential, graph_from_atoms, select
from lamplighter.model.compiled import CompiledPotential
from lamplighter.model.compiled.lower import lower
from lamplighter.model.compiled.radial_tables import Knots


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ghosts_are_like_images(
    potential: Potential, crystal: Atoms, dtype: torch.dtype
) -> None:
    part = select(potential, "pbe", ["H", "O", "Mg"])
    tables = lower(part, Knots(count=65, order=3, cutoff=4.0))
    compiled = CompiledPotential(part.config, tables, dtype, threads=2)
    energies, gradients = compiled.evaluate(
        graph_from_atoms(crystal, part.config, None)
    )

    rank = PeriodicRank(crystal, 4.0, part.config.elements)
    graph = Graph.build(
        pair_vectors=torch.from_numpy(rank.rij),
        centers=torch.from_numpy(rank.pair_i).long(),
        neighbors=torch.from_numpy(rank.pair_j).long(),
        species=torch.from_numpy(rank.elems).long(),
        frames=torch.zeros(rank.nlocal, dtype=torch.int64),
        heads=torch.tensor([0]),
    )
    exchange = LammpsExchange(rank)
    found, pairs = compiled.evaluate(graph, exchange)
    exchange.finish()  # nothing is left to do
    rank.update_pair_forces(pairs.numpy())
    forces = torch.zeros(len(crystal), 3, dtype=torch.float64)
    images = graph_from_atoms(crystal, part.config, None)
    forces.index_add_(0, images.centers, gradients)
    forces.index_add_(0, images.neighbors, -gradients)

    tolerance = {torch.float64: 1e-9, torch.float32: 2e-3}[dtype]
    assert exchange.widths == [16 * 4]
    assert exchange.n_reverse == 1
    torch.testing.assert_close(found, energies, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        torch.from_numpy(rank.forces()), forces, rtol=tolerance, atol=tolerance
    )
