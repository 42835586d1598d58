"""Cutting a crystal along a plane: Miller orbits, inequivalent heights, bare slabs.

Everything is done with whole numbers in the basis of the primitive cell, so that no
plane and no cut is missed or counted twice: orbits come from the rotations of the
crystal, inequivalent cuts from its space group, and the lattice of a face from the
integer vectors within the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import Any, Final

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.properties.crystal import (
    SYMPREC,
    conventional,
    spglib_cell,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Miller = tuple[int, int, int]

SAME_LAYER: Final = 0.1
"""Atoms whose heights differ by less, Å, are not cut apart, if any differ by more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaver:
    """A crystal with a plane, ready to be cut.

    Attributes:
        primitive: the primitive cell, in the orientation of the conventional one.
        plane: whole numbers; their product with fractions of the primitive cell is a
            height in units of `spacing`.
        axes: [3, 3], whole numbers: two vectors that span the face, and one that goes
            up by one unit, in vectors of the primitive cell.
        spacing: distance of equivalent lattice planes, Å: the period of heights.
    """

    primitive: Atoms
    plane: IntArray
    axes: IntArray
    spacing: float

    def heights(self) -> FloatArray:
        """Return the height of each atom of the primitive cell, in units of spacing."""
        return np.asarray(self.primitive.get_scaled_positions(wrap=False) @ self.plane)

    def cuts(self) -> tuple[float, ...]:
        """Return the inequivalent heights between layers, in units of `spacing`.

        Two cuts are equivalent when an operation of the space group takes one to the
        other, upside down or not: the two pairs of faces are then the same.
        """
        levels = np.sort(np.mod(self.heights(), 1.0))
        gaps = np.diff(np.append(levels, levels[0] + 1.0))
        # Steps of a vicinal plane may all be lower than that: the highest count then.
        limit = min(SAME_LAYER / self.spacing, float(gaps.max()) * (1 - 1e-6))
        wide = gaps > limit
        middles = np.mod(levels + gaps / 2, 1.0)[wide]
        found: list[float] = []
        for middle in np.sort(middles):
            images = np.array([s * middle + t for s, t in self._moves()])
            if not any(np.any(_distance(images, cut) < 1e-4) for cut in found):
                found.append(float(middle))
        return tuple(found)

    def slab(self, cut: float, n_repeats: int, vacuum: float) -> Atoms:
        """Return `n_repeats` units of crystal above a cut; the third vector leans.

        Args:
            cut: height in units of `spacing`.
            n_repeats: thickness in units of `spacing`.
            vacuum: empty space along the normal, Å.
        """
        first, second, up = self.axes @ self.primitive.cell.array
        normal = np.cross(first, second)
        normal /= np.linalg.norm(normal)
        heights = self.heights()
        lowest = np.ceil(cut - heights)
        places, numbers = [], []
        for repeat in range(n_repeats):
            places.append(
                self.primitive.positions + np.outer(lowest + repeat, up),
            )
            numbers.append(self.primitive.numbers)
        return Atoms(
            numbers=np.concatenate(numbers),
            positions=np.concatenate(places),
            cell=[first, second, n_repeats * up + vacuum * normal],
            pbc=True,
        )

    def _moves(self) -> list[tuple[int, float]]:
        """Return sign and shift of heights under the operations that keep the plane."""
        found: Any = spglib.get_symmetry(spglib_cell(self.primitive), symprec=SYMPREC)
        moves: list[tuple[int, float]] = []
        for rotation, shift in zip(
            found["rotations"], found["translations"], strict=True
        ):
            turned = self.plane @ rotation
            moves += [
                (sign, float(self.plane @ shift))
                for sign in (1, -1)
                if np.array_equal(turned, sign * self.plane)
            ]
        return moves


def check_miller(miller: Sequence[Any]) -> None:
    """Refuse what are no three whole numbers without a common divisor.

    Raises:
        ConfigError: four indices, fractions, zeros only, or a multiple as in (2, 0, 0).
    """
    whole = all(isinstance(i, int | np.integer) for i in miller)
    if len(miller) == 3 and whole and gcd(*map(int, miller)) == 1:
        return
    fix = "name the plane by its smallest whole numbers"
    if len(miller) == 4:
        fix = (
            "leave out the third of four hexagonal indices: (1, 0, -1, 1) is (1, 0, 1)"
        )
    raise ConfigError(
        explain(
            "no plane has these Miller indices",
            got=miller,
            wanted="three whole numbers, not all zero, without a common divisor",
            fix=fix,
        )
    )


