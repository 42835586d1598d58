"""The axes of elastic tensors: IEEE Standard 176 beside those of the crystal.

The standard fixes X, Y and Z by the edges of the conventional cell, so that two tables
of one crystal can be compared. The sense of the polar axis of a piezoelectric class is
left open: a stiffness is the same for both.

Source: IEEE Standard on Piezoelectricity, ANSI/IEEE Std 176-1987, section 3.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import spglib
from ase import Atoms

from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.structures import symmetry

_TETRAGONAL: Final = 75
_ORTHORHOMBIC: Final = 16
_MONOCLINIC: Final = 3
_POLAR_ORTHORHOMBIC: Final = range(25, 47)


def conventional_vectors(atoms: Atoms, symprec: float = 1e-3) -> FloatArray:
    """Return the conventional lattice vectors as rows, in the axes of `atoms`.

    Unlike a standardised cell they are not turned.

    Raises:
        DataError: spglib finds no symmetry.
    """
    found = symmetry(atoms, symprec)
    # spglib: (a b c) of the conventional cell are (a b c) P^-1, as columns.
    columns = atoms.cell.array.T @ np.linalg.inv(found.transformation_matrix)
    return np.asarray(columns.T)


def ieee_axes(atoms: Atoms, symprec: float = 1e-3) -> FloatArray:
    """Return X, Y and Z of IEEE 176 as the rows of a rotation.

    ``elastic_tensor.rotate(C, ieee_axes(atoms))`` are the constants in these axes when
    ``C`` is in the axes of `atoms`.

    Raises:
        DataError: spglib finds no symmetry.
    """
    number = int(symmetry(atoms, symprec).number)
    a, b, c = conventional_vectors(atoms, symprec)
    if number >= _TETRAGONAL:
        # Tetragonal, trigonal, hexagonal, cubic: Z along c, X along a.
        return _frame(x=a, z=c)
    if number >= _ORTHORHOMBIC:
        return _orthorhombic(a, b, c, polar=number in _POLAR_ORTHORHOMBIC)
    if number >= _MONOCLINIC:
        return _monoclinic(a, c)
    return _triclinic(atoms)


def _frame(*, x: FloatArray, z: FloatArray) -> FloatArray:
    """Return the right-handed frame with Z along `z` and X as near `x` as may be."""
    third = z / np.linalg.norm(z)
    first = x - third * (x @ third)
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(third, first), third])


def _orthorhombic(
    a: FloatArray, b: FloatArray, c: FloatArray, *, polar: bool
) -> FloatArray:
    """Return the axes with Z shortest and Y longest; a polar axis is always Z."""
    if polar:
        # spglib's standard setting of mm2 has its two-fold axis along c.
        return _frame(x=min((a, b), key=np.linalg.norm), z=c)
    shortest, middle, _ = sorted((a, b, c), key=np.linalg.norm)
    return _frame(x=middle, z=shortest)


def _monoclinic(a: FloatArray, c: FloatArray) -> FloatArray:
    """Return the axes with Z along the shorter edge and Y along the unique axis b.

    The edges are the two shortest of the net normal to b, at an obtuse angle.
    """
    shorter, longer = _reduced(a, c)
    return _frame(x=-longer if longer @ shorter > 0.0 else longer, z=shorter)


def _reduced(a: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the two shortest vectors of a plane net, the shorter first (Gauss)."""
    short, long = sorted((a, c), key=np.linalg.norm)
    while True:
        long = long - np.rint(long @ short / (short @ short)) * short
        if np.linalg.norm(long) >= np.linalg.norm(short) - 1e-10:
            return short, long
        short, long = long, short


def _triclinic(atoms: Atoms) -> FloatArray:
    """Return the axes with Z along c and Y normal to the plane of a and c.

    c < a < b are the edges of the Niggli cell, a at an obtuse angle to c.
    """
    # The reduced cell is not turned.
    edges: FloatArray = np.asarray(spglib.niggli_reduce(atoms.cell.array))
    c, a, _ = sorted(edges, key=np.linalg.norm)
    return _frame(x=-a if a @ c > 0.0 else a, z=c)
