"""Energy and force of two atoms at all distances, and what a curve can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.engines.base import Engine, FloatArray

_DIRECTION = np.array([2.0, -3.0, 6.0]) / 7.0
_WANT = ("energy", "forces")


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
        if self.farthest is not None and not self.farthest > 0:
            problem = "farthest distance of a dimer"
            raise ConfigError(explain(problem, got=self.farthest, wanted="> 0 Å"))
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


def curve(
    pair: tuple[str, str], engine: Engine, farthest: float, settings: DimersSettings
) -> Curve:
    """Return energy and force of one pair.

    Raises:
        ConfigError: the curve would end before it begins.
        EngineError: the engine cannot compute two atoms that are far apart.
    """
    first = settings.closest * _contact(pair)
    if not farthest > max(1.5 * first, 1.1 * settings.bonded * _contact(pair)):
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


def _climb(energies: FloatArray) -> float:
    """Return how high one has to climb from the first point before it goes below it."""
    below = np.flatnonzero(energies < energies[0])
    way = energies[: below[0] + 1] if len(below) else energies
    return float(np.nanmax(way) - energies[0])
