"""How far a model may be from a reference: limits in YAML, and which one counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from lamplighter.errors import DataError, explain
from lamplighter.validation.yaml_text import read_yaml

Verdict = Literal["pass", "warn", "fail", "info"]
Kind = Literal["relative", "absolute", "not_below"]
Against = Literal["dft", "experiment", "any"]

THRESHOLDS_FILE: Final = Path(__file__).parent / "refs" / "thresholds.yaml"
BUILT_IN: Final = "built in"
_FORMAT: Final = 1
_KINDS: Final = ("relative", "absolute", "not_below")
_AGAINST: Final = ("dft", "experiment", "any")
_KEYS: Final = ("quantity", "kind", "warn", "fail")
_SCOPES: Final = ("head", "family", "material")
_OPTIONAL: Final = ("floor_warn", "floor_fail", "against", *_SCOPES, "origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How far a quantity may be from its reference.

    Attributes:
        quantity: name or shell-style pattern.
        kind: ``relative`` to the reference's size, ``absolute`` in the unit of the
            quantity, or ``not_below``: absolute, and only a lower value counts.
        warn: the verdict is ``pass`` up to here.
        fail: the verdict is ``fail`` beyond here.
        floor_warn: in the unit of the quantity: never held tighter than this.
        floor_fail: the same for `fail`.
        against: kind of reference that it is for: ``dft``, ``experiment``, ``any``.
        head: name or pattern of the heads that it is for.
        family: name or pattern of the properties that it is for, such as ``elastic``.
        material: name or pattern of the materials that it is for.
        origin: where it comes from, for the report.
    """

    quantity: str
    kind: Kind
    warn: float
    fail: float
    floor_warn: float = 0.0
    floor_fail: float = 0.0
    against: Against = "dft"
    head: str = "*"
    family: str = "*"
    material: str = "*"
    origin: str = ""

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant.

        Raises:
            DataError: an unknown kind, a negative limit, or `fail` below `warn`.
        """
        for name, value, allowed in (
            ("kind", self.kind, _KINDS),
            ("against", self.against, _AGAINST),
        ):
            if value not in allowed:
                problem = f"unknown {name} of threshold for {self.quantity}"
                raise DataError(
                    explain(problem, got=value, wanted=" or ".join(allowed))
                )
        for words, low, high in (
            ("warn {}, fail {}", self.warn, self.fail),
            ("floor_warn {}, floor_fail {}", self.floor_warn, self.floor_fail),
        ):
            if not 0 <= low <= high:
                problem = f"threshold of {self.quantity} is out of order"
                got = words.format(low, high)
                raise DataError(explain(problem, got=got, wanted="0 <= warn <= fail"))

    def limits(self, reference: float) -> tuple[float, float]:
        """Return the largest differences that pass and that do not fail, with units."""
        scale = abs(reference) if self.kind == "relative" else 1.0
        return (
            max(self.warn * scale, self.floor_warn),
            max(self.fail * scale, self.floor_fail),
        )

    def judge(self, delta: float, reference: float) -> Verdict:
        """Return the verdict on a difference `delta` = value - reference."""
        warn, fail = self.limits(reference)
        distance = -delta if self.kind == "not_below" else abs(delta)
        if distance <= warn:
            return "pass"
        return "warn" if distance <= fail else "fail"

    def text(self, unit: str, reference: float | None = None) -> str:
        """Return the limit that fails in a few characters, for example ``±10 %``.

        Args:
            unit: of the quantity.
            reference: where the floor is what counts, it stands there instead.
        """
        if self.kind == "relative":
            if reference is not None and self.floor_fail > self.fail * abs(reference):
                return f"±{self.floor_fail:g} {unit}".rstrip()
            return f"±{100 * self.fail:g} %"
        sign = "−" if self.kind == "not_below" else "±"
        return f"{sign}{self.fail:g} {unit}".rstrip()

    def both(self, unit: str, reference: float | None = None) -> str:
        """Return both limits, for example ``±5 / 10 %``.

        Args:
            unit: of the quantity.
            reference: where the floor is what counts, it stands there instead.
        """
        sign = "−" if self.kind == "not_below" else "±"
        low, high, mark = self.warn, self.fail, unit
        if self.kind == "relative":
            low, high, mark = 100 * self.warn, 100 * self.fail, "%"
            if reference is not None and self.floor_fail > self.fail * abs(reference):
                low, high, mark = *self.limits(reference), unit
        pair = f"{high:g}" if low == high else f"{low:.3g} / {high:.3g}"
        return f"{sign}{pair} {mark}".rstrip()

    def scope(self) -> str:
        """Return what it is restricted to, for example ``head pbe, family elastic``."""
        parts = [f"{n} {getattr(self, n)}" for n in _SCOPES if getattr(self, n) != "*"]
        return ", ".join(parts) or "all"

    def fits(self, *, head: str, family: str, material: str, kind: str) -> bool:
        """Return whether it is for this head, property, material, kind of reference."""
        return (
            fnmatchcase(head, self.head)
            and fnmatchcase(family, self.family)
            and fnmatchcase(material, self.material)
            and self.against in {kind, "any"}
        )


@cache
def default_thresholds() -> tuple[Threshold, ...]:
    """Return the thresholds that travel with the package."""
    return load_thresholds(THRESHOLDS_FILE, origin=BUILT_IN)


def with_defaults(own: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Return one's own thresholds, and behind them the built-in ones."""
    return (*own, *default_thresholds())


