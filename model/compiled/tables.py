"""The tables that a compiled potential is made of, and how channels are padded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from lamplighter.arrays import Floats, Integers

CHANNEL_UNIT: Final = 16
"""Channels come in multiples of this; see simd.h."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """What the native library is given, by the names that read_potential.h asks for.

    Attributes:
        numbers: float64, one-dimensional.
        integers: int64, one-dimensional.
    """

    numbers: Mapping[str, Floats]
    integers: Mapping[str, Integers]

    def joined(self, more: Tables) -> Tables:
        """Return the tables of both; those of `more` win."""
        return Tables(
            {**self.numbers, **more.numbers}, {**self.integers, **more.integers}
        )

    @property
    def n_bytes(self) -> int:
        """Return the size of all tables."""
        each = (*self.numbers.values(), *self.integers.values())
        return sum(one.nbytes for one in each)


def padded(n: int) -> int:
    """Return `n` channels rounded up to whole units."""
    return -(-n // CHANNEL_UNIT) * CHANNEL_UNIT


def pad_last(values: Any, width: int) -> Floats:
    """Return values with zeros appended to the last axis up to `width`."""
    array = np.asarray(values, dtype=np.float64)
    before = [(0, 0)] * (array.ndim - 1)
    return np.pad(array, [*before, (0, width - array.shape[-1])])


def pad_blocks(values: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Floats:
    """Return matrices whose blocks of rows and columns are padded to whole units.

    Args:
        values: ``[..., n_row_blocks * row, n_column_blocks * column]``.
        rows: number of blocks and rows of each.
        columns: the same for the columns.
    """
    array = np.asarray(values, dtype=np.float64)
    lead = array.shape[:-2]
    array = array.reshape(*lead, *rows, *columns)
    row, column = padded(rows[1]), padded(columns[1])
    inner = [(0, 0), (0, row - rows[1]), (0, 0), (0, column - columns[1])]
    array = np.pad(array, [(0, 0)] * len(lead) + inner)
    return array.reshape(*lead, rows[0] * row, columns[0] * column)


def flat(values: Any) -> Floats:
    """Return a contiguous one-dimensional table of numbers."""
    return np.ascontiguousarray(values, dtype=np.float64).ravel()


def flat_integers(values: Sequence[Any]) -> Integers:
    """Return a contiguous one-dimensional table of integers."""
    return np.ascontiguousarray(values, dtype=np.int64).ravel()
