"""The side of mace-torch with cuEquivariance: makes the model, and evaluates it.

Started by gpu_step.py with the Python of an environment that has both; the argument is
the folder of the task.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from cpu_step_side import AseSteps, Clock, read_task, serve, structure, write_answer
from train_step_mace import make_model

import mace  # isort: skip
from mace.calculators import MACECalculator  # isort: skip


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    torch.set_num_threads(task["threads"])
    torch.set_default_dtype(torch.float64)
    path = folder / "mace.model"
    model = make_model(task["model"], task["seed"])
    energies = model.atomic_energies_fn  # one row for each head, as in published files
    energies.atomic_energies = energies.atomic_energies.reshape(1, -1)
    torch.save(model, path)
    clock = Clock()
    on_gpu = torch.device(task["device"]).type == "cuda"
    calculator = MACECalculator(
        str(path),
        device=task["device"],
        default_dtype=task["dtype"],
        enable_cueq=on_gpu,
    )
    steps = AseSteps(calculator, structure(task))
    steps.run(1)
    setup = clock.read()
    write_answer(folder / "mace.npz", *steps.results())
    about = {"mace_torch": mace.__version__, "torch": torch.__version__, "setup": setup}
    about["cuequivariance"] = on_gpu
    if on_gpu:
        about["bytes"] = torch.cuda.max_memory_allocated()
    serve(steps.run, about)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