def cleaver(crystal: Atoms, miller: Miller) -> Cleaver:
    """Return a crystal with the plane of given indices.

    Args:
        crystal: any cell; Miller indices belong to its standard conventional cell.
        miller: see [`check_miller`][].

    Raises:
        ConfigError: no plane has these indices.
        DataError: spglib finds no space group.
    """
    check_miller(miller)
    cell = conventional(crystal)
    lattice, scaled, numbers = _primitive(cell)
    primitive = Atoms(numbers=numbers, cell=lattice, scaled_positions=scaled, pbc=True)
    normal = np.linalg.inv(cell.cell.array) @ np.asarray(miller, dtype=float)
    # Fractions of centred lattices have the denominators 2, 3 and 4.
    plane = np.rint(primitive.cell.array @ normal * 12).astype(np.int64)
    plane //= np.gcd.reduce(plane)
    axes = _plane_basis(plane)
    if np.linalg.det(axes @ primitive.cell.array) < 0:
        axes = axes[[1, 0, 2]]
    reciprocal = np.linalg.inv(primitive.cell.array) @ plane
    return Cleaver(
        primitive=primitive,
        plane=plane,
        axes=axes,
        spacing=float(1.0 / np.linalg.norm(reciprocal)),
    )


def miller_orbits(crystal: Atoms, max_index: int) -> dict[Miller, int]:
    """Return one plane of each orbit of the point group, with the orbit's size.

    Planes that differ only in sign are the two faces of one slab and count as one
    orbit; the size counts normals, both signs included. The plane with the largest
    first indices stands for its orbit, as in (2, 1, 0).

    Args:
        crystal: any cell; indices belong to its standard conventional cell.
        max_index: largest absolute value of an index.

    Raises:
        ConfigError: `max_index` is not positive.
        DataError: spglib finds no space group.
    """
    if max_index < 1:
        problem = "the largest Miller index must be positive"
        raise ConfigError(explain(problem, got=max_index, wanted="1 or more"))
    found: Any = spglib.get_symmetry(
        spglib_cell(conventional(crystal)), symprec=SYMPREC
    )
    rotations = np.unique(found["rotations"], axis=0)
    rotations = np.concatenate([rotations, -rotations])
    indices = range(-max_index, max_index + 1)
    todo: set[Miller] = {
        (h, k, l) for h, k, l in product(indices, repeat=3) if gcd(h, k, l) == 1
    }
    orbits: dict[Miller, int] = {}
    for plane in sorted(todo, key=_beauty):
        if plane not in todo:
            continue
        images = (np.asarray(plane) @ rotations).tolist()
        orbit: set[Miller] = {(h, k, l) for h, k, l in images}
        orbits[plane] = len(orbit)
        todo -= orbit
    return orbits


def plane_name(miller: Miller) -> str:
    """Return the indices as they stand in the name of a value: ``110`` or ``1-10``.

    Indices of two digits are kept apart, as in ``1_1_10``.
    """
    between = "_" if max(map(abs, miller)) > 9 else ""
    return between.join(str(index) for index in miller)


def _beauty(plane: Miller) -> tuple[int, int, tuple[int, ...]]:
    """Sort small indices first, few minus signs, large indices to the left."""
    negative = sum(index < 0 for index in plane)
    return (sum(i * i for i in plane), negative, tuple(-index for index in plane))


def _primitive(cell: Atoms) -> tuple[Any, Any, Any]:
    # The conventional cell is idealised already: its orientation has to stay.
    found: Any = spglib.standardize_cell(
        spglib_cell(cell), to_primitive=True, no_idealize=True, symprec=SYMPREC
    )
    lattice, scaled, numbers = found
    return lattice, scaled, numbers


def _plane_basis(plane: IntArray) -> IntArray:
    """Return three whole vectors: two with product 0 with the plane, one with 1.

    Source: Euclid's algorithm on the columns of the identity.
    """
    row, axes = plane.copy(), np.eye(3, dtype=np.int64)
    while np.count_nonzero(row) > 1:
        nonzero = np.flatnonzero(row)
        small = nonzero[np.argmin(np.abs(row[nonzero]))]
        for other in nonzero:
            if other != small:
                times = row[other] // row[small]
                row[other] -= times * row[small]
                axes[other] -= times * axes[small]
    last = int(np.flatnonzero(row)[0])
    axes[last] *= row[last]
    order = [index for index in range(3) if index != last]
    return axes[[*order, last]]


def _distance(values: FloatArray, other: float) -> FloatArray:
    """Return distances of heights whose period is one."""
    apart = values - other
    return np.asarray(np.abs(apart - np.rint(apart)))
