"""A part of a potential: one head, some elements. Exact, nothing is refitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from lamplighter.errors import ConfigError, explain
from lamplighter.model.config import PotentialConfig
from lamplighter.model.potential import Potential


def select(
    potential: Potential, head: str | None, elements: Sequence[str]
) -> Potential:
    """Return the potential with one head and only the named elements.

    Its energies are those of the original to rounding: what is dropped took no part.

    Args:
        potential: stays as it is.
        head: name of the head to keep.
        elements: chemical symbols in any order, each once.

    Raises:
        ConfigError: unknown head, or an element that the potential or its head lacks.
    """
    config = potential.config
    column = config.head_index(head)
    spec = config.heads[column]
    missing = [e for e in elements if e not in spec.reference_energies]
    if missing or not elements or len(set(elements)) != len(elements):
        raise ConfigError(
            explain(
                f"cannot select elements for head {spec.name!r}",
                got=" ".join(elements) or "none",
                wanted="each once, among " + " ".join(spec.reference_energies),
            )
        )
    kept = [k for k, e in enumerate(config.elements) if e in elements]
    smaller = Potential(_selected_config(config, column, kept)).to(potential.dtype)
    rows = torch.tensor(kept)
    state = {
        name: _part(name, value, rows, column)
        for name, value in potential.state_dict().items()
    }
    smaller.load_state_dict(state)
    return smaller.eval()


def _selected_config(
    config: PotentialConfig, column: int, kept: list[int]
) -> PotentialConfig:
    elements = tuple(config.elements[k] for k in kept)
    spec = config.heads[column]
    energies = {e: spec.reference_energies[e] for e in elements}
    head = dataclasses.replace(spec, reference_energies=energies)
    return dataclasses.replace(config, elements=elements, heads=(head,))


def _part(name: str, value: Tensor, rows: Tensor, column: int) -> Tensor:
    """Return the rows of `value` that belong to the kept elements or the kept head."""
    if name == "embedding" or name.endswith(
        ("interaction.source", "interaction.target")
    ):
        return value[rows]
    if name.startswith("readouts."):
        return value[column : column + 1]
    return value
