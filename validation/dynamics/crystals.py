"""Crystals in dynamics: supercells, whether the atoms still are at their sites."""

from __future__ import annotations

from typing import Final

import numpy as np
from ase import Atoms

from lamplighter.validation.dynamics.base import FloatArray
from lamplighter.validation.properties.base import Check
from lamplighter.validation.properties.extensivity import nearest_distance
from lamplighter.validation.properties.force_constants import diagonal_supercell

LINDEMANN: Final = 0.15
"""Root mean square displacement over the nearest distance at which crystals melt."""


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
