"""The side of Lamplighter's kernels alone: pairs are on the device already.

Started by gpu_step.py; the argument is the folder of the task.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from cpu_step_side import Clock, read_task, serve, structure, write_answer
from train_step_lamplighter import make_potential

import lamplighter
from lamplighter.model.compiled import DevicePotential, compile_potential
from lamplighter.model.compiled.check import Reference
from lamplighter.model.neighbors import graph_from_atoms
from lamplighter.model.select import select


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    torch.set_num_threads(task["threads"])
    potential, atoms = make_potential(folder, task), structure(task)
    elements = sorted(set(atoms.get_chemical_symbols()))
    head = potential.config.heads[0].name
    clock = Clock()
    compiled = compile_potential(potential, head, elements, dtype=task["dtype"])
    there = DevicePotential(
        compiled, task["device"], deterministic=task["deterministic"]
    )
    part = select(potential, head, elements, None).double().cpu()
    found = there.check(Reference(part))
    setup = clock.read()
    graph = graph_from_atoms(atoms, compiled.config, None)
    graph = graph.to(dtype=torch.float64, device=task["device"])
    energies, gradients = there.evaluate(graph)
    forces = torch.zeros(len(atoms), 3, dtype=torch.float64)
    forces.index_add_(0, graph.centers.cpu(), gradients)
    forces.index_add_(0, graph.neighbors.cpu(), -gradients)
    path = folder / "kernels.npz"
    write_answer(path, float(energies.sum()), forces.numpy())

    def run(n: int) -> None:
        for _ in range(n):
            there.evaluate(graph)

    about = {
        "lamplighter": lamplighter.__version__,
        "torch": torch.__version__,
        "pairs": graph.n_pairs,
        "force_deviation": found.forces,
        "setup": setup,
    }
    if torch.device(task["device"]).type == "cuda":
        about["bytes"] = torch.cuda.max_memory_allocated()
    serve(run, about)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
