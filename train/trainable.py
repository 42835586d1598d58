"""Which weights of a potential a method of post-training moves, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch

from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential
from lamplighter.model.select import belongs_to_heads
from lamplighter.train.finetune_config import FinetuneConfig, FreezeSettings
from lamplighter.train.lora import LowRank, SomeRows, attach, low_rank_fits

Treatment = Literal["moves", "fixed", "low rank", "rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens to every weight.

    Attributes:
        weights: treatment by name of the weight.
        rows: rows of the head-dependent weights that move where the treatment is
            "rows".
    """

    weights: Mapping[str, Treatment]
    rows: tuple[int, ...] = ()

    def names(self, treatment: Treatment) -> list[str]:
        """Return the names of the weights that are treated so."""
        return [name for name, found in self.weights.items() if found == treatment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """How much of a potential moves.

    Attributes:
        weights: numbers in the potential.
        moving: numbers that the optimiser changes.
    """

    weights: int
    moving: int


def plan_weights(config: FinetuneConfig, potential: Potential) -> Plan:
    """Return what `config.method` does to the weights of the enlarged potential.

    Args:
        config: method, and its settings.
        potential: with the new heads, the last ones.

    Raises:
        ConfigError: a pattern that fits no weight, more layers than there are, or
            nothing left to move.
    """
    names = dict(potential.named_parameters())
    trunk = [name for name in names if not _of_heads(name)]
    frozen = _frozen(config.freeze, potential, trunk)
    weights: dict[str, Treatment] = {}
    for name, value in names.items():
        if _of_heads(name):
            weights[name] = "rows" if config.readouts_that_move == "new" else "moves"
        elif config.method == "heads" or name in frozen:
            weights[name] = "fixed"
        elif config.method == "lora" and low_rank_fits(value, config.lora.rank):
            weights[name] = "low rank"
        else:
            weights[name] = "moves"
    n_old = len(potential.config.heads) - len(config.heads)
    return Plan(weights=weights, rows=tuple(range(n_old, len(potential.config.heads))))


def apply_plan(potential: Potential, plan: Plan, config: FinetuneConfig) -> Moving:
    """Fix and change the weights in place, so that gradients say what moves.

    Every output of the potential stays bit for bit what it was. The random factors
    depend on `config.run.seed` alone.
    """
    n_weights = sum(p.numel() for p in potential.parameters())
    for name, value in list(potential.named_parameters()):
        value.requires_grad_(plan.weights[name] == "moves")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        for name, value in list(potential.named_parameters()):
            if plan.weights[name] == "low rank":
                change = LowRank(value, config.lora.rank, config.lora.alpha)
                attach(potential, name, change)
            elif plan.weights[name] == "rows":
                attach(potential, name, SomeRows(value, plan.rows))
    moving = sum(p.numel() for p in potential.parameters() if p.requires_grad)
    return Moving(weights=n_weights, moving=moving)


def _of_heads(name: str) -> bool:
    """Whether a weight has a row for each head: readouts, and the bias of E0."""
    return belongs_to_heads(name) or name.startswith("reference_bias.")


def _frozen(
    settings: FreezeSettings, potential: Potential, trunk: Sequence[str]
) -> set[str]:
    """Return the names of the weights that the settings hold fast."""
    n_layers = potential.config.n_layers
    if settings.layers > n_layers:
        raise ConfigError(
            explain(
                "freeze: layers is more than the potential has",
                got=settings.layers,
                wanted=f"0 to {n_layers}",
            )
        )
    found: set[str] = set()
    for pattern in settings.patterns:
        fitting = {name for name in trunk if fnmatchcase(name, pattern)}
        if not fitting:
            raise ConfigError(
                explain(
                    "freeze: a pattern fits no weight of the trunk",
                    got=repr(pattern),
                    wanted=f"patterns of names like {_examples(trunk)}",
                )
            )
        found |= fitting
    if settings.layers:
        kept = tuple(f"layers.{k}." for k in range(settings.layers, n_layers))
        found |= {name for name in trunk if not name.startswith(kept)}
    return found


def _examples(trunk: Sequence[str]) -> str:
    """Return the first weight of every kind, for messages."""
    kinds = {".".join(name.split(".")[:4]): name for name in reversed(trunk)}
    return ", ".join(sorted(kinds.values())[:8])
