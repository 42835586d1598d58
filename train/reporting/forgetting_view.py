"""What a post-training did to the heads: before, after, allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamplighter.train.reporting.curves import Record
from lamplighter.train.reporting.facts import HeadFacts, RunFacts
from lamplighter.train.reporting.tables import Table, table

Errors = Mapping[str, Any]

_MEANING = (
    "Errors at step 0 and with the weights that are kept. A kept head may not be worse "
    "than allowed; a new head has no such limit."
)


def forgetting_view(
    facts: RunFacts,
    validations: Sequence[Record],
    kept: Record | None,
    report: Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """Return the tables before and after of a post-training; None for other runs.

    Args:
        facts: heads with their roles and limits.
        validations: of the log; the first is of step 0.
        kept: the validation of the weights that are kept.
        report: content of forgetting.json, when the run is over.
    """
    if not any(head.role == "kept" for head in facts.heads) or not validations:
        return None
    first, last = validations[0]["heads"], (kept or validations[-1])["heads"]
    judged = [h for h in facts.heads if h.name in first and h.name in last]
    tables = [
        {
            "title": "On the validation frames",
            "table": _before_after(judged, first, last),
        }
    ]
    lines = [_MEANING]
    if report is not None:
        found = report.get("heads", {})
        heads = [h for h in facts.heads if h.name in found]
        if heads:
            tables.append(
                {
                    "title": "Kept heads on all frames that were not learnt from",
                    "table": _before_after(
                        heads,
                        {n: entry["before"] for n, entry in found.items()},
                        {n: entry["after"] for n, entry in found.items()},
                    ),
                }
            )
        unseen = report.get("unguarded_heads", [])
        if unseen:
            lines.append(
                f"Without held-out frames, so not judged: {', '.join(unseen)}."
            )
        if report.get("without_labels"):
            tables.append(
                {
                    "title": "Without labels: how far the predictions moved",
                    "table": _moved(report["without_labels"]),
                }
            )
    return {"lines": lines, "tables": tables}


def _before_after(
    heads: Sequence[HeadFacts],
    before: Mapping[str, Errors],
    after: Mapping[str, Errors],
) -> Table:
    rows: list[list[str | tuple[str, str]]] = []
    for head in heads:
        old, new = before[head.name], after[head.name]
        limits = {"force_percent": head.force_limit, "energy_rmse": head.energy_limit}
        cells: list[str | tuple[str, str]] = [head.name, head.role]
        beyond = False
        for key in ("force_percent", "energy_rmse"):
            worse = _exceeds(new.get(key), limits[key])
            beyond = beyond or worse
            cells += [
                _number(old.get(key)),
                (_number(new.get(key)), "bad" if worse else ""),
                _number(limits[key]),
            ]
        cells += [_number(old.get("stress_rmse")), _number(new.get("stress_rmse"))]
        guarded = any(v is not None for v in limits.values())
        cells.append(
            ("beyond", "bad") if beyond else ("kept" if guarded else "", "good")
        )
        rows.append(cells)
    columns = [("head", ""), ("role", "")]
    for text, unit in (("F", "%"), ("E", "meV/atom")):
        columns += [(f"{text} {k}", unit) for k in ("before", "after", "allowed")]
    columns += [("stress before", "GPa"), ("after", "GPa"), ("verdict", "")]
    return table(columns, rows, n_names=2)


def _moved(checks: Mapping[str, Errors]) -> Table:
    rows: list[list[str | tuple[str, str]]] = [
        [
            name,
            _number(one.get("n_frames"), 0),
            _number(one.get("energy_moved")),
            _number(one.get("force_moved"), 1),
            _number(one.get("pair_moved"), 1),
            _number(one.get("wells_before"), 0),
            _number(one.get("wells_after"), 0),
        ]
        for name, one in checks.items()
    ]
    columns = [
        ("head", ""),
        ("held-out", "frames"),
        ("energy moved", "meV/atom"),
        ("forces moved", "meV/Å"),
        ("pair curves moved", "meV/atom"),
        ("wells before", ""),
        ("after", ""),
    ]
    return table(
        columns,
        rows,
        note="RMS change of every old head on geometries of held-out frames of all "
        "heads, and on the curves of all pairs of two atoms; wells: minima of these "
        "curves, all together. More of them after than before are false ones.",
    )


def _exceeds(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
