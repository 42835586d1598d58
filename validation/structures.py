"""Crystals: standard primitive cells, point groups, homogeneous strain."""

from __future__ import annotations

from typing import Any

import numpy as np
import spglib
from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import FloatArray

# First numbers of the cubic, and of the tetragonal, trigonal and hexagonal groups.
CUBIC = 195
UNIAXIAL = 75

# Voigt order of this project: xx yy zz yz xz xy.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def symmetry(atoms: Atoms, symprec: float = 1e-3) -> spglib.SpglibDataset:
    """Return what spglib knows about the symmetry of a crystal.

    Raises:
        DataError: If it finds none, as with overlapping atoms or a flat cell.
    """
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    # spglib is changing from returning None to raising: both are the same to us.
    try:
        found = spglib.get_symmetry_dataset(cell, symprec=symprec)
    except spglib.SpglibError as error:
        raise _no_symmetry(atoms, str(error)) from error
    if found is None:
        raise _no_symmetry(atoms, "no reason given")
    return found


def need_crystal(atoms: Atoms) -> None:
    """Refuse what a standard cell would silently make periodic.

    Raises:
        DataError: If the structure is not periodic in three directions.
    """
    if len(atoms) and atoms.cell.rank == 3 and atoms.pbc.all():
        return
    raise DataError(
        explain(
            f"{atoms.get_chemical_formula() or 'an empty structure'} is no crystal",
            got=f"{len(atoms)} atoms, {atoms.cell.rank} lattice vectors, "
            f"pbc {[bool(one) for one in atoms.pbc]}",
            wanted="atoms in a cell that is periodic in three directions",
            fix="set pbc=True, or take a property of molecules or surfaces",
        )
    )


def standard_primitive(atoms: Atoms, symprec: float = 1e-3) -> Atoms:
    """Return the primitive cell in the standard orientation of its space group.

    Tensors computed from it are in the standard crystal axes: for a cubic crystal the
    cube edges, for a hexagonal one a along x and c along z.

    Raises:
        DataError: If spglib finds no symmetry.
    """
    found = symmetry(atoms, symprec)
    cell: Any = (found.std_lattice, found.std_positions, found.std_types)
    primitive: Any = spglib.find_primitive(cell, symprec=symprec)
    lattice, positions, numbers = primitive
    standard = Atoms(
        numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True
    )
    return with_masses_of(standard, atoms)


def with_masses_of(atoms: Atoms, source: Atoms) -> Atoms:
    """Return `atoms` with the masses of the elements of `source`, if it sets any.

    A standard cell has other atoms than the cell it comes from, so that isotopes go by
    element.

    Raises:
        DataError: If one element has several masses: there is no saying which atom of
            the standard cell has which.
    """
    if not source.has("masses"):
        return atoms
    known: dict[str, float] = {}
    for symbol, mass in zip(source.symbols, source.get_masses(), strict=True):
        if abs(known.setdefault(symbol, float(mass)) - mass) > 1e-9:
            raise DataError(
                explain(
                    f"the atoms of {symbol} have several masses",
                    got=f"{known[symbol]:g} and {mass:g} amu",
                    wanted="one mass for each element",
                    fix="give all atoms of an element their mean mass",
                )
            )
    atoms.set_masses([known[symbol] for symbol in atoms.symbols])
    return atoms


def point_group(atoms: Atoms, symprec: float = 1e-3) -> FloatArray:
    """Return the Cartesian rotations ``[n, 3, 3]`` of the point group.

    Column convention: a rotated vector is ``R @ v``. Improper rotations are included.

    Raises:
        DataError: If spglib finds no symmetry.
    """
    columns = atoms.cell.array.T
    unique = np.unique(symmetry(atoms, symprec).rotations, axis=0)
    return np.asarray(columns @ unique @ np.linalg.inv(columns))


def is_cubic(atoms: Atoms, symprec: float = 1e-3) -> bool:
    """Return whether the crystal system is cubic.

    Raises:
        DataError: If spglib finds no symmetry.
    """
    # The rotations of a cubic group leave no vector and no axis invariant: the average
    # of R (x) R over the group is isotropic.
    rotations = point_group(atoms, symprec)
    average = np.einsum("nia,njb->ijab", rotations, rotations) / len(rotations)
    probe = np.einsum("ijab,ab->ij", average, np.diag([1.0, -2.0, 1.0]))
    return bool(len(rotations) >= 12 and np.abs(probe).max() < 1e-8)


def strain_tensor(component: int, size: float) -> FloatArray:
    """Return the symmetric strain ``[3, 3]`` of one Voigt component.

    Args:
        component: 0 to 5 for xx yy zz yz xz xy.
        size: The Voigt strain: for a shear the engineering strain, twice the element
            of the tensor.
    """
    i, j = VOIGT[component]
    strain = np.zeros((3, 3))
    strain[i, j] += size / 2.0
    strain[j, i] += size / 2.0
    return strain


def strained(atoms: Atoms, strain: FloatArray) -> Atoms:
    """Return the structure deformed by ``1 + strain``, scaled positions kept.

    Args:
        atoms: The structure; it is not changed.
        strain: ``[3, 3]`` symmetric (Biot) strain.
    """
    deformed: Atoms = atoms.copy()
    deformed.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return deformed


def to_voigt(stress: FloatArray) -> FloatArray:
    """Return the six components xx yy zz yz xz xy of a symmetric ``[3, 3]`` tensor."""
    return np.array([(stress[i, j] + stress[j, i]) / 2.0 for i, j in VOIGT])


def _no_symmetry(atoms: Atoms, reason: str) -> DataError:
    return DataError(
        explain(
            "the symmetry of the structure could not be found",
            got=f"{atoms.get_chemical_formula()}: {reason}",
            wanted="a periodic crystal without overlapping atoms",
            fix="look at the structure, or change symprec",
        )
    )
