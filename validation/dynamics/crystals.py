"""Crystals in dynamics: supercells, whether the atoms still are at their sites."""

from __future__ import annotations

from typing import Final

import numpy as np
from ase import Atoms

from lamplighter.validation.dynamics.base import (
    FloatArray,
    Trajectory,
    block_means,
    standard_error,
)
from lamplighter.validation.properties.base import Check, at_most
from lamplighter.validation.properties.extensivity import nearest_distance
from lamplighter.validation.properties.force_constants import diagonal_supercell

LINDEMANN: Final = 0.15
"""Root mean square displacement over the nearest distance at which crystals melt."""

WRONG_TEMPERATURE: Final = 0.1
"""Fraction by which a mean temperature may be off before the run is another one."""

_N_PARTS: Final = 5


def supercell_of(unit: Atoms, length: float) -> Atoms:
    """Return the smallest diagonal supercell whose faces are `length` Å apart."""
    repeats = np.diag(diagonal_supercell(unit, length))
    cell: Atoms = unit.repeat([int(number) for number in repeats])
    return cell


def displacements(positions: FloatArray, crystal: Atoms) -> FloatArray:
    """Return moves [n, n_atoms, 3] from the sites, Å, without those of the whole.

    Args:
        positions: [n, n_atoms, 3], never wrapped.
        crystal: its positions are the sites.
    """
    moves = positions - crystal.positions
    masses = crystal.get_masses()[None, :, None]
    return np.asarray(
        moves - (masses * moves).sum(axis=1, keepdims=True) / masses.sum()
    )


def still_a_crystal(moves: FloatArray, crystal: Atoms) -> Check:
    """Return the check that atoms stay near their sites.

    Source: Lindemann, Phys. Z. 11, 609 (1910).
    """
    spread = float(np.sqrt((moves**2).sum(axis=2).mean(axis=0)).max())
    ratio = spread / nearest_distance(crystal)
    return Check(
        name="atoms stay at their sites",
        ok=bool(ratio < LINDEMANN),
        value=ratio,
        limit=LINDEMANN,
        text="largest root mean square displacement over the nearest distance; beyond "
        "the limit the crystal has melted or changed",
    )


def at_temperature(
    trajectory: Trajectory, first: int, n_atoms: int, wanted: float
) -> Check:
    """Return the check that the thermostat held its temperature.

    Args:
        trajectory: with a thermostat.
        first: sample with which the equilibrated part begins.
        n_atoms: of the crystal.
        wanted: K.
    """
    found = trajectory.temperature(n_atoms)[first:]
    parts = block_means(found, min(_N_PARTS, len(found)))
    error = float(standard_error(parts)) if len(parts) > 1 else 0.0
    away = abs(float(parts.mean()) - wanted) - 3 * error
    return at_most(
        "temperature of the run",
        max(0.0, away) / wanted,
        WRONG_TEMPERATURE,
        f"mean {parts.mean():.1f} of {wanted:g} K: deviation beyond three error bars, "
        "as a fraction; equilibrate longer, or shorten the time step",
    )