def load_thresholds(path: str | Path, *, origin: str = "") -> tuple[Threshold, ...]:
    """Return the thresholds of a YAML file, in its order: the first match counts.

    Args:
        path: a mapping with ``format: 1`` and ``thresholds``, a list of mappings with
            the fields of [`Threshold`][].
        origin: what the report calls them; by default the name of the file.

    Raises:
        DataError: the file cannot be read, is of another format, or has a key that does
            not exist or lacks one.
    """
    path = Path(path)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(explain(f"cannot read thresholds {path}", got=error)) from error
    if not isinstance(content, Mapping) or content.get("format") != _FORMAT:
        problem = f"{path.name} is no file of thresholds"
        raise DataError(explain(problem, wanted=f"a mapping with format: {_FORMAT}"))
    items = content.get("thresholds", ())
    if not isinstance(items, list | tuple):
        problem = f"{path.name}: thresholds is no list"
        raise DataError(explain(problem, got=repr(items), wanted="- {quantity: ...}"))
    return thresholds_from(items, origin or path.name)


def thresholds_from(items: Iterable[object], origin: str) -> tuple[Threshold, ...]:
    """Return the thresholds of a list of mappings, as a suite or a file holds it.

    Raises:
        DataError: a key that does not exist or is missing, or a limit that is no
            number; the message names the place.
    """
    read = [
        _threshold(item, f"{origin}, threshold {index}")
        for index, item in enumerate(items, start=1)
    ]
    return tuple(replace(item, origin=item.origin or origin) for item in read)


def thresholds_of_suite(items: Iterable[object], folder: Path) -> tuple[Threshold, ...]:
    """Return the thresholds of a suite: files, from its folder, and limits in place.

    Raises:
        DataError: see [`load_thresholds`][] and [`thresholds_from`][].
    """
    found: list[Threshold] = []
    for item in items:
        if isinstance(item, str):
            found += load_thresholds(folder / Path(item).expanduser())
        else:
            found += thresholds_from([item], "the suite")
    return tuple(found)


def _threshold(item: object, where: str) -> Threshold:
    allowed = {*_KEYS, *_OPTIONAL}
    if not isinstance(item, Mapping) or not set(_KEYS) <= set(item) <= allowed:
        got = sorted(map(str, item)) if isinstance(item, Mapping) else item
        wanted = f"{', '.join(_KEYS)} and any of {', '.join(_OPTIONAL)}"
        raise DataError(explain(f"{where}: wrong keys", got=got, wanted=wanted))
    given: dict[str, Any] = dict(item)
    for key, value in given.items():
        is_limit = key in {"warn", "fail", "floor_warn", "floor_fail"}
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if is_limit and wrong:
            raise DataError(explain(f"{where}: {key} is no number", got=repr(value)))
        if not is_limit and not isinstance(value, str):
            raise DataError(explain(f"{where}: {key} is no text", got=repr(value)))
    return Threshold(**given)


def threshold_for(
    quantity: str,
    thresholds: Iterable[Threshold] | None = None,
    *,
    head: str = "",
    family: str = "",
    material: str = "",
    kind: str = "dft",
) -> Threshold | None:
    """Return the first threshold that is for a quantity, or None.

    Args:
        quantity: its name.
        thresholds: in order of precedence; None for the built-in ones.
        head: of the model.
        family: the property that gave the value.
        material: chemical formula.
        kind: of the reference, ``dft`` or ``experiment``.
    """
    known = default_thresholds() if thresholds is None else thresholds
    return next(
        (
            t
            for t in known
            if fnmatchcase(quantity, t.quantity)
            and t.fits(head=head, family=family, material=material, kind=kind)
        ),
        None,
    )
