"""The same question twice, and in the other precision."""

from __future__ import annotations

import numpy as np

from lamplighter.model import Calculator
from lamplighter.validation.model_checks.deviation import (
    Deviation,
    deviations,
    worst_records,
)
from lamplighter.validation.model_checks.record import CheckRecord, judged, skipped
from lamplighter.validation.model_checks.subject import Subject, subject_of_calculator
from lamplighter.validation.model_checks.symmetry import samples
from lamplighter.validation.model_checks.tolerances import TOLERANCES


def check_determinism(subject: Subject) -> list[CheckRecord]:
    """Ask twice in a row, and again after other structures."""
    structures = samples(subject)
    first = {name: subject.evaluate(atoms) for name, atoms in structures.items()}
    found: list[Deviation] = []
    for name, atoms in reversed(structures.items()):
        for note in ("after another structure", "twice in a row"):
            again = subject.evaluate(atoms)
            found += deviations(subject, first[name], again, f"{name}, {note}")
    return worst_records("determinism", subject, found)


def check_dtype(subject: Subject) -> list[CheckRecord]:
    """Compare float32 with float64."""
    names = ("dtype.energy", "dtype.forces")
    if subject.potential is None:
        reason = "the precision of a plain ASE calculator cannot be chosen"
        return [skipped(name, reason) for name in names]
    device = str(next(subject.potential.parameters()).device)
    single, double = (
        subject_of_calculator(
            Calculator(
                subject.potential,
                subject.head,
                dtype,
                device,
                backend="reference",
            ),
            subject.sample,
        )
        for dtype in ("float32", "float64")
    )
    records = []
    t = TOLERANCES["float32"]
    energies, forces, scale = [], [], 1.0
    for atoms in samples(subject).values():
        coarse, fine = single.evaluate(atoms), double.evaluate(atoms)
        energies.append((coarse.energy - fine.energy) / len(atoms))
        forces.append(np.abs(coarse.forces - fine.forces).max())
        scale = max(scale, fine.scale)
    for name, values, tolerance, unit in zip(
        names,
        (energies, forces),
        (t.energy, t.forces),
        ("eV/atom", "eV/Å"),
        strict=True,
    ):
        worst = float(np.abs(values).max())
        records.append(judged(name, worst, tolerance * scale, unit))
    return records
