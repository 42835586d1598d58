"""Start of the command line: ``lamplighter --help`` in fresh processes.

    python benchmarks/startup.py

Each turn starts the interpreter once for nothing (``python -c pass``) and once for the
help. Wall time is what a user waits for; CPU time says what of it is ours on a busy
machine. The first turn, which may have to compile and to read from the disk, is not
counted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import result_file
from cpu_step_side import Clock

TARGET_MS = 300.0
COMMANDS = {
    "help": [str(Path(sys.executable).parent / "lamplighter"), "--help"],
    "python": [sys.executable, "-c", "pass"],
}


def turn(command: list[str]) -> dict[str, float]:
    """Return wall and CPU time of one process, ms."""
    clock = Clock()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return {key: 1e3 * value for key, value in clock.read().items()}


def summary(turns: list[dict[str, float]]) -> dict[str, Any]:
    """Return median and least of wall and CPU time."""
    found = {}
    for key in ("wall", "cpu"):
        values = [one[key] for one in turns]
        numbers = {"median": statistics.median(values), "min": min(values)}
        found[f"{key}_ms"] = {k: round(v, 1) for k, v in numbers.items()}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Run, print a line for each command, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--turns", type=int, default=15)
    add("--out", type=Path, default=result_file.RESULTS / "startup.json")
    options = parser.parse_args(arguments)
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    for k in range(options.turns + 1):
        for name, command in COMMANDS.items():
            found = turn(command)
            if k > 0:
                turns[name].append(found)
    result = result_file.started(options, target_ms=TARGET_MS)
    for name, values in turns.items():
        result[name] = summary(values)
        wall, cpu = (result[name][key]["median"] for key in ("wall_ms", "cpu_ms"))
        print(f"{name}: {wall:.0f} ms, {cpu:.0f} ms of CPU time", flush=True)
    result_file.write(result, options.out)


if __name__ == "__main__":
    main()
