"""Conversion: from a model to the file that LAMMPS reads, compiled and checked.

    python benchmarks/conversion.py

Potentials with random weights and the shapes of MH-1 and MP-0 medium, three elements
of four. The conversion chooses knots, compares with the reference, and reads the file
back. Each one is a process of its own (``lamplighter convert``), start of Python and
torch included; wall and CPU time, and the size of the file.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import result_file
from cpu_step import WIDTHS
from cpu_step_side import Clock
from train_step_lamplighter import make_potential
from train_step_shapes import ELEMENTS, SHAPES

from lamplighter.model import save_potential

THREE = ELEMENTS[:3]


def convert(folder: Path, dtype: str, threads: int) -> dict[str, float]:
    """Convert once; return seconds and bytes."""
    out = folder / "model.pt"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lamplighter", "convert"]
    command += [str(folder / "own.safetensors"), "--output", str(out)]
    command += ["--elements", *THREE, "--dtype", dtype]
    clock = Clock()
    subprocess.run(
        ["env", f"OMP_NUM_THREADS={threads}", *command],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {**clock.read(), "bytes": out.stat().st_size}


def run_case(options: argparse.Namespace, shape: str, dtype: str) -> dict[str, Any]:
    """Return the measurements of one model in one precision."""
    channels, edge_channels = options.widths or WIDTHS[shape]
    task = {
        "potential": SHAPES[shape](channels, edge_channels)[1],
        "elements": ELEMENTS,
        "seed": 1,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_potential(make_potential(folder, task), folder / "own.safetensors")
        turns = [convert(folder, dtype, options.threads) for _ in range(options.turns)]
    case = {
        "shape": shape,
        "dtype": dtype,
        "channels": channels,
        "edge_channels": edge_channels,
        "elements": list(THREE),
        "wall_s": round(statistics.median(one["wall"] for one in turns), 2),
        "cpu_s": round(statistics.median(one["cpu"] for one in turns), 2),
        "bytes": turns[-1]["bytes"],
        "turns": [{k: round(v, 2) for k, v in one.items()} for one in turns],
    }
    print(
        f"{shape} {dtype}: {case['wall_s']} s, {case['cpu_s']} s of CPU time,"
        f" {case['bytes'] / 1e6:.1f} MB",
        flush=True,
    )
    return case


def main(arguments: list[str] | None = None) -> None:
    """Run all cases; print and write each when it is done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--shapes", nargs="+", choices=sorted(SHAPES), default=["mh1", "mp0"])
    add("--dtypes", nargs="+", default=["float32"])
    add("--widths", nargs=2, type=int, help="channels and edge channels of all shapes")
    add("--threads", type=int, default=2)
    add("--turns", type=int, default=3)
    add("--out", type=Path, default=result_file.RESULTS / "conversion.json")
    options = parser.parse_args(arguments)
    result = result_file.started(options, cases=[])
    for shape in options.shapes:
        for dtype in options.dtypes:
            result["cases"].append(run_case(options, shape, dtype))
            result_file.write(result, options.out)


if __name__ == "__main__":
    main()
