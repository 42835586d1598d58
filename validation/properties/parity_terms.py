"""What parity measures: differences, derivatives and invariances of results."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import WANT_ALL, Engine, FloatArray, Result
from lamplighter.validation.engines.family import family_of
from lamplighter.validation.structures import VOIGT, strained


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """What two evaluations of the same model may differ by.

    Attributes:
        energy: eV per atom; also for each per-atom energy in eV, and for their sum.
        forces: eV/Å, largest component.
        stress: GPa, largest component.
        slope: eV/Å, force against finite differences along a unit direction.
        strain_slope: GPa, stress against finite differences along a unit strain.
        displacement: Å, step of the finite differences of the energy.
        strain: Step of the finite differences by strain.
    """

    energy: float
    forces: float
    stress: float
    slope: float
    strain_slope: float
    displacement: float
    strain: float


FLOAT64 = Tolerances(
    energy=1e-9,
    forces=1e-8,
    stress=1e-6,
    slope=1e-5,
    strain_slope=1e-4,
    displacement=1.5e-3,
    strain=3e-4,
)
COMPILED = dataclasses.replace(FLOAT64, energy=1e-7, forces=5e-6, stress=1e-3)
"""In float64, where one of the engines interpolates in tables."""
FLOAT32 = Tolerances(
    energy=1e-5,
    forces=1e-3,
    stress=0.05,
    slope=2e-2,
    strain_slope=0.5,
    displacement=2e-2,
    strain=5e-3,
)


def differences(a: Result, b: Result) -> dict[str, float | None]:
    """Return the deviations of two results for the same atoms in the same order."""
    values: dict[str, float | None] = {
        "energy": abs(a.energy - b.energy) / len(a.forces),
        "forces": float(np.abs(a.forces - b.forces).max()),
        "energies": None,
        "stress": None,
    }
    if a.energies is not None and b.energies is not None:
        values["energies"] = float(np.abs(a.energies - b.energies).max())
    if a.stress is not None and b.stress is not None:
        values["stress"] = float(np.abs(a.stress - b.stress).max()) * GPA_PER_EV_A3
    return values


def derivatives(
    atoms: Atoms,
    result: Result,
    engine: Engine,
    directions: int,
    limits: Tolerances,
    rng: np.random.Generator,
) -> tuple[dict[str, float | None], list[str]]:
    """Return how far forces and stress are from derivatives of the energy.

    Returns:
        The differences by column, and the columns that stand for a shorter step, beside
        a kink or a jump that the whole step crosses.
    """
    smooth = family_of(engine) is not None
    slopes: list[tuple[float, bool]] = []
    strains: list[tuple[float, bool]] = []
    for _ in range(directions):
        direction = _weights(rng, (len(atoms), 3))
        shape = _symmetric(_weights(rng, (6,)))
        push = functools.partial(_slope_error, atoms, result, engine, direction)
        slopes.append(_smallest(push, limits.displacement, limits.slope, smooth))
        if result.stress is not None:
            pull = functools.partial(_strain_error, atoms, result, engine, shape)
            strains.append(_smallest(pull, limits.strain, limits.strain_slope, smooth))
    found = {"slope": slopes, "strain": strains}
    values = {
        key: largest([error for error, _ in one]) if one else None
        for key, one in found.items()
    }
    kinks = [key for key, one in found.items() if any(kink for _, kink in one)]
    return values, kinks


def largest(values: Sequence[float]) -> float:
    """Return the largest of some numbers, NaN if any is: ``max`` would pass it over."""
    return float(np.max(values))


def _smallest(
    error: Callable[[float], float],
    step: float,
    limit: float,
    smooth: bool,
) -> tuple[float, bool]:
    """Return the error of a derivative, and whether it is that beside a kink.

    Classical potentials have kinks where a neighbour enters their cutoff: a step across
    one measures it. A shorter one steps beside it, while a wrong sign, factor or order
    is as wrong as before. The potentials of this project claim to be smooth: what a
    step across a cutoff finds there is a defect, and no shorter one may hide it. Only
    an error that falls with the step as the five-point rule's own does, with its fourth
    power, is one of the rule.
    """
    first = error(step)
    if first <= limit:
        return first, False
    if not smooth:
        second = error(step * _SHORTER)
        # A NaN of either stays one.
        return float(np.minimum(first, second)), second <= limit
    last = first
    for part in (2.0, 4.0):
        now = error(step / part)
        if not last / _FALLS[1] <= now <= last / _FALLS[0]:
            return first, False
        if now <= limit:
            return now, False
        last = now
    return first, False


def _slope_error(
    atoms: Atoms, result: Result, engine: Engine, direction: FloatArray, step: float
) -> float:
    """Return force minus derivative along a direction, eV/Å."""
    moved = [_moved(atoms, s * step * direction) for s in _STEPS]
    exact = -float(np.sum(result.forces * direction))
    return abs(_derivative(moved, engine, step) - exact)


def _strain_error(
    atoms: Atoms, result: Result, engine: Engine, shape: FloatArray, step: float
) -> float:
    """Return stress minus derivative along a strain, GPa."""
    if result.stress is None:
        return 0.0
    cells = [strained(atoms, s * step * shape) for s in _STEPS]
    numeric = _derivative(cells, engine, step) / atoms.get_volume()
    exact = float(np.sum(result.stress * shape))
    return float(abs(numeric - exact) * GPA_PER_EV_A3)


_SHORTER = 0.1

# Half the step makes the error of the five-point rule 16 times smaller, or about that.
# Beside a jump it would vanish, across one double.
_FALLS = (8.0, 32.0)

_STEPS = (-2.0, -1.0, 1.0, 2.0)


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Return a random unit vector without small components.

    Each component of a force then counts, and counts differently from its neighbours.
    """
    signs = rng.choice([-1.0, 1.0], size=shape)
    weights = signs * rng.uniform(0.5, 1.5, size=shape)
    return np.asarray(weights / np.linalg.norm(weights))


