"""What a check says: one record per measured quantity, and the report of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lamplighter.validation.model_checks.catalogue import CATALOGUE

SCHEMA = 1
Status: TypeAlias = Literal["pass", "fail", "information", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """One quantity that a check measured.

    Attributes:
        check: name of the check, a key of ``CHECKS``.
        name: the check and what was measured, for example ``"rotation.forces"``.
        status: ``pass``, ``fail``, ``information`` (nothing to hold it against) or
            ``skipped`` (`note` has the reason).
        value: what was measured; None when skipped; not finite after an overflow,
            which fails.
        tolerance: the largest value that passes; None when there is none.
        unit: of `value` and `tolerance`.
        note: where the worst value was found, or why the check was skipped.
    """

    check: str
    name: str
    status: Status
    value: float | None = None
    tolerance: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def meaning(self) -> str:
        """Return what the check is about, in a sentence."""
        return CATALOGUE[self.check].meaning

    @property
    def advice(self) -> str:
        """Return what to do when the check fails."""
        return CATALOGUE[self.check].advice

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types; a value that is not finite becomes None."""
        return {
            "check": self.check,
            "name": self.name,
            "status": self.status,
            "value": _finite(self.value),
            "tolerance": _finite(self.tolerance),
            "unit": self.unit,
            "note": self.note,
            "meaning": self.meaning,
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """Every record of one model.

    Attributes:
        model: file name, or class of the calculator.
        sha256: of the file; empty when there is none.
        head: head of a multi-head model.
        dtype: precision of the evaluation.
        elements: that the structures were made of.
        cutoff: Å, None when unknown.
        receptive_field: range of an atom's energy, Å, None when unknown.
        records: in the order of the checks.
    """

    model: str
    sha256: str
    head: str | None
    dtype: str
    elements: tuple[str, ...]
    cutoff: float | None
    receptive_field: float | None
    records: tuple[CheckRecord, ...]

    @property
    def failed(self) -> tuple[CheckRecord, ...]:
        """Return the records that failed."""
        return tuple(r for r in self.records if r.status == "fail")

    @property
    def failed_checks(self) -> frozenset[str]:
        """Return the names of the checks with a failed record."""
        return frozenset(r.check for r in self.failed)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        return {
            "schema": SCHEMA,
            "kind": "lamplighter model checks",
            "model": self.model,
            "sha256": self.sha256,
            "head": self.head,
            "dtype": self.dtype,
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "receptive_field": self.receptive_field,
            "passed": not self.failed,
            "records": [record.to_dict() for record in self.records],
        }


def judged(
    name: str, value: float, tolerance: float, unit: str, note: str = ""
) -> CheckRecord:
    """Return a record that passes when ``value <= tolerance``; NaN fails."""
    return CheckRecord(
        check=name.partition(".")[0],
        name=name,
        status="pass" if value <= tolerance else "fail",
        value=float(value),
        tolerance=float(tolerance),
        unit=unit,
        note=note,
    )


def information(name: str, value: float, unit: str, note: str = "") -> CheckRecord:
    """Return a record that neither passes nor fails."""
    return CheckRecord(
        check=name.partition(".")[0],
        name=name,
        status="information",
        value=float(value),
        unit=unit,
        note=note,
    )


def skipped(name: str, reason: str) -> CheckRecord:
    """Return a record of what was not measured, and why."""
    return CheckRecord(
        check=name.partition(".")[0], name=name, status="skipped", note=reason
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
