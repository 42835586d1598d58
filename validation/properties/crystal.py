"""Crystals as phonons and slabs need them: standard conventional cells and names."""

from __future__ import annotations

from typing import Final

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from lamplighter.errors import DataError, explain

SYMPREC: Final = 1e-3
"""Distance in Å within which atoms count as symmetry-equivalent."""


def spglib_cell(
    atoms: Atoms,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return lattice rows, scaled positions and atomic numbers, as spglib takes them."""
    return (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)


def space_group_symbol(atoms: Atoms) -> str:
    """Return the international symbol of the space group, for example ``Fm-3m``.

    Raises:
        DataError: spglib finds no space group, as with atoms on top of each other.
    """
    found = spglib.get_symmetry_dataset(spglib_cell(atoms), symprec=SYMPREC)
    if found is None:
        problem = "spglib finds no space group"
        got = f"{atoms.get_chemical_formula()}, cell {atoms.cell.lengths().round(3)}"
        raise DataError(explain(problem, got=got, wanted="a crystal with a 3D cell"))
    return str(found.international)


def material_name(atoms: Atoms) -> str:
    """Return the reduced formula that references go by, for example ``MgO``."""
    return str(atoms.get_chemical_formula("metal", empirical=True))


def conventional(atoms: Atoms) -> Atoms:
    """Return the standard conventional cell, idealised and in standard orientation.

    Raises:
        DataError: spglib finds no space group.
    """
    space_group_symbol(atoms)
    lattice, scaled, numbers = spglib.standardize_cell(
        spglib_cell(atoms), to_primitive=False, no_idealize=False, symprec=SYMPREC
    )
    return Atoms(numbers=numbers, cell=lattice, scaled_positions=scaled, pbc=True)
