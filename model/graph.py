"""The input of a potential: atoms, directed pairs, and which pairs belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lamplighter.arrays import Integers
from lamplighter.errors import ConfigError, explain
from lamplighter.model.recompute import EdgeChunks


class SlotPart(NamedTuple):
    """Some rows of the tables of [`NeighbourSlots`][]: which slots, and the shapes."""

    begin: int
    end: int
    shapes: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class NeighbourSlots:
    """The pair list as a few dense tables, one row per centre, padded at the end.

    Sums over neighbours become matrix products of equal shape, which on every machine
    are several times faster than scattered additions. Atoms are grouped by their number
    of neighbours, so that little is padded.

    Attributes:
        pair: ``[n_slots]``, index into the pair list; ``n_pairs`` marks an empty slot.
        shapes: for each table the number of its centres and of slots per centre;
            tables follow each other in `pair`.
        position: ``[n_own]``, the row of each atom when the tables' rows are stacked.
    """

    pair: Tensor
    shapes: tuple[tuple[int, int], ...]
    position: Tensor

    def parts(self, size: int) -> list[SlotPart]:
        """Return the tables cut into parts of at most `size` slots, one row at least.

        A row is never cut. All rows are one part for a `size` of 0.
        """
        if size < 1:
            n_slots = sum(n * width for n, width in self.shapes)
            return [SlotPart(0, n_slots, self.shapes)]
        parts, begin = [], 0
        for n, width in self.shapes:
            rows = max(size // max(width, 1), 1)
            for first in range(0, n, rows):
                count = min(rows, n - first)
                end = begin + count * width
                parts.append(SlotPart(begin, end, ((count, width),)))
                begin = end
        return parts or [SlotPart(0, 0, ())]

    def to(self, device: torch.device | str) -> NeighbourSlots:
        """Return the same slots on `device`."""
        return NeighbourSlots(
            self.pair.to(device), self.shapes, self.position.to(device)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """Atoms and their neighbours; one or several structures.

    Attributes:
        pair_vectors: ``[n_pairs, 3]``, ``x_neighbor - x_center``, Å. Every pair stands
            twice, once from each side.
        centers: ``[n_pairs]``, own atom at which the pair starts, ascending.
        neighbors: ``[n_pairs]``, atom (own or ghost) at which it ends.
        species: ``[n_atoms]``, index into the elements of the configuration.
        frames: ``[n_own]``, structure of each own atom.
        heads: ``[n_frames]``, head of each structure.
        conditions: ``[n_frames, n_conditions]``, float64, in the order of the
            configuration.
        slots: the pair list arranged for summation.
        chunks: how a layer walks over the pairs; None: all at once.
    """

    pair_vectors: Tensor
    centers: Tensor
    neighbors: Tensor
    species: Tensor
    frames: Tensor
    heads: Tensor
    conditions: Tensor
    slots: NeighbourSlots
    chunks: EdgeChunks | None = None

    @classmethod
    def build(
        cls,
        *,
        pair_vectors: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        frames: Tensor,
        heads: Tensor,
        conditions: Tensor | None = None,
    ) -> Graph:
        """Return a graph; `centers` must ascend. See the class for the arguments.

        Without `conditions` there are none.
        """
        if conditions is None:
            conditions = pair_vectors.new_zeros(len(heads), 0, dtype=torch.float64)
        slots = _slots(centers.cpu().numpy(), len(frames)).to(centers.device)
        return cls(
            pair_vectors, centers, neighbors, species, frames, heads, conditions, slots
        )

    @property
    def n_own(self) -> int:
        """Return the number of atoms whose energy is computed."""
        return len(self.frames)

    @property
    def n_atoms(self) -> int:
        """Return the number of own and ghost atoms."""
        return len(self.species)

    @property
    def n_pairs(self) -> int:
        """Return the number of directed pairs."""
        return len(self.centers)

    @property
    def n_frames(self) -> int:
        """Return the number of structures."""
        return len(self.heads)

    def to(self, *, dtype: torch.dtype, device: torch.device | str = "cpu") -> Graph:
        """Return the graph with pair vectors of `dtype`, everything on `device`."""
        return Graph(
            self.pair_vectors.to(device=device, dtype=dtype),
            self.centers.to(device),
            self.neighbors.to(device),
            self.species.to(device),
            self.frames.to(device),
            self.heads.to(device),
            self.conditions.to(device),
            self.slots.to(device),
            self.chunks,
        )

    def with_pair_vectors(self, pair_vectors: Tensor) -> Graph:
        """Return the same graph with other pair vectors."""
        return dataclasses.replace(self, pair_vectors=pair_vectors)

    def in_chunks(self, size: int) -> Graph:
        """Return the same graph, of which layers look at `size` pairs at a time.

        Values are equal up to rounding. What a layer computes of a pair is then
        computed again for each derivative and never kept, so that memory beyond the
        pairs themselves grows with the atoms; it takes longer.

        Raises:
            ConfigError: `size` is not positive.
        """
        if size < 1:
            raise ConfigError(
                explain("bad edge_chunk", got=size, wanted="1 or more pairs at a time")
            )
        return dataclasses.replace(self, chunks=EdgeChunks(size))


def _slots(centers: Integers, n_own: int) -> NeighbourSlots:
    """Return the tables for an ascending list of centres."""
    counts = np.bincount(centers, minlength=n_own)
    starts = np.concatenate(([0], np.cumsum(counts)))[:n_own]
    order = np.argsort(-counts, kind="stable")
    n_pairs = len(centers)
    tables, shapes, begin = [], [], 0
    while begin < n_own:
        width = int(counts[order[begin]])
        least = min(0.7 * width, width - 4)
        sizes = counts[order[begin:]]
        end = begin + int(np.searchsorted(-sizes, -least, side="right"))
        atoms = np.sort(order[begin:end])
        order[begin:end] = atoms
        columns = np.arange(width)
        table = np.where(
            columns < counts[atoms, None], starts[atoms, None] + columns, n_pairs
        )
        tables.append(table.ravel())
        shapes.append((end - begin, width))
        begin = end
    position = np.empty(n_own, dtype=np.int64)
    position[order] = np.arange(n_own)
    pair = np.concatenate(tables) if tables else np.empty(0, dtype=np.int64)
    return NeighbourSlots(
        torch.from_numpy(pair.astype(np.int64)),
        tuple(shapes),
        torch.from_numpy(position),
    )


def collate(graphs: Sequence[Graph]) -> Graph:
    """Return one graph that holds the structures of several, without ghosts."""
    atoms = np.cumsum([0, *(g.n_own for g in graphs)])
    frames = np.cumsum([0, *(g.n_frames for g in graphs)])
    return Graph.build(
        pair_vectors=torch.cat([g.pair_vectors for g in graphs]),
        centers=torch.cat([g.centers + n for g, n in zip(graphs, atoms, strict=False)]),
        neighbors=torch.cat(
            [g.neighbors + n for g, n in zip(graphs, atoms, strict=False)]
        ),
        species=torch.cat([g.species for g in graphs]),
        frames=torch.cat([g.frames + n for g, n in zip(graphs, frames, strict=False)]),
        heads=torch.cat([g.heads for g in graphs]),
        conditions=torch.cat([g.conditions for g in graphs]),
    )
