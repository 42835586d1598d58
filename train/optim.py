"""How the weights move: Adam, clipping, learning rate, running average."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lamplighter.model import Potential
from lamplighter.train.config import OptimizerSettings


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> torch.optim.AdamW:
    """Return AdamW over `parameters` with the settings' rate, decay and amsgrad."""
    return torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=(0.9, settings.beta2),
        weight_decay=settings.weight_decay,
        amsgrad=settings.amsgrad,
    )


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale gradients down to a norm of at most `limit` (0: leave them); return it."""
    return torch.nn.utils.clip_grad_norm_(
        parameters, limit if limit > 0 else float("inf")
    )


@dataclass(slots=True)
class Plateau:
    """The memory of the plateau schedule.

    Attributes:
        factor: present factor on the learning rate.
        best: lowest score so far.
        waited: validations since then.
    """

    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def update(self, score: float, settings: OptimizerSettings) -> None:
        """Take a validation score into account (lower is better)."""
        if score < self.best:
            self.best, self.waited = score, 0
            return
        self.waited += 1
        if self.waited > settings.plateau_patience:
            self.factor *= settings.plateau_factor
            self.waited = 0


def rate_factor(
    settings: OptimizerSettings, *, step: int, progress: float, plateau: Plateau
) -> float:
    """Return the factor on the learning rate.

    Args:
        settings: schedule and warm-up.
        step: steps done so far.
        progress: part of the run that is done, 0 to 1.
        plateau: memory of the plateau schedule.
    """
    warmup = min(1.0, (step + 1) / (settings.warmup_steps + 1))
    if settings.schedule == "cosine":
        low = settings.final_fraction
        wave = 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
        return warmup * (low + (1.0 - low) * wave)
    if settings.schedule == "plateau":
        return warmup * plateau.factor
    return warmup


class MovingAverage:
    """An exponential average of the weights of a potential, in one of its own."""

    def __init__(self, average: Potential, decay: float) -> None:
        """Keep the average in the parameters of `average`.

        Args:
            average: a potential of the same shape; its weights are the starting point.
            decay: weight of the past in each update; 0 follows the weights exactly.
        """
        self.module = average.requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: Potential, step: int) -> None:
        """Move the average towards the weights of `module`.

        The decay grows with the step, ``min(decay, (1 + step) / (10 + step))``, so that
        the random start is forgotten quickly.
        """
        decay = min(self._decay, (1.0 + step) / (10.0 + step))
        mine: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(module.parameters())
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)
