"""What the heads of a suite say about themselves, and whether they know enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.open_engines import ModelCard, read_card
from lamplighter.validation.suite import SuiteConfig


def suite_cards(config: SuiteConfig, elements: Sequence[str]) -> dict[str, ModelCard]:
    """Return the card of each material's head; under ``""`` that of the suite's own.

    Raises:
        ConfigError: the model has no such head.
    """
    cards = {"": suite_card(config, elements)}
    for material in config.materials:
        cards[material.name] = cards[""]
        if config.model is not None and material.head not in {"", config.model.head}:
            model = dataclasses.replace(config.model, head=material.head)
            cards[material.name] = read_card(model)
    return cards


def suite_elements(
    config: SuiteConfig, structures: Mapping[str, Atoms]
) -> tuple[str, ...]:
    """Return the elements of a suite: of its structures, and those it names."""
    found = {s for a in structures.values() for s in a.get_chemical_symbols()}
    return tuple(sorted(found | set(config.elements)))


def suite_card(config: SuiteConfig, elements: Sequence[str]) -> ModelCard:
    """Return the card of a suite's model; one of what its engines say without one."""
    if config.model is not None:
        card = read_card(config.model)
        level = config.level_of_theory or card.level_of_theory
        return dataclasses.replace(card, level_of_theory=level)
    first = config.engines[0]
    levels = dict.fromkeys(e.level_of_theory for e in config.engines)
    return ModelCard(
        file=Path(first.calculator or first.pair_style),
        sha256="",
        head="",
        level_of_theory=config.level_of_theory
        or (next(iter(levels)) if len(levels) == 1 else ""),
        dispersion="",
        licence="",
        source="",
        heads=(),
        elements=tuple(elements),
        cutoff=max(engine.cutoff for engine in config.engines),
        n_layers=0,
        dtype=first.dtype,
        lamplighter_version="",
    )


def check_elements(config: SuiteConfig, card: ModelCard) -> None:
    """Refuse named elements that the head lacks.

    Raises:
        ConfigError: there are such.
    """
    missing = sorted(set(config.elements) - set(card.elements))
    if missing:
        raise ConfigError(_lacking(card, "the suite's elements", missing))


def check_material(name: str, atoms: Atoms, card: ModelCard) -> None:
    """Refuse a material with elements that its head lacks.

    Raises:
        ConfigError: it has such.
    """
    missing = sorted(set(atoms.get_chemical_symbols()) - set(card.elements))
    if missing:
        raise ConfigError(_lacking(card, name, missing))


def _lacking(card: ModelCard, what: str, missing: Sequence[str]) -> str:
    return explain(
        f"head {card.head!r} lacks elements of {what}",
        got=", ".join(missing),
        wanted=f"some of {', '.join(card.elements)}",
        fix="choose another material or head",
    )
