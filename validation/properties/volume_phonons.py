"""Phonons of a crystal at several volumes: what Grüneisen parameters and QHA share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import Check, at_most
from lamplighter.validation.properties.crystal import conventional
from lamplighter.validation.properties.force_constants import (
    ForceConstants,
    IntArray,
    diagonal_supercell,
    force_constants,
)
from lamplighter.validation.properties.phonon_settings import check_grid
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    largest_stress,
    relax_at_volume,
    relax_crystal,
    relax_ions,
    space_group,
)
from lamplighter.validation.structures import is_cubic


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSettings:
    """How phonons at several volumes are computed.

    Attributes:
        displacement: how far one atom is moved, Å.
        supercell: repeats of the conventional cell, the same at every volume; ``None``
            takes what `min_length` asks for.
        min_length: shortest distance between faces of an automatic supercell, Å; twice
            the engine's cutoff is kept as well.
        mesh: wave vectors along each reciprocal vector.
        temperature: of the numbers that are values, K.
        fmax: largest force after each relaxation, eV/Å.
        max_stress: largest stress after the first relaxation, GPa; in other than cubic
            crystals also the largest deviatoric stress at each volume.
        max_steps: optimiser steps of one relaxation.
        max_residual_force: largest force on an atom before any displacement, eV/Å.
        max_correction: largest change, over the largest force constant, that
            translation and permutation symmetry may ask for.
        imaginary: frequencies below minus this, THz, are imaginary modes.
    """

    displacement: float = 0.02
    supercell: tuple[int, int, int] | None = None
    min_length: float = 12.0
    mesh: int = 21
    temperature: float = 300.0
    fmax: float = 1e-4
    max_stress: float = 1e-3
    max_steps: int = 500
    max_residual_force: float = 5e-3
    max_correction: float = 0.02
    imaginary: float = 0.05

    def __post_init__(self) -> None:
        """Refuse settings that give no phonons."""
        positive = {
            "displacement": self.displacement,
            "supercell": min(self.supercell or (1,)),
            "min_length": self.min_length,
            "mesh": self.mesh,
            "temperature": self.temperature,
            "fmax": self.fmax,
            "max_stress": self.max_stress,
            "max_steps": self.max_steps,
            "max_residual_force": self.max_residual_force,
            "max_correction": self.max_correction,
            "imaginary": self.imaginary,
        }
        for name, value in positive.items():
            if not value > 0:
                problem = f"{name} of phonons at several volumes must be positive"
                raise ConfigError(explain(problem, got=value, wanted="> 0"))
        check_grid(self.mesh, self.supercell)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumePoint:
    """The crystal at one volume.

    Attributes:
        relaxed: conventional cell, ions and shape relaxed at this volume.
        constants: its force constants.
    """

    relaxed: Relaxed
    constants: ForceConstants

    @property
    def volume(self) -> float:
        """Å^3 per atom."""
        return float(self.relaxed.atoms.get_volume() / len(self.relaxed.atoms))

    @property
    def energy(self) -> float:
        """Static energy, eV per atom."""
        return self.relaxed.energy / len(self.relaxed.atoms)

    @property
    def pressure(self) -> float:
        """GPa."""
        largest_stress(self.relaxed.stress)  # raises where the engine has no stress
        trace = float(np.trace(np.asarray(self.relaxed.stress)))
        return -trace / 3.0 * GPA_PER_EV_A3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeSeries:
    """A crystal at several volumes.

    Attributes:
        equilibrium: the crystal relaxed with its cell, conventional cell.
        points: one for each factor, in order; empty where a relaxation failed.
        checks: of all relaxations and force constants.
        supercell: [3, 3] diagonal matrix.
    """

    equilibrium: Atoms
    points: list[VolumePoint]
    checks: list[Check]
    supercell: IntArray

    @property
    def ok(self) -> bool:
        """Whether every point is there and usable."""
        return all(check.ok for check in self.checks if check.hard)


def volume_series(
    structure: Atoms, engine: Engine, factors: Sequence[float], settings: VolumeSettings
) -> VolumeSeries:
    """Relax a crystal, then compute phonons at multiples of its volume.

    The supercell is that of the equilibrium, so that all points have the same wave
    vectors and energies of the same cell.

    Args:
        structure: any cell of the crystal.
        engine: what computes.
        factors: volumes over the equilibrium volume.
        settings: protocol.

    Raises:
        EngineError: an evaluation fails.
        DataError: the structure is no crystal.
    """
    thresholds = RelaxSettings(
        fmax=settings.fmax, max_stress=settings.max_stress, max_steps=settings.max_steps
    )
    first = relax_crystal(structure, engine, thresholds)
    unit = conventional(first.atoms)
    matrix = _supercell(unit, engine, settings)
    checks = list(first.checks)
    points: list[VolumePoint] = []
    for factor in factors if first.ok else ():
        scaled = unit.copy()
        scaled.set_cell(unit.cell.array * factor ** (1 / 3), scale_atoms=True)
        if is_cubic(unit):
            end = relax_ions(
                scaled, engine, fmax=settings.fmax, max_steps=settings.max_steps
            )
        else:
            end = relax_at_volume(scaled, engine, thresholds)
        failed = [check for check in end.checks if not check.ok]
        if failed:
            checks += failed
            points = []
            break
        found = force_constants(end.atoms, matrix, engine, settings.displacement)
        points.append(VolumePoint(relaxed=end, constants=found))
    checks += _checks(unit, points, settings)
    return VolumeSeries(
        equilibrium=unit, points=points, checks=checks, supercell=matrix
    )


def _supercell(unit: Atoms, engine: Engine, settings: VolumeSettings) -> IntArray:
    if settings.supercell is not None:
        return np.diag(np.asarray(settings.supercell, dtype=np.int64))
    length = max(settings.min_length, 2 * engine.info.cutoff)
    return diagonal_supercell(unit, length)


def _checks(
    unit: Atoms, points: Sequence[VolumePoint], settings: VolumeSettings
) -> list[Check]:
    """Return the checks over all volumes; the worst one counts."""
    if not points:
        return []
    group = space_group(unit)
    groups = {space_group(point.relaxed.atoms) for point in points}
    return [
        at_most(
            "residual force",
            max(point.constants.residual_force for point in points),
            settings.max_residual_force,
            "largest force before any displacement at any volume, eV/Å",
        ),
        at_most(
            "force-constant symmetrisation",
            max(point.constants.correction for point in points),
            settings.max_correction,
            "largest change over the largest force constant at any volume",
        ),
        Check(
            name="space group at every volume",
            ok=groups == {group},
            value=float(max(groups)),
            limit=float(group),
            text="the crystal must stay the same one while its volume changes",
        ),
    ]
