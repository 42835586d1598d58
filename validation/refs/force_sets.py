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

import numpy as np
import phonopy
import yaml
from ase import Atoms
from ase.units import Bohr
from phonopy import Phonopy
from phonopy.file_IO import parse_BORN, parse_FORCE_SETS
from phonopy.interface.vasp import read_vasp
from phonopy.structure.atoms import PhonopyAtoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.refs.levels import Level

FOLDER: Final = Path(__file__).parent / "force_sets"
LICENCE: Final = "BSD-3-Clause"
SOURCE: Final = "force sets of the phonopy 4.10.0 examples"

BOHR: Final = float(Bohr)
"""Å."""

# Fractions of the cell; and elementary charges, by which equal atoms may differ.
_SAME_PLACE: Final = 0.1
_SAME_CHARGE: Final = 0.02

Centring = Literal["P", "F", "I", "A", "C", "R"]

_PBE = Level(kind="dft", functional="PBE", code="VASP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Displaced:
    """One displacement of a force set.

    Attributes:
        atom: index in the supercell.
        vector: Å.
    """

    atom: int
    vector: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceSet:
    """Displacements and forces of one material from DFT.

    Attributes:
        material: chemical formula.
        space_group: international number of the space group.
        level: level of theory of the forces.
        structure_file: phonopy YAML with cell, supercell and displacements, or a
            ``POSCAR`` with the unit cell.
        forces_file: ``FORCE_SETS``; empty if the YAML holds the forces.
        born_file: ``BORN``; empty if the material is not polar.
        centring: how the primitive cell lies in the unit cell.
        folder: where the files lie; empty is the material.
        length_unit: of cell and displacements in the files; forces are eV/Å.
        supercell: repeats of the unit cell, where the structure file has none.
    """

    material: str
    space_group: int
    level: Level
    structure_file: str = "phonopy_disp.yaml"
    forces_file: str = "FORCE_SETS"
    born_file: str = ""
    centring: Centring = "P"
    folder: str = ""
    length_unit: Literal["angstrom", "bohr"] = "angstrom"
    supercell: tuple[int, int, int] | None = None

    def phonons(self) -> Phonopy:
        """Return phonopy's object with symmetrised force constants, without charges.

        The object is made once in each thread and shared there: leave it as it is.
        """
        return _load(self, threading.get_ident())

    def born_charges(self) -> Mapping[str, Any] | None:
        """Return phonopy's ``nac_params``: Born charges, dielectric tensor; or None."""
        if not self.born_file:
            return None
        born: Mapping[str, Any] = parse_BORN(
            self.phonons().primitive, filename=str(self.path(self.born_file))
        )
        return born

    def displacements(self) -> list[Displaced]:
        """Return which atoms of the supercell were displaced, and how."""
        dataset: Any = self.phonons().dataset
        moves = []
        for moved in dataset["first_atoms"]:
            x, y, z = map(float, moved["displacement"])
            moves.append(Displaced(atom=int(moved["number"]), vector=(x, y, z)))
        return moves

    def path(self, name: str) -> Path:
        """Return where one of the files lies."""
        return FOLDER / (self.folder or self.material) / name


@cache
def _load(item: ForceSet, _thread: int) -> Phonopy:
    # One object per thread: phonopy keeps its last mesh in the object, and two engines
    # that are validated beside each other would take each other's.
    # Every file is named, since phonopy otherwise picks up a FORCE_SETS or BORN that
    # happens to lie in the current directory.
    if item.supercell is not None or item.length_unit == "bohr":
        return _assemble(item)
    # The centring is spelled out: phonopy warns when "auto" finds one.
    return phonopy.load(
        str(item.path(item.structure_file)),
        force_sets_filename=str(item.path(item.forces_file))
        if item.forces_file
        else None,
        primitive_matrix=item.centring,
        is_nac=False,
        symmetrize_fc=True,
        log_level=0,
    )


def _assemble(item: ForceSet) -> Phonopy:
    """Return phonopy's object from files that `phonopy.load` does not read."""
    scale = BOHR if item.length_unit == "bohr" else 1.0
    path = item.path(item.structure_file)
    repeats: Any = item.supercell
    if repeats is None:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        matrix, cell = record["supercell_matrix"], record["unit_cell"]
        unit = PhonopyAtoms(
            symbols=[point["symbol"] for point in cell["points"]],
            scaled_positions=[point["coordinates"] for point in cell["points"]],
            cell=np.asarray(cell["lattice"], dtype=float) * scale,
        )
    else:
        matrix, unit = np.diag(repeats), read_vasp(str(path))
    phonons = Phonopy(unit, matrix, primitive_matrix=item.centring, log_level=0)
    dataset: Any = parse_FORCE_SETS(filename=str(item.path(item.forces_file)))
    for moved in dataset["first_atoms"]:
        moved["displacement"] = np.asarray(moved["displacement"]) * scale
    phonons.dataset = dataset
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants(show_drift=False)
    return phonons


FORCE_SETS: Final = {
    item.material: item
    for item in (
        ForceSet(
            material="Al",
            space_group=225,
            level=Level(kind="dft", functional="PBE", code="ABACUS"),
            centring="F",
            length_unit="bohr",
        ),
        ForceSet(
            material="Cr",
            space_group=229,
            level=Level(kind="dft", functional="PBEsol", code="VASP"),
            centring="I",
        ),
        ForceSet(material="MgB2", space_group=191, level=_PBE),
        ForceSet(
            material="MgO",
            space_group=225,
            level=_PBE,
            born_file="BORN",
            centring="F",
        ),
        ForceSet(
            material="NaCl",
            space_group=225,
            level=_PBE,
            born_file="BORN",
            centring="F",
        ),
        ForceSet(
            material="Si",
            space_group=227,
            level=_PBE,
            structure_file="phonopy_params_Si.yaml",
            forces_file="",
        ),
        ForceSet(material="ZnO", space_group=186, level=_PBE, born_file="BORN"),
    )
}
"""Material -> its force set at equilibrium."""

VOLUME_SETS: Final = {
    "Si": tuple(
        ForceSet(
            material="Si",
            space_group=227,
            level=_PBE,
            structure_file="POSCAR-unitcell",
            centring="F",
            folder=f"Si_volumes/{volume}",
            supercell=(2, 2, 2),
        )
        for volume in ("minus", "orig", "plus")
    )
}
"""Material -> force sets at three volumes, ascending, for Grüneisen parameters."""


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
    """Return ASE atoms as phonopy's structure; masses are phonopy's own unless set."""
    return PhonopyAtoms(
        masses=atoms.get_masses() if atoms.has("masses") else None,
        symbols=atoms.get_chemical_symbols(),
        scaled_positions=atoms.get_scaled_positions(),
        cell=atoms.cell.array,
    )


def charges_of(
    item: ForceSet | None, unit: Atoms, phonons: Phonopy
) -> Mapping[str, Any] | None:
    """Return the Born charges of a force set in the order of a primitive cell.

    A cell of one's own may have its atoms in another order than the force set's, whose
    charges go by number.

    Args:
        item: the force set; without one there are no charges.
        unit: cell that the supercell repeats.
        phonons: made of it.

    Raises:
        ConfigError: atoms of one element have different charges, and the cell is not
            that of the force set.
    """
    born = item.born_charges() if item else None
    if item is None or born is None:
        return None
    theirs = item.phonons()
    own = to_ase(theirs.unitcell)
    if len(own) == len(unit) and (own.numbers == unit.numbers).all():
        apart = own.get_scaled_positions() - unit.get_scaled_positions()
        # Relaxed coordinates differ a little, another choice of atoms by a lot.
        if np.abs(apart - np.rint(apart)).max() < _SAME_PLACE:
            return born
    known: dict[str, Any] = {}
    for symbol, charge in zip(theirs.primitive.symbols, born["born"], strict=True):
        if np.abs(known.setdefault(symbol, charge) - charge).max() > _SAME_CHARGE:
            raise ConfigError(
                explain(
                    f"the atoms of {symbol} have different Born charges",
                    got="a supercell of another cell than the force set's",
                    wanted="its own cell, whose atoms the charges are numbered by",
                    fix="leave supercell out, or set nac to false",
                )
            )
    charges = np.array([known[symbol] for symbol in phonons.primitive.symbols])
    return {**born, "born": charges}
