"""Crystals: standard cells, space groups, and relaxation that says how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import spglib
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from lamplighter.errors import DataError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.ase import EngineCalculator
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import Check, at_most, status_of

SYMPREC: Final = 1e-3
"""Distance in Å within which atoms count as symmetry-equivalent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxedCrystal:
    """A crystal at the minimum of an engine's energy.

    Attributes:
        atoms: the relaxed structure, without calculator and constraints.
        energy: eV, of the whole cell.
        checks: what the relaxation had to fulfil.
    """

    atoms: Atoms
    energy: float
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether what follows from this structure would mean nothing."""
        return status_of(self.checks) == "invalid"


def spglib_cell(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lattice rows, scaled positions and atomic numbers, as spglib takes them."""
    return (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)


def symmetry_of(atoms: Atoms) -> spglib.SpglibDataset:
    """Return spglib's symmetry data of a crystal.

    Raises:
        DataError: spglib finds no space group, as with atoms on top of each other.
    """
    found = spglib.get_symmetry_dataset(spglib_cell(atoms), symprec=SYMPREC)
    if found is None:
        problem = "spglib finds no space group"
        got = f"{atoms.get_chemical_formula()}, cell {atoms.cell.lengths().round(3)}"
        raise DataError(explain(problem, got=got, wanted="a crystal with a 3D cell"))
    return found


def space_group(atoms: Atoms) -> int:
    """Return the international number of the space group."""
    return int(symmetry_of(atoms).number)


def material_name(atoms: Atoms) -> str:
    """Return the reduced formula that references go by, for example ``MgO``."""
    return str(atoms.get_chemical_formula("metal", empirical=True))


def conventional(atoms: Atoms) -> Atoms:
    """Return the standard conventional cell, idealised and in standard orientation."""
    symmetry_of(atoms)
    lattice, scaled, numbers = spglib.standardize_cell(
        spglib_cell(atoms), to_primitive=False, no_idealize=False, symprec=SYMPREC
    )
    return Atoms(numbers=numbers, cell=lattice, scaled_positions=scaled, pbc=True)


def relaxed_crystal(
    atoms: Atoms, engine: Engine, *, fmax: float = 1e-4, max_steps: int = 300
) -> RelaxedCrystal:
    """Return a crystal relaxed in cell and positions within its space group.

    Args:
        atoms: the start.
        engine: what computes.
        fmax: eV/Å, for forces and for the cell's generalised forces per atom.
        max_steps: after which the relaxation counts as failed.
    """
    work = atoms.copy()
    before = space_group(work)
    volume = work.get_volume()
    work.set_constraint(FixSymmetry(work, symprec=SYMPREC, verbose=False))
    work.calc = EngineCalculator(engine)
    optimiser = BFGS(FrechetCellFilter(work), logfile=None)
    converged = bool(optimiser.run(fmax=fmax, steps=max_steps))
    result = engine.compute(work)
    force = float(np.abs(result.forces).max())
    stress = 0.0 if result.stress is None else float(np.abs(result.stress).max())
    change = abs(work.get_volume() / volume - 1)
    bare = Atoms(work.numbers, work.positions, cell=work.cell, pbc=True)
    checks = (
        Check(
            name="relaxation",
            ok=converged,
            value=force,
            limit=fmax,
            text=f"{optimiser.nsteps} steps, largest force {force:.1e} eV/Å",
        ),
        at_most(
            "residual stress",
            stress * GPA_PER_EV_A3,
            0.05,
            "stress of the relaxed crystal in GPa",
        ),
        Check(
            name="space group",
            ok=space_group(bare) == before,
            value=float(space_group(bare)),
            limit=float(before),
            text="the space group must survive the relaxation",
        ),
        at_most("volume change", change, 0.15, "of the relaxation, as a fraction"),
    )
    return RelaxedCrystal(atoms=bare, energy=result.energy, checks=checks)
