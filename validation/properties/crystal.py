"""Crystals as phonons and slabs need them: standard conventional cells and names."""

from __future__ import annotations

from typing import Any, Final

import spglib
from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.validation.structures import symmetry, with_masses_of

SYMPREC: Final = 1e-3
"""Distance in Å within which atoms count as symmetry-equivalent."""


def spglib_cell(atoms: Atoms) -> tuple[Any, Any, Any]:
    """Return lattice rows, scaled positions, atomic numbers, as spglib takes them."""
    return (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)


def space_group_symbol(atoms: Atoms) -> str:
    """Return the international symbol of the space group, for example ``Fm-3m``.

    Raises:
        DataError: spglib finds no space group, as with atoms on top of each other.
    """
    return str(symmetry(atoms, SYMPREC).international)


def material_name(atoms: Atoms) -> str:
    """Return the reduced formula that references go by, for example ``MgO``."""
    return str(atoms.get_chemical_formula("metal", empirical=True))


def conventional(atoms: Atoms) -> Atoms:
    """Return the standard conventional cell, idealised and in standard orientation.

    Raises:
        DataError: spglib finds no space group.
    """
    # spglib is changing from returning None to raising: both are the same to us.
    try:
        found = spglib.standardize_cell(
            spglib_cell(atoms), to_primitive=False, no_idealize=False, symprec=SYMPREC
        )
    except spglib.SpglibError as error:
        raise _no_symmetry(atoms) from error
    if found is None:
        raise _no_symmetry(atoms)
    lattice, scaled, numbers = found
    cell = Atoms(numbers=numbers, cell=lattice, scaled_positions=scaled, pbc=True)
    return with_masses_of(cell, atoms)


def _no_symmetry(atoms: Atoms) -> DataError:
    return DataError(
        explain(
            "spglib finds no space group",
            got=f"{atoms.get_chemical_formula()}, cell {atoms.cell.lengths().round(3)}",
            wanted="a crystal with a 3D cell and without overlapping atoms",
        )
    )
