"""Stresses of strained cells, with clamped and with relaxed ions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import Check, at_most
from lamplighter.validation.relax import (
    Relaxed,
    largest_force,
    largest_stress,
    relax_ions,
)
from lamplighter.validation.structures import strain_tensor, strained, to_voigt

# Largest force in eV/Å that is noise of a sum over neighbours in this precision.
NOISE = {"float64": 1e-5, "float32": 1e-3}

NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticSettings:
    """How elastic constants are computed and what makes them invalid.

    Attributes:
        strains: Two sizes of the Voigt strain, the smaller first.
        fmax: Largest residual force after each relaxation, eV/Å.
        max_stress: Largest stress after the first relaxation, GPa.
        max_steps: Optimiser steps of one relaxation.
        zero_force: eV/Å below which a strain-induced force is zero by symmetry;
            ``None`` takes what the engine's precision can tell from zero.
        resolution: The residual force is at most this fraction of the force that the
            strain induced; otherwise an optimiser that stops at once would pass.
        tighten: Relax each strained cell to ``resolution`` of its induced force where
            ``fmax`` is looser than that. Without it ``fmax`` holds as it is, and one
            that is too loose makes the result invalid.
        max_residual_stress: GPa, of the unstrained crystal.
        max_deviation: Largest relative asymmetry of C, and largest relative change by
            the projection on the point group.
        max_size_effect: Largest relative difference between the two strain sizes.
    """

    strains: tuple[float, ...] = (0.0025, 0.005)
    fmax: float = 1e-4
    max_stress: float = 1e-3
    max_steps: int = 300
    zero_force: float | None = None
    resolution: float = 0.01
    tighten: bool = True
    max_residual_stress: float = 0.05
    max_deviation: float = 0.01
    max_size_effect: float = 0.02

    def __post_init__(self) -> None:
        """Refuse strains that give no difference quotient."""
        if (
            len(self.strains) != 2
            or not 0.0 < self.strains[0] < self.strains[1] <= 0.05
        ):
            raise ConfigError(
                explain(
                    "elastic setting 'strains'",
                    got=self.strains,
                    wanted="two sizes, 0 < smaller < larger <= 0.05",
                    fix="use (0.0025, 0.005)",
                )
            )


@dataclass(slots=True, kw_only=True, eq=False)
class Stresses:
    """Voigt stresses ``[6 strains, 4 sizes, 6]`` in GPa and what relaxing them took."""

    sizes: FloatArray
    clamped: FloatArray
    relaxed: FloatArray
    induced: FloatArray
    residual: FloatArray
    evaluations: int = 0
    failures: list[Check] = field(default_factory=list)


def strain_and_relax(
    crystal: Atoms, engine: Engine, settings: ElasticSettings
) -> Stresses:
    """Return the stresses of all strained cells, clamped and relaxed."""
    small, large = settings.strains
    zero = noise_level(engine, settings)
    sizes = np.array([-large, -small, small, large])
    empty = np.zeros((6, 4, 6))
    out = Stresses(
        sizes=sizes,
        clamped=empty.copy(),
        relaxed=empty.copy(),
        induced=np.zeros((6, 4)),
        residual=np.zeros((6, 4)),
    )
    cells = [
        [strained(crystal, strain_tensor(component, size)) for size in sizes]
        for component in range(6)
    ]
    results = engine.compute_many([cell for row in cells for cell in row])
    out.evaluations = len(results)
    for index, result in enumerate(results):
        component, number = divmod(index, 4)
        largest_stress(result.stress)  # raises where the engine has no stress
        out.clamped[component, number] = to_voigt(_gpa(result.stress))
        out.induced[component, number] = largest_force(result.forces)
    for component in range(6):
        _relax_strained(out, component, cells[component], engine, settings, zero)
    return out


def _relax_strained(
    out: Stresses,
    component: int,
    cells: Sequence[Atoms],
    engine: Engine,
    settings: ElasticSettings,
    zero: float,
) -> None:
    """Fill in the relaxed stresses of one strain component."""
    # Internal displacements are linear in the strain: the first relaxation gives the
    # others a start close to their end. It changes the cost, not the result.
    slope = np.zeros((len(cells[0]), 3))
    for number in (2, 1, 3, 0):
        induced = out.induced[component, number]
        if induced <= zero:
            out.relaxed[component, number] = out.clamped[component, number]
            continue
        start = cells[number].copy()
        start.positions += slope * out.sizes[number]
        target = settings.fmax
        if settings.tighten:
            target = min(target, settings.resolution * induced)
        end = relax_ions(start, engine, fmax=target, max_steps=settings.max_steps)
        out.evaluations += end.evaluations
        out.relaxed[component, number] = to_voigt(_gpa(end.stress))
        out.residual[component, number] = largest_force(end.forces)
        out.failures += [check for check in _named(end, component) if not check.ok]
        slope = (end.atoms.positions - cells[number].positions) / out.sizes[number]


def _named(end: Relaxed, component: int) -> list[Check]:
    """Return the checks of an inner relaxation, named by its strain."""
    return [
        dataclasses.replace(check, name=f"{check.name}, strain {NAMES[component]}")
        for check in end.checks
    ]


def noise_level(engine: Engine, settings: ElasticSettings) -> float:
    """Return the force in eV/Å below which an induced force counts as zero."""
    if settings.zero_force is not None:
        return settings.zero_force
    return NOISE.get(engine.info.dtype, NOISE["float32"])


def ions_resolved(stresses: Stresses, zero: float, settings: ElasticSettings) -> Check:
    """Return the check that relaxing the ions had something to do and did it.

    Args:
        stresses: Of all strained cells.
        zero: Force in eV/Å below which an induced force counts as zero.
        settings: Limits.
    """
    moved = stresses.induced > zero
    ratio = np.where(moved, stresses.residual / np.maximum(stresses.induced, 1e-300), 0)
    return at_most(
        "ions relaxed",
        float(ratio.max()),
        settings.resolution,
        "largest residual force as a fraction of the force that the strain induced;"
        f" {int(moved.sum())} of 24 strained cells had such forces",
    )


def _gpa(stress: FloatArray | None) -> FloatArray:
    largest_stress(stress)  # raises where the engine has no stress
    return np.asarray(stress) * GPA_PER_EV_A3
