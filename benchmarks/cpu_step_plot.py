"""Draws what cpu_step.py found: ``python benchmarks/cpu_step_plot.py RESULT.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt

NAMES = {
    "mace": "mace-torch, ASE",
    "symmetrix": "Symmetrix-XL, ASE",
    "lamplighter": "Lamplighter, ASE",
    "lammps": "Lamplighter, LAMMPS",
}
COLOURS = {
    "mace": "#b0b0b0",
    "symmetrix": "#e0a030",
    "lamplighter": "#3070b0",
    "lammps": "#204080",
}
SHAPES = {"mp0": "MP-0 medium", "mh1": "MH-1"}


def draw(result: dict[str, Any], path: Path) -> None:
    """Write bars of the time per atom and step, least and median.

    CPU time of one thread; of several, wall time.
    """
    clock = "wall" if result["settings"]["threads"] > 1 else "cpu"
    mpl.rcParams["svg.hashsalt"] = "lamplighter"  # the same file every time
    cases = result["cases"]
    figure, axes = plt.subplots(figsize=(8.0, 3.6), layout="constrained")
    width = 0.8 / len(NAMES)
    for k, (side, label) in enumerate(NAMES.items()):
        places = [x for x, case in enumerate(cases) if side in case["sides"]]
        times = [cases[x]["sides"][side][f"{clock}_ms"] for x in places]
        medians = [one["median"] for one in times]
        spread = [[one["median"] - one["min"] for one in times]]
        spread.append([one["q3"] - one["median"] for one in times])
        at = [x + (k - 0.5 * (len(NAMES) - 1)) * width for x in places]
        axes.bar(at, medians, width, color=COLOURS[side], label=label, yerr=spread)
        for x, y in zip(at, medians, strict=True):
            axes.annotate(f"{y:.2g}", (x, y), ha="center", va="bottom", fontsize=7)
    labels = [f"{SHAPES[c['shape']]}\n{c['dtype']}, {c['atoms']} atoms" for c in cases]
    axes.set_xticks(range(len(cases)), labels)
    axes.set_yscale("log")
    name = "CPU" if clock == "cpu" else "wall"
    axes.set_ylabel(f"{name} time per atom and step / ms")
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    draw(json.loads(source.read_text()), source.with_suffix(".svg"))
