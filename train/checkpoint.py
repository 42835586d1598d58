"""Checkpoints: tensors and a JSON note in one safetensors file, written atomically.

Nothing in the file is executed when it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lamplighter.console import complain
from lamplighter.errors import ArtifactError, explain
from lamplighter.files import atomic_path

FORMAT_VERSION = 1
_KEY = "lamplighter_checkpoint"
_SUM = "sha256"
_HALF_WRITTEN = re.compile(r"\..+(\.[a-z]+)\.[^.]{8}\1")
"""``.NAME.log.RANDOM.log``, as `lamplighter.files.atomic_path` calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a run.

    Attributes:
        tensors: weights, averages and optimiser moments by name.
        note: everything else, as JSON can hold it.
    """

    tensors: Mapping[str, Tensor]
    note: Mapping[str, Any]


def save_checkpoint(
    path: str | os.PathLike[str], checkpoint: Checkpoint, *, keep: int = 1
) -> None:
    """Write a checkpoint; `path` holds the old one or the new one, never a part.

    It is on the disk, not only in the system's memory, before the old one gives way.
    The content carries its SHA-256. Older ones move on to ``NAME.1.safetensors``,
    ``NAME.2.safetensors`` and so forth.

    Args:
        path: the newest.
        checkpoint: what to write.
        keep: checkpoints to keep, the newest included.

    Raises:
        LamplighterError: the disk is full or the folder cannot be written.
    """
    target = Path(path)
    tensors = {k: t.detach().cpu().contiguous() for k, t in checkpoint.tensors.items()}
    note = json.dumps({"format_version": FORMAT_VERSION, **checkpoint.note})
    metadata = {_KEY: note, _SUM: _digest(tensors, note)}
    content = save(tensors, metadata=metadata)
    with atomic_path(target) as temporary:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _shift(target, keep)
    _sync_folder(target.parent)


def checkpoint_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the checkpoints that exist, newest first."""
    newest = Path(path)
    found = {
        n: p
        for p in newest.parent.glob(f"{newest.stem}.*{newest.suffix}")
        if (n := _age(newest, p)) is not None
    }
    older = [found[n] for n in sorted(found)]
    return [newest, *older] if newest.is_file() else older


def load_newest(path: str | os.PathLike[str]) -> Checkpoint | None:
    """Return the newest checkpoint that is whole; None where there is none at all.

    A damaged one is named on standard error and left out.

    Raises:
        ArtifactError: there are checkpoints, and all of them are damaged.
    """
    problems: list[str] = []
    for file in checkpoint_files(path):
        try:
            checkpoint = load_checkpoint(file)
        except ArtifactError as error:
            problems.append(str(error))
            continue
        for text in problems:
            complain(f"warning: {text}; resuming from {file} instead")
        return checkpoint
    if problems:
        raise ArtifactError(" | ".join(problems))
    return None


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises:
        ArtifactError: the file is truncated, altered, foreign, or of another format
            version.
    """
    source = Path(path)
    fix = f"remove {source} to start from the one before it, or from the beginning"
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            explain(f"cannot read the checkpoint {source}", got=error, fix=fix)
        ) from error
    text = metadata.get(_KEY)
    if text is None:
        raise ArtifactError(explain(f"{source} is not a checkpoint", fix=fix))
    # Checkpoints of version 0.1 carry no sum.
    if metadata.get(_SUM, "") not in {"", _digest(tensors, text)}:
        raise ArtifactError(
            explain(
                f"the checkpoint {source} is damaged",
                got="other content than was written (its SHA-256 differs)",
                fix=fix,
            )
        )
    note = json.loads(text)
    if note.pop("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            explain(f"{source} is of another version of Lamplighter", fix=fix)
        )
    return Checkpoint(tensors=tensors, note=note)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what a killed run left half written beside a checkpoint.

    No other run may be writing into the folder.
    """
    for file in Path(path).parent.glob(".*"):
        if _HALF_WRITTEN.fullmatch(file.name) and file.is_file():
            file.unlink(missing_ok=True)


def _digest(tensors: Mapping[str, Tensor], note: str) -> str:
    digest = hashlib.sha256(note.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _older(newest: Path, age: int) -> Path:
    return newest.with_name(f"{newest.stem}.{age}{newest.suffix}")


def _age(newest: Path, path: Path) -> int | None:
    """Return 1 for the one before the newest, and so forth; None for other files."""
    middle = path.name.removeprefix(f"{newest.stem}.").removesuffix(newest.suffix)
    return int(middle) if middle.isdecimal() else None


def _shift(newest: Path, keep: int) -> None:
    """Let every checkpoint give way to a newer one; drop those beyond `keep`.

    Between two renames there may be no newest one, but always one before it. Where a
    kill left it so, none has to give way.
    """
    if not newest.is_file():
        return
    for path in checkpoint_files(newest):
        age = 0 if path == newest else _age(newest, path)
        if age is not None and age + 1 >= max(keep, 2):
            path.unlink()
    if keep < 2:
        return
    for age in range(keep - 2, -1, -1):
        path = _older(newest, age) if age else newest
        if path.is_file():
            path.replace(_older(newest, age + 1))


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last, where the file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


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


def pack_optimizer(
    optimizer: torch.optim.Optimizer, name: str = "optimizer"
) -> dict[str, Tensor]:
    """Return the moments of an optimiser as ``name/number of the weight/moment``."""
    return {
        f"{name}/{index}/{key}": value.clone()
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def unpack_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    name: str = "optimizer",
) -> None:
    """Load what [`pack_optimizer`][] returned; the settings stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        kind, _, rest = full.partition("/")
        if kind == name:
            index, _, key = rest.partition("/")
            state.setdefault(int(index), {})[key] = tensor.clone()
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
