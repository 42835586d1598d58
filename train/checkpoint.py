"""Checkpoints: tensors and a JSON note in one safetensors file, written atomically.

Nothing in the file is executed when it is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lamplighter.errors import ArtifactError, explain
from lamplighter.files import atomic_path

FORMAT_VERSION = 1
_KEY = "lamplighter_checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a run.

    Attributes:
        tensors: weights, averages and optimiser moments by name.
        note: everything else, as JSON can hold it.
    """

    tensors: Mapping[str, Tensor]
    note: Mapping[str, Any]


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; `path` holds the old one or the new one, never a part.

    Raises:
        LamplighterError: the disk is full or the folder cannot be written.
    """
    note = json.dumps({"format_version": FORMAT_VERSION, **checkpoint.note})
    tensors = {k: t.detach().cpu().contiguous() for k, t in checkpoint.tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: note})


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises:
        ArtifactError: the file is truncated, foreign, or of another format version.
    """
    source = Path(path)
    fix = f"remove {source} to start from the beginning"
    try:
        with safe_open(source, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            explain(f"cannot read the checkpoint {source}", got=error, fix=fix)
        ) from error
    if text is None:
        raise ArtifactError(explain(f"{source} is not a checkpoint", fix=fix))
    note = json.loads(text)
    if note.pop("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            explain(f"{source} is of another version of Lamplighter", fix=fix)
        )
    return Checkpoint(tensors=tensors, note=note)


def pack_module(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Return the state of a module with names that begin with ``name/``."""
    return {f"{name}/{k}": t.clone() for k, t in module.state_dict().items()}


def unpack_module(name: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load what [`pack_module`][] returned.

    Raises:
        ArtifactError: the checkpoint belongs to a potential of another shape.
    """
    prefix = f"{name}/"
    state = {
        k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)
    }
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ArtifactError(
            explain("the checkpoint belongs to another potential", got=error)
        ) from error


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments of an optimiser by parameter number and name."""
    return {
        f"optimizer/{index}/{key}": value.clone()
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Load what [`pack_optimizer`][] returned; the settings stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            index, _, key = rest.partition("/")
            state.setdefault(int(index), {})[key] = tensor.clone()
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
