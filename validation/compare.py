"""A model's numbers beside the references: how far apart, and whether that is allowed.

Only a reference at the model's own level of theory can fail a model. A number from
another functional or from an experiment is shown for information, since the difference
is mostly the functional's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from lamplighter.errors import DataError, explain
from lamplighter.validation.properties.base import PropertyResult, Quantity
from lamplighter.validation.refs.levels import same_level
from lamplighter.validation.refs.loader import ReferenceValue

Verdict = Literal["pass", "warn", "fail", "info"]
Kind = Literal["relative", "absolute", "not_below"]

THRESHOLDS_FILE: Final = Path(__file__).parent / "refs" / "thresholds.yaml"
_FORMAT: Final = 1
_KINDS: Final = ("relative", "absolute", "not_below")
_KEYS: Final = ("quantity", "kind", "warn", "fail")

# Which references a failed property leaves without a number.
QUANTITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "bulk": ("lattice_constant", "bulk_modulus"),
    "elastic": ("C[0-9][0-9]*", "shear_modulus"),
    "phonon": ("frequency_*", "free_energy_*", "entropy_*", "heat_capacity_*"),
    "surface": ("surface_energy_*", "cleavage_energy_*"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How far a quantity may be from its reference.

    Attributes:
        quantity: name or shell-style pattern.
        kind: ``relative`` to the reference's size, ``absolute`` in the unit of the
            quantity, or ``not_below``: absolute, and only a lower value counts.
        warn: the verdict is ``pass`` up to here.
        fail: the verdict is ``fail`` beyond here.
    """

    quantity: str
    kind: Kind
    warn: float
    fail: float

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant.

        Raises:
            DataError: an unknown kind, a negative limit, or `fail` below `warn`.
        """
        if self.kind not in _KINDS:
            problem = f"unknown kind of threshold for {self.quantity}"
            raise DataError(explain(problem, got=self.kind, wanted=" or ".join(_KINDS)))
        if not 0 <= self.warn <= self.fail:
            problem = f"threshold of {self.quantity} is out of order"
            got = f"warn {self.warn}, fail {self.fail}"
            raise DataError(explain(problem, got=got, wanted="0 <= warn <= fail"))

    def limits(self, reference: float) -> tuple[float, float]:
        """Return the largest differences that pass and that do not fail, with units."""
        scale = abs(reference) if self.kind == "relative" else 1.0
        return self.warn * scale, self.fail * scale

    def judge(self, delta: float, reference: float) -> Verdict:
        """Return the verdict on a difference `delta` = value - reference."""
        warn, fail = self.limits(reference)
        distance = -delta if self.kind == "not_below" else abs(delta)
        if distance <= warn:
            return "pass"
        return "warn" if distance <= fail else "fail"

    def text(self, unit: str) -> str:
        """Return the limit that fails in a few characters, for example ``±10 %``."""
        if self.kind == "relative":
            return f"±{100 * self.fail:g} %"
        sign = "−" if self.kind == "not_below" else "±"
        return f"{sign}{self.fail:g} {unit}"


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
            "verdict": self.verdict,
            "note": self.note,
        }


@cache
def default_thresholds() -> tuple[Threshold, ...]:
    """Return the thresholds that travel with the package."""
    return load_thresholds(THRESHOLDS_FILE)


def load_thresholds(path: str | Path) -> tuple[Threshold, ...]:
    """Return the thresholds of a YAML file, in its order: the first match counts.

    Raises:
        DataError: the file cannot be read, is of another format, or has a key that does
            not exist or lacks one.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(explain(f"cannot read thresholds {path}", got=error)) from error
    if not isinstance(content, Mapping) or content.get("format") != _FORMAT:
        problem = f"{path.name} is no file of thresholds"
        raise DataError(explain(problem, wanted=f"a mapping with format: {_FORMAT}"))
    return tuple(
        _threshold(item, f"{path.name}, threshold {index}")
        for index, item in enumerate(content.get("thresholds", ()), start=1)
    )


def _threshold(item: object, where: str) -> Threshold:
    if not isinstance(item, Mapping) or set(item) != set(_KEYS):
        got = sorted(map(str, item)) if isinstance(item, Mapping) else item
        raise DataError(
            explain(f"{where}: wrong keys", got=got, wanted=", ".join(_KEYS))
        )
    return Threshold(**item)


def threshold_for(
    quantity: str, thresholds: Iterable[Threshold] | None = None
) -> Threshold | None:
    """Return the first threshold whose pattern matches, or None."""
    known = default_thresholds() if thresholds is None else thresholds
    return next((t for t in known if fnmatchcase(quantity, t.quantity)), None)


def compare(
    result: PropertyResult,
    references: Sequence[ReferenceValue],
    thresholds: Sequence[Threshold] | None = None,
    *,
    level_of_theory: str | None = None,
) -> list[Comparison]:
    """Return every quantity of a result beside every reference of it.

    Args:
        result: of one property; its material selects among `references`.
        references: records, of any materials and levels.
        thresholds: the first that matches counts; None for the package's own.
        level_of_theory: what the model was trained on, for example ``PBE``; None reads
            ``level_of_theory`` from the engine's extra facts. Without it nothing can be
            failed, and every comparison is ``info``.

    Returns:
        Comparisons in the order of `references`. An invalid result gives a ``fail``
        with the reason for each primary reference at its level.
    """
    level = level_of_theory
    if level is None:
        level = result.engine.extra.get("level_of_theory", "")
    mine = [r for r in references if r.material == result.material]
    if result.status == "invalid":
        return _invalid(result, mine, level)
    return [
        _compare_one(result.values[record.quantity], record, level, thresholds)
        for record in mine
        if record.quantity in result.values
    ]


def worst(comparisons: Iterable[Comparison]) -> Verdict:
    """Return the worst verdict: fail, warn, pass; info if nothing was asked."""
    found = {comparison.verdict for comparison in comparisons}
    order: tuple[Verdict, ...] = ("fail", "warn", "pass")
    return next((verdict for verdict in order if verdict in found), "info")


def _compare_one(
    quantity: Quantity,
    record: ReferenceValue,
    level: str,
    thresholds: Sequence[Threshold] | None,
) -> Comparison:
    if quantity.unit != record.unit:
        problem = f"the units of {record.quantity} differ"
        raise DataError(explain(problem, got=quantity.unit, wanted=record.unit))
    delta = quantity.value - record.value
    threshold = threshold_for(record.quantity, thresholds)
    note = _why_not_judged(record, level, threshold)
    if threshold is None or note:
        verdict: Verdict = "info"
        tolerance, text = None, ""
    else:
        verdict = threshold.judge(delta, record.value)
        tolerance, text = (
            threshold.limits(record.value)[1],
            threshold.text(record.unit),
        )
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
    )


def _why_not_judged(
    record: ReferenceValue, level: str, threshold: Threshold | None
) -> str:
    """Return why a reference cannot fail the model, or nothing if it can."""
    if record.level.kind == "experiment":
        return "an experiment: for information"
    if not level:
        return "the model's level of theory is not known"
    if not same_level(level, record.level):
        return f"the model is {level}, the reference {record.level.functional}"
    if record.role == "secondary":
        return "stands beside the primary reference"
    if threshold is None:
        return "no threshold for this quantity"
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
