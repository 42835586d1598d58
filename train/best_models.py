"""The best weights of a run so far, kept as models beside its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lamplighter.model import Potential, save_potential
from lamplighter.train.lora import merged

Kept = list[list[float]]
"""Rows of score and step."""


def keep_best(
    folder: Path,
    potential: Potential,
    kept: Sequence[Sequence[float]],
    *,
    score: float,
    step: int,
    limit: int,
) -> Kept:
    """Write ``best-STEP.safetensors`` and remove files that are no longer the best.

    Args:
        folder: where the files lie.
        potential: weights with the lowest score so far.
        kept: scores and steps of the files that there are.
        score: validation score of `potential`; NaN where nothing is validated, the
            latest weights then count as the best.
        step: optimiser step of `potential`.
        limit: files to keep.

    Returns:
        `kept` as it is now.

    Raises:
        LamplighterError: the disk is full or the folder cannot be written.
    """
    known = math.isfinite(score)
    path = folder / f"best-{step}.safetensors"
    note = {"step": step, "score": score if known else None}
    save_potential(merged(potential), path, note)
    rows = [list(row) for row in kept if int(row[1]) != step]
    rows.append([score if known else -float(step), step])
    rows.sort(key=lambda row: row[0])
    for _, old in rows[limit:]:
        (folder / f"best-{int(old)}.safetensors").unlink(missing_ok=True)
    return rows[:limit]
