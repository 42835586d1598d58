"""What a potential says about labelled frames, beside what the labels say."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lamplighter.arrays import Floats
from lamplighter.model import Potential, load_potential, predict
from lamplighter.train.data.dataset import Item, make_batch, make_items
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.reader import read_frames
from lamplighter.train.error_groups import by_head, table_of
from lamplighter.train.errors_table import ErrorTable

__all__ = [
    "Predicted",
    "Residual",
    "by_head",
    "evaluate",
    "evaluation_groups",
    "item_residuals",
    "residuals",
    "table_of",
]

BATCH_ATOMS = 192
CHUNK_FRAMES = 512
"""Frames whose neighbour lists are in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a head says about a frame, whether or not that is labelled.

    Attributes:
        head: the head.
        free_atoms: sum of the head's E0 over the atoms, eV.
        energy: total, eV.
        forces: [n_atoms, 3], eV/Å.
        stress: [3, 3], eV/Å^3, tension positive; None where the frame has no volume.
    """

    head: str
    free_atoms: float
    energy: float
    forces: Floats
    stress: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """Predicted minus labelled, of one frame.

    Attributes:
        frame: the labelled structure.
        energy: eV/atom; NaN where the frame has no energy.
        forces: [n_atoms, 3], eV/Å, or None.
        stress: [3, 3], eV/Å^3, or None.
        predicted: what was predicted.
    """

    frame: Frame
    energy: float
    forces: Floats | None
    stress: Floats | None
    predicted: Predicted


def evaluate(
    model_path: str | os.PathLike[str],
    files: Iterable[str | os.PathLike[str]],
    *,
    head: str | None = None,
    dtype: str = "float64",
) -> ErrorTable:
    """Return the errors of a saved potential on labelled files, by config_type.

    Args:
        model_path: a potential (safetensors).
        files: labelled structures.
        head: judge all frames with this head, whatever head they name; None takes the
            head that each frame names.
        dtype: "float64" or "float32".

    Raises:
        ArtifactError: the model file is unusable.
        DataError: a data file is unusable.
        ConfigError: the potential lacks a head or an element.
    """
    potential = load_potential(Path(model_path), dtype=dtype)
    frames = [f for path in files for f in read_frames(path)]
    return table_of(residuals(potential, frames, head=head))


def residuals(
    potential: Potential,
    frames: Sequence[Frame],
    *,
    head: str | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Residual]:
    """Return predicted minus labelled for every frame, with the head named or its own.

    Args:
        potential: judged in its own precision, where it lies.
        frames: labelled structures.
        head: the head for all frames; None takes the head that each frame names.
        advance: called with the number of frames that were finished.

    Raises:
        ConfigError: the potential lacks a head or an element.
    """
    parameter = next(potential.parameters())
    found: list[Residual] = []
    for start in range(0, len(frames), CHUNK_FRAMES):
        items = make_items(
            frames[start : start + CHUNK_FRAMES],
            potential.config,
            dtype=parameter.dtype,
            device=str(parameter.device),
            as_head=head,
        )
        found += item_residuals(potential, items, advance=advance)
    return found


def item_residuals(
    potential: Potential,
    items: Sequence[Item],
    *,
    advance: Callable[[int], None] | None = None,
    edge_chunk: int = 0,
) -> list[Residual]:
    """Return predicted minus labelled for frames whose graphs exist already.

    With an `edge_chunk` the memory is bounded as in training.
    """
    found: dict[int, Residual] = {}
    for group in evaluation_groups(items):
        said = _predict([items[k] for k in group], potential, edge_chunk)
        for k, one in zip(group, said, strict=True):
            found[k] = _residual(items[k].frame, one)
        if advance is not None:
            advance(len(group))
    return [found[k] for k in range(len(items))]


def _predict(
    items: Sequence[Item], potential: Potential, edge_chunk: int
) -> list[Predicted]:
    """Return what the potential says about a batch, frame by frame."""
    batch = make_batch(items)
    prediction = predict(potential, batch.graph, edge_chunk=edge_chunk)
    energies = prediction.energy.detach().cpu().tolist()
    free_atoms = batch.free_atoms.detach().cpu().tolist()
    forces = prediction.forces.detach().double().cpu()
    stress = -prediction.virial.double() / batch.volume[:, None, None]
    sizes = [item.frame.n_atoms for item in items]
    heads = [potential.config.heads[k].name for k in _head_indices(items)]
    return [
        Predicted(
            head=head,
            free_atoms=e0,
            energy=energy,
            forces=f.numpy(),
            stress=s.numpy() if item.frame.volume > 0 else None,
        )
        for item, head, e0, energy, f, s in zip(
            items,
            heads,
            free_atoms,
            energies,
            torch.split(forces, sizes),
            stress.detach().cpu(),
            strict=True,
        )
    ]


def _head_indices(items: Sequence[Item]) -> list[int]:
    return [int(item.graph.heads[0]) for item in items]


def _residual(frame: Frame, predicted: Predicted) -> Residual:
    forces = stress = None
    if frame.forces is not None:
        forces = predicted.forces - frame.forces
    if frame.stress is not None and predicted.stress is not None:
        stress = predicted.stress - frame.stress
    known = math.isfinite(frame.energy)
    return Residual(
        frame=frame,
        energy=(predicted.energy - frame.energy) / frame.n_atoms if known else math.nan,
        forces=forces,
        stress=stress,
        predicted=predicted,
    )


def evaluation_groups(items: Sequence[Item]) -> list[list[int]]:
    """Return indices in groups of similar size and at most `BATCH_ATOMS` atoms."""
    groups: list[list[int]] = []
    atoms = BATCH_ATOMS + 1
    for k in sorted(range(len(items)), key=lambda k: -items[k].n_pairs):
        size = items[k].frame.n_atoms
        if atoms + size > BATCH_ATOMS:
            groups.append([])
            atoms = 0
        groups[-1].append(k)
        atoms += size
    return groups
