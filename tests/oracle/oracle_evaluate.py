"""What mace-torch computes, through its own data pipeline."""

import inspect
from typing import Any

import numpy as np
import torch
from ase import Atoms
from mace import data
from mace.tools import torch_geometric
from mace.tools.utils import AtomicNumberTable

# In eV: a parameter that moves no energy by more goes unnoticed.
SMALLEST_TERM = 1e-4


def _key_specification(specs: dict[str, Any] | None) -> Any:
    keys = data.KeySpecification.from_defaults()
    return data.update_keyspec_from_kwargs(keys, {"embedding_specs": specs})


def batch(
    model: torch.nn.Module,
    structure: dict[str, Any],
    head: str,
    inputs: dict[str, float],
    specs: dict[str, Any] | None = None,
) -> dict[str, torch.Tensor]:
    """One structure as the dictionary that a model of mace-torch takes."""
    atoms = Atoms(
        numbers=structure["numbers"],
        positions=structure["positions"],
        cell=structure["cell"],
        pbc=structure["pbc"],
    )
    atoms.info.update(inputs)
    atoms.info["head"] = head
    options = {}
    if "key_specification" in inspect.signature(data.config_from_atoms).parameters:
        options = {"key_specification": _key_specification(specs), "head_name": head}
    config = data.config_from_atoms(atoms, **options)
    heads = {}
    if "heads" in inspect.signature(data.AtomicData.from_config).parameters:
        heads = {"heads": getattr(model, "heads", ["Default"])}
    graph = data.AtomicData.from_config(
        config,
        z_table=AtomicNumberTable([int(z) for z in model.atomic_numbers]),
        cutoff=float(model.r_max),
        **heads,
    )
    loader = torch_geometric.dataloader.DataLoader(
        dataset=[graph], batch_size=1, shuffle=False, drop_last=False
    )
    return next(iter(loader)).to_dict()


def _numbers(value: torch.Tensor) -> list:
    return value.detach().to(torch.float64).numpy().tolist()


def _rounded(value: torch.Tensor) -> list:
    """Twelve digits: features are the bulk of a file, and nobody adds them up."""
    table = value.detach().to(torch.float64).numpy()
    return [[float(f"{x:.12g}") for x in row] for row in np.atleast_2d(table)]


def results(
    model: torch.nn.Module,
    structures: dict[str, dict[str, Any]],
    options: dict[str, Any],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Energies and derivatives of every case, and the features of every graph."""
    heads = list(getattr(model, "heads", ["Default"]))
    records, features = [], []
    for name, structure in structures.items():
        periodic = all(structure["pbc"])
        for inputs in options["inputs"]:
            for head in heads:
                graph = batch(
                    model, structure, head, inputs, options["embedding_specs"]
                )
                output = model(
                    graph,
                    compute_force=options["derivatives"],
                    compute_stress=options["derivatives"] and periodic,
                )
                case = {"structure": name, "inputs": inputs}
                records.append({**case, "head": head, **_record(output)})
            # The features do not know the head.
            table = _rounded(output["node_feats"])
            features.append({**case, "node_feats": table})
    return records, features


def _record(output: dict[str, torch.Tensor | None]) -> dict[str, Any]:
    def optional(key: str) -> list | None:
        value = output[key]
        return None if value is None else _numbers(value)

    stress = optional("stress")
    return {
        "energy": float(output["energy"].detach().item()),
        "node_energy": _numbers(output["node_energy"]),
        "forces": optional("forces"),
        "stress": None if stress is None else stress[0],
    }


def silent_parameters(
    model: torch.nn.Module,
    structures: dict[str, dict[str, Any]],
    options: dict[str, Any],
) -> list[str]:
    """Parameters that no energy depends on, so that no comparison can check them."""
    weights = {
        name: value
        for name, value in model.named_parameters()
        if value.numel() > 0 and value.requires_grad
    }
    size = dict.fromkeys(weights, 0.0)
    for structure in structures.values():
        for inputs in options["inputs"]:
            for head in list(getattr(model, "heads", ["Default"])):
                graph = batch(
                    model, structure, head, inputs, options["embedding_specs"]
                )
                energy = model(graph, training=True, compute_force=False)["energy"]
                slopes = torch.autograd.grad(
                    energy.sum(), list(weights.values()), allow_unused=True
                )
                for (key, value), slope in zip(weights.items(), slopes, strict=True):
                    if slope is not None:
                        change = float((slope * value).detach().abs().sum())
                        size[key] = max(size[key], change)
    return sorted(key for key, change in size.items() if change < SMALLEST_TERM)
