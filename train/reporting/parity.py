"""Predicted against labelled: few enough points for a page, the worst among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.metrics import mae, rmse
from lamplighter.train.evaluation import Residual
from lamplighter.train.reporting.chart import OTHERS, legend, scatter_chart
from lamplighter.units import GPA_PER_EV_A3

PAGE_POINTS = 24_000
"""Points of all panels of a page together."""

PANEL_POINTS = 2_000
WORST = 0.2
"""Share of the points shown that are those with the largest errors."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a panel shows.

    Attributes:
        name: as in headings.
        axis: on the axes.
        unit: of the axes.
        error_unit: of the errors in the caption.
        factor: from the unit to that of the errors.
    """

    name: str
    axis: str
    unit: str
    error_unit: str
    factor: float


QUANTITIES = (
    Quantity("Energy above the free atoms", "(E − ΣE0)/n", "eV/atom", "meV/atom", 1e3),
    Quantity("Force components", "F", "eV/Å", "meV/Å", 1e3),
    Quantity("Stress components", "σ", "GPa", "GPa", 1.0),
)


def parity_views(
    found: Sequence[Residual], most: int = PAGE_POINTS
) -> list[dict[str, Any]]:
    """Return the panels of every head, as the page shows them.

    Args:
        found: predicted minus labelled.
        most: points of all panels together.

    Returns:
        One mapping for each head: ``head``, ``panels`` (``title``, ``svg``, ``note``),
        ``legend`` (HTML) and ``kinds`` (config types).
    """
    heads = list(dict.fromkeys(r.frame.head for r in found))
    budget = min(PANEL_POINTS, max(100, most // (3 * max(len(heads), 1))))
    return [
        _head_view(head, [r for r in found if r.frame.head == head], budget)
        for head in heads
    ]


def _head_view(head: str, found: Sequence[Residual], budget: int) -> dict[str, Any]:
    counts = Counter(_kind(r) for r in found)
    kinds = sorted(counts, key=lambda name: (-counts[name], name))
    styles = {name: min(n, OTHERS) for n, name in enumerate(kinds)}
    if len(kinds) == OTHERS + 1:  # the ninth may as well say its name
        shown = [(name, styles[name]) for name in kinds]
    else:
        shown = [(name, styles[name]) for name in kinds[:OTHERS]]
        if len(kinds) > OTHERS:
            shown.append((f"{len(kinds) - OTHERS} others", OTHERS))
    panels = []
    for number, quantity in enumerate(QUANTITIES):
        points = {
            name: _points([r for r in found if _kind(r) == name], number)
            for name in kinds
        }
        if any(len(labels) for labels, _ in points.values()):
            panels.append(_panel(head, quantity, points, styles, budget))
    return {
        "head": head,
        "panels": panels,
        "legend": legend(shown, dots=True),
        "kinds": kinds,
    }


def _panel(
    head: str,
    quantity: Quantity,
    points: dict[str, tuple[Floats, Floats]],
    styles: dict[str, int],
    budget: int,
) -> dict[str, Any]:
    total = sum(len(labels) for labels, _ in points.values())
    groups = []
    for name in reversed(list(points)):  # the most frequent kinds are drawn last
        labels, predictions = points[name]
        share = max(20, round(budget * len(labels) / total))
        keep = chosen_points(labels, predictions, share)
        groups.append(
            (name, labels[keep].tolist(), predictions[keep].tolist(), styles[name])
        )
    shown = sum(len(labels) for _, labels, _, _ in groups)
    error = np.concatenate([p - r for r, p in points.values()]) * quantity.factor
    note = f"RMSE {rmse(error):.3g}, MAE {mae(error):.3g} {quantity.error_unit}"
    if shown < total:
        note += f"; {shown} of {total} points, the largest errors among them"
    svg = scatter_chart(
        groups,
        title=f"{quantity.name}, head {head}: predicted against labelled. {note}",
        unit=quantity.unit,
        quantity=quantity.axis,
    )
    return {"title": quantity.name, "svg": svg, "note": note}


def chosen_points(labels: Floats, predictions: Floats, most: int) -> list[int]:
    """Return the numbers of at most `most` points, for a picture of them all.

    A fifth are those with the largest errors, the others are spread evenly over the
    labels. The same points give the same choice.
    """
    if len(labels) <= most:
        return list(range(len(labels)))
    worst = np.argsort(-np.abs(predictions - labels), kind="stable")
    worst = worst[: max(1, round(WORST * most))]
    rest = np.setdiff1d(np.argsort(labels, kind="stable"), worst)
    rest = rest[np.argsort(labels[rest], kind="stable")]
    picks = np.linspace(0, len(rest) - 1, most - len(worst)).round().astype(int)
    return sorted({*worst.tolist(), *rest[picks].tolist()})


def _kind(residual: Residual) -> str:
    return residual.frame.config_type or "(none)"


def _points(found: Sequence[Residual], number: int) -> tuple[Floats, Floats]:
    """Return labels and predictions of a quantity, flat, in the unit of its axes."""
    labels: list[Floats] = []
    predictions: list[Floats] = []
    for one in found:
        frame, said = one.frame, one.predicted
        if number == 0 and np.isfinite(frame.energy):
            labels.append(np.array([(frame.energy - said.free_atoms) / frame.n_atoms]))
            bound = (said.energy - said.free_atoms) / frame.n_atoms
            predictions.append(np.array([bound]))
        elif number == 1 and frame.forces is not None and frame.n_atoms > 1:
            labels.append(frame.forces.ravel())
            predictions.append(said.forces.ravel())
        elif number == 2 and frame.stress is not None and said.stress is not None:
            labels.append(GPA_PER_EV_A3 * frame.stress.ravel())
            predictions.append(GPA_PER_EV_A3 * said.stress.ravel())
    if not labels:
        return np.empty(0), np.empty(0)
    return np.concatenate(labels), np.concatenate(predictions)
