"""The side of mace-torch: makes the random model, saves it, and trains it.

Started by train_step.py with the Python of an environment that has mace-torch; the
argument is the folder of the task.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

# The file of constants that e3nn 0.4 ships needs the reader of before torch 2.6.
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
warnings.filterwarnings("ignore")

import ase.io  # noqa: E402
import e3nn  # noqa: E402
import mace  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from e3nn import o3  # noqa: E402
from mace import data, modules  # noqa: E402
from mace.tools import torch_geometric  # noqa: E402
from mace.tools.utils import AtomicNumberTable  # noqa: E402
from train_step_side import Labels, Side, read_labels, read_task  # noqa: E402

BLOCKS = {"interaction_cls", "interaction_cls_first"}
IRREPS = {"hidden_irreps", "edge_irreps", "MLP_irreps"}


def make_model(options: dict[str, Any], seed: int) -> torch.nn.Module:
    """Return the model with the weights that mace-torch starts from, float64."""
    torch.manual_seed(seed)
    arguments = dict(options)
    for key in BLOCKS & arguments.keys():
        arguments[key] = modules.interaction_classes[arguments[key]]
    for key in IRREPS & arguments.keys():
        arguments[key] = o3.Irreps(arguments[key])
    n_elements = len(arguments["atomic_numbers"])
    return modules.ScaleShiftMACE(
        **arguments,
        num_elements=n_elements,
        atomic_energies=np.zeros(n_elements),
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def make_batch(frames: list[Any], model: torch.nn.Module) -> dict[str, Any]:
    """Return the frames as mace-torch's own loader makes a batch of them."""
    table = AtomicNumberTable([int(z) for z in model.atomic_numbers])
    graphs = [
        data.AtomicData.from_config(
            data.config_from_atoms(atoms), z_table=table, cutoff=float(model.r_max)
        )
        for atoms in frames
    ]
    loader = torch_geometric.dataloader.DataLoader(
        dataset=graphs, batch_size=len(graphs), shuffle=False, drop_last=False
    )
    return next(iter(loader)).to_dict()


def make_side(
    model: torch.nn.Module, frames: list[Any], folder: Path
) -> tuple[Side, int]:
    """Return the side, and the number of pairs of its batch."""
    batch = make_batch(frames, model)
    n_atoms = torch.diff(batch["ptr"])

    def predict() -> Labels:
        # the model writes into the dictionary that it is given
        fresh = {**batch, "positions": batch["positions"].detach().clone()}
        out = model(fresh, training=True, compute_force=True, compute_stress=True)
        return Labels(out["energy"] / n_atoms, out["forces"], out["stress"])

    labels = read_labels(folder, torch.get_default_dtype())
    return Side(list(model.parameters()), predict, labels), batch["edge_index"].shape[1]


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    torch.set_num_threads(task["threads"])
    torch.set_default_dtype(torch.float64)
    model = make_model(task["model"], task["seed"])
    torch.save(model, folder / "mace.model")
    frames = ase.io.read(folder / "frames.xyz", ":")
    side, n_pairs = make_side(model, frames, folder)
    side.check(folder / "mace.npz", model.node_embedding.linear.weight)
    torch.set_default_dtype(getattr(torch, task["dtype"]))
    model = model.to(torch.get_default_dtype())
    side, n_pairs = make_side(model, frames, folder)
    versions = {"mace_torch": mace.__version__, "e3nn": e3nn.__version__}
    side.serve({**versions, "pairs": n_pairs})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
