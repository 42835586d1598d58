"""Sums over the neighbours of an atom, on the dense tables of a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from lamplighter.model.graph import Graph


def slot_pairs(graph: Graph, far: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return vector, neighbour and centre of each slot.

    Empty slots point at atom 0 from a distance `far`, beyond every cutoff.
    """
    pad = graph.pair_vectors.new_tensor([[far, 0.0, 0.0]])
    vectors = torch.cat([graph.pair_vectors, pad]).index_select(0, graph.slots.pair)
    zero = graph.centers.new_zeros(1)
    neighbor = torch.cat([graph.neighbors, zero]).index_select(0, graph.slots.pair)
    center = torch.cat([graph.centers, zero]).index_select(0, graph.slots.pair)
    return vectors, neighbor, center


def sum_slots(values: Tensor, graph: Graph) -> Tensor:
    """Return the sum of ``values [n_slots]`` over the neighbours: ``[n_own]``."""
    rows, begin = [], 0
    for n, width in graph.slots.shapes:
        rows.append(values[begin : begin + n * width].reshape(n, width).sum(1))
        begin += n * width
    return in_atom_order(rows, graph, (), values)


def in_atom_order(
    rows: list[Tensor], graph: Graph, shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Return stacked table rows in the order of the atoms.

    Without atoms the result is empty but still depends on the pairs, so that a process
    without atoms takes part in the exchange of gradients like every other.
    """
    if not rows:
        return like.new_zeros((0, *shape)) + like.sum()
    if len(rows) == 1:
        return rows[0]  # a single table keeps the atoms in order
    return torch.cat(rows).index_select(0, graph.slots.position)
