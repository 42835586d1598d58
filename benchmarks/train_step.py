"""A training step against mace-torch: same weights, batch, dtype, machine and run.

    python benchmarks/train_step.py --mace-python PATH

`PATH` is the Python of an environment with mace-torch; ours is the running one. Each
model is made by mace-torch with random weights, saved, and imported here; energies,
forces, stresses and a gradient of the loss must agree before anything is timed. A step
is forward, forces, stress, loss, backward and Adam. The two sides are processes that
take turns, so that what else the machine does hits both. The main number is the CPU
time of the process, because the wall time of a shared machine measures its neighbours.

Without ``--mace-python`` only our side runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from train_step_shapes import ELEMENTS, SHAPES, batch_of, write_batch

HERE = Path(__file__).resolve().parent
OURS, THEIRS = "lamplighter", "mace"
LARGEST_DIFFERENCE = 1e-8
"""Of energies per atom (eV), forces (eV/Å), stresses (eV/Å^3) and, relative to the
largest, gradients of the loss; in float64."""


class SideProcess:
    """One side in a process of its own."""

    def __init__(
        self,
        name: str,
        python: str,
        folder: Path,
        threads: int,
        benchmark: str = "train_step",
    ) -> None:
        """Start the side; it works until it says that it is ready."""
        count = str(threads)
        variables = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
        self.process = subprocess.Popen(
            [python, str(HERE / f"{benchmark}_{name}.py"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        self.about = self._answer()
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def ask(self, command: str) -> dict[str, Any]:
        """Return the answer to a command."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def turn(self, steps: int) -> None:
        """Time a few steps."""
        times = self.ask(f"time {steps}")
        self.cpu += times["cpu"]
        self.wall += times["wall"]

    def close(self) -> None:
        """End the process."""
        self.process.communicate("quit\n")

    def _answer(self) -> dict[str, Any]:
        for line in self.process.stdout:
            if line.startswith("ANSWER "):
                content: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
                return content
        self.process.communicate()
        message = f"a side ended with status {self.process.returncode}"
        raise RuntimeError(message)


def summary(values: list[float]) -> dict[str, float]:
    """Return median and quartiles of times, in ms."""
    low, middle, high = np.percentile(values, [25, 50, 75]) * 1000
    return {"median": round(middle, 2), "q1": round(low, 2), "q3": round(high, 2)}


def agreement(folder: Path) -> dict[str, float]:
    """Return the largest differences between the two sides.

    Raises:
        RuntimeError: they are larger than rounding explains.
    """
    with np.load(folder / "mace.npz") as a, np.load(folder / "lamplighter.npz") as b:
        theirs = {name: a[name] for name in a.files}
        ours = {name: b[name] for name in b.files}
    # e3nn divides by the root of the number of elements where it multiplies
    shape = ours["gradient"].shape
    theirs["gradient"] = theirs["gradient"].reshape(shape) * np.sqrt(shape[0])
    size = np.abs(theirs["gradient"]).max()
    difference = {k: float(np.abs(ours[k] - theirs[k]).max()) for k in ours}
    difference["gradient"] /= float(size)
    difference["loss"] /= abs(float(theirs["loss"]))
    if not max(difference.values()) < LARGEST_DIFFERENCE:
        message = f"the two sides do not compute the same: {difference}"
        raise RuntimeError(message)
    return difference


def run_case(options: argparse.Namespace, shape: str, dtype: str) -> dict[str, Any]:
    """Return the measurements of one model in one precision."""
    mace, potential = SHAPES[shape](options.channels, options.edge_channels)
    frames = batch_of(options.frames)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = {
            "model": mace,
            "potential": potential,
            "elements": ELEMENTS,
            "dtype": dtype,
            "threads": options.threads,
            "seed": 1,
            "edge_chunk": options.edge_chunk,
        }
        (folder / "task.json").write_text(json.dumps(task))
        write_batch(frames, folder)
        sides = {}
        if options.mace_python:
            python = str(options.mace_python)
            sides[THEIRS] = SideProcess(THEIRS, python, folder, options.threads)
        sides[OURS] = SideProcess(OURS, sys.executable, folder, options.threads)
        agreed = agreement(folder) if THEIRS in sides else None
        _measure(sides, options)
    result = {
        "shape": shape,
        "dtype": dtype,
        "channels": options.channels,
        "edge_channels": potential["edge_channels"],
        "frames": len(frames),
        "atoms": sum(len(a) for a in frames),
        "differences": agreed,
        "sides": {name: _report(side) for name, side in sides.items()},
    }
    if THEIRS in sides:
        result["ratio"] = _ratios(sides, result["sides"])
    return result


