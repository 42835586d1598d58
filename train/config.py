"""Every setting of training and post-training; YAML files have exactly these names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.head_config import HeadData
from lamplighter.train.loss_config import LossSettings
from lamplighter.train.setting_check import check

__all__ = [
    "SCAN_TYPES",
    "HeadData",
    "LossSettings",
    "ModelSettings",
    "OptimizerSettings",
    "RunSettings",
    "SamplingSettings",
    "SplitSettings",
    "TrainConfig",
    "check",
    "check_heads",
]

SCAN_TYPES = ("IsolatedAtom", "*_eos", "*_elastic", "dimer")
"""Config types that are scans of one coordinate: kept whole, for training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Shape of a new potential; see `lamplighter.model.PotentialConfig`.

    Attributes:
        elements: chemical symbols; empty means those of the data.
        cutoff: range of a layer, Å.
        cutoff_power: power p of the polynomial cutoff.
        n_radial: number of Bessel functions.
        radial_hidden: widths of the radial network.
        l_max: highest degree of the spherical harmonics.
        channels: node channels.
        edge_channels: channels on the edges.
        hidden_l_max: highest degree of the node features between layers.
        n_layers: message-passing layers.
        correlation: highest power in the product basis.
        readout_hidden: hidden units of the last readout, per head.
        distance_transform: "agnesi" or "none".
        zbl: add the ZBL core repulsion.
        density_alpha: starting value of the neighbour normalisation.
    """

    elements: tuple[str, ...] = ()
    cutoff: float = 6.0
    cutoff_power: int = 5
    n_radial: int = 10
    radial_hidden: tuple[int, ...] = (64, 64, 64)
    l_max: int = 3
    channels: int = 64
    edge_channels: int = 32
    hidden_l_max: int = 1
    n_layers: int = 2
    correlation: int = 3
    readout_hidden: int = 16
    distance_transform: str = "agnesi"
    zbl: bool = True
    density_alpha: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """Which frames are held out of training.

    A geometry (uid) is on the same side in every head, so that one head cannot see what
    another is judged on. Within each config_type the fraction is held out as evenly as
    the hash of the uids allows.

    Attributes:
        validation_fraction: fraction of the geometries for validation.
        test_fraction: fraction of the geometries for the final test.
        keep_in_train: patterns of config_type that are never held out.
        min_stratum: config types with fewer geometries than this stay in training.
        min_validation: geometries that each head holds out for validation at least, as
            long as they are not more than a quarter of those that may be held out.
        seed: changes the draw.
    """

    validation_fraction: float = 0.1
    test_fraction: float = 0.0
    keep_in_train: tuple[str, ...] = SCAN_TYPES
    min_stratum: int = 2
    min_validation: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        both = self.validation_fraction + self.test_fraction
        ok = min(self.validation_fraction, self.test_fraction) >= 0 and both < 1
        check(ok, "split fractions", both, "at least 0 and together below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How batches are drawn.

    Attributes:
        batch_frames: structures in a batch, on average.
        max_atoms: most atoms in a batch.
        steps_per_epoch: batches in an epoch; None: as many as show each frame once.
        temperature: head k is drawn with probability proportional to n_k^(1/T) when it
            has no quota: 1 in proportion to its frames, large the same for all heads.
    """

    batch_frames: int = 8
    max_atoms: int = 256
    steps_per_epoch: int | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check(self.batch_frames > 0, "batch_frames", self.batch_frames, "at least 1")
        check(self.max_atoms > 0, "max_atoms", self.max_atoms, "at least 1")
        check(self.temperature > 0, "temperature", self.temperature, "more than 0")
        steps = self.steps_per_epoch
        check(steps is None or steps > 0, "steps_per_epoch", steps, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """Adam with decoupled weight decay, gradient clipping and averaging of weights.

    Attributes:
        learning_rate: highest learning rate.
        weight_decay: decoupled decay, per step times the learning rate.
        beta2: decay of the second moment; smaller forgets a violent start sooner.
        amsgrad: use the largest second moment ever seen; a violent start then slows the
            whole run.
        clip_norm: gradients are scaled down to this norm; 0 switches it off.
        ema_decay: decay of the exponential average of the weights, which is what is
            validated and saved; 0 switches it off.
        schedule: "cosine" from the highest rate down to `final_fraction`, "plateau"
            (times `plateau_factor` after `plateau_patience` validations without
            progress), or "constant".
        warmup_steps: steps of linear growth of the rate from nearly 0.
        final_fraction: last rate of the cosine, relative to the highest.
        plateau_factor: factor on the rate at a plateau.
        plateau_patience: validations to wait at a plateau.
        follow_clock: let the cosine run with the time budget where that is ahead of the
            steps; the trajectory then depends on the speed of the machine.
    """

    learning_rate: float = 5e-3
    weight_decay: float = 1e-8
    beta2: float = 0.999
    amsgrad: bool = False
    clip_norm: float = 100.0
    ema_decay: float = 0.995
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warmup_steps: int = 50
    final_fraction: float = 0.01
    plateau_factor: float = 0.8
    plateau_patience: int = 5
    follow_clock: bool = False

    def __post_init__(self) -> None:
        check(self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0")
        check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "0 <= decay < 1")
        check(0 < self.beta2 < 1, "beta2", self.beta2, "between 0 and 1")
        check(self.clip_norm >= 0, "clip_norm", self.clip_norm, "at least 0")
        check(self.weight_decay >= 0, "weight_decay", self.weight_decay, ">= 0")
        check(0 < self.plateau_factor < 1, "plateau_factor", self.plateau_factor, "0-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How long, how often, on what.

    Attributes:
        max_steps: optimiser steps of the whole run.
        max_minutes: stop after this time, over all restarts; 0 means no limit.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        seed: seed of the starting weights and of the sampling.
        dtype: "float32" or "float64".
        threads: CPU threads; 0 leaves torch's choice.
        device: torch device.
        selection: which weights are kept: "mean" has the lowest mean over the heads of
            half (force RMSE / RMS force / `force_target` + energy RMSE per atom /
            `energy_target`); "worst" takes the worst head instead of the mean; "last"
            keeps the last weights.
        force_target: force error that counts as 1, fraction of the head's RMS force.
        energy_target: energy error that counts as 1, eV/atom.
    """

    max_steps: int = 2000
    max_minutes: float = 0.0
    validate_every: int = 100
    checkpoint_every: int = 100
    seed: int = 1
    dtype: Literal["float32", "float64"] = "float32"
    threads: int = 0
    device: str = "cpu"
    selection: Literal["mean", "worst", "last"] = "mean"
    force_target: float = 0.05
    energy_target: float = 0.005

    def __post_init__(self) -> None:
        for name in ("max_steps", "validate_every", "checkpoint_every"):
            value = getattr(self, name)
            check(value > 0, f"run: {name}", value, "at least 1")
        check(self.max_minutes >= 0, "run: max_minutes", self.max_minutes, ">= 0")
        check(self.threads >= 0, "run: threads", self.threads, "at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training run from nothing.

    Attributes:
        output: folder for the model, the log, the errors and the checkpoint.
        heads: the heads and their data.
        model: shape of the potential.
        split: what is held out.
        loss: what is minimised.
        sampling: how batches are drawn.
        optimizer: how the weights move.
        run: how long and on what.
        limits: what the reader refuses.
    """

    output: Path
    heads: tuple[HeadData, ...]
    model: ModelSettings = field(default_factory=ModelSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    run: RunSettings = field(default_factory=RunSettings)
    limits: ReaderLimits = field(default_factory=ReaderLimits)

    def __post_init__(self) -> None:
        check_heads(self.heads)


def check_heads(heads: tuple[HeadData, ...]) -> None:
    """Refuse an empty list of heads and names used twice.

    Raises:
        ConfigError: as above.
    """
    names = [head.name for head in heads]
    check(bool(names), "heads", names, "at least one head")
    twice = sorted({name for name in names if names.count(name) > 1})
    check(not twice, "heads", f"{', '.join(twice)} twice", "different names")
