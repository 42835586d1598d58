"""The learning curve as a picture; colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lamplighter.files import atomic_path

OKABE_ITO = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7"),
    *("#56B4E9", "#D55E00", "#000000", "#F0E442"),
)
"""Source: M. Okabe, K. Ito, "Color Universal Design" (2008)."""

MARKERS = "osD^vPX*"


def plot_learning_curve(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the training loss and the validation errors of every head over the steps.

    Args:
        records: the log.
        path: PNG to write.
    """
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(10.5, 3.7), layout="constrained")
        FigureCanvasAgg(figure)
        loss, forces, energy = figure.subplots(1, 3)
        _plot_loss(loss, [r for r in records if r["event"] == "train"])
        validations = [r for r in records if r["event"] == "validation"]
        _plot_heads(forces, validations, "force_percent")
        _plot_heads(energy, validations, "energy_rmse")
        forces.set_ylabel("force RMSE / % of RMS force")
        energy.set_ylabel("energy RMSE / meV per atom")
        for axes in (loss, forces, energy):
            axes.set_xlabel("optimiser step")
            axes.grid(visible=True, which="major", alpha=0.3)
        _mark_chosen((forces, energy), records)
        handles, labels = forces.get_legend_handles_labels()
        if handles:
            figure.legend(
                handles,
                labels,
                loc="outside lower right",
                ncols=min(len(labels), 8),
                frameon=False,
                title="validation; the dotted line marks the chosen weights",
            )
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=150, format="png")


def _plot_loss(axes: Axes, records: Sequence[Mapping[str, Any]]) -> None:
    steps = [r["step"] for r in records]
    names = ("energy", "forces", "stress")
    for name, colour, style in zip(names, OKABE_ITO, ("-", "--", ":"), strict=False):
        values = [r[name] for r in records]
        if any(v for v in values):
            axes.plot(steps, values, style, color=colour, lw=1, label=name)
    axes.set_ylabel("weighted training loss")
    if records:
        axes.set_yscale("log")
        axes.legend(frameon=False)


def _plot_heads(
    axes: Axes, records: Sequence[Mapping[str, Any]], quantity: str
) -> None:
    heads = list(dict.fromkeys(h for r in records for h in r["heads"]))
    for n, head in enumerate(heads):
        points = [
            (r["step"], r["heads"][head][quantity])
            for r in records
            if head in r["heads"] and r["heads"][head][quantity] is not None
        ]
        if points:
            axes.set_yscale("log")
            axes.plot(
                *zip(*points, strict=True),
                marker=MARKERS[n % len(MARKERS)],
                ms=3,
                lw=1,
                color=OKABE_ITO[n % len(OKABE_ITO)],
                label=head,
            )


def _mark_chosen(
    all_axes: Sequence[Axes], records: Sequence[Mapping[str, Any]]
) -> None:
    ends = [r for r in records if r["event"] == "end"]
    if not ends or ends[-1]["best_step"] < 0:
        return
    for axes in all_axes:
        axes.axvline(ends[-1]["best_step"], color="0.5", lw=0.8, ls=":")
