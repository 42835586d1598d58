"""From ASE atoms to a graph, with vesin's neighbour list."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor
from vesin import NeighborList

from lamplighter.arrays import Floats, Integers
from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.model.config import PotentialConfig
from lamplighter.model.graph import Graph


def neighbor_pairs(atoms: Atoms, cutoff: float) -> tuple[Integers, Integers, Floats]:
    """Return every directed pair closer than `cutoff`, periodic images included.

    Returns:
        centres ``[n_pairs]`` (ascending), neighbours ``[n_pairs]`` and vectors
        ``[n_pairs, 3]`` from the centre to the neighbour (image), Å.

    Raises:
        DataError: a position is not finite, or a periodic cell has no volume.
    """
    positions = np.ascontiguousarray(atoms.positions, dtype=np.float64)
    if not np.isfinite(positions).all() or not np.isfinite(atoms.cell.array).all():
        raise DataError(explain("a position or cell vector is not finite"))
    box = _box(atoms, cutoff)
    if len(atoms) == 0:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, np.empty((0, 3))
    i, j, vectors = NeighborList(cutoff=cutoff, full_list=True).compute(
        points=positions,
        box=box,
        periodic=[bool(p) for p in atoms.pbc],
        quantities="ijD",
    )
    order = np.argsort(i, kind="stable")
    return (
        np.asarray(i, dtype=np.int64)[order],
        np.asarray(j, dtype=np.int64)[order],
        np.asarray(vectors, dtype=np.float64).reshape(-1, 3)[order],
    )


def _box(atoms: Atoms, cutoff: float) -> Floats:
    """Return cell rows; directions that are not periodic get a vector of their own."""
    if not atoms.pbc.any():
        return np.zeros((3, 3))
    cell = np.asarray(atoms.cell.complete() if atoms.cell.rank < 3 else atoms.cell)
    if any(atoms.pbc[k] and not np.any(atoms.cell[k]) for k in range(3)):
        raise DataError(
            explain(
                "a periodic direction has no cell vector",
                got=f"pbc {atoms.pbc}, cell {np.asarray(atoms.cell).tolist()}",
                fix="set the cell, or pbc=False",
            )
        )
    if abs(np.linalg.det(cell)) < 1e-6 * cutoff:
        raise DataError(explain("the cell has no volume", got=cell.tolist()))
    return np.ascontiguousarray(cell, dtype=np.float64)


def graph_from_atoms(
    atoms: Atoms,
    config: PotentialConfig,
    head: str | None,
    dtype: torch.dtype = torch.float64,
) -> Graph:
    """Return the graph of one structure, without ghosts: images are own atoms.

    Raises:
        ConfigError: an unknown head, or an element that the potential or the head
            lacks.
        DataError: a structure that has no neighbour list.
    """
    index = config.head_index(head)
    known = config.heads[index].reference_energies
    missing = sorted(set(atoms.get_chemical_symbols()) - set(known))
    if missing:
        raise ConfigError(
            explain(
                f"head {config.heads[index].name!r} does not know an element",
                got=", ".join(missing),
                wanted="only " + ", ".join(known),
            )
        )
    species_of = {z: k for k, z in enumerate(config.atomic_numbers)}
    i, j, vectors = neighbor_pairs(atoms, config.cutoff)
    return Graph.build(
        pair_vectors=torch.from_numpy(vectors).to(dtype),
        centers=torch.from_numpy(i),
        neighbors=torch.from_numpy(j),
        species=torch.tensor([species_of[z] for z in atoms.numbers], dtype=torch.int64),
        frames=torch.zeros(len(atoms), dtype=torch.int64),
        heads=torch.tensor([index]),
        conditions=structure_conditions(atoms, config),
    )


def structure_conditions(atoms: Atoms, config: PotentialConfig) -> Tensor:
    """Return the values of the conditions of a structure, ``[1, n_conditions]``.

    ``atoms.info`` gives ``total_charge`` or ``charge`` in e, and ``total_spin`` or
    ``spin``, the multiplicity 2S + 1; a structure that does not say takes the default.

    Raises:
        ConfigError: a value that the potential does not know.
    """
    values = []
    for spec in config.conditions:
        short = spec.name.removeprefix("total_")
        key = spec.name if spec.name in atoms.info else short
        given = _number(atoms.info[key], spec.name) if key in atoms.info else None
        values.append(spec.check(given))
    return torch.tensor([values], dtype=torch.float64).reshape(1, len(values))


def _number(value: Any, name: str) -> float:
    """Return a number that a structure gives."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            explain(f"{name} of a structure is no number", got=repr(value))
        ) from error
