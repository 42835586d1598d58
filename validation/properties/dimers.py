"""Pairs of all elements: binding, holes, spurious minima, jumps, the end at the cutoff.

A pair of atoms is the smallest structure that a model meets in a hot or compressed
system without having seen it. The curves need no reference to be wrong: energy that
falls on approach, a step between neighbouring points, forces that do not belong to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations_with_replacement
from typing import Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from scipy.interpolate import CubicHermiteSpline

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.dimer_curve import Curve, DimersSettings, curve

__all__ = ["Curve", "DimersSettings", "KnowsElements", "curve", "run"]


@runtime_checkable
class KnowsElements(Protocol):
    """An engine that can name its elements."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols."""
        ...


def run(
    structure: Atoms, engine: Engine, settings: DimersSettings | None = None
) -> PropertyResult:
    """Return the binding distance and energy of all pairs, with the checks of a curve.

    Values for each pair that binds, as in ``dimer_distance_Mg_O`` (Å) and
    ``dimer_energy_Mg_O`` (eV, positive when bound). Arrays: ``pairs``, ``distances``,
    ``energies``, ``forces``, one list a pair.

    Args:
        structure: names the elements where settings and engine do not.
        engine: what computes.
        settings: see [`DimersSettings`][].

    Raises:
        ConfigError: no elements are known.
        EngineError: the engine cannot compute two atoms that are far apart.
    """
    settings = settings or DimersSettings()
    elements = settings.elements or _elements(engine, structure)
    if not elements:
        raise ConfigError(
            explain(
                "no elements for dimers",
                got="none from settings, engine and structure",
                fix="name them in the settings",
            )
        )
    farthest = settings.farthest or engine.info.cutoff or 6.0
    curves = [
        curve(pair, engine, farthest, settings)
        for pair in combinations_with_replacement(elements, 2)
    ]
    return PropertyResult.conclude(
        "dimers",
        "".join(elements),
        engine.info,
        method=asdict(settings) | {"elements": list(elements), "farthest": farthest},
        checks=_checks(curves, settings),
        values=_values(curves, settings),
        arrays={
            "pairs": [one.name for one in curves],
            "distances": [one.distances for one in curves],
            "energies": [one.energies for one in curves],
            "forces": [one.forces for one in curves],
        },
    )


def _elements(engine: Engine, structure: Atoms) -> tuple[str, ...]:
    if isinstance(engine, KnowsElements):
        return tuple(engine.elements)
    return tuple(dict.fromkeys(structure.get_chemical_symbols()))


def _checks(curves: Sequence[Curve], settings: DimersSettings) -> list[Check]:
    failed = [one for one in curves if one.failure]
    good = [one for one in curves if not one.failure]
    checks = [
        Check(
            name="finite energies",
            ok=not failed,
            value=float(len(failed)),
            limit=0.0,
            text="; ".join(f"{one.name} at {one.failure}" for one in failed)
            or "all points of all pairs",
        )
    ]
    if not good:
        return checks
    hole, where = max((one.hole(settings.bonded), one.name) for one in good)
    jump, step_at = max((one.jump(), one.name) for one in good)
    spurious = [
        f"{one.name} at {one.distances[index]:.2f} Å"
        for one in good
        for index in one.minima(settings.spurious_depth)
        if abs(index - one.minimum(settings.bonded)) > 1
    ]
    checks += [
        at_most(
            "energy rises on approach",
            hole,
            settings.max_hole,
            f"deepest fall on the way in from the bond, eV ({where}); atoms that get "
            "this close stay there: do not run hot or dense systems",
        ),
        at_most(
            "no jump",
            jump,
            settings.max_jump,
            f"largest step that the forces do not explain, eV ({step_at})",
        ),
        Check(
            name="one minimum",
            ok=not spurious,
            value=float(len(spurious)),
            limit=0.0,
            text="minima beside the bond: " + (", ".join(spurious) or "none"),
            hard=False,
        ),
    ]
    return checks + _cutoff_checks(good, settings)


def _cutoff_checks(curves: Sequence[Curve], settings: DimersSettings) -> list[Check]:
    energies = [(s, c.name) for c in curves if (s := c.energy_step) is not None]
    forces = [(s, c.name) for c in curves if (s := c.force_step) is not None]
    if not energies or not forces:
        text = "not tested: the engine does not name its cutoff"
        return [Check(name="smooth at the cutoff", ok=True, text=text, hard=False)]
    energy, pair = max(energies)
    force, other = max(forces)
    return [
        at_most(
            "energy at the cutoff",
            energy,
            settings.max_cutoff_energy,
            f"step of the energy, eV ({pair}): dynamics will drift",
            hard=False,
        ),
        at_most(
            "force at the cutoff",
            force,
            settings.max_cutoff_force,
            f"step of the force, eV/Å ({other})",
            hard=False,
        ),
    ]


def _values(curves: Sequence[Curve], settings: DimersSettings) -> dict[str, Quantity]:
    """Return distance and energy of every pair that binds inside its curve."""
    values: dict[str, Quantity] = {}
    for one in curves:
        if one.failure:
            continue
        index = one.minimum(settings.bonded)
        if not 0 < index < len(one.distances) - 1 or one.energies[index] >= 0:
            continue
        around = slice(index - 1, index + 2)
        r, e, f = one.distances[around], one.energies[around], one.forces[around]
        spline = CubicHermiteSpline(r, e, -f)
        roots = [x for x in spline.derivative().roots() if r[0] <= x <= r[-1]]
        if not roots:
            continue
        best = min(roots, key=spline)
        # A parabola through the same three points sees no forces: an error bar.
        a, b, c = np.polyfit(r - r[1], e, 2)
        plain, depth = r[1] - b / (2 * a), c - b * b / (4 * a)
        name = "_".join(one.pair)
        values[f"dimer_distance_{name}"] = Quantity(
            value=float(best), unit="Å", error=abs(float(plain - best))
        )
        values[f"dimer_energy_{name}"] = Quantity(
            value=-float(spline(best)),
            unit="eV",
            error=abs(float(depth - spline(best))),
        )
    return values
