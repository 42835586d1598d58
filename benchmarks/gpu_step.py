"""A step of dynamics on a GPU: energy and forces, ours against mace-torch's.

    python benchmarks/gpu_step.py --mace-python PATH

`PATH` is the Python of an environment with a CUDA build of torch, mace-torch 0.3.16
and cuEquivariance (``pip install mace-torch==0.3.16 cuequivariance-torch
cuequivariance-ops-torch-cu12``); ours is the running one, with Triton. The shape of
MH-1 with random weights, float32, about 1000 and 10,000 atoms. Sides are processes that
take turns:

* ``mace``: mace-torch's ASE calculator with ``enable_cueq``;
* ``lamplighter``: the ASE calculator, ``backend="compiled"``, neighbour list included;
* ``kernels``: its evaluation alone, pairs on the GPU already, as LAMMPS calls it.

Energies and forces must agree before anything is timed. Wall time, because the GPU is
what works; answers are on the CPU at the end of a step, so that nothing is still under
way. ``--device cpu`` with small ``--widths`` runs the same code without a GPU, to see
that it runs: such numbers say nothing, and a file has to be named for them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import result_file
import torch
from cpu_step import WIDTHS, agreement
from cpu_step_side import structure
from train_step import SideProcess
from train_step_shapes import ELEMENTS, SHAPES

MACE, ASE, KERNELS = "mace", "lamplighter", "kernels"
DEFAULT = result_file.RESULTS / "gpu_step.json"


def run_case(options: argparse.Namespace, shape: str, cells: int) -> dict[str, Any]:
    """Return the measurements of one model and one size."""
    channels, edge_channels = options.widths or WIDTHS[shape]
    mace, potential = SHAPES[shape](channels, edge_channels)
    task = {
        "model": mace,
        "potential": potential,
        "elements": ELEMENTS,
        "head": "Default",
        "dtype": options.dtype,
        "device": options.device,
        "deterministic": options.deterministic,
        "threads": options.threads,
        "seed": 1,
        "cells": cells,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "task.json").write_text(json.dumps(task))
        sides = _start(options, folder)
        agreed = agreement(folder, list(sides), options.dtype)
        for side in sides.values():
            side.ask(f"time {options.steps}")  # warm up
        for turn in range(options.turns):
            order = list(sides.values())
            for side in order if turn % 2 == 0 else order[::-1]:
                side.turn(options.steps)
        for side in sides.values():
            side.close()
    return {
        "shape": shape,
        "dtype": options.dtype,
        "channels": channels,
        "edge_channels": edge_channels,
        "atoms": len(structure(task)),
        "differences": agreed,
        "sides": {name: _report(x, options.steps) for name, x in sides.items()},
    }


def _start(options: argparse.Namespace, folder: Path) -> dict[str, SideProcess]:
    """Start one side after the other: the first one writes the model."""
    pythons = {MACE: options.mace_python, ASE: sys.executable, KERNELS: sys.executable}
    return {
        name: SideProcess(name, str(python), folder, options.threads, "gpu_step")
        for name, python in pythons.items()
        if python and name in options.sides
    }


def _report(side: SideProcess, steps: int) -> dict[str, Any]:
    """Return steps per second: median, and the slowest and the fastest turn."""
    rates = steps / np.array(side.wall)
    numbers = {"median": np.median(rates), "min": rates.min(), "max": rates.max()}
    rounded = {k: round(float(v), 3) for k, v in numbers.items()}
    return {**side.about, "steps_per_s": rounded}


def device_of(name: str) -> str:
    """Return which device it is.

    Raises:
        SystemExit: there is none.
    """
    if torch.device(name).type != "cuda":
        return name
    if not torch.cuda.is_available():
        message = (
            f"this benchmark measures a GPU, and torch {torch.__version__} finds none:"
            " run it where `torch.cuda.is_available()` is true; or with `--device cpu"
            " --widths 8 8 --cells 1 --out FILE` to see that its code runs"
        )
        raise SystemExit(message)
    return torch.cuda.get_device_name(name)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--mace-python", help="Python of an environment with mace-torch on the GPU")
    add("--device", default="cuda")
    add("--sides", nargs="+", default=[MACE, ASE, KERNELS])
    add("--shapes", nargs="+", choices=sorted(SHAPES), default=["mh1"])
    add("--dtype", default="float32")
    add(
        "--deterministic",
        action="store_true",
        help="fixed order of sums in `kernels`",
    )
    add("--widths", nargs=2, type=int, help="channels and edge channels of all shapes")
    add("--cells", nargs="+", type=int, default=[5, 11], help="1000, 10,648 atoms")
    add("--threads", type=int, default=4, help="of the CPU")
    add("--turns", type=int, default=7, help="of each side")
    add("--steps", type=int, default=20, help="in a turn")
    add("--out", type=Path)
    options = parser.parse_args(arguments)
    if options.out is None and torch.device(options.device).type != "cuda":
        parser.error("without a GPU nothing is measured: name a file with --out")
    options.out = options.out or DEFAULT
    return options


def main(arguments: list[str] | None = None) -> None:
    """Run all cases; print and write each when it is done."""
    options = parse(arguments)
    name = device_of(options.device)
    if not options.mace_python:
        print("no --mace-python: only our sides run, so there is no ratio")
    result = result_file.started(options, "mace_python", device=name, cases=[])
    for shape in options.shapes:
        for cells in options.cells:
            case = run_case(options, shape, cells)
            result["cases"].append(case)
            rates = (
                f"{side} {about['steps_per_s']['median']} steps/s"
                for side, about in case["sides"].items()
            )
            print(f"{shape}, {case['atoms']} atoms: " + ", ".join(rates), flush=True)
            result_file.write(result, options.out)


if __name__ == "__main__":
    main()
