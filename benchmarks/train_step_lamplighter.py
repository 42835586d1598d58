"""The side of Lamplighter: imports the same weights and trains them.

Started by train_step.py; the argument is the folder of the task. Without a model of
mace-torch in the folder the model has random weights of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ase.io
import torch
from train_step_side import Labels, Side, read_labels, read_task

import lamplighter
from lamplighter.memory import reuse_freed_memory
from lamplighter.model import (
    HeadSpec,
    Potential,
    PotentialConfig,
    collate,
    graph_from_atoms,
    predict,
)
from lamplighter.model.mace_import import import_mace


def make_potential(folder: Path, task: dict[str, Any]) -> Potential:
    """Return the potential with the weights of mace-torch, or with random ones."""
    path = folder / "mace.model"
    if path.exists():
        return import_mace(path).potential
    torch.manual_seed(task["seed"])
    elements = tuple(task["elements"])
    zero = dict.fromkeys(elements, 0.0)
    head = HeadSpec(name="Default", level_of_theory="", reference_energies=zero)
    config = PotentialConfig(elements=elements, heads=(head,), **task["potential"])
    return Potential(config).double()


def make_side(
    potential: Potential, frames: list[Any], folder: Path, edge_chunk: int
) -> tuple[Side, int]:
    """Return the side, and the number of pairs of its batch."""
    head = potential.config.heads[0].name
    graph = collate([graph_from_atoms(a, potential.config, head) for a in frames])
    graph = graph.to(dtype=potential.dtype)
    dtype = potential.dtype
    n_atoms = torch.tensor([len(a) for a in frames])
    volume = torch.tensor([a.get_volume() for a in frames], dtype=dtype)[:, None, None]

    def predict_batch() -> Labels:
        out = predict(potential, graph, training=True, edge_chunk=edge_chunk)
        stress = -out.virial / volume
        return Labels(out.interaction_energy / n_atoms, out.forces, stress)

    labels = read_labels(folder, dtype)
    return Side(list(potential.parameters()), predict_batch, labels), graph.n_pairs


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    torch.set_num_threads(task["threads"])
    reuse_freed_memory()  # as `lamplighter train` does
    frames = ase.io.read(folder / "frames.xyz", ":")
    potential = make_potential(folder, task)
    potential.requires_grad_(requires_grad=True)
    side, n_pairs = make_side(potential, frames, folder, task["edge_chunk"])
    side.check(folder / "lamplighter.npz", potential.embedding)
    potential = potential.to(getattr(torch, task["dtype"]))
    side, n_pairs = make_side(potential, frames, folder, task["edge_chunk"])
    side.serve({"lamplighter": lamplighter.__version__, "pairs": n_pairs})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
