"""Is a crystal dynamically stable: a verdict that knows its own noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from phonopy import Phonopy

from lamplighter.validation.properties.bands import FloatArray
from lamplighter.validation.properties.base import Check
from lamplighter.validation.properties.spectra import (
    commensurate_points,
    frequencies_at,
)

_N_ACOUSTIC: Final = 3

Verdict = Literal["stable", "unstable", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The verdict on imaginary modes and what it rests on.

    Attributes:
        verdict: ``stable``: no imaginary mode. ``unstable``: one at a wave vector that
            fits the supercell, where the force constants are exact, and beyond the
            noise. ``undecided``: within the noise, or only between such wave vectors,
            where the frequency is interpolated.
        lowest_exact: lowest frequency at the wave vectors that fit the supercell, THz;
            at Γ the three acoustic modes are left out.
        qpoint: where that is, fractions of the reciprocal vectors.
        lowest_mesh: lowest frequency on a fine mesh outside a sphere around Γ, THz.
        limit: frequencies below minus this, THz, are imaginary.
        noise: THz, what errors of the size found in the forces do to the lowest modes.
    """

    verdict: Verdict
    lowest_exact: float
    qpoint: tuple[float, float, float]
    lowest_mesh: float
    limit: float
    noise: float

    def check(self) -> Check:
        """Return the soft check that goes into a record."""
        reason = {
            "stable": "no imaginary mode",
            "unstable": "imaginary modes at "
            f"{[round(x, 4) for x in self.qpoint]} (reduced)",
            "undecided": "the lowest mode is within the noise of the forces"
            if min(self.lowest_exact, self.lowest_mesh) >= -self.noise
            else "imaginary only where interpolated; take a larger supercell",
        }[self.verdict]
        lowest = min(self.lowest_exact, self.lowest_mesh)
        return Check(
            name="imaginary modes",
            ok=self.verdict == "stable",
            value=lowest,
            limit=-self.limit,
            text=f"{self.verdict}: {reason}; lowest frequency {lowest:.3f} THz "
            f"({self.lowest_exact:.3f} at wave vectors that fit the supercell), noise "
            f"floor {self.noise:.3f} THz",
            hard=False,
        )


def judge_stability(
    phonons: Phonopy, lowest_mesh: float, *, limit: float, noise: float
) -> Stability:
    """Return the verdict for force constants.

    Args:
        phonons: phonopy's object with force constants and without charges.
        lowest_mesh: THz, of a fine mesh outside a sphere around Γ.
        limit: frequencies below minus this, THz, are imaginary.
        noise: noise floor in THz.
    """
    points = commensurate_points(phonons)
    lowest = lowest_modes(points, frequencies_at(phonons, points))
    worst = int(np.argmin(lowest))
    exact = float(lowest[worst])
    verdict: Verdict = "undecided"
    if min(exact, lowest_mesh) >= -limit:
        verdict = "stable"
    elif exact < -max(limit, noise):
        verdict = "unstable"
    one, two, three = map(float, points[worst])
    return Stability(
        verdict=verdict,
        lowest_exact=exact,
        qpoint=(one, two, three),
        lowest_mesh=lowest_mesh,
        limit=limit,
        noise=noise,
    )


def lowest_modes(points: FloatArray, frequencies: FloatArray) -> FloatArray:
    """Return the lowest frequency at each wave vector, at Γ without acoustic modes.

    Args:
        points: [n_q, 3].
        frequencies: [n_q, n_branches], THz.

    Returns:
        [n_q]; infinite at Γ of a crystal with one atom in its cell.
    """
    lowest = np.empty(len(points))
    for index, (q, modes) in enumerate(zip(points, frequencies, strict=True)):
        optical = modes
        if np.abs(q - np.rint(q)).max() < 1e-9:
            optical = modes[np.argsort(np.abs(modes))[_N_ACOUSTIC:]]
        lowest[index] = optical.min() if len(optical) else np.inf
    return lowest
