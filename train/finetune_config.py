"""The settings of post-training; YAML files have exactly these names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lamplighter.train.config import (
    HeadData,
    LossSettings,
    OptimizerSettings,
    RunSettings,
    SamplingSettings,
    SplitSettings,
    check,
    check_heads,
)
from lamplighter.train.data.limits import ReaderLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHead(HeadData):
    """A head to add to a potential.

    Attributes:
        start_from: the existing head whose readout the new one starts from.
    """

    start_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """What keeps the old heads in their place.

    Attributes:
        fraction: share of the frames of a batch that belongs to the old heads together.
        max_frames: most replay frames of one head; 0 means all.
        drift_limit: weights are not chosen when the force error of an old head on its
            validation frames has grown by more than this fraction of its RMS force
            (0.02 is two percent points).
        energy_drift_limit: the same for the energy error, eV/atom.
        relative_drift: added to both limits, as a fraction of the error before.
        patience: the run ends after this many validations in a row beyond a limit.
    """

    fraction: float = 0.5
    max_frames: int = 0
    drift_limit: float = 0.02
    energy_drift_limit: float = 0.01
    relative_drift: float = 0.1
    patience: int = 10

    def __post_init__(self) -> None:
        check(0 <= self.fraction < 1, "replay: fraction", self.fraction, "0 to 1")
        check(self.max_frames >= 0, "replay: max_frames", self.max_frames, ">= 0")
        for name in ("drift_limit", "energy_drift_limit", "relative_drift"):
            value = getattr(self, name)
            check(value >= 0, f"replay: {name}", value, "at least 0")
        check(self.patience > 0, "replay: patience", self.patience, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Multi-head replay post-training: keep every head of a potential, add some.

    Attributes:
        base: the potential to start from; ``model:base`` is the shipped one.
        output: folder for the results.
        heads: the heads to add, and their data.
        replay_heads: data of heads that the potential has.
        replay: how strongly the old heads are held.
        split: what is held out.
        loss: what is minimised.
        sampling: how batches are drawn.
        optimizer: how the weights move.
        run: how long and on what.
        limits: what the reader refuses.
    """

    base: Path
    output: Path
    heads: tuple[NewHead, ...]
    replay_heads: tuple[HeadData, ...] = ()
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=3e-4, warmup_steps=20, ema_decay=0.98
        )
    )
    run: RunSettings = field(default_factory=RunSettings)
    limits: ReaderLimits = field(default_factory=ReaderLimits)

    def __post_init__(self) -> None:
        check_heads((*self.heads, *self.replay_heads))
