"""The page of `lamplighter evaluate`: one potential, or two side by side."""

from __future__ import annotations

from collections.abc import Sequence

from lamplighter.train.judge import Judgement, Ratio
from lamplighter.train.reporting.facts import machine, versions
from lamplighter.train.reporting.page import SIZE_LIMIT, Page, render
from lamplighter.train.reporting.parity import PAGE_POINTS, parity_views
from lamplighter.train.reporting.run_page import error_sections
from lamplighter.train.reporting.tables import Table, table
from lamplighter.units import GPA_PER_EV_A3

FACTORS = {
    "energy": (1e3, "meV/atom"),
    "forces": (1e3, "meV/Å"),
    "stress": (GPA_PER_EV_A3, "GPa"),
}
"""From the unit of a [`Ratio`][] to that of the tables."""

FEWEST_POINTS = 500


def judge_html(
    first: Judgement, second: Judgement | None = None, ratios: Sequence[Ratio] = ()
) -> str:
    """Return the page as HTML, below `SIZE_LIMIT` bytes.

    Args:
        first: the potential whose errors and parity plots are shown.
        second: another potential on the same frames.
        ratios: how the two compare.
    """
    points = PAGE_POINTS
    html = render(_page(first, second, ratios, points))
    while len(html.encode()) > SIZE_LIMIT and points > FEWEST_POINTS:
        points //= 4
        html = render(_page(first, second, ratios, points))
    return html


def comparison_rows(ratios: Sequence[Ratio]) -> list[tuple[str, ...]]:
    """Return head, quantity, RMSE of both with unit, ratio, interval and verdict."""
    rows: list[tuple[str, ...]] = []
    for one in ratios:
        factor, unit = FACTORS[one.quantity]
        rows.append(
            (
                one.head,
                one.quantity,
                f"{factor * one.first:.3g}",
                f"{factor * one.second:.3g}",
                unit,
                f"{one.ratio:.2f}",
                f"{one.low:.2f} – {one.high:.2f}",
                one.verdict,
            )
        )
    return rows


COMPARISON_COLUMNS = (
    *("head", "quantity", "RMSE A", "RMSE B", "unit"),
    *("B/A", "95 % interval", "B is"),
)


def _comparison(first: Judgement, second: Judgement, ratios: Sequence[Ratio]) -> Table:
    marks = {"better": "good", "worse": "bad", "no difference": "muted"}
    rows: list[list[str | tuple[str, str]]] = [
        [*cells[:-1], (cells[-1], marks[cells[-1]])]
        for cells in comparison_rows(ratios)
    ]
    return table(
        [(name, "") for name in COMPARISON_COLUMNS],
        rows,
        n_names=2,
        note=f"A: {first.model} ({first.sha256[:12]}…). B: {second.model} "
        f"({second.sha256[:12]}…). The interval comes from frames drawn anew; where "
        "it holds 1, these frames do not tell which is better.",
    )


def _page(
    first: Judgement, second: Judgement | None, ratios: Sequence[Ratio], points: int
) -> Page:
    judged = "each by the head it names"
    if first.head is not None:
        judged = f"all by head {first.head}"
    lacking = ", ".join(f"{n} without {k}" for k, n in first.missing().items() if n)
    found = {"All": first.found}
    sections = error_sections(found, first.model)
    if second is not None:
        second_sections = error_sections({"all": second.found}, second.model)
        sections += [{**part, "open": False} for part in second_sections]
    model = {"file": first.model, "sha256": first.sha256, "precision": first.dtype}
    other = {} if second is None else {"file": second.model, "sha256": second.sha256}
    provenance = {
        "Model": model,
        "Other model": other,
        "Files (SHA-256)": dict(first.files),
        "Versions": versions(),
        "Machine": machine(),
    }
    names = ", ".join(first.files)
    if len(first.files) != 1:
        names = f"{len(first.files)} files" if names else "labelled frames"
    return Page(
        title=f"{first.model} on {names}",
        headline=f"{len(first.found)} frames, {judged}.",
        lines=[f"Labels left out where they are missing: {lacking}."]
        if lacking
        else [],
        comparison=None if second is None else _comparison(first, second, ratios),
        parity=parity_views(first.found, points),
        parity_note=f"As {first.model} sees the frames; below each panel the "
        "difference, predicted minus labelled.",
        tables=sections,
        provenance={name: items for name, items in provenance.items() if items},
        footer="Written by lamplighter evaluate.",
    )
