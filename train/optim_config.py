"""The settings of the optimiser: how the weights move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lamplighter.train.setting_check import check


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """Optimiser, learning rate, gradient clipping and averaging of weights.

    Patterns (`no_decay`, `rate_factors`, `frozen`) are shell patterns on the names of
    the weights, such as ``readouts.*`` or ``layers.0.*``; one that fits no weight is
    refused.

    Attributes:
        method: "adamw" (Adam with decoupled decay), "adam" (decay added to the
            gradient), "schedule-free" (AdamW whose own average takes the place of the
            schedule and of `ema_decay`; use it with `schedule` "constant"), or "muon"
            (orthogonalised momentum for the matrices inside the layers, AdamW for the
            rest).
        learning_rate: highest learning rate.
        weight_decay: decay, per step times the learning rate.
        beta1: decay of the first moment; of "muon" the momentum of the matrices.
        beta2: decay of the second moment; smaller forgets a violent start sooner.
        amsgrad: use the largest second moment ever seen; a violent start then slows the
            whole run. Not with "schedule-free".
        no_decay: patterns of weights without decay.
        rate_factors: factor on the learning rate by pattern; the first that fits
            counts.
        frozen: patterns of weights that stay as they are.
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

    method: Literal["adamw", "adam", "schedule-free", "muon"] = "adamw"
    learning_rate: float = 5e-3
    weight_decay: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    amsgrad: bool = False
    no_decay: tuple[str, ...] = ()
    rate_factors: dict[str, float] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
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
        check(0 <= self.beta1 < 1, "beta1", self.beta1, "0 <= beta1 < 1")
        check(0 < self.beta2 < 1, "beta2", self.beta2, "between 0 and 1")
        check(self.clip_norm >= 0, "clip_norm", self.clip_norm, "at least 0")
        check(self.weight_decay >= 0, "weight_decay", self.weight_decay, ">= 0")
        check(0 < self.plateau_factor < 1, "plateau_factor", self.plateau_factor, "0-1")
        final = 0 <= self.final_fraction <= 1
        check(final, "final_fraction", self.final_fraction, "0 to 1")
        for name in ("warmup_steps", "plateau_patience"):
            value = getattr(self, name)
            check(value >= 0, name, value, "at least 0")
        for pattern, factor in self.rate_factors.items():
            check(factor > 0, f"rate_factors: {pattern}", factor, "> 0, or use frozen")
        free = self.method == "schedule-free"
        check(not (free and self.amsgrad), "amsgrad", True, "false with schedule-free")
        check(
            not free or (self.schedule == "constant" and self.beta1 > 0),
            "schedule and beta1 with method schedule-free",
            f"{self.schedule!r}, {self.beta1}",
            "schedule: constant (its average replaces the schedule) and beta1 > 0",
        )
