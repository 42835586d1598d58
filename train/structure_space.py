"""Distances between structures, free of scales: how alike are their surroundings?

A structure is described by one vector per element: the mean over its atoms of the
invariants of a potential. Each component is measured in its standard deviation over a
pool of structures, per element, so that neither the size of the features nor that of
the structures matters.

The distance of two structures is

    d^2 = (sum_e m_e + ABSENT * n_absent) / n_elements

over the elements of either, with ``m_e`` the mean squared difference of the components
for an element that both have, and a constant for each of the ``n_absent`` elements that
one of them lacks. Two structures drawn at random that have the same elements are at
about ``d = sqrt(2)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lamplighter.arrays import Floats, Integers
from lamplighter.model import Potential, collate, graph_from_atoms
from lamplighter.model.descriptors import descriptors
from lamplighter.train.data.frame import Frame

ABSENT = 4.0
"""What an element counts that one structure lacks: two standard deviations, squared."""

BATCH_ATOMS = 256
Vectors = Mapping[int, Floats]
"""Mean invariants by atomic number."""


def structure_vectors(
    potential: Potential, frames: Sequence[Frame], head: str | None = None
) -> list[Vectors]:
    """Return the mean invariants of each element of each frame.

    Args:
        potential: whose features; invariants do not depend on the head.
        frames: structures of elements that the potential knows.
        head: any head that knows the elements; None takes the first.

    Raises:
        ConfigError: an element that the head lacks.
    """
    name = head or potential.config.heads[0].name
    found: list[Vectors] = []
    for group in _groups(frames):
        graphs = [graph_from_atoms(f.atoms(), potential.config, name) for f in group]
        graph = collate(graphs).to(
            dtype=potential.dtype, device=potential.embedding.device
        )
        rows = descriptors(potential, graph)
        ends = np.cumsum([f.n_atoms for f in group])[:-1]
        for frame, part in zip(group, np.split(rows, ends), strict=True):
            found.append(
                {
                    int(z): part[frame.numbers == z].mean(axis=0)
                    for z in np.unique(frame.numbers)
                }
            )
    return found


def _groups(frames: Sequence[Frame]) -> list[list[Frame]]:
    groups: list[list[Frame]] = []
    atoms = BATCH_ATOMS + 1
    for frame in frames:
        if atoms + frame.n_atoms > BATCH_ATOMS:
            groups.append([])
            atoms = 0
        groups[-1].append(frame)
        atoms += frame.n_atoms
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The structures of a pool that have one element.

    Attributes:
        places: numbers of the structures, ascending.
        vectors: ``[n, n_components]``, in standard deviations.
    """

    places: Integers
    vectors: Floats


class StructureSpace:
    """A pool of structures to which distances are computed."""

    def __init__(self, pool: Sequence[Vectors]) -> None:
        """Measure the spread of `pool` and keep its structures."""
        self._size = len(pool)
        self._n_elements = np.array([len(v) for v in pool], dtype=np.int64)
        by_element: dict[int, list[int]] = {}
        for place, vectors in enumerate(pool):
            for z in vectors:
                by_element.setdefault(z, []).append(place)
        stacked = {
            z: np.array([pool[k][z] for k in places])
            for z, places in sorted(by_element.items())
        }
        self._scales = _scales(stacked)
        self._blocks = {
            z: Block(places=np.array(by_element[z]), vectors=self._scaled(z, rows))
            for z, rows in stacked.items()
        }

    def squared_distances(self, vectors: Vectors) -> Floats:
        """Return d^2 of one structure to every structure of the pool, ``[n_pool]``."""
        total = np.zeros(self._size)
        shared = np.zeros(self._size, dtype=np.int64)
        for z, row in vectors.items():
            block = self._blocks.get(z)
            if block is None:
                continue
            difference = block.vectors - self._scaled(z, row)
            n_components = max(1, difference.shape[1])
            total[block.places] += (
                np.einsum("nc,nc->n", difference, difference) / n_components
            )
            shared[block.places] += 1
        either = self._n_elements + len(vectors) - shared
        distances: Floats = (total + ABSENT * (either - shared)) / either
        return distances

    def _scaled(self, z: int, rows: Floats) -> Floats:
        scale = self._scales[z]
        live = scale > 0
        scaled: Floats = rows[..., live] / scale[live]
        return scaled


def _scales(stacked: Mapping[int, Floats]) -> dict[int, Floats]:
    """Return the standard deviation of each component per element.

    An element with n structures borrows from the spread of all elements with a weight
    of 1/n structure. 0 marks a component that is the same in every structure: it says
    nothing.
    """
    squares = {
        z: ((rows - rows.mean(axis=0)) ** 2).sum(axis=0) for z, rows in stacked.items()
    }
    n_all = sum(len(rows) for rows in stacked.values())
    common = sum(squares.values()) / max(1, n_all)
    size = {z: (rows**2).mean(axis=0) for z, rows in stacked.items()}
    variance = {
        z: (squares[z] + common / len(rows)) / (len(rows) + 1 / len(rows))
        for z, rows in stacked.items()
    }
    return {z: _positive(variance[z], size[z]) for z in stacked}


def _positive(variance: Floats, size: Floats) -> Floats:
    """Standard deviations; 0 where the variance is rounding alone."""
    noise = 1e-20 * size
    found: Floats = np.sqrt(np.where(variance > noise, variance, 0.0))
    return found
