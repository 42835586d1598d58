"""A neighbour comes in at the cutoff: energy, force and its slope must not jump.

The energy and all forces are taken at seven points on each side of the cutoff, 0.002 Å
apart. A polynomial of degree four through each side gives value and derivative *at* the
cutoff, and their differences are the jumps. They are held against how much the same
quantity changes over the last quarter of the cutoff.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.validation.model_checks import structures
from lamplighter.validation.model_checks.additivity import NO_CUTOFF
from lamplighter.validation.model_checks.deviation import Deviation
from lamplighter.validation.model_checks.record import CheckRecord, judged, skipped
from lamplighter.validation.model_checks.subject import Subject

_STEP = 0.002
_POINTS = _STEP * np.arange(1, 8)
_DEGREE = 4
_UNITS = {"energy": "eV", "force": "eV/Å", "slope": "eV/Å²"}
NAMES = tuple(f"smoothness.{quantity}" for quantity in _UNITS)


@dataclass(frozen=True, slots=True)
class Path:
    """An atom that moves through the cutoff of one other atom.

    Attributes:
        rest: the atoms that stay.
        mover: element of the atom that moves.
        origin: where the mover is at distance zero from its first neighbour, Å.
        direction: unit vector.
        note: for the record.
    """

    rest: Atoms
    mover: str
    origin: Floats
    direction: Floats
    note: str

    def at(self, distance: float) -> Atoms:
        """Return the structure with the mover `distance` Å from its first neighbour."""
        place = self.origin + distance * self.direction
        both: Atoms = self.rest + Atoms([self.mover], [place])
        return both


def check_smoothness(subject: Subject) -> list[CheckRecord]:
    """Move every element out of the reach of every other, alone and in a cluster."""
    if subject.cutoff is None:
        return [skipped(name, NO_CUTOFF) for name in NAMES]
    found = [jumps(subject, path, subject.cutoff) for path in _paths(subject)]
    records = []
    for name, (quantity, unit) in zip(NAMES, _UNITS.items(), strict=True):
        if quantity not in found[0]:
            reason = f"rounding of {subject.dtype} hides it: use float64"
            records.append(skipped(name, reason))
            continue
        worst = max((one[quantity] for one in found), key=lambda jump: jump.ratio)
        records.append(judged(name, worst.value, worst.tolerance, unit, worst.note))
    return records


def jumps(subject: Subject, path: Path, cutoff: float) -> dict[str, Deviation]:
    """Return the jumps of energy, force and slope on one path."""
    around = np.concatenate([-_POINTS, _POINTS])
    window = np.linspace(-0.25 * cutoff, 0.0, 8)
    distances = cutoff + np.concatenate([around, window])
    found = subject.evaluate_many([path.at(float(r)) for r in distances])
    rows = np.array([[one.energy, *one.forces.ravel()] for one in found])
    inside, outside = (
        _limit(side, part)
        for side, part in zip(
            np.split(around, 2), np.split(rows[: len(around)], 2), strict=True
        )
    )
    before = rows[len(around) :]
    forces = before[:, 1:]
    slopes = np.diff(forces, axis=0) / (window[1] - window[0])
    t, scale = subject.tolerances, max(one.scale for one in found)
    jump = np.abs(inside - outside)
    # Rounding of E0 does not grow with the forces, what is summed does.
    rounding = 100.0 * subject.epsilon * abs(float(before[0, 0])) / scale
    floor = 5.0 * t.energy * found[0].n_atoms + rounding
    measured = {
        "energy": (jump[0, 0], np.ptp(before[:, 0]), floor),
        "force": (jump[0, 1:].max(), np.ptp(forces, axis=0).max(), 10 * t.forces),
    }
    if t.curvature_floor is not None:
        # the derivatives of the forces; that of the energy is one of the forces
        measured["slope"] = (jump[1, 1:].max(), np.abs(slopes).max(), t.curvature_floor)
    return {
        quantity: Deviation(
            quantity=quantity,
            value=float(value),
            tolerance=float(t.jump * size + floor * scale),
            note=path.note,
        )
        for quantity, (value, size, floor) in measured.items()
    }


def _limit(offsets: Floats, rows: Floats) -> Floats:
    """Return values and derivatives at the cutoff from one side: ``[2, columns]``."""
    powers = np.vander(offsets, _DEGREE + 1, increasing=True)
    if not np.isfinite(rows).all():
        return np.full((2, rows.shape[1]), np.nan)
    # a constant that is large beside its changes is taken out before the fit
    coefficients = np.linalg.lstsq(powers, rows - rows[0], rcond=None)[0]
    coefficients[0] += rows[0]
    return np.asarray(coefficients[:2])


def _paths(subject: Subject) -> Iterator[Path]:
    """Return pairs of all elements, and a newcomer at a cluster."""
    direction = np.array([2.0, -3.0, 6.0]) / 7.0
    place = np.array([0.1, 0.2, 0.3])
    for a, b in itertools.combinations_with_replacement(subject.sample, 2):
        yield Path(Atoms([a], [place]), b, place, direction, f"pair {a}-{b}")
    atoms = structures.cluster(subject.sample, subject.cutoff)
    for element in subject.sample:
        yield _newcomer(atoms, element, subject.cutoff or 0.0)


def _newcomer(atoms: Atoms, element: str, cutoff: float) -> Path:
    """Return a path on which one atom of the cluster is met well before the others."""
    draw = np.random.default_rng(7).normal(size=(100, 3))
    best = (-np.inf, 0, draw[0])
    for direction in draw / np.linalg.norm(draw, axis=1)[:, None]:
        first = int(np.argmax(atoms.positions @ direction))
        place = atoms.positions[first] + cutoff * direction
        others = np.delete(atoms.positions, first, axis=0)
        gap = np.linalg.norm(others - place, axis=1).min() - cutoff
        best = max(best, (float(gap), first, direction), key=lambda item: item[0])
    _, first, direction = best
    formula = atoms.get_chemical_formula()
    note = f"{element} that enters {formula}"
    return Path(atoms, element, atoms.positions[first].copy(), direction, note)
