"""What a training run is given, what it remembers, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential
from lamplighter.train.config import (
    LossSettings,
    OptimizerSettings,
    RunSettings,
    SamplingSettings,
)
from lamplighter.train.data.dataset import Item
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.sampler import FrameCost, FrameCosts
from lamplighter.train.selection import check_patterns, head_score, head_weight


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
        costs: head, atoms and pairs of every training frame as arrays, where these are
            known without reading the frames; None reads them all.
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
    costs: FrameCosts | None = None

    def counts(self, head: str) -> bool:
        """Whether a head takes part in the choice of the weights."""
        if self.run.selection_heads:
            return head_weight(head, self.run) > 0
        return not self.scored or head in self.scored

    def head_scores(self, rows: Mapping[str, ErrorRow]) -> dict[str, float]:
        """Return the score of every head, by what it learns."""
        learnt = {head.name: head.learnt for head in self.potential.config.heads}
        return {
            name: head_score(row, self.run, learnt[name]) for name, row in rows.items()
        }

    def check_selection(self) -> None:
        """Refuse a selection that has nothing to judge.

        Raises:
            ConfigError: as above.
        """
        check_patterns(self.run, {item.frame.head for item in self.validation})
        judged = any(self.counts(item.frame.head) for item in self.validation)
        if not judged and self.optimizer.schedule == "plateau":
            raise ConfigError(
                explain(
                    "optimizer.schedule 'plateau' follows validation errors, and no "
                    "frame is held out",
                    fix="raise split.validation_fraction, name validation_files, or "
                    "set another schedule",
                )
            )
        if not judged and self.run.selection != "last":
            raise ConfigError(
                explain(
                    "no frame is held out for validation of "
                    f"{', '.join(sorted(self.scored)) or 'any head'}",
                    wanted=f"some for run.selection = {self.run.selection!r}",
                    fix="raise split.validation_fraction, name validation_files, or "
                    "set run.selection: last",
                )
            )

    def frame_costs(self) -> FrameCosts:
        """Return what the sampler has to know about the training frames."""
        if self.costs is not None:
            return self.costs
        return FrameCosts.of(
            [
                FrameCost(
                    head=item.frame.head,
                    n_atoms=item.frame.n_atoms,
                    n_pairs=item.n_pairs,
                    label=item.frame.source,
                )
                for item in self.train
            ]
        )


@dataclass(slots=True)
class State:
    """What changes during a run, apart from weights; part of every checkpoint.

    Attributes:
        step: optimiser steps done.
        epoch: epoch of the next batch.
        position: number of the next batch in its window.
        seconds: time spent, over all restarts.
        best_score: lowest accepted validation score.
        best_step: step of that score; -1 before the first.
        refused: validations in a row that the guard refused.
        window: window of the next batch in its epoch.
        kept: score and step of the models that are kept as the best.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    seconds: float = 0.0
    best_score: float = math.inf
    best_step: int = -1
    refused: int = 0
    window: int = 0
    kept: list[list[float]] = field(default_factory=list)


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
