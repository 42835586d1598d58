"""A model's numbers beside the references: how far apart, and whether that is allowed.

Only a reference at the model's own level of theory can fail a model. A number from
another functional or from an experiment is shown for information, since the difference
is mostly the functional's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from lamplighter.errors import DataError, explain
from lamplighter.validation.properties.base import PropertyResult, Quantity
from lamplighter.validation.refs.levels import same_level
from lamplighter.validation.refs.loader import ReferenceValue
from lamplighter.validation.thresholds import (
    Threshold,
    Verdict,
    default_thresholds,
    load_thresholds,
    threshold_for,
)

__all__ = [
    "Comparison",
    "Threshold",
    "Verdict",
    "compare",
    "default_thresholds",
    "load_thresholds",
    "threshold_for",
    "worst",
]

SAME_KELVIN: Final = 5.0
"""Temperatures that are the same for a reference: 298.15 K is 300 K."""

# Which references a failed property leaves without a number.
QUANTITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "bulk": ("lattice_constant", "bulk_modulus"),
    "elastic": ("C[0-9][0-9]*", "shear_modulus"),
    "phonon": ("frequency_*", "free_energy_*", "entropy_*", "heat_capacity_*"),
    "surface": ("surface_energy_*", "cleavage_energy_*"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity of a model beside one reference.

    Attributes:
        quantity: name of the quantity.
        material: chemical formula.
        unit: unit of `value`, `error`, `delta`, `tolerance`.
        value: the model's number; ``None`` if the calculation was invalid.
        error: the model's numerical uncertainty; ``None`` if unknown.
        reference: the record that it is compared with.
        delta: value - reference; ``None`` without a value.
        relative: delta over the size of the reference; ``None`` if that is zero.
        tolerance: largest difference that does not fail; ``None`` for ``info``.
        tolerance_text: the same for a table, for example ``±10 %``.
        verdict: ``pass``, ``warn``, ``fail``, or ``info`` when nothing is asked.
        note: why the verdict is what it is, if the numbers alone do not say it.
        threshold: what it was judged by; ``None`` for ``info``.
    """

    quantity: str
    material: str
    unit: str
    value: float | None
    error: float | None
    reference: ReferenceValue
    delta: float | None
    relative: float | None
    tolerance: float | None
    tolerance_text: str
    verdict: Verdict
    note: str = ""
    threshold: Threshold | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {
            "quantity": self.quantity,
            "material": self.material,
            "unit": self.unit,
            "value": self.value,
            "error": self.error,
            "reference": self.reference.value,
            "reference_error": self.reference.error,
            "level": str(self.reference.level),
            "source": self.reference.source.text,
            "doi": self.reference.source.doi,
            "licence": self.reference.licence,
            "verified": self.reference.verified,
            "role": self.reference.role,
            "delta": self.delta,
            "relative": self.relative,
            "tolerance": self.tolerance,
            "tolerance_text": self.tolerance_text,
            "threshold": self.threshold.origin if self.threshold else "",
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides about a comparison.

    Attributes:
        level: what the model was trained on; without it nothing can be failed.
        thresholds: in order of precedence; None for the built-in ones.
        head: of the model.
        family: the property that gave the values.
        cross: judge references of other functionals and experiments as well.
    """

    level: str
    thresholds: Sequence[Threshold] | None = None
    head: str = ""
    family: str = ""
    cross: bool = False

    def threshold(self, record: ReferenceValue) -> Threshold | None:
        """Return the threshold of a reference, or None."""
        return threshold_for(
            record.quantity,
            self.thresholds,
            head=self.head,
            family=self.family,
            material=record.material,
            # Limits for DFT are those of calculations of the model's own level.
            kind="experiment" if record.level.kind == "experiment" else "dft",
        )


def compare(
    result: PropertyResult,
    references: Sequence[ReferenceValue],
    thresholds: Sequence[Threshold] | None = None,
    *,
    level_of_theory: str | None = None,
    cross: bool = False,
) -> list[Comparison]:
    """Return every quantity of a result beside every reference of it.

    Args:
        result: of one property; its material selects among `references`.
        references: records, of any materials and levels.
        thresholds: the first that matches counts; None for the package's own.
        level_of_theory: what the model was trained on, for example ``PBE``; None reads
            ``level_of_theory`` from the engine's extra facts. Without it nothing can be
            failed, and every comparison is ``info``.
        cross: also judge references of another functional and experiments, by the
            thresholds that are for these.

    Returns:
        Comparisons in the order of `references`. An invalid result gives a ``fail``
        with the reason for each primary reference at its level.
    """
    level = level_of_theory
    if level is None:
        level = result.engine.extra.get("level_of_theory", "")
    rules = Rules(
        level=level,
        thresholds=thresholds,
        head=result.engine.head or "",
        family=result.property,
        cross=cross,
    )
    # Pairs of atoms are the same in every material: their records go by the property.
    names = {result.material, result.property}
    mine = [r for r in references if r.material in names]
    if result.status == "invalid":
        return _invalid(result, mine, level)
    return [
        replace(
            _compare_one(result.values[record.quantity], record, rules),
            material=result.material,
        )
        for record in mine
        if record.quantity in result.values
    ]


def worst(comparisons: Iterable[Comparison]) -> Verdict:
    """Return the worst verdict: fail, warn, pass; info if nothing was asked."""
    found = {comparison.verdict for comparison in comparisons}
    order: Sequence[Verdict] = ("fail", "warn", "pass")
    return next((verdict for verdict in order if verdict in found), "info")


def _compare_one(
    quantity: Quantity, record: ReferenceValue, rules: Rules
) -> Comparison:
    if quantity.unit != record.unit:
        problem = f"the units of {record.quantity} differ"
        raise DataError(explain(problem, got=quantity.unit, wanted=record.unit))
    delta = quantity.value - record.value
    threshold = rules.threshold(record)
    note = _why_not_judged(record, rules, threshold)
    if threshold is None or note:
        verdict: Verdict = "info"
        tolerance, text, threshold = None, "", None
    else:
        verdict = threshold.judge(delta, record.value)
        tolerance = threshold.limits(record.value)[1]
        text = threshold.text(record.unit, record.value)
    return Comparison(
        quantity=record.quantity,
        material=record.material,
        unit=record.unit,
        value=quantity.value,
        error=quantity.error,
        reference=record,
        delta=delta,
        relative=delta / abs(record.value) if record.value else None,
        tolerance=tolerance,
        tolerance_text=text,
        verdict=verdict,
        note="; ".join(part for part in (note, _doubt(record)) if part),
        threshold=threshold,
    )


def _why_not_judged(
    record: ReferenceValue, rules: Rules, threshold: Threshold | None
) -> str:
    """Return why a reference cannot fail the model, or nothing if it can."""
    experiment = record.level.kind == "experiment"
    if experiment and not rules.cross:
        return "an experiment: for information"
    if not rules.level and not rules.cross:
        return "the model's level of theory is not known"
    same = same_level(rules.level, record.level)
    if not (same or rules.cross):
        return f"the model is {rules.level}, the reference {record.level.functional}"
    # Experiments always stand beside DFT; asked for, they are judged all the same.
    if record.role == "secondary" and not (experiment and rules.cross):
        return "stands beside the primary reference"
    return _other_state(record) or _without_limit(record, threshold)


def _without_limit(record: ReferenceValue, threshold: Threshold | None) -> str:
    if threshold is None:
        return "no threshold for this quantity"
    if threshold.kind == "relative" and threshold.limits(record.value)[1] == 0.0:
        return "a fraction of a reference that is zero allows nothing"
    return ""


def _other_state(record: ReferenceValue) -> str:
    """Return what a calculated reference holds that the model's number does not.

    A name without a temperature is that of the static lattice; a model's number at a
    temperature has it in its name, and then the reference is at the same one.
    """
    if record.level.kind == "experiment":
        return ""
    kelvin = record.level.temperature_K
    named = re.search(r"_(\d+(?:\.\d+)?)K(?:_|$)", record.quantity)
    if named is None:
        if kelvin is not None or record.level.zpe == "included":
            at = "with zero-point motion" if kelvin is None else f"at {kelvin:g} K"
            return f"the reference is {at}, the number of the static lattice"
        return ""
    if kelvin is not None and abs(kelvin - float(named[1])) > SAME_KELVIN:
        return f"the reference is at {kelvin:g} K, the number at {named[1]} K"
    return ""


def _doubt(record: ReferenceValue) -> str:
    return "" if record.verified else "the reference is not verified"


def _invalid(
    result: PropertyResult, references: Iterable[ReferenceValue], level: str
) -> list[Comparison]:
    reasons = "; ".join(check.text or check.name for check in result.failed())
    patterns = QUANTITIES.get(result.property, ())
    return [
        Comparison(
            quantity=record.quantity,
            material=record.material,
            unit=record.unit,
            value=None,
            error=None,
            reference=record,
            delta=None,
            relative=None,
            tolerance=None,
            tolerance_text="",
            verdict="fail",
            note=f"invalid {result.property} calculation: {reasons}",
        )
        for record in references
        if record.role == "primary"
        and same_level(level, record.level)
        and any(fnmatchcase(record.quantity, pattern) for pattern in patterns)
    ]
