"""Tables of a page: columns with units, rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamplighter.train.errors_table import COLUMN_UNITS, COLUMNS, ErrorRow, ErrorTable
from lamplighter.train.reporting.facts import RunFacts

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
    facts: RunFacts, now: Mapping[str, Any] | None, best: Mapping[str, Any] | None
) -> Table:
    """Return the heads with their frames and their validation errors, now and best.

    Args:
        facts: heads and limits.
        now: the last validation record, or None before the first.
        best: the record of the weights that would be kept.
    """
    rows: list[list[str | tuple[str, str]]] = []
    for head in facts.heads:
        here = (now or {}).get("heads", {}).get(head.name, {})
        kept = (best or {}).get("heads", {}).get(head.name, {})
        beyond = _beyond(here, head.force_limit, head.energy_limit)
        state = "" if head.force_limit is None and head.energy_limit is None else "kept"
        rows.append(
            [
                head.name,
                head.level,
                head.role,
                f"{head.n_train}",
                f"{head.n_validation}",
                _number(here.get("force_percent"), 2),
                _number(kept.get("force_percent"), 2),
                _number(head.force_limit, 2),
                _number(here.get("energy_rmse"), 2),
                _number(kept.get("energy_rmse"), 2),
                _number(head.energy_limit, 2),
                ("beyond limit", "bad") if beyond else (state and "inside", "good"),
            ]
        )
    columns = [
        *(("head", ""), ("level of theory", ""), ("role", "")),
        *(("train", "frames"), ("validation", "frames")),
        *(("F now", "%"), ("F best", "%"), ("F limit", "%")),
        *(("E now", "meV/atom"), ("E best", "meV/atom"), ("E limit", "meV/atom")),
        ("drift", ""),
    ]
    return table(
        columns,
        rows,
        n_names=3,
        note="Validation errors of the averaged weights: force RMSE in percent of the "
        "RMS force, energy RMSE per atom. Best: the weights that are kept.",
    )


def _beyond(
    row: Mapping[str, Any], force_limit: float | None, energy_limit: float | None
) -> bool:
    pairs = ((row.get("force_percent"), force_limit), (row.get("energy_rmse"), energy_limit))  # fmt: skip # noqa: E501
    return any(v is not None and limit is not None and v > limit for v, limit in pairs)


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
