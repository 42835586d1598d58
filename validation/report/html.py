"""From the report document to one self-contained HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from lamplighter.errors import DataError, explain
from lamplighter.files import atomic_path
from lamplighter.validation.report.document import Document, check_document, finite
from lamplighter.validation.report.figures import drawn

_ORDER: Final = ("invalid", "miss", "near", "pass", "info")
_MATRIX: Final = 2
"""An overview is worth its space from so many materials on."""

_DECIMALS: Final = {
    "Å": 4,
    "GPa": 1,
    "THz": 3,
    "J/m²": 3,
    "meV": 1,
    "eV": 4,
    "Å³": 3,
    "1": 2,
    "": 3,
}


def render(document: Document) -> str:
    """Return the HTML page of a report document; it refers to no other file.

    Raises:
        DataError: the document does not follow the schema.
    """
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only to draw

    document = check_document(document)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=format_number, small=format_small, delta=format_delta, error=format_error
    )
    source = resources.files("lamplighter.validation.report") / "template.html.j2"
    template = environment.from_string(source.read_text(encoding="utf-8"))
    return (
        template.render(
            report=document, figures=drawn(document), overview=overview(document)
        )
        + "\n"
    )


def overview(document: Document) -> dict[str, Any] | None:
    """Return the worst verdict of each material and property; None for few of them.

    Returns:
        ``columns``: properties; ``rows``: ``material`` and ``cells`` with ``property``,
        ``verdict`` (empty where nothing was computed) and ``anchor`` of the table.
    """
    tables = document["properties"]
    materials = list(dict.fromkeys(table["material"] for table in tables))
    columns = list(dict.fromkeys(table["property"] for table in tables))
    if len(materials) < _MATRIX or len(tables) < 2 * _MATRIX:
        return None
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for index, table in enumerate(tables, start=1):
        verdicts = {row["verdict"] for row in table["rows"]}
        worst = next((v for v in _ORDER if v in verdicts), "info")
        found[table["material"], table["property"]] = (worst, f"table-{index}")
    rows = []
    for material in materials:
        pairs = [(name, found.get((material, name), ("", ""))) for name in columns]
        cells = [{"property": n, "verdict": v, "anchor": a} for n, (v, a) in pairs]
        rows.append({"material": material, "cells": cells})
    return {"columns": columns, "rows": rows}


def write_report(document: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` into `folder` and return both paths.

    NaN and infinite numbers are written as null. Both files are whole or absent.

    Raises:
        DataError: the document does not follow the schema.
    """
    return write_page(document, folder / "report.html")


def write_page(document: Mapping[str, Any], page: Path) -> tuple[Path, Path]:
    """Write a page and, beside it with the ending .json, its document.

    Raises:
        DataError: the document does not follow the schema.
    """
    clean: Document = finite(document)
    text = render(clean)
    data = page.with_suffix(".json")
    with atomic_path(data) as target:
        content = json.dumps(clean, indent=1, ensure_ascii=False, allow_nan=False)
        target.write_text(content + "\n", encoding="utf-8")
    with atomic_path(page) as target:
        target.write_text(text, encoding="utf-8")
    return page, data


def read_document(source: Path) -> Document:
    """Return the report document of a file.

    Raises:
        DataError: `source` is missing, not JSON, or not a report document.
    """
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            explain(
                f"cannot read the report document {source}",
                got=str(error),
                wanted="a report.json written by lamplighter",
            )
        ) from error
    return check_document(document)


def report_from_json(source: Path, out: Path) -> Path:
    """Make the page of a ``report.json`` again, without any engine.

    Raises:
        DataError: `source` is missing, not JSON, or not a report document.
    """
    page = render(read_document(source))
    with atomic_path(out) as target:
        target.write_text(page, encoding="utf-8")
    return out


def format_number(value: float | None, unit: str = "") -> str:
    """Return `value` with the decimals that its unit deserves, an en dash for None.

    >>> format_number(4.25571, "Å"), format_number(None, "Å")
    ('4.2557', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    known = unit if unit in _DECIMALS else unit.split("/", 1)[0]
    if unit == "1/K" and value:  # expansion: 4.6e-5
        return format_small(value) if value > 0 else f"−{format_small(value)}"
    return f"{value:.{_DECIMALS.get(known, 4)}f}".replace("-", "−")


def format_small(value: float | None) -> str:
    """Return a difference between engines in short scientific notation.

    >>> format_small(3.2e-13), format_small(0.25), format_small(None)
    ('3.2e−13', '0.25', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 1000:
        return f"{abs(value):.2g}"
    mantissa, exponent = f"{abs(value):.1e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def format_error(value: float | None, unit: str = "") -> str:
    """Return an uncertainty behind a number; nothing where none is known or visible.

    >>> format_error(0.5, "GPa"), format_error(1e-9, "GPa"), format_error(None)
    (' ± 0.5', '', '')
    """
    text = format_number(value, unit)
    return "" if not text.strip("0.–") else f" ± {text}"


def format_delta(value: float | None, unit: str = "") -> str:
    """Return a difference from the reference with its sign.

    >>> format_delta(0.0123, "Å"), format_delta(-1.25, "GPa")
    ('+0.0123', '−1.2')
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = format_number(value, unit)
    return text if text.startswith("−") else f"+{text}"
