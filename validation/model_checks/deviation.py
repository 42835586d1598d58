"""Two evaluations that must agree: how far apart they are, and how far they may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.validation.model_checks.batched import Evaluation
from lamplighter.validation.model_checks.record import CheckRecord, judged, skipped
from lamplighter.validation.model_checks.subject import Subject

UNITS = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å³"}
NO_STRESS = "the calculator does not compute stress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One measured difference.

    Attributes:
        quantity: ``energy`` (eV per atom), ``forces`` or ``stress``; at a jump
            ``energy`` (eV), ``force`` or ``slope``.
        value: the largest difference.
        tolerance: for this structure.
        note: which structure and what was done to it.
    """

    quantity: str
    value: float
    tolerance: float
    note: str

    @property
    def ratio(self) -> float:
        """Return value over tolerance; infinite for a value that is no number."""
        ratio = self.value / self.tolerance
        return ratio if np.isfinite(ratio) else np.inf


def energy_tolerance(subject: Subject, evaluation: Evaluation) -> float:
    """Return the tolerance of an energy per atom, eV; large E0 carry their rounding."""
    per_atom = abs(evaluation.energy) / max(1, evaluation.n_atoms)
    rounding = 16.0 * subject.epsilon * per_atom
    return subject.tolerances.energy * evaluation.scale + rounding


def deviations(
    subject: Subject, expected: Evaluation, got: Evaluation, note: str
) -> list[Deviation]:
    """Return the differences of two evaluations of equal atoms.

    The number of atoms may differ for energies (per atom); then forces are left out.
    """
    if not (np.isfinite(expected.energy) and np.isfinite(got.energy)):
        return [_deviation(quantity, np.nan, 1.0, note) for quantity in UNITS]
    t, scale = subject.tolerances, expected.scale
    per_atom = got.energy / got.n_atoms - expected.energy / expected.n_atoms
    tolerance = energy_tolerance(subject, expected)
    found = [_deviation("energy", per_atom, tolerance, note)]
    if got.n_atoms == expected.n_atoms:
        difference = got.forces - expected.forces
        found.append(_deviation("forces", difference, t.forces * scale, note))
    if expected.stress is not None and got.stress is not None:
        difference = got.stress - expected.stress
        found.append(_deviation("stress", difference, t.stress * scale, note))
    return found


def _deviation(
    quantity: str, difference: Floats | float, tolerance: float, note: str
) -> Deviation:
    value = float(np.abs(difference).max(initial=0.0))
    return Deviation(quantity=quantity, value=value, tolerance=tolerance, note=note)


def worst_records(
    check: str,
    subject: Subject,
    found: Iterable[Deviation],
    quantities: Sequence[str] = ("energy", "forces", "stress"),
) -> list[CheckRecord]:
    """Return one record per quantity: the deviation that is closest to failing."""
    everything = list(found)
    records = []
    for quantity in quantities:
        name = f"{check}.{quantity}"
        if quantity == "stress" and not subject.has("stress"):
            records.append(skipped(name, NO_STRESS))
            continue
        worst = max(
            (d for d in everything if d.quantity == quantity), key=lambda d: d.ratio
        )
        records.append(
            judged(name, worst.value, worst.tolerance, UNITS[quantity], worst.note)
        )
    return records
