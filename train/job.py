"""What a training run is given, what it remembers, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lamplighter.model import Potential
from lamplighter.train.config import (
    LossSettings,
    OptimizerSettings,
    RunSettings,
    SamplingSettings,
)
from lamplighter.train.data.dataset import Item
from lamplighter.train.errors_table import ErrorRow


class Guard(Protocol):
    """Judges a validation beyond its score.

    Attributes:
        name: the reason that a run names when the guard ends it.
        patience: refused validations in a row after which the run ends.
    """

    name: str
    patience: int

    def accepts(self, rows: Mapping[str, ErrorRow]) -> bool:
        """Whether weights with these validation errors may be chosen."""


class NoGuard:
    """Accepts everything."""

    name = "none"
    patience = 1

    def accepts(self, rows: Mapping[str, ErrorRow]) -> bool:
        """Return True."""
        del rows
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that a run needs.

    Attributes:
        potential: starting weights, in the dtype and on the device of the run; those
            that require a gradient move, the others stay as they are.
        train: frames to learn from.
        validation: frames that choose the weights; may be empty with selection "last".
        quotas: shares of heads in a batch.
        loss: what is minimised.
        sampling: how batches are drawn.
        optimizer: how the weights move.
        run: how long and how often.
        output: folder of checkpoint and log.
        fingerprint: what must be equal for a checkpoint to be resumed.
        guard: further condition on the weights that may be chosen.
        scored: heads whose validation errors choose the weights; empty means all.
        label: what the progress bar says.
    """

    potential: Potential
    train: Sequence[Item]
    validation: Sequence[Item]
    quotas: Mapping[str, float]
    loss: LossSettings
    sampling: SamplingSettings
    optimizer: OptimizerSettings
    run: RunSettings
    output: Path
    fingerprint: str
    guard: Guard = field(default_factory=NoGuard)
    scored: frozenset[str] = frozenset()
    label: str = "training"


@dataclass(slots=True)
class State:
    """What changes during a run, apart from weights; part of every checkpoint.

    Attributes:
        step: optimiser steps done.
        epoch: epoch of the next batch.
        position: number of the next batch in its epoch.
        seconds: time spent, over all restarts.
        best_score: lowest accepted validation score.
        best_step: step of that score; -1 before the first.
        refused: validations in a row that the guard refused.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    seconds: float = 0.0
    best_score: float = math.inf
    best_step: int = -1
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a run.

    Attributes:
        potential: the chosen weights.
        state: counters at the end.
        reason: why it ended: "steps", "time", or the name of the guard.
        log: the log file.
    """

    potential: Potential
    state: State
    reason: str
    log: Path
