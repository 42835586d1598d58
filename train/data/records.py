"""One frame with its neighbours as bytes: the records of a cache.

A record is little-endian and begins with `_HEAD`; then follow, without gaps, cell
[3, 3], positions, stress and forces (where there are any), rows of the Hessian with
atom and component, the number of neighbours of each atom, the neighbours, the cell
translations of the neighbours, the atomic numbers, and the words as JSON.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lamplighter.arrays import AnyArray, Floats, Integers
from lamplighter.errors import DataError, explain
from lamplighter.model.neighbors import neighbor_pairs
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.hessian import HessianRows

_HEAD: Final = struct.Struct("<IIIIIdd")
"""Flags, atoms, pairs, rows of the Hessian, bytes of the words, energy, weight."""
_FORCES, _STRESS, _WIDE_SHIFTS, _PBC = 1, 2, 4, 8
_WORDS = ("head", "level", "config_type", "uid", "domain", "group", "source")
_EXACT: Final = 1e-9
"""Largest difference of a pair vector and what the record gives back, Å."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Directed pairs of one frame.

    Attributes:
        centers: [n_pairs], ascending.
        neighbors: [n_pairs].
        shifts: [n_pairs, 3], cell translations of the neighbour.
    """

    centers: Integers
    neighbors: Integers
    shifts: Integers

    def vectors(self, frame: Frame) -> Floats:
        """Return the vectors from centre to neighbour, [n_pairs, 3], Å."""
        return pair_vectors(
            frame.positions, frame.cell, self.centers, self.neighbors, self.shifts
        )


def pair_vectors(
    positions: Floats,
    cell: Floats,
    centers: AnyArray,
    neighbors: AnyArray,
    shifts: AnyArray,
) -> Floats:
    """Return ``x_neighbor - x_center + shift @ cell``, [n_pairs, 3], Å."""
    a, b, c = shifts.astype(float).T[:, :, None]
    translation = a * cell[0] + b * cell[1] + c * cell[2]
    return np.asarray(positions[neighbors] - positions[centers] + translation)


def find_neighbours(frame: Frame, cutoff: float) -> Neighbours:
    """Return the pairs of a frame within `cutoff` (Å).

    Raises:
        DataError: the frame has no neighbour list.
    """
    i, j, vectors = neighbor_pairs(frame.atoms(), cutoff)
    shifts = np.zeros((len(i), 3), dtype=np.int64)
    if any(frame.pbc) and len(i):
        rest = vectors - (frame.positions[j] - frame.positions[i])
        inverse = np.linalg.inv if all(frame.pbc) else np.linalg.pinv
        shifts = np.rint(rest @ inverse(frame.cell)).astype(np.int64)
    found = Neighbours(i, j, shifts)
    error = np.abs(found.vectors(frame) - vectors).max(initial=0.0)
    if error > _EXACT:
        raise DataError(
            explain(
                f"{frame.source}: the cell does not explain the neighbours",
                got=f"a difference of {error:.2g} Å",
                wanted=f"at most {_EXACT:g} Å",
                fix="the cell is nearly flat, or the atoms lie far outside of it",
            )
        )
    return found


def pack_record(frame: Frame, pairs: Neighbours, dtype: np.dtype[Any]) -> bytes:
    """Return a frame and its neighbours as bytes.

    Args:
        frame: the frame.
        pairs: its neighbours.
        dtype: of positions, forces and stress; the others are always double.
    """
    n = frame.n_atoms
    wide = bool(np.abs(pairs.shifts).max(initial=0) > 127)
    flags = _WIDE_SHIFTS * wide + sum(_PBC << k for k in range(3) if frame.pbc[k])
    flags += _FORCES * (frame.forces is not None) + _STRESS * (frame.stress is not None)
    words = json.dumps([getattr(frame, w) for w in _WORDS], ensure_ascii=False)
    text = words.encode("utf-8")
    rows = frame.hessian
    parts: list[AnyArray] = [frame.cell.astype("<f8"), frame.positions.astype(dtype)]
    parts += [p.astype(dtype) for p in (frame.stress, frame.forces) if p is not None]
    if rows is not None:
        index = np.stack([rows.atoms, rows.components], axis=1)
        parts += [rows.values.astype("<f8"), index.astype("<i4")]
    parts += [
        np.bincount(pairs.centers, minlength=n).astype("<u4"),
        pairs.neighbors.astype(_index_dtype(n)),
        pairs.shifts.astype("<i4" if wide else "i1"),
        frame.numbers.astype("u1"),
    ]
    head = _HEAD.pack(
        flags,
        n,
        len(pairs.centers),
        0 if rows is None else len(rows),
        len(text),
        frame.energy,
        frame.weight,
    )
    return b"".join([head, *(p.tobytes() for p in parts), text])


def _index_dtype(n_atoms: int) -> str:
    return "<u2" if n_atoms <= 2**16 else "<u4"


class _Bytes:
    """Takes arrays from a record one after the other."""

    def __init__(self, record: bytes) -> None:
        self.record = record
        self.at = _HEAD.size

    def take(self, dtype: Any, *shape: int) -> AnyArray:
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(self.record, dtype, count, self.at).reshape(shape)
        self.at += array.nbytes
        return array


def unpack_record(
    record: bytes, dtype: np.dtype[Any], *, pairs: bool = True
) -> tuple[Frame, Neighbours | None]:
    """Return the frame and the neighbours of a record.

    Args:
        record: bytes that `pack_record` made and that a checksum vouches for.
        dtype: as they were packed.
        pairs: False leaves out the neighbours.
    """
    flags, n, n_pairs, n_rows, n_text, energy, weight = _HEAD.unpack_from(record)
    source = _Bytes(record)
    cell = source.take("<f8", 3, 3)
    positions = source.take(dtype, n, 3).astype(float)
    stress = source.take(dtype, 3, 3).astype(float) if flags & _STRESS else None
    forces = source.take(dtype, n, 3).astype(float) if flags & _FORCES else None
    hessian = None
    if n_rows:
        values = source.take("<f8", n_rows, n, 3).copy()
        index = source.take("<i4", n_rows, 2).astype(np.int64)
        hessian = HessianRows(atoms=index[:, 0], components=index[:, 1], values=values)
    counts = source.take("<u4", n)
    neighbors = source.take(_index_dtype(n), n_pairs)
    shifts = source.take("<i4" if flags & _WIDE_SHIFTS else "i1", n_pairs, 3)
    numbers = source.take("u1", n).astype(np.int64)
    words = json.loads(record[source.at : source.at + n_text])
    pbc = tuple(bool(flags & (_PBC << k)) for k in range(3))
    frame = Frame(
        numbers=numbers,
        positions=positions,
        cell=cell.astype(float),
        pbc=(pbc[0], pbc[1], pbc[2]),
        energy=energy,
        forces=forces,
        stress=stress,
        weight=weight,
        hessian=hessian,
        **dict(zip(_WORDS, words, strict=True)),
    )
    if not pairs:
        return frame, None
    centers = np.repeat(np.arange(n), counts)
    found = Neighbours(centers, neighbors.astype(np.int64), shifts.astype(np.int64))
    return frame, found
