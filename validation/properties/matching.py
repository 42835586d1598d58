"""Common cells of two surfaces, and the strain that it takes to share them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamplighter.validation.properties.slabs import FloatArray, shortest_vectors

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Supercells of two plane lattices that are nearly the same.

    Attributes:
        lower: [2, 2], whole numbers: rows are the supercell in the lower lattice.
        upper: the same in the upper lattice.
        area: of the lower supercell, Å^2.
        strains: principal strains of the upper lattice that make the cells the same.
        turn: angle by which the upper lattice is turned, without sign, degrees.
    """

    lower: IntArray
    upper: IntArray
    area: float
    strains: tuple[float, float]
    turn: float

    @property
    def largest(self) -> float:
        """The larger principal strain, without sign."""
        return max(abs(strain) for strain in self.strains)


def best_match(
    lower: FloatArray, upper: FloatArray, max_area: float, max_strain: float
) -> Match | None:
    """Return the smallest common cell of two plane lattices, None if there is none.

    Among cells of equal strain that is the one which turns the upper lattice least: a
    crystal lies on itself as it grew, and not upside down in the plane.

    Args:
        lower: [2, 2], Å, rows are lattice vectors.
        upper: the same of the lattice that is strained.
        max_area: of the common cell, Å^2.
        max_strain: largest principal strain.
    """
    one, two = (abs(float(np.linalg.det(lattice))) for lattice in (lower, upper))
    found: list[Match] = []
    for n in range(1, int(max_area / one) + 1):
        if found:
            break
        sizes = [
            m
            for m in range(1, int(1.3 * max_area / two) + 1)
            if abs(m * two / (n * one) - 1) < 2.5 * max_strain
        ]
        for first in _supercells(n):
            for m in sizes:
                for second in _supercells(m):
                    found += _matches(lower, upper, first, second, max_strain)
    # Rounded, so that equal cells of a symmetric lattice are chosen by their numbers.
    return min(
        found,
        key=lambda match: (
            round(match.largest, 6),
            round(match.turn, 4),
            match.lower.tolist(),
            match.upper.tolist(),
        ),
        default=None,
    )


def _supercells(size: int) -> Iterator[IntArray]:
    """Yield the supercells of a plane lattice of some size, one of each lattice."""
    for a in range(1, size + 1):
        if size % a == 0:
            for shift in range(size // a):
                yield np.array([[a, shift], [0, size // a]], dtype=np.int64)


def _matches(
    lower: FloatArray,
    upper: FloatArray,
    first: IntArray,
    second: IntArray,
    max_strain: float,
) -> list[Match]:
    """Return how two supercells can be laid on each other, if they can."""
    start, basis = _reduced(lower, first)
    end, other = _reduced(upper, second)
    found = []
    for turn in _BASES:
        cell = turn @ end
        if np.linalg.det(cell) * np.linalg.det(start) < 0:
            continue  # that would mirror the upper crystal
        deform = np.linalg.solve(cell, start)
        left, values, right = np.linalg.svd(deform)
        stretches, turned = values - 1, left @ right
        angle = abs(float(np.degrees(np.arctan2(turned[0, 1], turned[0, 0]))))
        if np.abs(stretches).max() <= max_strain:
            found.append(
                Match(
                    lower=basis,
                    upper=turn @ other,
                    area=abs(float(np.linalg.det(start))),
                    strains=(float(stretches[0]), float(stretches[1])),
                    turn=angle,
                )
            )
    return found


def _reduced(lattice: FloatArray, supercell: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the shortest vectors of a supercell, and their whole numbers."""
    vectors = supercell @ lattice
    short = np.array(
        shortest_vectors(
            np.append(vectors[0], 0.0),
            np.append(vectors[1], 0.0),
        )
    )[:, :2]
    return short, np.rint(short @ np.linalg.inv(lattice)).astype(np.int64)


_BASES = [
    np.array([[a, b], [c, d]])
    for a in (-1, 0, 1)
    for b in (-1, 0, 1)
    for c in (-1, 0, 1)
    for d in (-1, 0, 1)
    if a * d - b * c in (-1, 1)
]
