"""What all sides of the CPU-step benchmark share: task, structure, clock.

Imports numpy and ASE alone, so that it runs in every environment. A side is a process
that answers one command per line on standard input with one line of JSON: ``time N``
(N steps) and ``quit``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk


def read_task(folder: Path) -> dict[str, Any]:
    """Return the settings that the driver wrote."""
    content: dict[str, Any] = json.loads((folder / "task.json").read_text())
    return content


def structure(task: dict[str, Any]) -> Atoms:
    """Return the rattled crystal of rock salt that all sides evaluate."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * task["cells"]
    atoms.rattle(0.1, seed=1)
    return atoms


class Clock:
    """Counts from its making: CPU time of this process and its children, and wall."""

    def __init__(self) -> None:
        """Start."""
        self._begin = _used(), time.perf_counter()

    def read(self) -> dict[str, float]:
        """Return the seconds so far."""
        cpu, wall = self._begin
        return {"cpu": _used() - cpu, "wall": time.perf_counter() - wall}


def _used() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    found = [resource.getrusage(one) for one in kinds]
    return sum(one.ru_utime + one.ru_stime for one in found)


class AseSteps:
    """Steps of a calculator; the atoms move a little in each, as in dynamics."""

    def __init__(self, calculator: Any, atoms: Atoms) -> None:
        """Take them."""
        self._calculator, self._atoms = calculator, atoms
        self._start = atoms.positions.copy()
        random = np.random.default_rng(2)
        self._moves = 0.002 * random.normal(size=(7, *self._start.shape))
        self._count = 0

    def results(self) -> tuple[float, np.ndarray]:
        """Return energy and forces of the structure."""
        self._atoms.positions = self._start
        self._calculator.calculate(self._atoms, ["energy", "forces"])
        found = self._calculator.results
        return float(found["energy"]), np.array(found["forces"])

    def run(self, n: int) -> None:
        """Make steps."""
        for _ in range(n):
            self._count += 1
            move = self._moves[self._count % len(self._moves)]
            self._atoms.positions = self._start + move
            self._calculator.calculate(self._atoms, ["energy", "forces"])


def write_answer(path: Path, energy: float, forces: np.ndarray) -> None:
    """Write what the sides must agree on."""
    np.savez(path, energy=energy, forces=forces)


def serve(run: Callable[[int], None], about: dict[str, Any]) -> None:
    """Say that the side is ready, then obey until ``quit``."""
    answer(about)
    for line in sys.stdin:
        name, *count = line.split()
        if name == "quit":
            return
        clock = Clock()
        run(int(count[0]))
        answer({key: [value] for key, value in clock.read().items()})


def answer(content: dict[str, Any]) -> None:
    """Write one line of JSON to the driver."""
    print("ANSWER " + json.dumps(content), flush=True)
