"""From the report document to one self-contained HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lamplighter.errors import DataError, explain
from lamplighter.files import atomic_path
from lamplighter.validation.report import plots
from lamplighter.validation.report.document import Document, check_document, finite
from lamplighter.validation.report.style import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[Mapping[str, Any]], Figure]

CAPTIONS: Final = {
    "learning_curve": (
        "Force error on held-out frames of every head while the new head is trained. "
        "The old heads are replayed; a rising line would be forgetting."
    ),
    "force_parity": (
        "Force components predicted by the post-trained model against the labels; "
        "the number is the RMSE of the panel."
    ),
    "dynamics": "Potential energy and temperature of the NVT run.",
    "phonon": (
        "Both engines over the DFT reference, and the largest difference between the "
        "engines at each point of the path."
    ),
    "bulk": (
        "Static energies (symbols) and the fitted equation of state (lines), "
        "each measured from its own minimum."
    ),
    "elastic": (
        "Symbols: circles ASE, squares LAMMPS. Lines: linear fits, whose slopes are "
        "the elastic constants."
    ),
    "surface": (
        "What each slab gives with the fitted bulk energy taken off; lines: the fit "
        "E(N) = 2Aγ + N e. A trend would mean that slab and bulk do not fit together."
    ),
}

PLOTS: Final[dict[str, tuple[Draw, str]]] = {
    "learning_curve": (plots.learning_curve, "Learning curve"),
    "force_parity": (plots.force_parity, "Force parity on held-out frames"),
    "dynamics": (plots.dynamics, "Molecular dynamics in LAMMPS"),
    "phonon": (plots.phonon_bands, "Phonon bands"),
    "bulk": (plots.equation_of_state, "Energy against volume"),
    "elastic": (plots.stress_strain, "Stress against strain"),
    "surface": (plots.surface_thickness, "Surface energy against slab thickness"),
}
"""Plot key in the document -> function and heading, in the order of the page."""

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
        number=format_number, small=format_small, delta=format_delta
    )
    source = resources.files("lamplighter.validation.report") / "template.html.j2"
    template = environment.from_string(source.read_text(encoding="utf-8"))
    return template.render(report=document, figures=_figures(document)) + "\n"


def write_report(document: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` into `folder` and return both paths.

    NaN and infinite numbers are written as null. Both files are whole or absent.

    Raises:
        DataError: the document does not follow the schema.
    """
    clean: Document = finite(document)
    page = render(clean)
    html, data = folder / "report.html", folder / "report.json"
    with atomic_path(data) as target:
        text = json.dumps(clean, indent=1, ensure_ascii=False, allow_nan=False)
        target.write_text(text + "\n", encoding="utf-8")
    with atomic_path(html) as target:
        target.write_text(page, encoding="utf-8")
    return html, data


def report_from_json(source: Path, out: Path) -> Path:
    """Make the page of a ``report.json`` again, without any engine.

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
    page = render(document)
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


def format_delta(value: float | None, unit: str = "") -> str:
    """Return a difference from the reference with its sign.

    >>> format_delta(0.0123, "Å"), format_delta(-1.25, "GPa")
    ('+0.0123', '−1.2')
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = format_number(value, unit)
    return text if text.startswith("−") else f"+{text}"


def _figures(document: Document) -> list[dict[str, str]]:
    figures = []
    for key, (draw, title) in PLOTS.items():
        data = document["plots"].get(key)
        if data is None:
            continue
        caption = CAPTIONS[key]
        view = draw(data)
        svg = to_svg(view, f"plot-{key}", f"{title}. {caption}")
        note = data.get("note", "")
        figures.append(
            {"key": key, "title": title, "caption": caption, "note": note, "svg": svg}
        )
    return figures
