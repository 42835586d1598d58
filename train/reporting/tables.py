"""Tables of a page: columns with units, rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamplighter.train.errors_table import COLUMN_UNITS, COLUMNS, ErrorRow, ErrorTable
from lamplighter.train.reporting.facts import HeadFacts, RunFacts

Table = dict[str, Any]
"""``columns`` (``text``, ``unit``), ``rows`` of cells (``text``, ``mark``), ``note``,
``n_names``: how many of the first columns are names."""

GROUP_TITLES = {
    "config_type": "By kind of structure (config_type)",
    "element": "By element",
    "domain": "By domain",
}

GROUP_NOTES = {
    "config_type": "",
    "element": "Energies and stresses: frames that contain the element. Forces: "
    "components on its atoms.",
    "domain": "As the frames name it, else from the geometry: what has no layer of "
    "more than 6 Å without atoms is periodic there.",
}


def table(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str | tuple[str, str]]],
    *,
    n_names: int = 1,
    note: str = "",
) -> Table:
    """Return a table for the page.

    Args:
        columns: heading and unit.
        rows: texts, or texts with a mark: "bad", "good" or "muted".
        n_names: first columns that are names, not numbers.
        note: said above the table.
    """
    return {
        "columns": [{"text": text, "unit": unit} for text, unit in columns],
        "rows": [
            [
                {"text": cell, "mark": ""}
                if isinstance(cell, str)
                else {"text": cell[0], "mark": cell[1]}
                for cell in row
            ]
            for row in rows
        ],
        "n_names": n_names,
        "note": note,
    }


def error_view(found: ErrorTable) -> Table:
    """Return an error table for the page, the rows over all groups in bold."""
    names = ("head", found.by.replace("_", " "), *COLUMNS[2:])
    rows: list[list[str | tuple[str, str]]] = []
    for row, cells in zip(found.rows, found.cells(), strict=True):
        mark = "total" if row.config_type == "all" else ""
        rows.append([(cell.replace("-", "–") if cell == "-" else cell, mark)
                     for cell in cells])  # fmt: skip
    return table(
        list(zip(names, COLUMN_UNITS, strict=True)),
        rows,
        n_names=2,
        note=GROUP_NOTES[found.by],
    )


def heads_view(
    facts: RunFacts,
    now: Mapping[str, Any] | None,
    best: Mapping[str, Any] | None,
    *,
    running: bool,
) -> Table:
    """Return the heads with their frames and their validation errors, now and kept.

    Args:
        facts: heads and limits.
        now: the last validation record, or None before the first.
        best: the record of the weights that are kept, or would be now.
        running: the drift is that of the weights now, not of those that are kept.
    """
    guarded = any(h.energy_limit is not None for h in facts.heads)
    rows: list[list[str | tuple[str, str]]] = []
    for head in facts.heads:
        here = (now or {}).get("heads", {}).get(head.name, {})
        kept = (best or {}).get("heads", {}).get(head.name, {})
        cells: list[str | tuple[str, str]] = [
            head.name,
            head.level,
            head.role,
            f"{head.n_train}",
            f"{head.n_validation}",
        ]
        for key, limit in _limits(head).items():
            cells += [_number(here.get(key), 2), _number(kept.get(key), 2)]
            cells += [_number(limit, 2)] if guarded else []
        rows.append([*cells, *([_drift(head, here if running else kept)] * guarded)])
    last = "now" if running else "last"
    columns = [("head", ""), ("level of theory", ""), ("role", "")]
    columns += [("train", "frames"), ("validation", "frames")]
    for text, unit in (("F", "%"), ("E", "meV/atom")):
        columns += [(f"{text} {last}", unit), (f"{text} kept", unit)]
        columns += [(f"{text} limit", unit)] if guarded else []
    return table(
        [*columns, *([("drift", "")] * guarded)],
        rows,
        n_names=3,
        note="Validation errors of the averaged weights: force RMSE in percent of the "
        "RMS force, energy RMSE per atom. Kept: the weights that the rule of the "
        "selection keeps.",
    )


def _limits(head: HeadFacts) -> dict[str, float | None]:
    return {"force_percent": head.force_limit, "energy_rmse": head.energy_limit}


def _drift(head: HeadFacts, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return whether a head is inside its limits, if it has any."""
    limits = {key: v for key, v in _limits(head).items() if v is not None}
    if not limits or not row:
        return ("", "")
    known = {key: row.get(key) for key in limits}
    beyond = any(v is not None and v > limits[key] for key, v in known.items())
    return ("beyond limit", "bad") if beyond else ("inside", "good")


def comparison_view(
    rows: Sequence[tuple[ErrorRow, ErrorRow | None]], names: tuple[str, str]
) -> Table:
    """Return two models side by side, with the ratio of the second to the first."""
    body: list[list[str | tuple[str, str]]] = []
    for first, second in rows:
        cells: list[str | tuple[str, str]] = [
            first.head,
            first.config_type,
            f"{first.n_frames}",
        ]
        for key, digits in (("energy_rmse", 2), ("force_rmse", 1), ("stress_rmse", 3)):
            a = getattr(first, key)
            b = None if second is None else getattr(second, key)
            cells += [_number(a, digits), _number(b, digits), _ratio(a, b)]
        body.append(cells)
    columns = [("head", ""), ("config type", ""), ("frames", "")]
    for text, unit in (("E rmse", "meV/atom"), ("F rmse", "meV/Å"), ("σ rmse", "GPa")):
        columns += [(f"{text} A", unit), (f"{text} B", unit), ("B/A", "")]
    return table(
        columns,
        body,
        n_names=2,
        note=f"A: {names[0]}. B: {names[1]}. B/A below 1: B is better.",
    )


def _ratio(a: float | None, b: float | None) -> str | tuple[str, str]:
    if a is None or b is None or not a > 0 or not b >= 0:
        return "–"
    ratio = b / a
    if 0.95 <= ratio <= 1.05:
        return f"{ratio:.2f}"
    return (f"{ratio:.2f}", "good" if ratio < 1 else "bad")


def _number(value: float | None, digits: int) -> str:
    if value is None or value != value:  # noqa: PLR0124  (NaN)
        return "–"
    return f"{value:.{digits}f}"
