"""The verdict tables as plain text that fits a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lamplighter.validation.report.document import Document
from lamplighter.validation.report.html import format_number, format_small

_PARITY_COLUMNS: Final = ("energy", "forces", "stress")


def verdict_lines(document: Document) -> list[str]:
    """Return the parity and physics tables, the verdict and the notes, line by line.

    The page has more: here parity shows what differs between the engines, and physics
    what there is a reference for.
    """
    lines: list[str] = []
    if document["parity"]["rows"]:
        labels = [engine["label"] for engine in document["engines"]]
        pair = f"{labels[-1]} against {labels[0]}"
        lines += ["", f"Parity: {pair}, largest differences"]
        lines += aligned(*_parity(document))
    columns, rows = _physics(document)
    if rows:
        lines += ["", f"Physics: {columns[2]} against the references"]
        lines += aligned(columns, rows)
    failed = [check for check in document["checks"] if not check["ok"]]
    if failed:
        lines += ["", "Failed checks"]
        lines += [_failure(check) for check in failed]
    verdict = document["verdict"]
    lines += ["", verdict["headline"], *(f"  {line}" for line in verdict["details"])]
    lines += [f"{note['title']}: {note['text']}" for note in document["notes"]]
    return lines


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines: the first column to the left, the others to the right.

    >>> aligned(["a", "b"], [["x", "10"], ["long", "9"]])
    ['  a      b', '  x     10', '  long   9']
    """
    table = [list(columns), *map(list, rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(columns))]
    lines = []
    for first, *others in table:
        cells = [first.ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(others, widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells))
    return lines


def _parity(document: Document) -> tuple[list[str], list[list[str]]]:
    shown = [
        column
        for column in document["parity"]["columns"]
        if column["key"] in _PARITY_COLUMNS
    ]
    columns = ["structure", *(f"{c['label']} {c['unit']}" for c in shown), "verdict"]
    rows = [
        [
            row["structure"],
            *(format_small(row["values"].get(column["key"])) for column in shown),
            row["verdict"],
        ]
        for row in document["parity"]["rows"]
    ]
    limits = ["limit", *(format_small(column["limit"]) for column in shown), ""]
    return columns, [*rows, limits]


def _physics(document: Document) -> tuple[list[str], list[list[str]]]:
    labels = {engine["name"]: engine["label"] for engine in document["engines"]}
    found = _computed(document)
    # With --engine only some have numbers: the last of them is what is deployed.
    shown = [name for name in labels if name in found] or list(labels)
    both = len(shown) > 1
    columns = ["quantity", "reference", labels[shown[-1]], "Δ"]
    columns += [*([f"vs {labels[shown[0]]}"] if both else []), "allowed", "verdict"]
    rows = []
    materials = {table["material"] for table in document["properties"]}
    for table in document["properties"]:
        of = f"{table['material']}: " if len(materials) > 1 else ""
        for row in table["rows"]:
            if row["reference"] is None:
                continue
            cells = [
                f"{of}{row['label']} {row['unit']}",
                format_number(row["reference"], row["unit"]),
                format_number(row["engines"].get(shown[-1]), row["unit"]),
                _percent(row),
            ]
            cells += [format_small(row["delta_engine"])] if both else []
            rows.append([*cells, _allowed(row), row["verdict"]])
    return columns, rows


def _computed(document: Document) -> set[str]:
    """Return the engines that have a number in some table."""
    return {
        name
        for table in document["properties"]
        for row in table["rows"]
        for name, value in row["engines"].items()
        if value is not None
    }


def _failure(check: dict[str, Any]) -> str:
    where = f"{check['property']} {check['material']}, {check['engine']}"
    numbers = ""
    if check["value"] is not None and check["limit"] is not None:
        numbers = f" is {check['value']:.3g}, limit {check['limit']:.3g}"
    return f"  {where}: {check['name']}{numbers}; {check['text']}"


def _percent(row: dict[str, Any]) -> str:
    """Return the difference in percent of the reference, or as it is at zero."""
    delta, reference = row["delta_physics"], row["reference"]
    if delta is None:
        return "–"
    if abs(reference) < 1e-9:
        return f"{delta:+.3g}".replace("-", "−")
    return f"{100 * delta / abs(reference):+.1f} %".replace("-", "−")


def _allowed(row: dict[str, Any]) -> str:
    """Return the limit beyond which a quantity is missed."""
    text: str = row["tolerance"]
    if not text:
        return "–"
    return text[0] + text.rsplit("/", maxsplit=1)[-1].strip().lstrip("±−")
