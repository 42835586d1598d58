"""Pairs of all elements: binding, holes, spurious minima, jumps, the end at the cutoff.

A pair of atoms is the smallest structure that a model meets in a hot or compressed
system without having seen it. The curves need no reference to be wrong: energy that
falls on approach, a step between neighbouring points, forces that do not belong to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from typing import Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from scipy.interpolate import CubicHermiteSpline

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)

_DIRECTION = np.array([2.0, -3.0, 6.0]) / 7.0
_WANT = ("energy", "forces")


@runtime_checkable
class KnowsElements(Protocol):
    """An engine that can name its elements."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DimersSettings:
    """Which pairs are computed, where, and what makes them wrong.

    Attributes:
        elements: chemical symbols; none takes those of the engine, or, if it does not
            tell, those of the structure.
        closest: least distance, as a fraction of the sum of the covalent radii.
        farthest: largest distance, Å; ``None`` is the engine's cutoff, or 6 Å if that
            is unknown.
        n_points: distances of one curve.
        bonded: below this fraction of the sum of the covalent radii no bond is
            expected; the minimum is sought above.
        max_hole: how far the energy may fall on approach inside the bond, eV.
        max_jump: how much an energy may differ from the integral of the forces beyond
            what their change over one step explains, eV.
        spurious_depth: a second minimum deeper than this is reported, eV.
        max_cutoff_energy: step of the energy at the cutoff, eV.
        max_cutoff_force: step of the force at the cutoff, eV/Å.
    """

    elements: tuple[str, ...] = ()
    closest: float = 0.6
    farthest: float | None = None
    n_points: int = 100
    bonded: float = 0.72
    max_hole: float = 0.01
    max_jump: float = 0.01
    spurious_depth: float = 0.01
    max_cutoff_energy: float = 1e-3
    max_cutoff_force: float = 1e-2

    def __post_init__(self) -> None:
        """Refuse curves without a shape.

        Raises:
            ConfigError: too few points, no range, or an unknown element.
        """
        if self.n_points < 20 or not 0 < self.closest < self.bonded:
            raise ConfigError(
                explain(
                    "curve of a dimer",
                    got=f"{self.n_points} points from {self.closest}",
                    wanted="20 points or more from a fraction between 0 and `bonded`",
                )
            )
        unknown = [name for name in self.elements if name not in atomic_numbers]
        if unknown:
            raise ConfigError(explain("unknown elements of dimers", got=unknown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Energy and force of a pair.

    Attributes:
        pair: chemical symbols.
        distances: [n], Å, rising.
        energies: [n], eV, without those of the free atoms; NaN where the engine failed.
        forces: [n], eV/Å, along the axis: positive pushes the atoms apart.
        failure: what the engine said where it failed first; empty if it did not.
        energy_step: difference of energies across the cutoff, eV; ``None`` unknown.
        force_step: difference of forces across the cutoff, eV/Å; ``None`` unknown.
    """

    pair: tuple[str, str]
    distances: FloatArray
    energies: FloatArray
    forces: FloatArray
    failure: str
    energy_step: float | None
    force_step: float | None

    @property
    def name(self) -> str:
        """The pair as it stands in texts."""
        return "-".join(self.pair)

    @property
    def contact(self) -> float:
        """Sum of the covalent radii, Å."""
        return _contact(self.pair)

    def minimum(self, bonded: float) -> int:
        """Return the index of the lowest energy where a bond may be."""
        outer = np.flatnonzero(self.distances >= bonded * self.contact)
        return int(outer[np.nanargmin(self.energies[outer])])

    def hole(self, bonded: float) -> float:
        """Return how far the energy falls on the way in from the minimum, eV."""
        inward = self.energies[: self.minimum(bonded) + 1][::-1]
        return float(np.max(np.maximum.accumulate(inward) - inward))

    def jump(self) -> float:
        """Return the largest step that the forces do not explain, eV.

        If the force changes monotonically over a step, the energy differs from the
        trapezoid by less than half the step times that change.
        """
        step = np.diff(self.distances)
        trapezoid = step * (self.forces[1:] + self.forces[:-1]) / 2
        allowed = step * np.abs(np.diff(self.forces)) / 2
        excess = np.abs(np.diff(self.energies) + trapezoid) - allowed
        return float(max(0.0, np.max(excess)))

    def minima(self, depth: float) -> list[int]:
        """Return the indices of minima deeper than `depth` on both sides."""
        found = []
        e = self.energies
        for index in range(1, len(e) - 1):
            if not (e[index] < e[index - 1] and e[index] <= e[index + 1]):
                continue
            if min(_climb(e[index::-1]), _climb(e[index:])) > depth:
                found.append(index)
        return found


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
        EngineError: the engine cannot compute two atoms that are far apart.
    """
    settings = settings or DimersSettings()
    elements = settings.elements or _elements(engine, structure)
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


def curve(
    pair: tuple[str, str], engine: Engine, farthest: float, settings: DimersSettings
) -> Curve:
    """Return energy and force of one pair.

    Raises:
        ConfigError: the curve would end before it begins.
        EngineError: the engine cannot compute two atoms that are far apart.
    """
    first = settings.closest * _contact(pair)
    if not farthest > 1.5 * first:
        raise ConfigError(
            explain(
                f"the curve of {'-'.join(pair)} is too short",
                got=f"{first:.2f} to {farthest:.2f} Å",
                fix="raise farthest in the settings",
            )
        )
    free = sum(engine.compute(_atom(symbol), _WANT).energy for symbol in pair)
    distances = np.linspace(first, farthest, settings.n_points)
    energies = np.full(len(distances), np.nan)
    forces = np.full(len(distances), np.nan)
    failure = ""
    for index, distance in reversed(list(enumerate(distances))):
        try:
            energies[index], forces[index] = _point(pair, float(distance), engine)
        except EngineError as error:
            if index == len(distances) - 1:
                raise
            failure = failure or f"{distance:.3f} Å: {error}"
    steps: tuple[float | None, float | None] = (None, None)
    if engine.info.cutoff:
        inner, outer = (
            _point(pair, engine.info.cutoff + side, engine) for side in (-1e-4, 1e-4)
        )
        steps = (abs(inner[0] - outer[0]), abs(inner[1] - outer[1]))
    return Curve(
        pair=pair,
        distances=distances,
        energies=energies - free,
        forces=forces,
        failure=failure,
        energy_step=steps[0],
        force_step=steps[1],
    )


def _point(
    pair: tuple[str, str], distance: float, engine: Engine
) -> tuple[float, float]:
    place = np.array([0.1, 0.2, 0.3]) + np.outer([0.0, distance], _DIRECTION)
    atoms = Atoms(pair, positions=place, cell=[30.0 + 2 * distance] * 3)
    atoms.positions += 15.0
    found = engine.compute(atoms, _WANT)
    force = float((found.forces[1] - found.forces[0]) @ _DIRECTION / 2)
    return found.energy, force


def _atom(symbol: str) -> Atoms:
    return Atoms([symbol], positions=[[15.1, 15.2, 15.3]], cell=[30.0] * 3)


def _contact(pair: Sequence[str]) -> float:
    return float(sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair))


def _elements(engine: Engine, structure: Atoms) -> tuple[str, ...]:
    if isinstance(engine, KnowsElements):
        return tuple(engine.elements)
    return tuple(dict.fromkeys(structure.get_chemical_symbols()))


def _climb(energies: FloatArray) -> float:
    """Return how high one has to climb from the first point before it goes below it."""
    below = np.flatnonzero(energies < energies[0])
    way = energies[: below[0] + 1] if len(below) else energies
    return float(np.nanmax(way) - energies[0])


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
