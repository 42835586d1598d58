"""What every property returns, and its JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import atomic_path
from lamplighter.validation.engines.base import EngineInfo

SCHEMA = 1
Status = Literal["ok", "warn", "invalid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its unit and, where one was estimated, its error.

    Attributes:
        value: A finite number.
        unit: As printed, for example ``"GPa"``, ``"Å"``, ``"THz"``; ``""`` for a ratio.
        error: Numerical uncertainty in the same unit (not the model's error), or
            ``None`` when none was estimated.
    """

    value: float
    unit: str
    error: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that are not finite: a failure is a status, not a NaN."""
        numbers = [self.value] if self.error is None else [self.value, self.error]
        if not all(math.isfinite(number) for number in numbers):
            raise DataError(
                explain(
                    "a quantity must be finite",
                    got=f"value {self.value}, error {self.error} ({self.unit})",
                    wanted="finite numbers",
                    fix="report the failure as a failed check instead",
                )
            )

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {"value": self.value, "unit": self.unit, "error": self.error}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test that a calculation had to pass.

    Attributes:
        name: Short identifier, for example ``"residual stress"``.
        ok: Whether it passed.
        value: What was measured; ``None`` when there is no number.
        limit: The bound it was held against; ``None`` when there is none.
        text: One sentence for the reader, with units, and what to do on failure.
        hard: A failed hard check makes the result invalid, a failed soft check only
            raises a warning.
    """

    name: str
    ok: bool
    value: float | None = None
    limit: float | None = None
    text: str = ""
    hard: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types; what is not finite becomes None."""
        return {
            "name": self.name,
            "ok": bool(self.ok),
            "value": _finite_or_none(self.value),
            "limit": _finite_or_none(self.limit),
            "text": self.text,
            "hard": self.hard,
        }


def at_most(
    name: str, value: float, limit: float, text: str = "", *, hard: bool = True
) -> Check:
    """Return the check ``value <= limit``; a NaN fails."""
    return Check(
        name=name,
        ok=bool(value <= limit),
        value=float(value),
        limit=float(limit),
        text=text,
        hard=hard,
    )


def at_least(
    name: str, value: float, limit: float, text: str = "", *, hard: bool = True
) -> Check:
    """Return the check ``value >= limit``; a NaN fails."""
    return Check(
        name=name,
        ok=bool(value >= limit),
        value=float(value),
        limit=float(limit),
        text=text,
        hard=hard,
    )


def status_of(checks: Sequence[Check]) -> Status:
    """Return ``invalid`` after a failed hard check, ``warn`` after a soft one."""
    if any(check.hard and not check.ok for check in checks):
        return "invalid"
    return "warn" if any(not check.ok for check in checks) else "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyResult:
    """One property of one material from one engine.

    Attributes:
        property: Name of the property, for example ``"elastic"``.
        material: Name of the material, for example ``"MgO"``.
        engine: The engine that computed.
        method: Every setting that was used, defaults included (JSON types).
        values: Named numbers; empty when the status is ``invalid``.
        arrays: Named lists for plots, nested lists of numbers or strings.
        checks: Tests that were made on the way.
        status: ``ok``, ``warn`` or ``invalid``, consistent with ``checks``.
    """

    property: str
    material: str
    engine: EngineInfo
    method: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Quantity] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    status: Status = "ok"

    def __post_init__(self) -> None:
        """Refuse a status that hides a failed check, and numbers that are invalid."""
        if self.status not in get_args(Status):
            raise DataError(
                explain(
                    "unknown status of a property result",
                    got=repr(self.status),
                    wanted=" | ".join(get_args(Status)),
                    fix="use PropertyResult.conclude, which derives it from the checks",
                )
            )
        expected = status_of(self.checks)
        if expected == "invalid" and (self.status != "invalid" or self.values):
            raise DataError(
                explain(
                    f"{self.property} of {self.material} failed a hard check",
                    got=f"status {self.status!r} with {len(self.values)} values",
                    wanted="status 'invalid' and no values",
                    fix="use PropertyResult.conclude, which drops the values",
                )
            )

    @classmethod
    def conclude(
        cls,
        property: str,  # noqa: A002 - the field's name in the record
        material: str,
        engine: EngineInfo,
        *,
        method: Mapping[str, Any],
        checks: Sequence[Check],
        values: Mapping[str, Quantity] | None = None,
        arrays: Mapping[str, Any] | None = None,
    ) -> PropertyResult:
        """Return a result whose status follows from the checks.

        When a hard check failed the values are dropped, so that no later step can
        compare them; the arrays stay, for a plot that shows what went wrong.
        """
        status = status_of(checks)
        return cls(
            property=property,
            material=material,
            engine=engine,
            method={key: _plain(value) for key, value in method.items()},
            values={} if status == "invalid" else dict(values or {}),
            arrays={key: _plain(value) for key, value in (arrays or {}).items()},
            checks=list(checks),
            status=status,
        )

    def failed(self) -> list[Check]:
        """Return the checks that did not pass."""
        return [check for check in self.checks if not check.ok]

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types; ``from_dict`` reverses it."""
        return {
            "schema": SCHEMA,
            "property": self.property,
            "material": self.material,
            "engine": self.engine.to_dict(),
            "method": _plain(self.method),
            "values": {name: value.to_dict() for name, value in self.values.items()},
            "arrays": _plain(self.arrays),
            "checks": [check.to_dict() for check in self.checks],
            "status": self.status,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PropertyResult:
        """Return the result that ``to_dict`` wrote.

        Raises:
            DataError: If the record has another schema number.
        """
        if record.get("schema") != SCHEMA:
            raise DataError(
                explain(
                    "property record of another schema",
                    got=f"schema {record.get('schema')!r}",
                    wanted=f"schema {SCHEMA}",
                    fix="compute the property again with this version",
                )
            )
        return cls(
            property=record["property"],
            material=record["material"],
            engine=EngineInfo.from_dict(record["engine"]),
            method=dict(record["method"]),
            values={k: Quantity(**v) for k, v in record["values"].items()},
            arrays=dict(record["arrays"]),
            checks=[Check(**check) for check in record["checks"]],
            status=record["status"],
        )

    def to_json(self) -> str:
        """Return the record as JSON text, numbers at full precision."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> PropertyResult:
        """Return the result that ``to_json`` wrote.

        Raises:
            DataError: If the text is not such a record.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                explain(
                    "not a property record",
                    got=f"{type(error).__name__}: {error}",
                    wanted="JSON written by PropertyResult.to_json",
                    fix="compute the property again",
                )
            ) from error

    def save(self, path: str | Path) -> Path:
        """Write the JSON record atomically and return its path."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_text(self.to_json() + "\n", encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PropertyResult:
        """Return the record in ``path``.

        Raises:
            DataError: If the file is not a property record.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problem = f"the property record {path} cannot be read"
            raise DataError(explain(problem, got=error)) from error
        return cls.from_json(text)


def require_positive(settings: object, names: Iterable[str], of: str) -> None:
    """Refuse settings of which one is zero, negative or NaN; ``of`` ends the sentence.

    Raises:
        ConfigError: names the first one.
    """
    for name in names:
        if not getattr(settings, name) > 0:
            raise ConfigError(
                explain(f"{name} of {of}", got=getattr(settings, name), wanted="> 0")
            )


def _finite_or_none(value: float | None) -> float | None:
    """Return a float that JSON can hold."""
    return float(value) if value is not None and math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Return ``value`` in JSON types: arrays become lists, NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return _finite_or_none(value)
    return str(value) if isinstance(value, Path) else value
