"""Elastic constants from stresses that somebody else computed.

Deformed cells come as they are, of any size and with any rotation in them, so that the
strain is taken from the deformation gradient. Two measures of it serve: the size of the
strain divided into the Cauchy stress, as most tables do, and Green-Lagrange strain with
the second Piola-Kirchhoff stress, whose derivative is the same at zero strain and which
no rotation changes. Their difference at a finite strain is the error bar.

Source: D. C. Wallace, Thermodynamics of Crystals (1972), chapter 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.structures import VOIGT, to_voigt

# Fraction of the main component that may lie in other components of one strain.
_PURE = 1e-3
# Relative difference of sizes that still counts as a pair of opposite strains.
_SAME_SIZE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublishedStiffness:
    """A stiffness from strained cells.

    Attributes:
        stiffness: [6, 6] GPa, rows are stresses, columns strains, not symmetrised.
        error: [6, 6] GPa, difference of the two measures of stress and strain.
        size: Voigt strains that were used, one for each column.
    """

    stiffness: FloatArray
    error: FloatArray
    size: FloatArray


def stiffness_of_strained_cells(
    gradients: FloatArray, stresses: FloatArray, size: float | None = None
) -> PublishedStiffness:
    """Return the stiffness by central differences of given stresses.

    Args:
        gradients: [n, 3, 3], deformation gradients F: a vector x becomes F x.
        stresses: [n, 3, 3], Cauchy stress in GPa, tension positive.
        size: which tensor strain to use, within 0.1 %; ``None`` takes the smallest
            that comes with both signs.

    Raises:
        DataError: a strain is not of one Voigt component, or a component lacks a pair
            of opposite strains.
    """
    strains = np.array([to_voigt(_green(f)) for f in gradients])
    strains[:, 3:] *= 2.0  # engineering shears
    piola = np.array(
        [to_voigt(_piola(f, s)) for f, s in zip(gradients, stresses, strict=True)]
    )
    cauchy = np.array([to_voigt(stress) for stress in stresses])
    stiffness, error, used = np.zeros((6, 6)), np.zeros((6, 6)), np.zeros(6)
    for column in range(6):
        minus, plus = _pair(strains, column, size)
        width = strains[plus, column] - strains[minus, column]
        stiffness[:, column] = (cauchy[plus] - cauchy[minus]) / width
        other = (piola[plus] - piola[minus]) / width
        error[:, column] = np.abs(other - stiffness[:, column])
        used[column] = width / 2.0
    return PublishedStiffness(stiffness=stiffness, error=error, size=used)


def _green(gradient: FloatArray) -> FloatArray:
    return np.asarray((gradient.T @ gradient - np.eye(3)) / 2.0)


def _piola(gradient: FloatArray, stress: FloatArray) -> FloatArray:
    inverse = np.linalg.inv(gradient)
    return np.asarray(np.linalg.det(gradient) * inverse @ stress @ inverse.T)


def _pair(
    strains: FloatArray, column: int, size: float | None
) -> tuple[np.intp, np.intp]:
    """Return the indices of the negative and the positive strain of a component."""
    rest = np.delete(np.abs(strains), column, axis=1).max(axis=1)
    largest = np.abs(strains[:, column])
    pure = np.flatnonzero((rest < _PURE * largest) & (largest > 0.0))
    # An engineering shear is twice the element of the tensor, by which sizes go.
    factor = 1.0 if column < 3 else 2.0
    values = strains[pure, column] / factor
    for target in np.sort(values[values > 0.0]) if size is None else (size,):
        found = [
            pure[np.abs(values - sign * target) < _SAME_SIZE * target]
            for sign in (-1.0, 1.0)
        ]
        if all(len(some) == 1 for some in found):
            return found[0][0], found[1][0]
    i, j = VOIGT[column]
    raise DataError(
        explain(
            f"no pair of opposite strains for {'xyz'[i]}{'xyz'[j]}",
            got=f"pure strains {np.round(np.sort(values), 5).tolist()}",
            wanted="the same size with both signs" if size is None else f"±{size}",
            fix="add the missing cells, or name a size that is there",
        )
    )
