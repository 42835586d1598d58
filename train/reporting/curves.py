"""Charts of a run over its steps, from its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamplighter.train.reporting.chart import Series, legend, line_chart
from lamplighter.train.reporting.facts import RunFacts

Record = Mapping[str, Any]

TERMS = ("loss", "energy", "forces", "stress", "virial", "hessian", "prior")
"""Weighted terms of the training loss, as the log calls them."""


@dataclass(frozen=True, slots=True)
class HeadChart:
    """A chart with a line for each head.

    Attributes:
        key: in the errors of a validation record.
        title: heading.
        y_label: quantity and unit.
        limit: attribute of `HeadFacts` with the drift limit, or "".
    """

    key: str
    title: str
    y_label: str
    limit: str = ""


HEAD_CHARTS = (
    HeadChart(
        "force_percent",
        "Force error of each head",
        "force RMSE / % of RMS force",
        "force_limit",
    ),
    HeadChart(
        "energy_rmse",
        "Energy error of each head",
        "energy RMSE / meV per atom",
        "energy_limit",
    ),
    HeadChart("stress_rmse", "Stress error of each head", "stress RMSE / GPa"),
)


def kept_record(records: Sequence[Record], selection: str) -> Record | None:
    """Return the validation of the weights that are kept, or would be now.

    Args:
        records: the log.
        selection: the rule of `RunSettings`.
    """
    validations = [r for r in records if r["event"] == "validation"]
    ends = [r for r in records if r["event"] == "end"]
    if ends:
        step = ends[-1]["best_step"]
        return next((r for r in reversed(validations) if r["step"] == step), None)
    accepted = [r for r in validations if r.get("accepted", True)]
    if selection == "last":
        return accepted[-1] if accepted else None
    scored = [r for r in accepted if r.get("score") is not None]
    return min(scored, key=lambda r: float(r["score"])) if scored else None


def head_legend(facts: RunFacts) -> str:
    """Return the legend that the charts of the heads share."""
    return legend((head.name, n) for n, head in enumerate(facts.heads))


def learning_charts(
    facts: RunFacts, records: Sequence[Record], kept: Record | None
) -> list[dict[str, str]]:
    """Return every chart for which the log has numbers.

    Args:
        facts: the heads with their limits.
        records: the log.
        kept: the validation of the weights that are kept.
    """
    validations = [r for r in records if r["event"] == "validation"]
    training = [r for r in records if r["event"] == "train"]
    mark = None if kept is None else float(kept["step"])
    charts = [
        *(_heads_chart(facts, validations, view, mark) for view in HEAD_CHARTS),
        _loss_chart(training),
        _plain_chart(training, "learning_rate", "Learning rate", "learning rate"),
        _plain_chart(training, "gradient_norm", "Gradient", "norm before clipping"),
        _plain_chart(
            validations, "score", "Score that chooses the weights", "score", mark
        ),
    ]
    return [chart for chart in charts if chart is not None]


def _heads_chart(
    facts: RunFacts, validations: Sequence[Record], view: HeadChart, mark: float | None
) -> dict[str, str] | None:
    series = []
    for n, head in enumerate(facts.heads):
        points = [
            (r["step"], r["heads"][head.name].get(view.key))
            for r in validations
            if head.name in r["heads"]
        ]
        if any(v is not None for _, v in points):
            x, y = zip(*points, strict=True)
            limit = getattr(head, view.limit) if view.limit else None
            series.append(Series(name=head.name, x=x, y=y, style=n, limit=limit))
    if not series:
        return None
    svg = line_chart(
        series, title=f"{view.title} over steps", y_label=view.y_label, mark=mark
    )
    guarded = any(s.limit is not None for s in series)
    note = "Dotted lines: drift limits of the kept heads." if guarded else ""
    return {"title": view.title, "svg": svg, "note": note, "legend": ""}


def _loss_chart(training: Sequence[Record]) -> dict[str, str] | None:
    steps = [r["step"] for r in training]
    series = []
    for n, name in enumerate(TERMS):
        values = [r.get(name) for r in training]
        if any(values):
            series.append(Series(name=name, x=steps, y=values, style=n, markers=False))
    if not series:
        return None
    svg = line_chart(
        series, title="Terms of the training loss", y_label="weighted training loss"
    )
    names = legend((s.name, s.style) for s in series)
    return {"title": "Training loss", "svg": svg, "note": "", "legend": names}


def _plain_chart(
    records: Sequence[Record],
    key: str,
    title: str,
    y_label: str,
    mark: float | None = None,
) -> dict[str, str] | None:
    values = [r.get(key) for r in records]
    if not any(values):
        return None
    one = Series(
        name=title, x=[r["step"] for r in records], y=values, markers=len(records) < 30
    )
    svg = line_chart([one], title=f"{title} over steps", y_label=y_label, mark=mark)
    return {"title": title, "svg": svg, "note": "", "legend": ""}
