"""What a multi-head potential can tell about itself, beside the numbers of one head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lamplighter.validation.engines.base import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The heads of the potential that an engine evaluates one of.

    Attributes:
        head: the head of this engine.
        heads: names of all heads that know the engine's elements.
        reference_energies: E0 of this head by element, eV: the energy of a free atom.
        open: opens the same kind of engine with a head, for as long as the block lasts.
    """

    head: str
    heads: tuple[str, ...]
    reference_energies: Mapping[str, float]
    open: Callable[[str], AbstractContextManager[Engine]]


@runtime_checkable
class HasFamily(Protocol):
    """An engine whose potential has heads."""

    @property
    def family(self) -> Family | None:
        """Return the heads, ``None`` for a foreign engine."""
        ...


def family_of(engine: Engine) -> Family | None:
    """Return the heads of an engine's potential, ``None`` for a foreign engine."""
    return engine.family if isinstance(engine, HasFamily) else None