def _symmetric(components: FloatArray) -> FloatArray:
    """Return a symmetric ``[3, 3]`` tensor of norm 1 from six components."""
    tensor = np.zeros((3, 3))
    for (i, j), value in zip(VOIGT, components, strict=True):
        tensor[i, j] = tensor[j, i] = value
    return np.asarray(tensor / np.linalg.norm(tensor))


def _derivative(structures: Sequence[Atoms], engine: Engine, step: float) -> float:
    """Return the five-point derivative of the energy; its error is of fourth order."""
    e = [r.energy for r in engine.compute_many(structures, ("energy", "forces"))]
    return (e[0] - 8.0 * e[1] + 8.0 * e[2] - e[3]) / (12.0 * step)


def _moved(atoms: Atoms, displacement: FloatArray) -> Atoms:
    moved: Atoms = atoms.copy()
    moved.set_positions(atoms.get_positions() + displacement, apply_constraint=False)
    return moved


def invariances(
    atoms: Atoms,
    result: Result,
    engine: Engine,
    limits: Tolerances,
    rng: np.random.Generator,
) -> dict[str, float | None]:
    """Return deviations under three operations, as fractions of the tolerances."""
    shift = rng.normal(size=3) * 3.0
    translated_atoms = _moved(atoms, np.tile(shift, (len(atoms), 1)))

    rotation = _rotation(rng)
    turned_atoms = atoms.copy()
    turned_atoms.set_cell(atoms.cell.array @ rotation.T)
    turned_atoms.set_positions(atoms.positions @ rotation.T, apply_constraint=False)

    order = rng.permutation(len(atoms))
    translated, turned, shuffled = engine.compute_many(
        [translated_atoms, turned_atoms, atoms[order]], WANT_ALL
    )
    rotated = dataclasses.replace(
        turned,
        forces=turned.forces @ rotation,
        stress=None if turned.stress is None else rotation.T @ turned.stress @ rotation,
    )
    back = np.argsort(order)
    permuted = dataclasses.replace(
        shuffled,
        forces=shuffled.forces[back],
        energies=None if shuffled.energies is None else shuffled.energies[back],
    )
    return {
        "translation": fraction(result, translated, limits),
        "rotation": fraction(result, rotated, limits),
        "permutation": fraction(result, permuted, limits),
    }


def fraction(a: Result, b: Result, limits: Tolerances) -> float:
    """Return the largest deviation of two results in units of its tolerance.

    1 is the limit of energy per atom, per-atom energy, force or stress, whichever is
    nearest to its own; quantities that one of the two lacks do not count.
    """
    values = differences(a, b)
    scale = {
        "energy": limits.energy,
        "energies": limits.energy,
        "forces": limits.forces,
        "stress": limits.stress,
    }
    found = [value / scale[key] for key, value in values.items() if value is not None]
    return float(np.max(found))


def _rotation(rng: np.random.Generator) -> FloatArray:
    """Return a random proper rotation ``[3, 3]`` with ``v_new = R @ v``."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if np.linalg.det(q) > 0.0 else -q)
