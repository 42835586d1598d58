"""Numbers of a deck that follow from its structure."""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
from ase import Atoms

Coupling = Literal["iso", "aniso", "tri"]

_HYDROGEN_MASS: Final = 1.008
_HYDROGEN_STEP: Final = 0.0005
_LARGEST_STEP: Final = 0.002
_GRID: Final = 0.00025
_SAME: Final = 1e-3


def timestep_of(atoms: Atoms) -> float:
    """Return a time step in ps that resolves the fastest vibration.

    Half a femtosecond for hydrogen, growing with the square root of the lightest mass,
    at most two femtoseconds; rounded down to a quarter of a femtosecond.
    """
    lightest = float(min(atoms.get_masses()))
    step = _HYDROGEN_STEP * math.sqrt(lightest / _HYDROGEN_MASS)
    return max(1, math.floor(min(step, _LARGEST_STEP) / _GRID + 1e-9)) * _GRID


def coupling_of(atoms: Atoms) -> Coupling:
    """Return how the barostat may change the cell: the shape is kept where it is known.

    Three equal edges at right angles: all together; right angles: each edge by itself;
    otherwise edges and angles.
    """
    lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
    if np.abs(angles - 90.0).max() > _SAME:
        return "tri"
    if np.ptp(lengths) > _SAME * lengths.mean():
        return "aniso"
    return "iso"


def smallest_height(atoms: Atoms) -> float:
    """Return the smallest distance in Å between faces of the cell that are periodic."""
    heights = [
        atoms.cell.volume
        / np.linalg.norm(np.cross(atoms.cell[i - 2], atoms.cell[i - 1]))
        for i in range(3)
        if atoms.pbc[i]
    ]
    return float(min(heights, default=math.inf))


def in_a_box(atoms: Atoms, *, margin: float = 5.0) -> Atoms:
    """Return the structure in a cell that LAMMPS can hold.

    Periodic directions keep their cell; atoms are moved into it. Along others the cell
    ends `margin` Å beyond the outermost atoms.
    """
    boxed: Atoms = atoms.copy()
    boxed.calc = None
    boxed.wrap()
    free = [i for i in range(3) if not atoms.pbc[i]]
    if free:
        boxed.center(vacuum=margin, axis=tuple(free))
    return boxed
