"""How far two evaluations are apart, and at which atom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.units import GPA_PER_EV_A3

TOLERANCES: Final[dict[str, dict[str, float]]] = {
    "float64": {"energy": 1e-9, "energies": 1e-9, "forces": 1e-8, "stress": 1e-6},
    "float32": {"energy": 1e-5, "energies": 1e-5, "forces": 1e-4, "stress": 1e-2},
}
"""Largest differences per dtype: eV/atom, eV of an atom, eV/Å, GPa."""

COMPILED_TOLERANCES: Final[dict[str, dict[str, float]]] = {
    "float64": {"energy": 1e-7, "energies": 1e-7, "forces": 5e-6, "stress": 1e-3},
    "float32": {"energy": 1e-4, "energies": 1e-4, "forces": 5e-4, "stress": 5e-2},
}
"""Those of a compiled potential from the independent evaluation, which has no tables.

Times the size of a quantity where that exceeds 1; see `sizes`. From one rank it may
differ as little as any other.
"""

UNITS: Final = {
    "energy": "eV/atom",
    "energies": "eV",
    "forces": "eV/Å",
    "stress": "GPa",
}
"""Units of the quantities that are compared."""

_AXES: Final = "xyz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """One evaluation of one structure.

    Attributes:
        energy: of all atoms, eV.
        energies: ``[n]``, eV.
        forces: ``[n, 3]``, eV/Å.
        virial: ``[3, 3]``, eV; the pressure is ``virial / volume``.
        volume: Å^3.
    """

    energy: float
    energies: Floats
    forces: Floats
    virial: Floats
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The largest difference in one quantity, never NaN: what is not finite is inf.

    Attributes:
        value: in the unit of the quantity.
        where: the atom and component, in words; empty for a sum over atoms.
    """

    value: float
    where: str = ""


Differences = dict[str, Difference]
"""The differences by quantity, in the order of `UNITS`."""


def differences(found: Numbers, wanted: Numbers, symbols: Sequence[str]) -> Differences:
    """Return the largest difference of each quantity.

    Args:
        found: what is judged.
        wanted: what it is compared with.
        symbols: chemical symbol of each atom, to name the worst one.
    """
    n = len(symbols)
    energies = _gap(found.energies, wanted.energies)
    forces = _gap(found.forces, wanted.forces)
    stress = _gap(found.virial, wanted.virial) / found.volume * GPA_PER_EV_A3
    k, (a, axis) = int(energies.argmax()), np.unravel_index(forces.argmax(), (n, 3))
    i, j = np.unravel_index(stress.argmax(), (3, 3))
    total = float(_gap(np.array(found.energy), np.array(wanted.energy)))
    return {
        "energy": Difference(value=total / n),
        "energies": Difference(value=float(energies[k]), where=_atom(k, symbols)),
        "forces": Difference(
            value=float(forces[a, axis]),
            where=f"{_atom(int(a), symbols)}, {_AXES[axis]}",
        ),
        "stress": Difference(value=float(stress[i, j]), where=f"{_AXES[i]}{_AXES[j]}"),
    }


def sizes(wanted: Numbers) -> dict[str, float]:
    """Return the size of each quantity, at least 1; energies without a common part."""
    spread = max(1.0, float(np.ptp(wanted.energies)) if len(wanted.energies) else 0.0)
    stress = np.abs(wanted.virial).max() / wanted.volume * GPA_PER_EV_A3
    return {
        "energy": spread,
        "energies": spread,
        "forces": max(1.0, float(np.abs(wanted.forces).max(initial=0.0))),
        "stress": max(1.0, float(stress)),
    }


def excess(
    found: Differences, tolerances: Mapping[str, float], against: str
) -> list[str]:
    """Return a sentence for each quantity above its tolerance.

    Args:
        found: the differences.
        tolerances: largest differences, see `TOLERANCES`.
        against: what was compared with, in words.
    """
    sentences = []
    for quantity, one in found.items():
        limit = tolerances[quantity]
        if not one.value <= limit:
            place = f" at {one.where}" if one.where else ""
            sentences.append(
                f"{quantity} off {against} by {one.value:.2e} {UNITS[quantity]}{place} "
                f"(at most {limit:.0e})"
            )
    return sentences


def largest(many: Sequence[Differences]) -> dict[str, float]:
    """Return the largest difference of each quantity; empty without any."""
    return {
        quantity: max(one[quantity].value for one in many) for quantity in UNITS if many
    }


def _gap(found: Floats, wanted: Floats) -> Floats:
    """Return ``|found - wanted|``; what is not a number is infinitely far away."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(found - wanted)
    return np.where(np.isfinite(gap), gap, math.inf)


def _atom(index: int, symbols: Sequence[str]) -> str:
    return f"atom {index + 1} ({symbols[index]})"
