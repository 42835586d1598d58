"""The page of a run: while it goes on, and when it is over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lamplighter.train.error_groups import GROUPINGS, table_of
from lamplighter.train.errors_table import ErrorTable
from lamplighter.train.evaluation import Residual
from lamplighter.train.reporting.curves import (
    Record,
    head_legend,
    kept_record,
    learning_charts,
)
from lamplighter.train.reporting.facts import RunFacts, machine, versions
from lamplighter.train.reporting.forgetting_view import forgetting_view
from lamplighter.train.reporting.page import SIZE_LIMIT, Page, render
from lamplighter.train.reporting.parity import PAGE_POINTS, parity_views
from lamplighter.train.reporting.tables import GROUP_TITLES, error_view, heads_view

FOOTER = (
    "Written by Lamplighter. The numbers are in log.jsonl and, when the run is over, "
    "in errors.json beside this page."
)
FEWEST_POINTS = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How a run stands.

    Attributes:
        name: of the run, its folder.
        state: "running", "done" or "bad".
        headline: the state in one line; "" is made from the log.
        refresh: seconds after which the page loads again; 0 never.
        due: seconds after which a new page should be there; 0: this is the last one.
        judged: frames as the weights see them, by use ("validation", "test", ...).
        judged_step: step of those weights; -1 for the weights that are kept.
        forgetting: content of forgetting.json, when there is one.
    """

    name: str
    state: str = "running"
    headline: str = ""
    refresh: int = 0
    due: int = 0
    judged: Mapping[str, Sequence[Residual]] = dataclasses.field(default_factory=dict)
    judged_step: int = -1
    forgetting: Mapping[str, Any] | None = None


def run_html(facts: RunFacts, records: Sequence[Record], state: RunState) -> str:
    """Return the page of a run as HTML, below `SIZE_LIMIT` bytes.

    Args:
        facts: what was known before the run.
        records: the log so far.
        state: how the run stands.
    """
    points = PAGE_POINTS
    html = render(run_page(facts, records, state, points))
    while len(html.encode()) > SIZE_LIMIT and points > FEWEST_POINTS:
        points //= 4
        html = render(run_page(facts, records, state, points))
    return html


def run_page(
    facts: RunFacts, records: Sequence[Record], state: RunState, points: int
) -> Page:
    """Return the page of a run, with at most `points` points in its parity plots."""
    validations = [r for r in records if r["event"] == "validation"]
    now = validations[-1] if validations else None
    selection = str(facts.config.get("run", {}).get("selection", "mean"))
    kept = kept_record(records, selection)
    step = int(records[-1].get("step", 0)) if records else 0
    use, found = _shown(state.judged)
    weights = "the weights that are kept"
    if state.judged_step >= 0:
        weights = f"the averaged weights of step {state.judged_step}"
    return Page(
        title=f"{facts.kind}: {state.name}",
        headline=state.headline or f"Running, step {step} of {facts.max_steps}",
        state=state.state,
        lines=_lines(facts, records, kept, state),
        fraction=_fraction(facts, records) if state.state == "running" else None,
        refresh=state.refresh,
        due=state.due,
        heads=heads_view(facts, now, kept, running=state.state == "running"),
        legend=head_legend(facts),
        charts=learning_charts(facts, records, kept),
        forgetting=forgetting_view(facts, validations, kept, state.forgetting),
        parity=parity_views(found, points),
        parity_note=f"{use.capitalize()} frames as {weights} see them; below each "
        "panel the difference, predicted minus labelled.",
        tables=error_sections(state.judged, weights),
        config=yaml.safe_dump(dict(facts.config), sort_keys=False, allow_unicode=True),
        provenance=provenance(facts),
        footer=FOOTER,
    )


def error_sections(
    judged: Mapping[str, Sequence[Residual]], weights: str
) -> list[dict[str, Any]]:
    """Return the error tables of every use of frames, in all groupings."""
    sections = []
    for n, (use, found) in enumerate(judged.items()):
        parts = [
            {"title": GROUP_TITLES[by], "table": error_view(table_of(found, by))}
            for by in GROUPINGS
        ]
        title = f"{use.capitalize()}: {len(found)} frames, {weights}"
        sections.append({"title": title, "open": n == 0, "parts": parts})
    return sections


def tables_by_group(found: Sequence[Residual]) -> dict[str, ErrorTable]:
    """Return the error tables by config_type, element and domain."""
    return {by: table_of(found, by) for by in GROUPINGS}


def provenance(facts: RunFacts) -> dict[str, dict[str, str]]:
    """Return files with their SHA-256, versions and machine."""
    device = str(facts.config.get("run", {}).get("device", "cpu"))
    sections = {
        "Run": {
            "weights": f"{facts.n_weights}",
            "precision": str(facts.config.get("run", {}).get("dtype", "")),
            "heads": ", ".join(h.name for h in facts.heads),
        },
        "Files (SHA-256)": dict(facts.files),
        "Versions": versions(),
        "Machine": machine(device),
    }
    return {name: items for name, items in sections.items() if items}


def _shown(
    judged: Mapping[str, Sequence[Residual]],
) -> tuple[str, Sequence[Residual]]:
    """Return the frames for the parity plots: those that were not learnt from."""
    for use in ("test", "validation", "train"):
        if judged.get(use):
            return use, judged[use]
    return "", ()


def _lines(
    facts: RunFacts, records: Sequence[Record], kept: Record | None, state: RunState
) -> list[str]:
    lines = []
    seconds = max((float(r.get("seconds") or 0.0) for r in records[-9:]), default=0.0)
    times = f"{duration(seconds)} so far" if state.state == "running" else ""
    left = remaining(facts, records)
    if state.state == "running" and left is not None:
        times += f", about {duration(left)} to go"
    lines.append(times or f"{duration(seconds)} of training.")
    if kept is not None:
        score = kept.get("score")
        text = "" if score is None else f", score {score:.3g}"
        tense = "would be kept now" if state.state == "running" else "are kept"
        lines.append(f"The weights of step {kept['step']} {tense}{text}.")
    refused = sum(
        r["event"] == "validation" and not r.get("accepted", True) for r in records
    )
    if refused:
        lines.append(f"{refused} validations were beyond a drift limit.")
    return lines


def _fraction(facts: RunFacts, records: Sequence[Record]) -> float:
    """Return how much of the steps, or of the time where that ends first, is over."""
    step = float(records[-1].get("step", 0)) if records else 0.0
    done = step / facts.max_steps if facts.max_steps else 0.0
    if facts.max_minutes > 0:
        seconds = max((float(r.get("seconds") or 0.0) for r in records[-9:]), default=0)
        done = max(done, seconds / (60.0 * facts.max_minutes))
    return min(done, 1.0)


def remaining(facts: RunFacts, records: Sequence[Record]) -> float | None:
    """Return the seconds that a run still needs, None before that can be known."""
    timed = [r for r in records if r.get("seconds") is not None][-40:]
    if len(timed) < 2 or timed[-1]["step"] <= timed[0]["step"]:
        return None
    spent = timed[-1]["seconds"] - timed[0]["seconds"]
    rate = spent / (timed[-1]["step"] - timed[0]["step"])
    left = float(rate * max(facts.max_steps - timed[-1]["step"], 0))
    if facts.max_minutes > 0:
        left = min(left, max(60.0 * facts.max_minutes - timed[-1]["seconds"], 0.0))
    return left


def duration(seconds: float) -> str:
    """Return a time for people.

    >>> [duration(s) for s in (3.2, 75, 7400, 200000)]
    ['3 s', '1 min 15 s', '2 h 03 min', '2 d 07 h']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
