"""Equations of state E(V): third-order Birch-Murnaghan and Vinet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import least_squares

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import FloatArray

_FLAT: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class EquationOfState:
    """The minimum of an energy-volume curve.

    Attributes:
        energy: Minimum energy, in the unit of the energies.
        volume: Volume of the minimum, in the unit of the volumes.
        bulk_modulus: ``V d2E/dV2`` at the minimum, energy per volume.
        derivative: ``dB/dP`` at the minimum, without unit.
        r2: Coefficient of determination of the fit.
    """

    energy: float
    volume: float
    bulk_modulus: float
    derivative: float
    r2: float


def birch_murnaghan(
    volumes: FloatArray, volume: float, modulus: float, derivative: float
) -> FloatArray:
    """Return the Birch-Murnaghan energy above the minimum.

    Source: F. Birch, Phys. Rev. 71, 809 (1947).
    """
    f = (volume / volumes) ** (2.0 / 3.0) - 1.0
    cubic = f**3 * derivative + f**2 * (6.0 - 4.0 * (f + 1.0))
    return np.asarray(9.0 / 16.0 * volume * modulus * cubic)


def vinet(
    volumes: FloatArray, volume: float, modulus: float, derivative: float
) -> FloatArray:
    """Return the Vinet energy above the minimum.

    Source: P. Vinet et al., J. Phys.: Condens. Matter 1, 1941 (1989).
    """
    eta = 1.5 * (derivative - 1.0)
    if abs(eta) < _FLAT:
        eta = _FLAT  # the limit of B' = 1, where the formula is 0 / 0
    x = (volumes / volume) ** (1.0 / 3.0)
    decay = np.exp(eta * (1.0 - x))
    inner = 1.0 - (1.0 + eta * (x - 1.0)) * decay
    return np.asarray(9.0 * modulus * volume / eta**2 * inner)


def fit_birch_murnaghan(volumes: FloatArray, energies: FloatArray) -> EquationOfState:
    """Return the least-squares fit, exact and without a start value.

    The energy is a cubic polynomial in ``V^(-2/3)``; its four coefficients are the four
    parameters.

    Raises:
        DataError: If there is no minimum with positive curvature near the points.
    """
    # Scaled to about 1, so that the normal equations are well conditioned.
    reference = float(np.mean(volumes))
    x = (volumes / reference) ** (-2.0 / 3.0)
    shift = float(np.mean(energies))
    d, c, b, a = np.polyfit(x - 1.0, energies - shift, 3)
    roots = np.roots([3.0 * d, 2.0 * c, b])
    roots = roots[np.abs(roots.imag) < 1e-12].real
    # A cubic has a minimum somewhere: one far from the points says nothing.
    low, high = float(x.min()) - 1.0, float(x.max()) - 1.0
    stable = [
        float(r)
        for r in roots
        if 6.0 * d * r + 2.0 * c > 0.0 and 2 * low - high < r < 2 * high - low
    ]
    if not stable:
        raise DataError(
            explain(
                "the energies have no minimum as a function of volume",
                got=f"energies from {energies.min():.6f} to {energies.max():.6f}",
                wanted="a convex curve with its minimum inside",
                fix="relax the crystal first, or take a smaller span",
            )
        )
    root = min(stable, key=abs)
    volume = reference * (1.0 + root) ** (-1.5)
    # Derivatives by x at the minimum turned into derivatives by V.
    second, third = 6.0 * d * root + 2.0 * c, 6.0 * d
    x1 = -2.0 / 3.0 * (1.0 + root) / volume
    x2 = 10.0 / 9.0 * (1.0 + root) / volume**2
    curvature = second * x1**2
    slope = third * x1**3 + 3.0 * second * x1 * x2
    return EquationOfState(
        energy=float(shift + a + root * (b + root * (c + root * d))),
        volume=volume,
        bulk_modulus=float(volume * curvature),
        derivative=float(-(1.0 + volume * slope / curvature)),
        r2=_r2(energies - shift, np.polyval([d, c, b, a], x - 1.0)),
    )


def fit_vinet(
    volumes: FloatArray, energies: FloatArray, start: EquationOfState
) -> EquationOfState:
    """Return the least-squares fit from a start close to the solution."""
    scale = float(np.ptp(energies))
    guess = np.array([0.0, 1.0, 1.0, 1.0])

    def parameters(p: FloatArray) -> tuple[float, float, float, float]:
        return (
            float(start.energy + p[0] * scale),
            float(start.volume * p[1]),
            float(start.bulk_modulus * p[2]),
            float(start.derivative * p[3]),
        )

    def residual(p: FloatArray) -> FloatArray:
        energy, *rest = parameters(p)
        return np.asarray((energy + vinet(volumes, *rest) - energies) / scale)

    solution = least_squares(residual, guess, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    energy, volume, modulus, derivative = parameters(solution.x)
    return EquationOfState(
        energy=energy,
        volume=volume,
        bulk_modulus=modulus,
        derivative=derivative,
        r2=_r2(energies, energy + vinet(volumes, volume, modulus, derivative)),
    )


def pressure(volumes: FloatArray, fit: EquationOfState) -> FloatArray:
    """Return the Birch-Murnaghan pressure ``-dE/dV``, energy per volume."""
    y = (fit.volume / volumes) ** (1.0 / 3.0)
    factor = 1.0 + 0.75 * (fit.derivative - 4.0) * (y**2 - 1.0)
    return np.asarray(1.5 * fit.bulk_modulus * (y**7 - y**5) * factor)


def _r2(values: FloatArray, fitted: FloatArray) -> float:
    total = float(np.sum((values - values.mean()) ** 2))
    return 1.0 - float(np.sum((values - fitted) ** 2)) / total