def _measure(sides: dict[str, SideProcess], options: argparse.Namespace) -> None:
    """Warm up, take turns, and at the end look at the memory."""
    for side in sides.values():
        side.ask(f"warm {options.warm_up}")
    for turn in range(options.turns):
        order = list(sides.values())
        for side in order if turn % 2 == 0 else order[::-1]:
            side.turn(options.steps)
    for side in sides.values():
        side.about["memory"] = side.ask("memory 2")
        side.close()


def _report(side: SideProcess) -> dict[str, Any]:
    return {**side.about, "cpu_ms": summary(side.cpu), "wall_ms": summary(side.wall)}


def _ratios(
    sides: dict[str, SideProcess], reports: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return how many times more mace-torch takes; the spread is over the turns."""
    ratios: dict[str, Any] = {}
    for clock in ("cpu", "wall"):
        theirs = np.array(getattr(sides[THEIRS], clock))
        values = theirs / np.array(getattr(sides[OURS], clock))
        low, middle, high = np.percentile(values, [25, 50, 75])
        ratios[clock] = {"median": middle, "q1": low, "q3": high}
        ratios[clock] = {k: round(float(v), 3) for k, v in ratios[clock].items()}
    for kind in ("step", "process"):
        theirs, ours = (reports[s]["memory"][kind] for s in (THEIRS, OURS))
        ratios[f"memory_{kind}"] = round(theirs / ours, 3)
    return ratios


def describe(case: dict[str, Any]) -> str:
    """Return one line about a case."""
    parts = [f"{case['shape']:4} {case['dtype']} {case['channels']} channels"]
    for name, side in case["sides"].items():
        cpu, memory = side["cpu_ms"], side["memory"]
        parts.append(
            f"{name} {cpu['median']:.0f} ms [{cpu['q1']:.0f}, {cpu['q3']:.0f}] "
            f"{memory['step'] / 2**20:.0f} MiB"
        )
    if "ratio" in case:
        ratio = case["ratio"]
        low, middle, high = (ratio["cpu"][k] for k in ("q1", "median", "q3"))
        parts.append(
            f"CPU ratio {middle:.2f} [{low:.2f}, {high:.2f}] "
            f"memory ratio {ratio['memory_step']:.2f}"
        )
    return "; ".join(parts)


def machine() -> dict[str, Any]:
    """Return what the numbers depend on besides the code."""
    found = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": found[0] if found else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--mace-python", type=Path, help="Python of an environment with mace-torch")
    add("--shapes", nargs="+", choices=sorted(SHAPES), default=["mh1", "mp0"])
    add("--dtypes", nargs="+", default=["float32", "float64"])
    add("--channels", type=int, default=64)
    add("--edge-channels", type=int, default=32)
    add("--frames", type=int, default=12)
    add("--threads", type=int, default=1)
    add("--warm-up", type=int, default=3)
    add("--turns", type=int, default=8, help="of each side")
    add("--steps", type=int, default=2, help="per turn")
    add("--edge-chunk", type=int, default=0, help="pairs at a time on our side; 0: all")
    add("--out", type=Path, default=HERE / "results" / "train_step.json")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run all cases, print a line for each, and write the JSON."""
    options = parse(arguments)
    if not options.mace_python:
        print("no --mace-python: only our side runs, so there is no ratio")
    cases = []
    for shape in options.shapes:
        for dtype in options.dtypes:
            cases.append(run_case(options, shape, dtype))
            print(describe(cases[-1]), flush=True)
    settings = {
        k: v for k, v in vars(options).items() if k not in ("mace_python", "out")
    }
    result = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": machine(),
        "settings": settings,
        "cases": cases,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
