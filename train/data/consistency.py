"""Do forces and stress belong to the energies? First-order work along pairs of frames.

Between two neighbouring geometries the energy changes by the work that the labelled
forces or stress do, whatever the level of theory. A wrong unit or sign of one of the
three labels shows as a slope that is not 1, even where every number looks plausible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.errors import DataError, explain
from lamplighter.train.data.frame import Frame
from lamplighter.units import BOHR_IN_ANGSTROM, GPA_PER_EV_A3, HARTREE_IN_EV

MAX_STEP = 0.25
"""Longest displacement of an atom between the frames of a pair, Å."""
MAX_STRAIN = 0.06
"""Largest strain component between the frames of a pair."""
MIN_WORK = 0.02
"""Smallest work of a pair that counts, eV; below it rounding and noise matter."""
MIN_PAIRS = 4
"""Fewest pairs that say anything."""
CORRELATION = 0.75
"""Least correlation of work and energy difference at which the slope is trusted."""
SLOPE_RANGE = (0.3, 3.0)
"""Slopes that curvature and noise can explain."""
NEAR = 0.35
"""Natural logarithm of the ratio within which a unit explains a slope."""
MAX_FRAMES = 40
"""Frames of one composition that are compared with each other."""

_FORCE_UNITS = {
    HARTREE_IN_EV / BOHR_IN_ANGSTROM: "forces in hartree/bohr",
    HARTREE_IN_EV: "forces in hartree/Å, or energies in hartree",
    1 / HARTREE_IN_EV: "energies in hartree",
    13.605693 / BOHR_IN_ANGSTROM: "forces in rydberg/bohr",
    0.0433641: "forces in kcal/mol/Å",
    23.0605: "energies in kcal/mol",
    -1.0: "gradients instead of forces: the sign is wrong",
}
_STRESS_UNITS = {
    1 / GPA_PER_EV_A3: "stress in GPa",
    0.1 / GPA_PER_EV_A3: "stress in kbar",
    -1.0: "pressure-like stress: the sign is wrong, tension is positive here",
    -1 / GPA_PER_EV_A3: "stress in GPa with the wrong sign",
    -0.1 / GPA_PER_EV_A3: "stress in kbar with the wrong sign",
    1 / HARTREE_IN_EV: "energies in hartree",
    23.0605: "energies in kcal/mol",
}


@dataclass(frozen=True, slots=True)
class _Slope:
    """Energy difference over work, and how well a line describes them."""

    value: float
    correlation: float
    n_pairs: int

    @property
    def refutes(self) -> bool:
        """Whether the labels cannot belong together."""
        low, high = SLOPE_RANGE
        return (
            self.n_pairs >= MIN_PAIRS
            and abs(self.correlation) > CORRELATION
            and not low < self.value < high
        )


def check_consistency(frames: Sequence[Frame], path: Path) -> None:
    """Refuse a file whose forces or stress do not do the energies' work.

    Files without enough neighbouring geometries pass: nothing can be said about them.

    Raises:
        DataError: the message names head, key, slope and the unit that explains it.
    """
    groups: dict[tuple[str, bytes], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.head, frame.numbers.tobytes()].append(frame)
    for head in dict.fromkeys(f.head for f in frames):
        own = [g[:MAX_FRAMES] for (name, _), g in groups.items() if name == head]
        pairs = [pair for group in own for pair in combinations(group, 2)]
        checks = (
            ("REF_forces", _force_works(pairs), _FORCE_UNITS),
            ("REF_stress", _stress_works(pairs), _STRESS_UNITS),
        )
        for key, works, units in checks:
            slope = _slope(list(works))
            if slope.refutes:
                raise DataError(_complaint(path, head, key, slope, units))


def _complaint(
    path: Path, head: str, key: str, slope: _Slope, units: Mapping[float, str]
) -> str:
    near = min(units, key=lambda unit: _distance(unit, slope.value))
    fix = "check units and signs"
    if _distance(near, slope.value) < NEAR:
        fix += f"; this looks like {units[near]}"
    return explain(
        f"{path}: {key} of head {head!r} does not belong to REF_energy",
        got=f"energy differences of {slope.n_pairs} pairs are {slope.value:.4g} times "
        f"the work of {key}",
        wanted="1 within curvature: eV, eV/Å, eV/Å^3, tension positive",
        fix=f"{fix}; limits.check_work: false reads the file all the same",
    )


def _force_works(
    pairs: Sequence[tuple[Frame, Frame]],
) -> Iterator[tuple[float, float]]:
    """Yield (work of the forces, energy difference) of pairs in the same cell."""
    for a, b in pairs:
        if a.forces is None or b.forces is None or a.pbc != b.pbc:
            continue
        if not np.allclose(a.cell, b.cell, atol=1e-6):
            continue
        step = b.positions - a.positions
        if np.linalg.norm(step, axis=1).max() < MAX_STEP:
            yield float(0.5 * ((a.forces + b.forces) * step).sum()), a.energy - b.energy


def _stress_works(
    pairs: Sequence[tuple[Frame, Frame]],
) -> Iterator[tuple[float, float]]:
    """Yield (work of the stress, energy difference) of pairs strained as a whole."""
    for a, b in pairs:
        if a.stress is None or b.stress is None:
            continue
        gradient = np.linalg.solve(a.cell, b.cell)
        strain = 0.5 * (gradient + gradient.T) - np.eye(3)
        if np.abs(strain).max() > MAX_STRAIN or not _same_fractions(a, b):
            continue
        # The strain from the middle of the way, so that the trapezoid is second order.
        middle = strain - 0.5 * strain @ strain
        force = 0.5 * (a.volume * a.stress + b.volume * b.stress)
        yield float((force * middle).sum()), b.energy - a.energy


def _same_fractions(a: Frame, b: Frame) -> bool:
    first = a.positions @ np.linalg.inv(a.cell)
    return bool(np.allclose(first @ b.cell, b.positions, atol=1e-3))


def _slope(works: Sequence[tuple[float, float]]) -> _Slope:
    table: Floats = np.array(works, dtype=float).reshape(-1, 2)
    table = table[np.abs(table).max(axis=1) > MIN_WORK]
    work, energy = table.T
    norm = float(work @ work)
    if len(table) < MIN_PAIRS or norm == 0.0:
        return _Slope(1.0, 0.0, len(table))
    product = float(work @ energy)
    correlation = product / np.sqrt(norm * max(float(energy @ energy), 1e-300))
    return _Slope(product / norm, float(correlation), len(table))


def _distance(unit: float, slope: float) -> float:
    """How far two factors are apart, on a logarithmic scale; other signs are far."""
    if unit * slope <= 0:
        return float("inf")
    return float(abs(np.log(unit / slope)))
