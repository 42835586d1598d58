"""Heads of a potential as modules: add, copy, start anew, drop, rename, order.

A head is a [`HeadSpec`][lamplighter.model.HeadSpec] and one row of every tensor of the
readouts. All functions return a new potential; heads that are kept keep their rows to
the bit, and with them their energies, forces and stresses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lamplighter.errors import ConfigError, explain
from lamplighter.model.dispersion import D3Rule
from lamplighter.model.heads import HeadSpec
from lamplighter.model.potential import Potential
from lamplighter.model.reference_bias import ReferenceBias

DESCRIPTIVE = ("level_of_theory", "dispersion", "licence", "source", "learnt")
"""What a head says about itself without any effect on its energies."""


def belongs_to_heads(name: str) -> bool:
    """Return whether the parameter called `name` has one row for each head."""
    return name.startswith(("readouts.", "condition_readout."))


def head_rows(potential: Potential, head: str) -> dict[str, Tensor]:
    """Return the weights that belong to one head alone, by the name of the parameter.

    Raises:
        ConfigError: an unknown head.
    """
    row = potential.config.head_index(head)
    return {
        name: value[row].detach().clone()
        for name, value in potential.state_dict().items()
        if belongs_to_heads(name)
    }


def add_heads(
    potential: Potential, additions: Sequence[tuple[HeadSpec, str]]
) -> Potential:
    """Return a potential with more heads, each starting from an existing one's readout.

    A new head predicts what the head it starts from does, with its own E0, scale and
    shift.

    Args:
        potential: stays as it is.
        additions: specification of each new head, and the head it starts from.

    Raises:
        ConfigError: a head that does not exist, or a name that exists already.
    """
    config = potential.config
    rows = list(range(len(config.heads)))
    rows += [config.head_index(start) for _, start in additions]
    specs = fold_reference_bias(potential).config.heads
    return _rebuilt(potential, (*specs, *(spec for spec, _ in additions)), rows)


def copy_head(potential: Potential, head: str, name: str) -> Potential:
    """Return a potential with a copy of `head`, called `name`, as its last head.

    Raises:
        ConfigError: an unknown head, or a name that exists already.
    """
    spec = fold_reference_bias(potential).config.head(head)
    return add_heads(potential, [(dataclasses.replace(spec, name=name), head)])


def initialise_head(potential: Potential, head: str, seed: int) -> Potential:
    """Return a potential in which the readouts of one head are drawn anew.

    Its specification stays; every other head stays to the bit.

    Args:
        potential: stays as it is.
        head: the head to start anew.
        seed: of the draw; the same seed gives the same weights.

    Raises:
        ConfigError: an unknown head.
    """
    row = potential.config.head_index(head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn = Potential(potential.config).state_dict()
    result = _rebuilt(
        potential,
        fold_reference_bias(potential).config.heads,
        range(len(potential.config.heads)),
    )
    state = result.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            if belongs_to_heads(name):
                value[row] = drawn[name][row].to(value)
    return result


def drop_heads(potential: Potential, heads: Sequence[str]) -> Potential:
    """Return a potential without some heads.

    Raises:
        ConfigError: an unknown head, one named twice, or no head is left.
    """
    config = potential.config
    gone = [config.head_index(name) for name in heads]
    _each_once(heads)
    kept = [k for k in range(len(config.heads)) if k not in gone]
    if not kept:
        raise ConfigError(
            explain(
                "a potential needs a head",
                got=f"all of {', '.join(heads)} dropped",
                wanted="at least one that stays",
            )
        )
    specs = fold_reference_bias(potential).config.heads
    return _rebuilt(potential, [specs[k] for k in kept], kept)


def rename_heads(potential: Potential, names: Mapping[str, str]) -> Potential:
    """Return a potential in which heads have other names; exchanges are possible.

    Args:
        potential: stays as it is.
        names: new name by old name.

    Raises:
        ConfigError: an unknown head, or two heads of one name.
    """
    for old in names:
        potential.config.head_index(old)
    specs = [
        dataclasses.replace(spec, name=names.get(spec.name, spec.name))
        for spec in fold_reference_bias(potential).config.heads
    ]
    return _rebuilt(potential, specs, range(len(specs)))


def describe_head(potential: Potential, head: str, **facts: object) -> Potential:
    """Return a potential in which some facts about a head are other ones.

    Args:
        potential: stays as it is.
        head: the head.
        facts: fields of [`HeadSpec`][lamplighter.model.HeadSpec] that say where a head
            comes from: `level_of_theory`, `dispersion`, `licence`, `source`, `learnt`.

    Raises:
        ConfigError: an unknown head, fact or rule of dispersion, or a fact that would
            change energies.
    """
    row = potential.config.head_index(head)
    unknown = sorted(set(facts) - set(DESCRIPTIVE))
    if unknown:
        raise ConfigError(
            explain(
                f"not a description of head {head!r}",
                got=", ".join(unknown),
                wanted="some of " + ", ".join(DESCRIPTIVE),
            )
        )
    if facts.get("dispersion", "none") not in ("none", "included", "unknown"):
        D3Rule.parse(str(facts["dispersion"]))
    specs = list(fold_reference_bias(potential).config.heads)
    specs[row] = dataclasses.replace(specs[row], **facts)  # type: ignore[arg-type]
    return _rebuilt(potential, specs, range(len(specs)))


def order_heads(potential: Potential, heads: Sequence[str]) -> Potential:
    """Return a potential with all its heads in another order.

    Raises:
        ConfigError: an unknown head, one named twice, or one left out.
    """
    config = potential.config
    rows = [config.head_index(name) for name in heads]
    _each_once(heads)
    if len(rows) != len(config.heads):
        missing = [h.name for h in config.heads if h.name not in heads]
        raise ConfigError(
            explain("the order leaves heads out", got=f"no {', '.join(missing)}")
        )
    specs = fold_reference_bias(potential).config.heads
    return _rebuilt(potential, [specs[k] for k in rows], rows)


def fold_reference_bias(potential: Potential) -> Potential:
    """Return the potential with its trained bias added to E0; without one, itself.

    The energies are the same to rounding.
    """
    bias = potential.reference_bias
    if not isinstance(bias, ReferenceBias):
        return potential
    config = potential.config
    table = bias.energies().detach().double().cpu().tolist()
    specs = []
    for spec, row in zip(config.heads, table, strict=True):
        added = dict(zip(config.elements, row, strict=True))
        energies = {e: v + added[e] for e, v in spec.reference_energies.items()}
        specs.append(dataclasses.replace(spec, reference_energies=energies))
    return _rebuilt(potential, specs, range(len(specs)))


def _each_once(heads: Sequence[str]) -> None:
    if len(set(heads)) != len(heads):
        raise ConfigError(explain("a head is named twice", got=" ".join(heads)))


def _rebuilt(
    potential: Potential, specs: Sequence[HeadSpec], rows: Sequence[int]
) -> Potential:
    """Return a potential with the heads `specs`; head k has row ``rows[k]``.

    Precision, device, mode and whether gradients are wanted stay.
    """
    device = potential.embedding.device
    result = Potential(dataclasses.replace(potential.config, heads=tuple(specs)))
    result = result.to(dtype=potential.dtype, device=device)
    index = torch.tensor(list(rows), device=device)
    result.load_state_dict(
        {
            name: value.index_select(0, index) if belongs_to_heads(name) else value
            for name, value in potential.state_dict().items()
            if not name.startswith("reference_bias.")
        }
    )
    result.train(potential.training)
    return result.requires_grad_(potential.embedding.requires_grad)
