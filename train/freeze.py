"""Hold the readouts of some heads while everything else is trained."""

from __future__ import annotations

from collections.abc import Sequence

from lamplighter.model import Potential
from lamplighter.model.head_rows import belongs_to_heads
from lamplighter.train.lora import SomeRows, attach


def freeze_heads(potential: Potential, heads: Sequence[str]) -> None:
    """Fix the readouts of some heads in place; the others go on moving.

    A fixed row is no weight of the optimiser, so that not even its weight decay moves
    it. [`merged`][lamplighter.train.lora] makes an ordinary potential again.

    Raises:
        ConfigError: an unknown head.
    """
    held = {potential.config.head_index(name) for name in heads}
    moving = [k for k in range(len(potential.config.heads)) if k not in held]
    for name, value in list(potential.named_parameters()):
        if belongs_to_heads(name):
            attach(potential, name, SomeRows(value, moving))
