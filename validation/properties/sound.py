"""Sound in crystals: Christoffel's equation, averages over directions, Debye's theory.

Stiffnesses are ``[6, 6]`` Voigt matrices in GPa, densities kg/m^3, velocities m/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike
from scipy import constants

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.properties.elastic_tensor import averages, to_tensor

_PA_PER_GPA: Final = 1e9
_KG_PER_M3: Final = constants.atomic_mass * 1e30
"""kg/m^3 of one amu/Å^3."""

# Gauss-Legendre points in cos(theta) and twice as many azimuths: the mean velocity of
# strongly anisotropic crystals (lead, A = 4) is converged to 1e-5.
_POLAR: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Debye:
    """Debye's theory of a crystal from its elastic constants.

    Attributes:
        velocity: m/s, ``(1/3 sum <v^-3>)^(-1/3)`` over modes and directions.
        temperature: K.
    """

    velocity: float
    temperature: float


def density(atoms: Atoms) -> float:
    """Return the mass density in kg/m^3."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * _KG_PER_M3)


def christoffel(stiffness: ArrayLike, rho: float, direction: ArrayLike) -> FloatArray:
    """Return the three phase velocities along a direction, m/s, ascending.

    Args:
        stiffness: [6, 6] GPa.
        rho: kg/m^3.
        direction: [3] or [n, 3], any length, in the axes of the stiffness.

    Returns:
        [3] or [n, 3].

    Raises:
        DataError: a wave would grow: the crystal is unstable along this direction.
    """
    n = np.asarray(direction, dtype=float)
    n = n / np.linalg.norm(n, axis=-1, keepdims=True)
    tensor = to_tensor(np.asarray(stiffness)) * _PA_PER_GPA
    matrix = np.einsum("...j,ijkl,...l->...ik", n, tensor, n)
    moduli = np.linalg.eigvalsh(matrix)
    if moduli.min() < 0.0:
        raise DataError(
            explain(
                "no sound velocity in an unstable crystal",
                got=f"rho v^2 = {moduli.min() / _PA_PER_GPA:.2f} GPa",
                wanted="positive",
                fix="see the Born stability of the elastic constants",
            )
        )
    return np.asarray(np.sqrt(moduli / rho))


def polarisations(
    stiffness: FloatArray, direction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return ``rho v^2`` in GPa, ascending, and the polarisations as columns.

    Args:
        stiffness: [6, 6] GPa.
        direction: [3].
    """
    n = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    matrix = np.einsum("j,ijkl,l->ik", n, to_tensor(stiffness), n)
    moduli, vectors = np.linalg.eigh(matrix)
    return np.asarray(moduli), np.asarray(vectors)


def isotropic_velocities(stiffness: FloatArray, rho: float) -> tuple[float, float]:
    """Return longitudinal and transverse velocity of the Hill average, m/s.

    Source: O. L. Anderson, J. Phys. Chem. Solids 24, 909 (1963).
    """
    mean = averages(stiffness)
    longitudinal = (mean.bulk + 4.0 / 3.0 * mean.shear) * _PA_PER_GPA / rho
    return float(np.sqrt(longitudinal)), float(np.sqrt(mean.shear * _PA_PER_GPA / rho))


def debye(stiffness: FloatArray, crystal: Atoms) -> Debye:
    """Return mean velocity and Debye temperature, exact for this stiffness.

    The average runs over all directions; no isotropic average is made first.

    Raises:
        DataError: the crystal is unstable.

    Source: G. A. Alers, in Physical Acoustics III B (1965).
    """
    nodes, weights = np.polynomial.legendre.leggauss(_POLAR)
    azimuth = np.arange(2 * _POLAR) * np.pi / _POLAR
    sine = np.sqrt(1.0 - nodes**2)
    directions = np.stack(
        [
            np.outer(sine, np.cos(azimuth)),
            np.outer(sine, np.sin(azimuth)),
            np.outer(nodes, np.ones_like(azimuth)),
        ],
        axis=-1,
    )
    slowness = (christoffel(stiffness, density(crystal), directions) ** -3.0).mean(-1)
    mean = float(weights @ slowness.mean(axis=1)) / 2.0
    velocity = mean ** (-1.0 / 3.0)
    per_volume = len(crystal) / crystal.get_volume() * 1e30
    wave = (6.0 * np.pi**2 * per_volume) ** (1.0 / 3.0)
    temperature = constants.hbar * wave * velocity / constants.k
    return Debye(velocity=velocity, temperature=float(temperature))
