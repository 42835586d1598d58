"""Add heads to a potential; every other weight and every old head stays as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from lamplighter.model import HeadSpec, Potential
from lamplighter.model.select import belongs_to_heads


def add_heads(
    potential: Potential, additions: Sequence[tuple[HeadSpec, str]]
) -> Potential:
    """Return a potential with more heads, each starting from an existing one's readout.

    The old heads predict exactly what they did. A new head predicts what the head it
    starts from does, with its own E0 and scale.

    Args:
        potential: stays as it is.
        additions: specification of each new head, and the head it starts from.

    Raises:
        ConfigError: a head that does not exist, or a name that exists already.
    """
    config = potential.config
    rows = list(range(len(config.heads)))
    rows += [config.head_index(start) for _, start in additions]
    specs = (*config.heads, *(spec for spec, _ in additions))
    larger = Potential(dataclasses.replace(config, heads=specs))
    larger = larger.to(dtype=potential.dtype, device=potential.embedding.device)
    index = torch.tensor(rows, device=potential.embedding.device)
    state = {
        name: _with_rows(name, value, index)
        for name, value in potential.state_dict().items()
    }
    larger.load_state_dict(state)
    return larger


def _with_rows(name: str, value: Tensor, index: Tensor) -> Tensor:
    """Readouts have one row per head; nothing else depends on the heads."""
    return value.index_select(0, index) if belongs_to_heads(name) else value
