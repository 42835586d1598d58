"""Reference records from a table of one's own (CSV)."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.validation.refs.levels import Kind
from lamplighter.validation.refs.loader import ReferenceValue
from lamplighter.validation.refs.quantities import check_record, kind_of
from lamplighter.validation.refs.writer import Origin

T = TypeVar("T")

_NEEDED: Final = ("quantity", "value")
_TEXT: Final = ("functional", "code", "zpe", "source", "doi", "licence", "role")
_COLUMNS: Final = (
    *(*_NEEDED, "unit", "error", "material", "structure", "space_group", "kind"),
    *("temperature_K", "table", "note", "verified", *_TEXT),
)
_TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


def from_csv(path: str | Path, origin: Origin) -> list[ReferenceValue]:
    """Return the records of a CSV file with a header line.

    Args:
        path: columns ``quantity`` and ``value``, and any of ``unit`` (else that of the
            catalogue), ``error``, ``functional`` or ``kind`` (``dft``, ``theory``,
            ``experiment``), ``code``, ``temperature_K``, ``zpe``, ``source``, ``doi``,
            ``table``, ``note``, ``licence``, ``role``, ``verified``, ``material``,
            ``structure``, ``space_group``. Empty cells take what `origin` says.
        origin: what holds for all rows that do not say otherwise.

    Raises:
        DataError: no such file, unknown or missing columns, or a cell that is no
            number; the message names the line.
        ConfigError: a row without a level of theory, or no material.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restkey="", strict=True)
            _check_columns(reader.fieldnames or (), path)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(explain(f"cannot read the table {path}", got=error)) from error
    if not rows:
        raise DataError(explain(f"{path.name} has no row below its header"))
    return [_record(row, path, f"{path.name}, line {n}", origin) for n, row in rows]


def _check_columns(names: Any, path: Path) -> None:
    unknown = [name for name in names if name not in _COLUMNS]
    missing = [name for name in _NEEDED if name not in names]
    if unknown or missing or len(set(names)) < len(names):
        problem = f"{path.name}: wrong columns"
        got = ", ".join(names) or "none"
        wanted = f"{', '.join(_NEEDED)} and any of {', '.join(_COLUMNS[2:])}, once"
        raise DataError(explain(problem, got=got, wanted=wanted))


def _record(
    row: Mapping[str, str | None], path: Path, where: str, origin: Origin
) -> ReferenceValue:
    if "" in row:
        raise DataError(explain(f"{where}: more cells than columns"))
    cells = {key: (value or "").strip() for key, value in row.items()}
    mine = _origin_of(cells, origin, where)
    if not mine.material:
        fix = "give --material, or a column of that name"
        raise ConfigError(explain(f"{where}: the material is not known", fix=fix))
    known = kind_of(cells["quantity"])
    space_group = _group(cells, mine, where)
    record = _built(
        where,
        ReferenceValue,
        quantity=cells["quantity"],
        material=mine.material,
        structure=mine.structure or f"space group {space_group}",
        space_group=space_group,
        value=_needed_number(cells, where),
        error=_number(cells, "error", where),
        unit=cells.get("unit") or (known.unit if known else ""),
        level=_built(where, mine.level),
        source=mine.source_of([path], cells.get("table", "")),
        licence=mine.licence,
        obtained="quoted",
        verified=mine.verified,
        role=mine.role,
        note=cells.get("note", ""),
    )
    check_record(record, where)
    return record


def _built(where: str, make: Callable[..., T], **given: Any) -> T:
    """Return what `make` makes; what it refuses is said with the line of the table."""
    try:
        return make(**given)
    except (ConfigError, DataError) as error:
        message = f"{where}: {error}"
        raise type(error)(message) from error


def _group(cells: Mapping[str, str], mine: Origin, where: str) -> int:
    given = _number(cells, "space_group", where)
    if given is None:
        return mine.space_group or 0
    if given not in range(231):
        problem = f"{where}: space_group is no number of a space group"
        raise DataError(explain(problem, got=cells["space_group"], wanted="0 to 230"))
    return int(given)


def _origin_of(cells: Mapping[str, str], origin: Origin, where: str) -> Origin:
    """Return the origin of one row: its own cells, else what holds for all."""
    given: dict[str, Any] = {key: cells[key] for key in _TEXT if cells.get(key)}
    given |= {key: cells[key] for key in ("material", "structure") if cells.get(key)}
    kind = cells.get("kind", "")
    if kind not in {"", *get_args(Kind)}:
        problem = f"{where}: unknown kind"
        wanted = " or ".join(get_args(Kind))
        raise DataError(explain(problem, got=kind, wanted=wanted))
    if kind == "experiment" or (kind == "" and given.get("functional")):
        given["experiment"] = kind == "experiment"
        given.setdefault("functional", "")
    temperature = _number(cells, "temperature_K", where)
    if temperature is not None:
        given["temperature_K"] = temperature
    if cells.get("verified"):
        if cells["verified"].lower() not in _TRUTH:
            problem = f"{where}: verified is no truth value"
            raise DataError(explain(problem, got=cells["verified"], wanted="yes or no"))
        given["verified"] = _TRUTH[cells["verified"].lower()]
    return _built(where, partial(replace, origin), **given)


def _number(cells: Mapping[str, str], name: str, where: str) -> float | None:
    text = cells.get(name, "")
    if not text:
        return None
    try:
        # Python reads 1_40 as 140; a table means something else.
        number = math.nan if "_" in text else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(explain(f"{where}: {name} is no number", got=repr(text)))
    return number


def _needed_number(cells: Mapping[str, str], where: str) -> float:
    value = _number(cells, "value", where)
    if value is None:
        raise DataError(explain(f"{where}: no value", wanted="a number"))
    return value
