"""Forces and stress against differences of the energy, and against Newton's third law.

Differences are central and of fourth order, ``(8 (E1 - E-1) - (E2 - E-2)) / 12 h``,
along random directions in which all atoms move.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms

from lamplighter.validation.model_checks import structures
from lamplighter.validation.model_checks.deviation import NO_STRESS, force_scale
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
        forces = subject.evaluate(atoms).forces
        scale = max(scale, force_scale(forces))
        generator = np.random.default_rng(11)
        for _ in range(_N_DIRECTIONS):
            direction = generator.normal(size=forces.shape)
            direction /= np.abs(direction).max()

            def moved(
                size: float, atoms: Atoms = atoms, along: np.ndarray = direction
            ) -> float:
                other = atoms.copy()
                other.positions += size * along
                return subject.energy(other)

            slope = _difference(moved, t.step)
            error = abs(slope + float((forces * direction).sum()))
            errors.append((error / np.linalg.norm(direction), name))
    error, name = max(errors, key=lambda item: _ranked(item[0]))
    return judged("derivatives.forces", error, t.slope * scale, "eV/Å", name)


def _stress(subject: Subject) -> CheckRecord:
    name = "derivatives.stress"
    atoms = structures.crystal(subject.sample, subject.cutoff)
    found = subject.evaluate(atoms)
    if found.stress is None:
        return skipped(name, NO_STRESS)
    t, volume = subject.tolerances, float(atoms.get_volume())
    errors = []
    for component, expected in enumerate(to_voigt(found.stress)):

        def stretched(size: float, component: int = component) -> float:
            return subject.energy(strained(atoms, strain_tensor(component, size)))

        errors.append(_difference(stretched, t.strain) / volume - expected)
    worst = float(np.abs(errors).max())
    tolerance = t.strain_slope * force_scale(found.forces)
    return judged(name, worst, tolerance, "eV/Å³", "crystal, six strains")


def _difference(energy: Callable[[float], float], step: float) -> float:
    """Return the derivative at zero, of fourth order in `step`."""
    near = energy(step) - energy(-step)
    far = energy(2.0 * step) - energy(-2.0 * step)
    return (8.0 * near - far) / (12.0 * step)


def _ranked(value: float) -> float:
    return value if np.isfinite(value) else np.inf


def check_conservation(subject: Subject) -> list[CheckRecord]:
    """Add up the forces and torques inside an isolated molecule."""
    atoms = structures.cluster(subject.sample, subject.cutoff)
    found = subject.evaluate(atoms)
    arms = atoms.positions - atoms.positions.mean(axis=0)
    net = np.abs(found.forces.sum(axis=0)).max()
    torque = np.abs(np.cross(arms, found.forces).sum(axis=0)).max()
    t, scale = subject.tolerances, force_scale(found.forces)
    length = max(1.0, float(np.abs(arms).max()))
    return [
        judged("conservation.force", net, t.forces * scale, "eV/Å", "molecule"),
        judged("conservation.torque", torque, t.forces * scale * length, "eV"),
    ]
