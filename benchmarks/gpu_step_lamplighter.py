"""The side of Lamplighter's ASE calculator on a GPU, compiled.

Started by gpu_step.py; the argument is the folder of the task.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from cpu_step_side import AseSteps, Clock, read_task, serve, structure, write_answer
from train_step_lamplighter import make_potential

import lamplighter
from lamplighter.model import Calculator


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    torch.set_num_threads(task["threads"])
    potential = make_potential(folder, task)
    clock = Clock()
    calculator = Calculator(
        potential, dtype=task["dtype"], device=task["device"], backend="compiled"
    )
    steps = AseSteps(calculator, structure(task))
    steps.run(1)
    setup = clock.read()
    write_answer(folder / "lamplighter.npz", *steps.results())
    versions = {"lamplighter": lamplighter.__version__, "torch": torch.__version__}
    serve(steps.run, {**versions, "setup": setup})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
