"""Forces and stress against differences of the energy, and against Newton's third law.

Differences are central and of fourth order, ``(8 (E1 - E-1) - (E2 - E-2)) / 12 h``,
along random directions in which all atoms move.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.validation.model_checks import structures
from lamplighter.validation.model_checks.deviation import NO_STRESS
from lamplighter.validation.model_checks.record import CheckRecord, judged, skipped
from lamplighter.validation.model_checks.subject import Subject
from lamplighter.validation.model_checks.symmetry import samples
from lamplighter.validation.structures import strain_tensor, strained, to_voigt

_N_DIRECTIONS = 4


def check_derivatives(subject: Subject) -> list[CheckRecord]:
    """Compare forces and stress with finite differences."""
    return [_forces(subject), _stress(subject)]


def _forces(subject: Subject) -> CheckRecord:
    t = subject.tolerances
    errors, scale = [], 1.0
    for name, atoms in samples(subject).items():
        found = subject.evaluate(atoms)
        forces, scale = found.forces, max(scale, found.scale)
        directions = np.random.default_rng(11).normal(
            size=(_N_DIRECTIONS, *forces.shape)
        )
        for direction in directions / np.abs(directions).max(
            axis=(1, 2), keepdims=True
        ):
            moved = functools.partial(_moved, atoms, direction)
            error = _slope(subject, moved, t.step) + float((forces * direction).sum())
            errors.append((abs(error) / float(np.linalg.norm(direction)), name))
    error, name = max(errors, key=lambda item: _ranked(item[0]))
    return judged("derivatives.forces", error, t.slope * scale, "eV/Å", name)


def _moved(atoms: Atoms, direction: Floats, size: float) -> Atoms:
    other: Atoms = atoms.copy()
    other.positions += size * direction
    return other


def _stress(subject: Subject) -> CheckRecord:
    name = "derivatives.stress"
    atoms = structures.crystal(subject.sample, subject.cutoff)
    found = subject.evaluate(atoms)
    if not subject.has("stress"):
        return skipped(name, NO_STRESS)
    if found.stress is None:
        return judged(name, np.nan, subject.tolerances.strain_slope, "eV/Å³")
    t, volume = subject.tolerances, float(atoms.get_volume())
    slopes = [
        _slope(subject, functools.partial(_stretched, atoms, component), t.strain)
        for component in range(6)
    ]
    worst = float(np.abs(np.array(slopes) / volume - to_voigt(found.stress)).max())
    tolerance = t.strain_slope * found.scale
    return judged(name, worst, tolerance, "eV/Å³", "crystal, six strains")


def _stretched(atoms: Atoms, component: int, size: float) -> Atoms:
    return strained(atoms, strain_tensor(component, size))


def _slope(subject: Subject, structure: Callable[[float], Atoms], step: float) -> float:
    """Return the derivative of the energy at zero, of fourth order in `step`."""
    sizes = (-2.0, -1.0, 1.0, 2.0)
    found = subject.evaluate_many([structure(size * step) for size in sizes])
    e = [one.energy for one in found]
    return (8.0 * (e[2] - e[1]) - (e[3] - e[0])) / (12.0 * step)


def _ranked(value: float) -> float:
    return value if np.isfinite(value) else np.inf


def check_conservation(subject: Subject) -> list[CheckRecord]:
    """Add up the forces and torques inside an isolated molecule."""
    atoms = structures.cluster(subject.sample, subject.cutoff)
    found = subject.evaluate(atoms)
    arms = atoms.positions - atoms.positions.mean(axis=0)
    net = np.abs(found.forces.sum(axis=0)).max()
    torque = np.abs(np.cross(arms, found.forces).sum(axis=0)).max()
    t, scale = subject.tolerances, found.scale
    length = max(1.0, float(np.abs(arms).max()))
    return [
        judged("conservation.force", net, t.forces * scale, "eV/Å", "molecule"),
        judged(
            "conservation.torque", torque, t.forces * scale * length, "eV", "molecule"
        ),
    ]
