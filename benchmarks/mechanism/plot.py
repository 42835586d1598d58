"""Draw `docs/mechanism-foreign.svg` and `docs/mechanism-kept.svg` from the results.

python benchmarks/mechanism/plot.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mechanism_numbers import (
    ARM_NAMES,
    KEPT_SETS,
    LIMIT,
    RESULTS,
    SET_NAMES,
    Numbers,
)

from lamplighter.files import atomic_path

DOCS = Path(__file__).resolve().parents[2] / "docs"

LOOKS = {
    "alone": ("#0072B2", "o"),
    "scratch": ("#E69F00", "s"),
    "base": ("#000000", "v"),
    "replay": ("#009E73", "D"),
    "naive": ("#CC79A7", "^"),
}
"""Colours of Okabe and Ito, and a marker of its own for each potential."""

WIDTH = 0.14
"""Between the potentials of one test set, in units of the distance of the sets."""


def main(words: Sequence[str] | None = None) -> int:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON to draw")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder to write to")
    arguments = parser.parse_args(words)
    numbers = Numbers.read(arguments.results)
    style = {"font.size": 9, "svg.hashsalt": "mechanism", "svg.fonttype": "none"}
    with mpl.rc_context(style):
        _save(_foreign(numbers), arguments.output / "mechanism-foreign.svg")
        _save(_kept(numbers), arguments.output / "mechanism-kept.svg")
    return 0


def _foreign(numbers: Numbers) -> Figure:
    """Errors of the main head by test set and potential; every seed is a marker."""
    sets = [s for s in SET_NAMES if s in numbers.content["test_sets"]]
    figure = _figure(10.5, 4.2)
    panels = figure.subplots(1, 2)
    labels = ("force RMSE / meV per Å", "energy MAE / meV per atom")
    for axes, number, label in zip(
        panels, ("force_rmse", "energy_mae"), labels, strict=True
    ):
        for k, (arm, name) in enumerate(ARM_NAMES.items()):
            for x, test in enumerate(sets):
                place = x + (k - 2) * WIDTH
                _seeds(axes, place, numbers.values(arm, test, number), arm, name)
        axes.set_yscale("log")
        axes.set_ylabel(label)
        names = [SET_NAMES[s].replace(" and ", " and\n") for s in sets]
        axes.set_xticks(range(len(sets)), names, rotation=25, ha="right")
        axes.axvspan(-0.5, 0.5, color="#999999", alpha=0.15, lw=0)
        axes.set_xlim(-0.5, len(sets) - 0.5)
        axes.grid(visible=True, axis="y", which="both", alpha=0.25)
    _legend(figure, panels[0], "PBE head; grey: its own domain; one marker a seed")
    return figure


def _kept(numbers: Numbers) -> Figure:
    """Growth of the error of every kept head by replay and naively."""
    figure = _figure(10.5, 3.8)
    panels = figure.subplots(1, 2)
    for axes, number, title in zip(
        panels, ("force_rmse", "energy_mae"), ("force RMSE", "energy MAE"), strict=True
    ):
        for k, arm in enumerate(("replay", "naive")):
            for x, test in enumerate(KEPT_SETS.values()):
                before = numbers.values("base", test, number)
                after = numbers.values(arm, test, number)
                growth = [100 * (b / a - 1) for a, b in zip(before, after, strict=True)]
                place = x + (2 * k - 1) * WIDTH
                _seeds(axes, place, growth, arm, ARM_NAMES[arm])
        axes.axhspan(-LIMIT, LIMIT, color="#999999", alpha=0.25, lw=0)
        axes.axhline(0.0, color="#000000", lw=0.8)
        axes.set_yscale("symlog", linthresh=10.0)
        ticks = (-30, -10, -5, 0, 5, 10, 30, 100, 300, 1000)
        low, high = axes.get_ylim()
        axes.set_yticks(ticks, [f"{t:+d}" if t else "0" for t in ticks])
        axes.set_ylim(min(low, -10.0), max(1.3 * high, 10.0))
        axes.set_ylabel(f"growth of {title} / %")
        axes.set_xticks(range(len(KEPT_SETS)), list(KEPT_SETS))
        axes.set_xlabel("kept head, judged on its own domain")
        axes.grid(visible=True, axis="y", alpha=0.25)
    _legend(figure, panels[0], f"grey: within {LIMIT:.0f} %; one marker a seed")
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _seeds(axes: Axes, x: float, values: list[float], arm: str, name: str) -> None:
    """One marker a seed, and a bar at their mean."""
    colour, marker = LOOKS[arm]
    shift = [0.02 * (k - (len(values) - 1) / 2) for k in range(len(values))]
    places = [x + s for s in shift]
    axes.plot(
        places, values, marker, color=colour, ms=4.5, mew=0, alpha=0.8, label=name
    )
    axes.hlines(
        sum(values) / len(values), x - WIDTH / 2.4, x + WIDTH / 2.4, colour, lw=1.4
    )


def _legend(figure: Figure, axes: Axes, title: str) -> None:
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    figure.legend(
        list(unique.values()),
        list(unique),
        loc="outside upper center",
        ncols=len(unique),
        frameon=False,
        title=title,
    )


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
