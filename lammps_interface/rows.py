"""LAMMPS' rows and pairs as a graph: which ones the potential sees, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lamplighter.errors import EngineError, explain
from lamplighter.model import Graph


class RowData(Protocol):
    """The part of LAMMPS' ML-IAP data that names rows and pairs."""

    nlocal: int
    ntotal: int
    npairs: int
    pair_i: Any
    pair_j: Any
    rij: Any
    elems: Any


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows and pairs of LAMMPS the potential sees: those with an element.

    Attributes:
        species: element index of every kept row.
        n_owned: kept owned atoms; they come first.
        n_centers: rows at which pairs may start; more than `n_owned` if ghosts are
            evaluated here.
        kept: row numbers of the kept rows, None when that is all of them.
        new: for each row of LAMMPS its number among the kept rows, or -1.
        pairs: numbers of the kept pairs, None when that is all of them in order.
    """

    species: Tensor
    n_owned: int
    n_centers: int
    kept: Tensor | None
    new: Tensor | None
    pairs: Tensor | None

    @classmethod
    def of(cls, data: RowData, *, wide: bool) -> Rows:
        """Sort out the rows and pairs of this step."""
        species = integers(data, "elems", data.ntotal)
        centers = integers(data, "pair_i", data.npairs)
        neighbors = integers(data, "pair_j", data.npairs)
        mapped = species >= 0
        wanted = mapped[centers] & mapped[neighbors]
        if not wide:  # pairs of ghost centres (FLAG 1) are their owners' affair
            wanted &= centers < data.nlocal
        found = torch.nonzero(wanted).flatten()
        if bool(wanted.all()) and bool((centers[1:] >= centers[:-1]).all()):
            pairs = None
        else:
            pairs = found[torch.argsort(centers[found], stable=True)]
        if bool(mapped.all()):
            n_centers = data.ntotal if wide else data.nlocal
            return cls(species, data.nlocal, n_centers, None, None, pairs)
        kept = torch.nonzero(mapped).flatten()
        new = torch.full_like(species, -1)
        new[kept] = torch.arange(len(kept))
        n_owned = int(mapped[: data.nlocal].sum())
        n_centers = len(kept) if wide else n_owned
        return cls(species[kept], n_owned, n_centers, kept, new, pairs)


def graph_of(data: RowData, rows: Rows, dtype: torch.dtype) -> Graph:
    """Return the rank's own atoms, ghosts and pairs as one structure."""
    vectors = pair_vectors(data)
    centers = integers(data, "pair_i", data.npairs)
    neighbors = integers(data, "pair_j", data.npairs)
    if rows.pairs is not None:
        vectors, centers = vectors[rows.pairs], centers[rows.pairs]
        neighbors = neighbors[rows.pairs]
    if rows.new is not None:
        centers, neighbors = rows.new[centers], rows.new[neighbors]
    return Graph.build(
        pair_vectors=vectors.to(dtype),
        centers=centers,
        neighbors=neighbors,
        species=rows.species,
        frames=torch.zeros(rows.n_centers, dtype=torch.int64),
        heads=torch.zeros(1, dtype=torch.int64),
    )


def pair_vectors(data: RowData) -> Tensor:
    """View LAMMPS' pair vectors as a tensor [n_pairs, 3] without a copy."""
    if data.npairs == 0:  # an upstream LAMMPS raises, or has None, instead of nothing
        return torch.zeros((0, 3), dtype=torch.float64)
    return torch.from_numpy(on_host(data.rij)).reshape(data.npairs, 3)


def integers(data: object, name: str, length: int) -> Tensor:
    """Return LAMMPS' 32-bit indices called `name` as int64, the index type of torch.

    An array without entries is not asked for: an upstream LAMMPS cannot make one.
    """
    if length == 0:
        return torch.zeros(0, dtype=torch.int64)
    return torch.from_numpy(on_host(getattr(data, name))[:length]).to(torch.int64)


def on_host(array: Any) -> np.ndarray[Any, Any]:
    """Return `array` if it is one of numpy; refuse the memory of a device."""
    if isinstance(array, np.ndarray):
        return array
    raise EngineError(
        explain(
            "LAMMPS' arrays are not in host memory",
            got=type(array).__name__,
            wanted="numpy arrays",
            fix="run without the kk suffix",
        )
    )
