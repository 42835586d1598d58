"""How the weights move: optimisers, clipping, learning rate, running average."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential
from lamplighter.train.checkpoint import pack_optimizer, unpack_optimizer
from lamplighter.train.config import OptimizerSettings
from lamplighter.train.schedule_free import ScheduleFreeAdamW

NOT_MATRICES = ("embedding", "*.tables.*", "readouts.*", "reference_bias*")
"""Weights with two axes that are tables over species or heads, for "muon"."""


class Optimizers:
    """The optimiser of every weight that moves; two of them with "muon".

    Attributes:
        parameters: the weights that move.
    """

    def __init__(self, module: nn.Module, settings: OptimizerSettings) -> None:
        """Take the weights of `module` that require a gradient; freeze as told.

        Raises:
            ConfigError: a pattern that fits no weight, nothing left to move, or "muon"
                with a torch that lacks it.
        """
        _check_patterns(module, settings)
        freeze(module, settings.frozen)
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise ConfigError(
                explain(
                    "there is no weight left to train",
                    got=f"optimizer.frozen = {list(settings.frozen)}",
                    fix="freeze less",
                )
            )
        self.parameters = [p for _, p in named]
        self._parts = [
            make(_groups(chosen, settings)) for make, chosen in _shared(named, settings)
        ]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate; groups multiply it by their factor."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * group["factor"]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move the weights by their gradients."""
        for part in self._parts:
            part.step()

    def averaged(self) -> list[Tensor] | None:
        """Return the optimiser's own average of `parameters`; None if it has none."""
        (part, *_) = self._parts
        if not isinstance(part, ScheduleFreeAdamW):
            return None
        return [part.averaged(p) for p in self.parameters]

    def pack(self) -> dict[str, Tensor]:
        """Return the state by name, for a checkpoint."""
        packed: dict[str, Tensor] = {}
        for name, part in zip(("optimizer", "optimizer2"), self._parts, strict=False):
            packed |= pack_optimizer(part, name)
        return packed

    def unpack(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what `pack` returned; the settings stay as they are."""
        for name, part in zip(("optimizer", "optimizer2"), self._parts, strict=False):
            unpack_optimizer(part, tensors, name)


Named = Sequence[tuple[str, nn.Parameter]]
Maker = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


def _shared(named: Named, settings: OptimizerSettings) -> list[tuple[Maker, Named]]:
    """Return the optimisers and the weights that each of them moves."""
    betas = (settings.beta1, settings.beta2)
    lr, amsgrad = settings.learning_rate, settings.amsgrad

    def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=lr, betas=betas, amsgrad=amsgrad)

    def adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=lr, betas=betas, amsgrad=amsgrad)

    def schedule_free(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return ScheduleFreeAdamW(groups, lr=lr, betas=betas)

    def muon(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        kind = torch.optim.Muon
        # This scale makes the rates and decays of AdamW right for Muon too.
        return kind(
            groups, lr=lr, momentum=settings.beta1, adjust_lr_fn="match_rms_adamw"
        )

    if settings.method != "muon":
        makers = {"adam": adam, "adamw": adamw, "schedule-free": schedule_free}
        return [(makers[settings.method], named)]
    _check_muon()
    matrices = [(n, p) for n, p in named if is_matrix(n, p)]
    rest = [(n, p) for n, p in named if not is_matrix(n, p)]
    shared: list[tuple[Maker, Named]] = [(muon, matrices), (adamw, rest)]
    return [(maker, chosen) for maker, chosen in shared if chosen]


def _check_muon() -> None:
    if "Muon" not in dir(torch.optim):
        raise ConfigError(
            explain(
                "this torch has no Muon",
                got=f"torch {torch.__version__}",
                wanted="torch 2.9 or newer",
                fix="pip install -U torch, or set optimizer.method: adamw",
            )
        )


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether "muon" moves a weight: a linear map inside a layer."""
    return (
        parameter.ndim == 2
        and min(parameter.shape) > 1
        and not any(fnmatchcase(name, pattern) for pattern in NOT_MATRICES)
    )


def freeze(module: nn.Module, patterns: Iterable[str]) -> None:
    """Let the weights whose names fit a pattern require no gradient."""
    for name, parameter in module.named_parameters():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)


def _groups(named: Named, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Return groups of equal rate and decay, in the order of their first weight."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        fitting = (f for p, f in settings.rate_factors.items() if fnmatchcase(name, p))
        kept = any(fnmatchcase(name, pattern) for pattern in settings.no_decay)
        key = (next(fitting, 1.0), 0.0 if kept else settings.weight_decay)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": chosen, "factor": factor, "weight_decay": decay}
        for (factor, decay), chosen in groups.items()
    ]


def _check_patterns(module: nn.Module, settings: OptimizerSettings) -> None:
    names = [name for name, _ in module.named_parameters()]
    for setting in ("frozen", "no_decay", "rate_factors"):
        for pattern in getattr(settings, setting):
            if any(fnmatchcase(name, pattern) for name in names):
                continue
            kinds = sorted({".".join(name.split(".")[:3]) for name in names})
            raise ConfigError(
                explain(
                    f"optimizer.{setting} has a pattern that fits no weight",
                    got=repr(pattern),
                    wanted=f"patterns for names that begin like {', '.join(kinds)}",
                )
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

    @torch.no_grad()
    def follow(self, module: Potential, optimizers: Optimizers) -> None:
        """Take over the weights of `module`, and the optimiser's average of them."""
        averaged = optimizers.averaged() or optimizers.parameters
        known = {id(p): x for p, x in zip(optimizers.parameters, averaged, strict=True)}
        for mine, theirs in zip(
            self.module.parameters(), module.parameters(), strict=True
        ):
            mine.copy_(known.get(id(theirs), theirs))
