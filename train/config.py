"""Every setting of training and post-training; YAML files have exactly these names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.head_config import HeadData
from lamplighter.train.loss_config import LossSettings
from lamplighter.train.optim_config import OptimizerSettings
from lamplighter.train.run_config import RunSettings, SamplingSettings
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
    "check_quotas",
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
        check_quotas(self.heads)


def check_heads(heads: tuple[HeadData, ...]) -> None:
    """Refuse an empty list of heads and names used twice.

    Raises:
        ConfigError: as above.
    """
    names = [head.name for head in heads]
    check(bool(names), "heads", names, "at least one head")
    twice = sorted({name for name in names if names.count(name) > 1})
    check(not twice, "heads", f"{', '.join(twice)} twice", "different names")


def check_quotas(heads: Sequence[HeadData]) -> None:
    """Refuse quotas of some heads only: they are relative to each other.

    Raises:
        ConfigError: as above.
    """
    without = [head.name for head in heads if head.quota is None]
    given = [head.name for head in heads if head.quota is not None]
    got = f"quota of {', '.join(given)}, none of {', '.join(without)}"
    check(not (given and without), "heads: quota", got, "quotas of all heads, or none")
