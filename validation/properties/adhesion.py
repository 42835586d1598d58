"""Work of adhesion of two crystals that meet along planes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from scipy.optimize import minimize

from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.materials import structure_of
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
    status_of,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.facets import polarity_of
from lamplighter.validation.properties.interface import (
    AdhesionSettings,
    Interface,
    cuts,
    interface,
)
from lamplighter.validation.properties.slabs import FloatArray
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    relax_crystal,
    relax_ions,
)

__all__ = ["AdhesionSettings", "run"]

_WANT = ("energy", "forces")
_EVALUATIONS: Final = 80
"""Rigid interfaces on the way from the best point of the grid downhill."""


def run(
    structure: Atoms, engine: Engine, settings: AdhesionSettings | None = None
) -> PropertyResult:
    """Return the work that it takes to separate two crystals.

    Values in J/m^2, positive when they stick: ``work_of_adhesion_rigid`` of unrelaxed
    slabs at the best registry and distance, ``work_of_adhesion`` with all three
    relaxed, each in the cell that they share; ``interface_strain`` and
    ``interface_gap`` (Å). Errors are the change with slabs half as thick again.
    Arrays: ``gaps``, ``energies`` (J/m^2) at the best registry, ``shifts``,
    ``shift_energies``, ``strains``.

    Args:
        structure: the lower crystal; it is relaxed first, as is the upper one.
        engine: what computes.
        settings: see [`AdhesionSettings`][].

    Raises:
        ConfigError: the upper crystal is unknown.
        DataError: its file cannot be read.
        EngineError: the engine fails.
    """
    settings = settings or AdhesionSettings()
    limits = RelaxSettings(fmax=settings.crystal_fmax)
    crystals = [relax_crystal(structure, engine, limits)]
    crystals.append(
        relax_crystal(_other(settings), engine, limits)
        if settings.other or settings.structure
        else crystals[0]
    )
    different = crystals[:1] if crystals[0] is crystals[1] else crystals
    checks = [check for crystal in different for check in crystal.checks]
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    method: dict[str, Any] = asdict(settings)
    if all(crystal.ok for crystal in crystals):
        checks += [
            polarity_of(found)
            for found in cuts(crystals, engine, settings, settings.min_length)
        ]
    if status_of(checks) != "invalid":
        made = interface(crystals, engine, settings, settings.min_length)
        checks.append(_match_check(made, settings))
        if made is not None:
            more, values, arrays = _compute(made, crystals, engine, settings)
            checks += more
            method |= {
                "n_atoms": len(made.lower) + len(made.upper),
                "area": made.match.area,
                "turn_degrees": made.match.turn,
            }
    return PropertyResult.conclude(
        "adhesion",
        f"{material_name(structure)}-{material_name(crystals[1].atoms)}",
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _other(settings: AdhesionSettings) -> Atoms:
    file = Path(settings.structure) if settings.structure else None
    return structure_of(settings.other or "upper crystal", file)


def _match_check(made: Interface | None, settings: AdhesionSettings) -> Check:
    return Check(
        name="common cell",
        ok=made is not None,
        value=None if made is None else made.match.largest,
        limit=settings.max_strain,
        text="largest principal strain of the upper crystal"
        if made is not None
        else f"none within {settings.max_area:g} Å^2: raise max_area or max_strain",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rigid:
    """The best way to put two slabs on each other as they are.

    Attributes:
        shift: [2], Å, of the upper slab.
        gap: Å.
        work: J/m^2.
        inside: whether the best distance is inside the scan.
        shifts: that were tried.
        gaps: that were tried, Å.
        works: [n_shifts, n_gaps], J/m^2.
    """

    shift: FloatArray
    gap: float
    work: float
    inside: bool
    shifts: list[FloatArray]
    gaps: FloatArray
    works: FloatArray


def _compute(
    made: Interface, crystals: list[Relaxed], engine: Engine, settings: AdhesionSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    rigid = _scan(made, engine, settings)
    relaxed, ok, force = _relaxed(made, rigid, engine, settings)
    again: tuple[float | None, float | None] = (None, None)
    if settings.check_thickness:
        thick = interface(crystals, engine, settings, 1.5 * settings.min_length)
        if thick is not None:
            # Another thickness ends with another layer of the stacking: the registry
            # has to be sought again.
            other = _scan(thick, engine, settings)
            work, same, _ = _relaxed(thick, other, engine, settings)
            again = (other.work, work if same else None)
    checks = [
        Check(name="distance inside the scan", ok=rigid.inside, value=rigid.gap,
              limit=float(rigid.gaps[-1]), text="best rigid distance, Å: widen gaps"),
        Check(name="relaxations", ok=ok, value=force, limit=settings.fmax,
              text="largest force on interface and slabs, eV/Å"),
        at_most("strain", made.match.largest, 0.02, "of the upper crystal: the work is "
                "that of the strained one", hard=False),
    ]  # fmt: skip
    values = {
        "work_of_adhesion": _with_error(relaxed, again[1]),
        "work_of_adhesion_rigid": _with_error(rigid.work, again[0]),
        "interface_strain": Quantity(value=made.match.largest, unit=""),
        "interface_gap": Quantity(value=rigid.gap, unit="Å"),
    }
    best = int(np.argmax(rigid.works.max(axis=1)))
    arrays = {
        "gaps": rigid.gaps,
        "energies": -rigid.works[best],
        "shifts": rigid.shifts,
        "shift_energies": -rigid.works.max(axis=1),
        "strains": list(made.match.strains),
    }
    return checks, values, arrays


def _scan(made: Interface, engine: Engine, settings: AdhesionSettings) -> Rigid:
    """Return the best registry and distance: of a grid, and from there downhill."""
    apart = sum(r.energy for r in engine.compute_many([made.lower, made.upper], _WANT))
    unit = J_M2_PER_EV_A2 / made.match.area
    shifts = [
        np.array(pair) / settings.n_shifts @ made.cell
        for pair in product(range(settings.n_shifts), repeat=2)
    ]
    table = np.array([
        [made.touching(shift, fraction) for fraction in sorted(settings.gaps)]
        for shift in shifts
    ])  # fmt: skip
    energies = np.array([
        [r.energy for r in engine.compute_many(
            [made.joined(shift, float(gap)) for gap in row], _WANT)]
        for shift, row in zip(shifts, table, strict=True)
    ])  # fmt: skip
    works = (apart - energies) * unit
    best, column = np.unravel_index(int(works.argmax()), works.shape)
    gaps = table[best]

    def cost(place: FloatArray) -> float:
        joined = made.joined(place[:2], float(place[2]))
        return -(apart - engine.compute(joined, _WANT).energy) * unit

    start = np.array([*shifts[best], gaps[column]])
    steps = start + np.vstack([np.zeros(3), 0.2 * np.eye(3)])
    options = {"maxfev": _EVALUATIONS, "initial_simplex": steps, "xatol": 1e-3}
    end = minimize(cost, start, method="Nelder-Mead", options=options)
    return Rigid(
        shift=end.x[:2],
        gap=float(end.x[2]),
        work=-float(end.fun),
        inside=bool(0 < column < len(gaps) - 1 and gaps[0] < end.x[2] < gaps[-1]),
        shifts=shifts,
        gaps=gaps,
        works=works,
    )


def _relaxed(
    made: Interface, rigid: Rigid, engine: Engine, settings: AdhesionSettings
) -> tuple[float, bool, float]:
    """Return the work of relaxed slabs, whether all relaxed, and the largest force."""
    ends = [
        relax_ions(atoms, engine, fmax=settings.fmax, max_steps=settings.max_steps)
        for atoms in (made.joined(rigid.shift, rigid.gap), made.lower, made.upper)
    ]
    work = (ends[1].energy + ends[2].energy - ends[0].energy) / made.match.area
    force = max(float(np.linalg.norm(end.forces, axis=1).max()) for end in ends)
    return work * J_M2_PER_EV_A2, all(end.ok for end in ends), force


def _with_error(value: float, again: float | None) -> Quantity:
    error = None if again is None else abs(again - value)
    return Quantity(value=value, unit="J/m^2", error=error)
