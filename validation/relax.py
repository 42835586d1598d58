"""Relaxation over an engine that never passes a failure off as a structure.

Every function returns a ``Relaxed`` with checks; a property copies them into its own
record, so that a relaxation that did not converge makes the property invalid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.spacegroup.symmetrize import refine_symmetry

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.ase import EngineCalculator
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import Check, at_most, status_of
from lamplighter.validation.structures import need_crystal, symmetry

# Å per step, and for a cell with one atom the strain per step: the default of ASE would
# let a stiff crystal jump by 20 % and leave its symmetry.
MAX_STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxSettings:
    """When a relaxation has converged, and what it may not change.

    Attributes:
        fmax: Largest force on an atom (its norm) in eV/Å.
        max_stress: Largest component of the stress in GPa, when the cell relaxes.
        max_steps: Optimiser steps after which the relaxation has failed.
        symprec: Distance in Å within which the input is symmetrised first.
        check_symprec: Distance in Å at which the space group must still be the same.
        max_volume_change: Relative; beyond it the start was not this crystal.
    """

    fmax: float = 1e-4
    max_stress: float = 1e-3
    max_steps: int = 500
    symprec: float = 1e-3
    check_symprec: float = 1e-2
    max_volume_change: float = 0.15

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing can meet."""
        for name in RelaxSettings.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ConfigError(
                    explain(
                        f"relaxation setting '{name}'",
                        got=getattr(self, name),
                        wanted="a positive number",
                        fix=f"leave {name} out to use the default",
                    )
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxed:
    """A structure after relaxation; use it only when ``ok``.

    Attributes:
        atoms: Positions and cell, without constraints and calculator.
        energy: eV, of the whole cell.
        forces: ``[n_atoms, 3]`` eV/Å, without any constraint applied.
        stress: ``[3, 3]`` eV/Å^3, tension positive, without symmetrisation; ``None``
            without a volume.
        steps: Optimiser steps.
        evaluations: Calls of the engine.
        checks: Tests with their limits, for the record of a property.
    """

    atoms: Atoms
    energy: float
    forces: FloatArray
    stress: FloatArray | None
    steps: int
    evaluations: int
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every hard check passed."""
        return status_of(self.checks) != "invalid"


def largest_force(forces: FloatArray) -> float:
    """Return the largest norm of a force, eV/Å."""
    return float(np.linalg.norm(forces, axis=1).max())


def largest_stress(stress: FloatArray | None) -> float:
    """Return the largest absolute component of a stress in eV/Å^3, in GPa.

    Raises:
        EngineError: If there is no stress.
    """
    if stress is None:
        raise EngineError(
            explain(
                "a stress is needed and the engine gave none",
                got="no stress",
                wanted="a structure with three lattice vectors",
                fix="set the cell of the structure",
            )
        )
    return float(np.abs(stress).max()) * GPA_PER_EV_A3


def space_group(atoms: Atoms, symprec: float = 1e-2) -> int:
    """Return the international number of the space group.

    Raises:
        DataError: If spglib finds no symmetry, as with overlapping atoms.
    """
    return int(symmetry(atoms, symprec).number)


def relax_crystal(
    atoms: Atoms, engine: Engine, settings: RelaxSettings | None = None
) -> Relaxed:
    """Relax cell and positions of a crystal within its space group.

    The input is symmetrised, the symmetry is kept during the relaxation, and the
    residuals are then taken from the engine without symmetrisation.

    Args:
        atoms: A crystal, periodic in three directions; it is not changed.
        engine: What evaluates.
        settings: Thresholds.

    Raises:
        DataError: If the structure is not periodic in three directions, or has no
            symmetry that spglib can name.
        EngineError: If an evaluation fails.
    """
    settings = settings or RelaxSettings()
    work = _bare(atoms)
    need_crystal(work)
    group = space_group(work, settings.symprec)
    refine_symmetry(work, symprec=settings.symprec)
    volume = work.get_volume()
    work.set_constraint(FixSymmetry(work, symprec=settings.symprec))
    calculator = EngineCalculator(engine)
    work.calc = calculator

    def done() -> bool:
        return (
            largest_force(work.get_forces()) <= settings.fmax
            and largest_stress(work.get_stress(voigt=False)) <= settings.max_stress
        )

    target = FrechetCellFilter(work)
    converged, steps = _drive(target, done, settings.max_steps)
    relaxed = _outcome(work, calculator, steps)
    change = relaxed.atoms.get_volume() / volume - 1.0
    after = space_group(relaxed.atoms, settings.check_symprec)
    relaxed.checks.extend(
        [
            _convergence(converged, relaxed, settings.fmax),
            _residual_force(relaxed, settings.fmax),
            at_most(
                "residual stress",
                largest_stress(relaxed.stress),
                10 * settings.max_stress,
                "largest stress component after relaxation, not symmetrised, GPa",
            ),
            Check(
                name="space group",
                ok=after == group,
                value=float(after),
                limit=float(group),
                text="the space group must survive the relaxation",
            ),
            at_most(
                "volume change",
                abs(change),
                settings.max_volume_change,
                f"the relaxation changed the volume by {change:+.2%}",
            ),
            *_left_behind(atoms),
        ]
    )
    return relaxed


def relax_ions(
    atoms: Atoms, engine: Engine, *, fmax: float = 1e-4, max_steps: int = 500
) -> Relaxed:
    """Relax the positions at a fixed cell, without symmetry.

    Args:
        atoms: The start; it is not changed.
        engine: What evaluates.
        fmax: Largest force on an atom in eV/Å.
        max_steps: Optimiser steps after which the relaxation has failed.

    Raises:
        EngineError: If an evaluation fails.
    """
    work = _bare(atoms)
    calculator = EngineCalculator(engine)
    work.calc = calculator
    converged, steps = _drive(
        work, lambda: largest_force(work.get_forces()) <= fmax, max_steps
    )
    relaxed = _outcome(work, calculator, steps)
    relaxed.checks.append(_convergence(converged, relaxed, fmax))
    moved = float(np.abs(relaxed.atoms.cell.array - atoms.cell.array).max())
    relaxed.checks.append(
        at_most("fixed cell", moved, 0.0, "the inner relaxation changed the cell, Å")
    )
    return relaxed


def relax_at_volume(
    atoms: Atoms, engine: Engine, settings: RelaxSettings | None = None
) -> Relaxed:
    """Relax positions and cell shape at constant volume within the space group.

    Args:
        atoms: A crystal at the volume that is wanted; it is not changed.
        engine: What evaluates.
        settings: Thresholds; ``max_stress`` holds for the deviatoric stress.

    Raises:
        EngineError: If an evaluation fails.
    """
    settings = settings or RelaxSettings()
    work = _bare(atoms)
    volume = work.get_volume()
    work.set_constraint(FixSymmetry(work, symprec=settings.symprec))
    calculator = EngineCalculator(engine)
    work.calc = calculator

    def done() -> bool:
        stress = work.get_stress(voigt=False)
        deviatoric = stress - np.trace(stress) / 3.0 * np.eye(3)
        return (
            largest_force(work.get_forces()) <= settings.fmax
            and largest_stress(deviatoric) <= settings.max_stress
        )

    target = FrechetCellFilter(work, constant_volume=True)
    converged, steps = _drive(target, done, settings.max_steps)
    relaxed = _outcome(work, calculator, steps)
    drift = abs(relaxed.atoms.get_volume() / volume - 1.0)
    relaxed.checks.append(_convergence(converged, relaxed, settings.fmax))
    relaxed.checks.append(
        at_most("constant volume", drift, 1e-8, "relative drift of the volume")
    )
    return relaxed


def _bare(atoms: Atoms) -> Atoms:
    """Return a copy without constraints, calculator, velocities and labels."""
    return Atoms(
        numbers=atoms.numbers,
        positions=atoms.get_positions(),
        cell=atoms.cell.array,
        pbc=atoms.pbc,
        masses=atoms.get_masses() if atoms.has("masses") else None,
    )


def _left_behind(atoms: Atoms) -> list[Check]:
    """Return soft checks of what the symmetrised copy of the input has lost."""
    lost = []
    for name, values in (
        ("magnetic moments", atoms.get_initial_magnetic_moments()),
        ("charges", atoms.get_initial_charges()),
    ):
        largest = float(np.abs(values).max())
        if largest > 0.0:
            text = (
                f"initial {name} of the input are not kept: symmetry and cells are"
                " those of the elements alone; a potential without them loses nothing"
            )
            lost.append(at_most(f"initial {name}", largest, 0.0, text, hard=False))
    return lost


def _drive(target: Any, done: Callable[[], bool], max_steps: int) -> tuple[bool, int]:
    """Step atoms or a cell filter until ``done``; return whether it was, and steps."""
    optimiser = BFGS(target, logfile=None, maxstep=MAX_STEP)
    # A threshold of zero leaves the verdict to `done`, which knows units and parts.
    for _ in optimiser.irun(fmax=0.0, steps=max_steps):
        if done():
            return True, int(optimiser.nsteps)
    return False, int(optimiser.nsteps)


def _outcome(work: Atoms, calculator: EngineCalculator, steps: int) -> Relaxed:
    """Return the end point with what the engine said there, constraints ignored."""
    energy = work.get_potential_energy()
    forces = work.get_forces(apply_constraint=False)
    has_volume = work.cell.rank == 3
    stress = (
        work.get_stress(voigt=False, apply_constraint=False) if has_volume else None
    )
    return Relaxed(
        atoms=_bare(work),
        energy=float(energy),
        forces=np.array(forces, dtype=np.float64),
        stress=None if stress is None else np.array(stress, dtype=np.float64),
        steps=steps,
        evaluations=calculator.evaluations,
    )


def _convergence(converged: bool, relaxed: Relaxed, fmax: float) -> Check:
    """Return the check that the optimiser met its thresholds."""
    force = largest_force(relaxed.forces)
    end = "met" if converged else "NOT met"
    return Check(
        name="relaxation converged",
        ok=converged,
        value=force,
        limit=fmax,
        text=f"thresholds {end} after {relaxed.steps} steps; largest force {force:.1e}"
        " eV/Å",
    )


def _residual_force(relaxed: Relaxed, fmax: float) -> Check:
    """Return the check of forces that the symmetrisation may have hidden."""
    return at_most(
        "residual force",
        largest_force(relaxed.forces),
        10 * fmax,
        "largest force after relaxation, not symmetrised, eV/Å; more than the limit"
        " means that the engine breaks the symmetry of the crystal",
    )
