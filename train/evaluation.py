"""Errors of a potential by head and config_type."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lamplighter.arrays import Floats
from lamplighter.model import Potential, load_potential, predict
from lamplighter.train.data.dataset import Item, make_batch, make_items
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.reader import read_frames
from lamplighter.train.errors_table import ErrorRow, ErrorTable, error_row

BATCH_ATOMS = 192


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """Predicted minus labelled, of one frame.

    Attributes:
        frame: the labelled structure.
        energy: eV/atom.
        forces: [n_atoms, 3], eV/Å, or None.
        stress: [3, 3], eV/Å^3, or None.
    """

    frame: Frame
    energy: float
    forces: Floats | None
    stress: Floats | None


def evaluate(
    model_path: str | os.PathLike[str],
    files: Iterable[str | os.PathLike[str]],
    *,
    head: str | None = None,
    dtype: str = "float64",
) -> ErrorTable:
    """Return the errors of a saved potential on labelled files.

    Args:
        model_path: a potential (safetensors).
        files: extended XYZ files, plain or gzipped.
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
    potential: Potential, frames: Sequence[Frame], *, head: str | None = None
) -> list[Residual]:
    """Return predicted minus labelled for every frame, with the head named or its own.

    Raises:
        ConfigError: the potential lacks a head or an element.
    """
    parameter = next(potential.parameters())
    items = make_items(
        frames,
        potential.config,
        dtype=parameter.dtype,
        device=str(parameter.device),
        as_head=head,
    )
    return item_residuals(potential, items)


def item_residuals(potential: Potential, items: Sequence[Item]) -> list[Residual]:
    """Return predicted minus labelled for frames whose graphs exist already."""
    found: dict[int, Residual] = {}
    for group in evaluation_groups(items):
        batch = make_batch([items[k] for k in group])
        prediction = predict(potential, batch.graph)
        energy = ((prediction.energy - batch.energy) / batch.n_atoms).detach().cpu()
        sizes = [items[k].frame.n_atoms for k in group]
        forces = (prediction.forces - batch.forces).detach().double().cpu()
        stress = -prediction.virial.double() / batch.volume[:, None, None]
        stress = (stress - batch.stress).detach().cpu()
        for k, de, df, ds in zip(
            group, energy, torch.split(forces, sizes), stress, strict=True
        ):
            frame = items[k].frame
            found[k] = Residual(
                frame=frame,
                energy=float(de),
                forces=df.numpy() if frame.forces is not None else None,
                stress=ds.numpy() if frame.stress is not None else None,
            )
    return [found[k] for k in range(len(items))]


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


def table_of(found: Sequence[Residual]) -> ErrorTable:
    """Return the errors by head (config_type "all") and by head and config_type."""
    by_type: dict[tuple[str, str], list[Residual]] = {}
    for residual in found:
        frame = residual.frame
        for config_type in ("all", frame.config_type or "(none)"):
            by_type.setdefault((frame.head, config_type), []).append(residual)
    order = {head: n for n, head in enumerate(dict.fromkeys(h for h, _ in by_type))}
    keys = sorted(by_type, key=lambda k: (order[k[0]], k[1] != "all", k[1]))
    return ErrorTable(
        rows=tuple(_row(head, name, by_type[head, name]) for head, name in keys)
    )


def by_head(table: ErrorTable) -> Mapping[str, ErrorRow]:
    """Return the row over all config types of each head."""
    return {row.head: row for row in table.rows if row.config_type == "all"}


def _row(head: str, config_type: str, group: Sequence[Residual]) -> ErrorRow:
    with_forces = [r for r in group if r.forces is not None and r.frame.n_atoms > 1]
    with_stress = [r for r in group if r.stress is not None]
    return error_row(
        head=head,
        config_type=config_type,
        energy=np.array([r.energy for r in group]),
        forces=_joined([r.forces for r in with_forces]),
        reference_forces=_joined([r.frame.forces for r in with_forces]),
        stress=_joined([r.stress for r in with_stress]),
    )


def _joined(parts: Sequence[Floats | None]) -> Floats:
    arrays = [p.ravel() for p in parts if p is not None]
    return np.concatenate(arrays) if arrays else np.empty(0)
