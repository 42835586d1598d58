"""Linear least squares that says what its data do not determine, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np

from lamplighter.arrays import Floats

RANK_TOLERANCE = 1e-8
"""Singular values below this fraction of the largest count as zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What the equations say.

    Attributes:
        values: [n], the solution of smallest norm.
        uncertainties: [n], one standard deviation; infinite where the equations do not
            determine a value, or leave none to spare.
        null: [n_free, n], directions that no equation sees, in reduced row-echelon
            form.
        n_rows: number of equations.
    """

    values: Floats
    uncertainties: Floats
    null: Floats
    n_rows: int

    def free(self, names: Sequence[str]) -> list[str]:
        """Return the names of the values that are not determined."""
        size = np.abs(self.null).max(axis=0, initial=0.0)
        return [name for name, s in zip(names, size, strict=True) if s > 1e-6]

    def combinations(self, names: Sequence[str]) -> list[str]:
        """Return the directions in words, ``"2 Mg - O"``: along them all fits alike."""
        return [_in_words(row, names) for row in self.null]


class LeastSquares:
    """Equations in any number of parts; what is kept does not grow with them.

    Only the triangular factor of a QR decomposition is kept, which is as accurate as
    solving all equations at once (normal equations would not be).

    Source: J. Demmel et al., SIAM J. Sci. Comput. 34, A206 (2012), sequential QR.
    """

    def __init__(self, n: int) -> None:
        """Start without equations for `n` unknowns."""
        self._n = n
        self._factor: Floats = np.zeros((0, n + 1))
        self._n_rows = 0

    def add(self, rows: Floats, targets: Floats) -> None:
        """Add the equations ``rows [k, n] @ x = targets [k]``."""
        new = np.hstack([rows, targets[:, None]])
        stacked = np.vstack([self._factor, new])
        self._factor = cast("Floats", np.linalg.qr(stacked, mode="r"))
        self._n_rows += len(rows)

    def solve(self) -> Solution:
        """Return the solution of all equations so far."""
        matrix, target = self._factor[:, : self._n], self._factor[:, self._n]
        left, values, right = np.linalg.svd(matrix, full_matrices=True)
        kept = values > RANK_TOLERANCE * values.max(initial=0.0)
        rank = int(kept.sum())
        inverse = right[:rank].T / values[:rank]
        found = inverse @ (left[:, :rank].T @ target)
        null = _echelon(right[rank:])
        return Solution(
            values=found,
            uncertainties=self._uncertainties(matrix @ found - target, inverse, null),
            null=null,
            n_rows=self._n_rows,
        )

    def _uncertainties(self, residual: Floats, inverse: Floats, null: Floats) -> Floats:
        spare = self._n_rows - inverse.shape[1]
        if spare <= 0:
            return np.full(self._n, np.inf)
        errors = np.sqrt(float(residual @ residual) / spare * (inverse**2).sum(axis=1))
        unseen = np.abs(null).max(axis=0, initial=0.0) > 1e-6
        return np.asarray(np.where(unseen, np.inf, errors), dtype=float)


def _echelon(rows: Floats) -> Floats:
    """Return a basis of the same space in reduced row-echelon form."""
    rows = rows.copy()
    done = 0
    for column in range(rows.shape[1]):
        if done == len(rows):
            break
        pivot = done + int(np.abs(rows[done:, column]).argmax())
        if abs(rows[pivot, column]) < 1e-6:
            continue
        rows[[done, pivot]] = rows[[pivot, done]]
        rows[done] /= rows[done, column]
        others = np.arange(len(rows)) != done
        rows[others] -= rows[others, column, None] * rows[done]
        done += 1
    rows[np.abs(rows) < 1e-9] = 0.0
    return rows


def _in_words(row: Floats, names: Sequence[str]) -> str:
    """Return ``"2 Mg - O"``: whole numbers where they are simple."""
    parts = [Fraction(float(x)).limit_denominator(24) for x in row]
    if np.allclose([float(p) for p in parts], row, atol=1e-6):
        common = np.lcm.reduce([p.denominator for p in parts])
        row = np.array([float(p * int(common)) for p in parts])
    words = ""
    for x, name in zip(row, names, strict=True):
        if abs(x) > 1e-6:
            sign = " - " if x < 0 else " + "
            size = "" if abs(abs(x) - 1) < 1e-6 else f"{abs(x):.3g} "
            words += (sign if words or x < 0 else "") + size + name
    return words.strip()
