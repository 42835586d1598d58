"""Sums over the neighbours of an atom, on the dense tables of a graph."""

from __future__ import annotations

from collections.abc import Sequence

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
    return in_atom_order(sum_rows(values, graph.slots.shapes), graph)


def sum_rows(values: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Return the sum of ``values [n_slots]`` over each row of stacked tables."""
    rows, begin = [], 0
    for n, width in shapes:
        rows.append(values[begin : begin + n * width].reshape(n, width).sum(1))
        begin += n * width
    return stack_rows(rows, (), values)


def stack_rows(rows: list[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the rows of several tables as one tensor.

    Without tables the result is empty but still depends on the pairs, so that a process
    without atoms takes part in the exchange of gradients like every other.
    """
    if not rows:
        return like.new_zeros((0, *shape)) + like.sum()
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def in_atom_order(rows: Tensor, graph: Graph) -> Tensor:
    """Return stacked table rows in the order of the atoms."""
    if len(graph.slots.shapes) <= 1:
        return rows  # a single table keeps the atoms in order
    return rows.index_select(0, graph.slots.position)
