"""What a whole run says: the banner of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.report.view import RunView

_ENGINE_LABELS: Final = {"ase": "ASE", "lammps": "LAMMPS"}


def engine_label(info: EngineInfo) -> str:
    """Return what an engine is called: its name, ASE and LAMMPS in capitals."""
    return _ENGINE_LABELS.get(info.name, info.name)


def verdict(view: RunView, tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the banner of the report: state, headline, one line for each family."""
    rows = [row for table in tables for row in table["rows"]]
    counts = Counter(row["verdict"] for row in rows)
    apart = sum(row["engine_verdict"] == "fail" for row in rows)
    details = []
    structures = [r for one in view.parity for r in one.arrays.get("rows", ())]
    if structures:
        agree = sum(row["verdict"] == "pass" for row in structures)
        details.append(
            f"Parity: the engines agree on {agree} of {len(structures)} structures."
        )
    if apart:
        details.append(
            f"{apart} derived quantities differ between the engines by more than "
            "relaxations and fits explain."
        )
    against = _levels(view, tables, "references")
    details.append(
        f"Physics against {against}: {counts['pass']} pass, {counts['near']} near, "
        f"{counts['miss']} miss; {counts['info']} shown for information."
    )
    if counts["invalid"]:
        details.append(
            f"{counts['invalid']} quantities are invalid: see the failed checks."
        )
    if view.missing:
        details.append(
            f"{len(view.missing)} tasks have no result yet: the same command goes on."
        )
    return {
        "state": view.state,
        "headline": _headline(view, counts, _levels(view, tables, "the references")),
        "details": details,
    }


def _levels(view: RunView, tables: Sequence[Mapping[str, Any]], other: str) -> str:
    """Return the levels of theory against which something was judged."""
    found = [
        table["level"]
        for table in tables
        if any(row["verdict"] in {"pass", "near", "miss"} for row in table["rows"])
    ]
    names = list(dict.fromkeys(name for name in (found or [view.level]) if name))
    return " and ".join(names) or other


def _numbers(engines: Sequence[EngineInfo]) -> tuple[str, str]:
    """Return what the engines are called in "... gives the numbers of ..."."""
    labels = [engine_label(engine) for engine in engines]
    if labels == ["ASE", "LAMMPS"]:
        return "LAMMPS", "the model's numbers"
    return labels[-1], f"the numbers of {labels[0]}"


def _headline(view: RunView, counts: Mapping[str, int], level: str) -> str:
    judged = counts["pass"] + counts["near"] + counts["miss"]
    deployed, numbers = _numbers(view.engines)
    apart = [parity for parity in view.parity if parity.status == "invalid"]
    if apart and not any(parity.arrays.get("rows") for parity in apart):
        return "Parity was not tested: a comparison gave no result."
    if apart:
        return f"{deployed} does not give {numbers}."
    if any(result.status == "invalid" for result in view.results):
        return "A calculation is invalid; its numbers are not shown."
    if view.missing:
        return "The run is not finished."
    start = f"{deployed} gives {numbers}." if view.parity else "Done."
    return f"{start} {_judgement(judged, counts['miss'], level)}"


def _judgement(judged: int, missed: int, level: str) -> str:
    if judged == 0:
        return "None was compared with DFT."
    if missed:
        return f"{missed} of {judged} miss {level}."
    return f"All {judged} that were compared are within tolerance of {level}."
