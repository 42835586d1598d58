"""Phonons of density-functional theory from the force sets that travel with the code.

A model's phonons are compared with these on the same supercell, the same path and the
same analysis, so that what differs is the forces. Source and licence of the files are
in ``force_sets/README.md``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import phonopy
from ase import Atoms
from phonopy.file_IO import parse_BORN
from phonopy.structure.atoms import PhonopyAtoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.refs.levels import Level

FOLDER: Final = Path(__file__).parent / "force_sets"
LICENCE: Final = "BSD-3-Clause"
SOURCE: Final = "force sets of the phonopy 4.10.0 examples"

_PBE = Level(kind="dft", functional="PBE", code="VASP")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceSet:
    """Displacements and forces of one material from DFT.

    Attributes:
        material: chemical formula.
        space_group: international number of the space group.
        level: level of theory of the forces.
        structure_file: phonopy YAML with cell, supercell and displacements.
        forces_file: ``FORCE_SETS``; empty if the YAML holds the forces.
        born_file: ``BORN``; empty if the material is not polar.
    """

    material: str
    space_group: int
    level: Level
    structure_file: str
    forces_file: str = ""
    born_file: str = ""

    def phonons(self) -> phonopy.Phonopy:
        """Return phonopy's object with symmetrised force constants, without charges.

        The object is made once in each thread and shared there: leave it as it is.
        """
        return _load(self, threading.get_ident())

    def born_charges(self) -> Mapping[str, Any] | None:
        """Return phonopy's ``nac_params``: Born charges, dielectric tensor; or None."""
        if not self.born_file:
            return None
        born: Mapping[str, Any] = parse_BORN(
            self.phonons().primitive,
            filename=str(FOLDER / self.material / self.born_file),
        )
        return born


@cache
def _load(item: ForceSet, _thread: int) -> phonopy.Phonopy:
    # One object per thread: phonopy keeps its last mesh in the object, and two engines
    # that are validated beside each other would take each other's.
    # Every file is named, since phonopy otherwise picks up a FORCE_SETS or BORN that
    # happens to lie in the current directory.
    folder = FOLDER / item.material
    return phonopy.load(
        str(folder / item.structure_file),
        force_sets_filename=str(folder / item.forces_file)
        if item.forces_file
        else None,
        primitive_matrix=_CENTRING[item.material],
        is_nac=False,
        symmetrize_fc=True,
        log_level=0,
    )


# Spelled out: phonopy warns when "auto" finds a matrix other than the identity.
_CENTRING: Final[dict[str, Literal["P", "F"]]] = {"MgO": "F", "NaCl": "F", "Si": "P"}

FORCE_SETS: Final = {
    item.material: item
    for item in (
        ForceSet(
            material="MgO",
            space_group=225,
            level=_PBE,
            structure_file="phonopy_disp.yaml",
            forces_file="FORCE_SETS",
            born_file="BORN",
        ),
        ForceSet(
            material="NaCl",
            space_group=225,
            level=_PBE,
            structure_file="phonopy_disp.yaml",
            forces_file="FORCE_SETS",
            born_file="BORN",
        ),
        ForceSet(
            material="Si",
            space_group=227,
            level=_PBE,
            structure_file="phonopy_params_Si.yaml",
        ),
    )
}


def force_set(material: str) -> ForceSet:
    """Return the force set of a material.

    Raises:
        ConfigError: there is none; the message lists what there is.
    """
    if material not in FORCE_SETS:
        raise ConfigError(
            explain(
                "no DFT force set for this material",
                got=material,
                wanted=f"one of {', '.join(sorted(FORCE_SETS))}",
                fix="run the phonons without a reference",
            )
        )
    return FORCE_SETS[material]


def to_ase(cell: PhonopyAtoms) -> Atoms:
    """Return phonopy's structure as ASE atoms, periodic in all directions."""
    return Atoms(
        symbols=cell.symbols,
        scaled_positions=cell.scaled_positions,
        cell=cell.cell,
        pbc=True,
    )


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """Return ASE atoms as phonopy's structure; masses are phonopy's own."""
    return PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        scaled_positions=atoms.get_scaled_positions(),
        cell=atoms.cell.array,
    )
