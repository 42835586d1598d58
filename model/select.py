"""A part of a potential: some heads, some elements, one charge and spin.

Exact, nothing is refitted: what is dropped took no part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lamplighter.errors import ConfigError, explain
from lamplighter.model.config import PotentialConfig
from lamplighter.model.head_rows import belongs_to_heads, fold_reference_bias
from lamplighter.model.heads import HeadSpec
from lamplighter.model.potential import Potential

__all__ = [
    "belongs_to_elements",
    "belongs_to_heads",
    "fix_conditions",
    "select",
    "select_part",
]


def belongs_to_elements(name: str, config: PotentialConfig) -> bool:
    """Return whether the parameter called `name` has one row for each element."""
    if ".product.weights." in name:
        return config.product_weights == "by_element"
    return (
        name == "embedding"
        or name.endswith((".tables.source", ".tables.target"))
        or ".by_element." in name
    )


def select(
    potential: Potential,
    head: str | None,
    elements: Sequence[str],
    conditions: Mapping[str, float] | None = None,
) -> Potential:
    """Return the potential with one head, only the named elements, and no conditions.

    Its energies are those of the original to rounding.

    Args:
        potential: stays as it is.
        head: name of the head to keep.
        elements: chemical symbols in any order, each once.
        conditions: value of each condition of the potential, such as its
            ``total_charge``; those that are not given take their default.

    Raises:
        ConfigError: unknown head, or an element that the potential or its head lacks,
            or a condition that it does not have.
    """
    spec = potential.config.head(head)
    fixed = fix_conditions(potential, conditions or {})
    return select_part(fixed, [spec.name], elements)


def select_part(
    potential: Potential, heads: Sequence[str], elements: Sequence[str]
) -> Potential:
    """Return the potential with the named heads and elements; see [`select`][].

    A head keeps the elements that it knows among those named.
    """
    potential = fold_reference_bias(potential)
    config = potential.config
    columns = [config.head_index(name) for name in heads]
    _check_elements([config.heads[column] for column in columns], elements)
    kept = [k for k, e in enumerate(config.elements) if e in elements]
    smaller = Potential(_selected_config(config, columns, kept)).to(potential.dtype)
    rows, head_rows = torch.tensor(kept), torch.tensor(columns)
    state = {}
    for name, value in potential.state_dict().items():
        part = value.cpu()
        if belongs_to_elements(name, config):
            part = part[rows]
        elif belongs_to_heads(name):
            part = part[head_rows]
        state[name] = part
    smaller.load_state_dict(state)
    return smaller.to(potential.embedding.device).eval()


def fix_conditions(potential: Potential, values: Mapping[str, float]) -> Potential:
    """Return the potential for one value of every condition, such as its charge.

    Their embedding is added to that of the elements, their readout to E0: both are the
    same for all atoms of an element. Without conditions the potential comes back as it
    is.

    Raises:
        ConfigError: a condition that the potential does not have, or a value that it
            does not know.
    """
    config = potential.config
    names = [spec.name for spec in config.conditions]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ConfigError(
            explain(
                "the potential does not depend on this condition",
                got=", ".join(unknown),
                wanted="one of " + ", ".join(names) if names else "none",
            )
        )
    if not names:
        return potential
    potential = fold_reference_bias(potential)
    config = potential.config
    row = [s.check(values.get(s.name)) for s in config.conditions]
    start = potential.embedding.new_tensor([row])
    with torch.no_grad():
        embedding = potential.embedding + potential.conditions(start)
        heads = _heads_with_readout(potential, embedding)
    changed = dataclasses.replace(
        config, heads=heads, conditions=(), condition_readout=False
    )
    fixed = Potential(changed).to(potential.dtype)
    state = {
        name: value
        for name, value in potential.state_dict().items()
        if not name.startswith(("conditions.", "condition_readout."))
    }
    fixed.load_state_dict({**state, "embedding": embedding})
    return fixed.to(embedding.device).eval()


def _heads_with_readout(
    potential: Potential, embedding: Tensor
) -> tuple[HeadSpec, ...]:
    """Return the heads with the readout of the embedding added to E0."""
    config, heads = potential.config, []
    for column, spec in enumerate(config.heads):
        index = torch.full((len(embedding),), column, device=embedding.device)
        added = potential.condition_readout(embedding, index).tolist()
        of_element = dict(zip(config.elements, added, strict=True))
        energies = {e: v + of_element[e] for e, v in spec.reference_energies.items()}
        heads.append(dataclasses.replace(spec, reference_energies=energies))
    return tuple(heads)


def _check_elements(heads: Sequence[HeadSpec], elements: Sequence[str]) -> None:
    """Refuse elements that no head knows, none at all, or one named twice.

    Every head must keep one element at least.
    """
    known = [[e for e in elements if e in h.reference_energies] for h in heads]
    unknown = set(elements) - {e for own in known for e in own}
    if unknown or not all(known) or len(set(elements)) != len(elements):
        names = " or ".join(repr(h.name) for h in heads)
        wanted = [e for h in heads for e in h.reference_energies]
        raise ConfigError(
            explain(
                f"cannot select elements for head {names}",
                got=" ".join(elements) or "none",
                wanted="each once, among " + " ".join(dict.fromkeys(wanted)),
            )
        )


def _selected_config(
    config: PotentialConfig, columns: list[int], kept: list[int]
) -> PotentialConfig:
    elements = tuple(config.elements[k] for k in kept)
    heads = []
    for column in columns:
        spec = config.heads[column]
        energies = {
            e: spec.reference_energies[e]
            for e in elements
            if e in spec.reference_energies
        }
        heads.append(dataclasses.replace(spec, reference_energies=energies))
    return dataclasses.replace(config, elements=elements, heads=tuple(heads))
