"""Reference values and DFT force sets, each with its level of theory and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamplighter.validation.refs.levels import Level, same_level
from lamplighter.validation.refs.loader import (
    ReferenceValue,
    Source,
    load_file,
    load_references,
    materials,
    select,
)

if TYPE_CHECKING:
    from lamplighter.validation.refs.force_sets import FORCE_SETS, ForceSet, force_set

__all__ = [
    "FORCE_SETS",
    "ForceSet",
    "Level",
    "ReferenceValue",
    "Source",
    "force_set",
    "load_file",
    "load_references",
    "materials",
    "same_level",
    "select",
]


def __getattr__(name: str) -> Any:
    """Import force sets, and phonopy with them, when they are asked for.

    A report is made again from files, and `refs show` reads tables: neither waits for
    phonopy.
    """
    if name in {"FORCE_SETS", "ForceSet", "force_set"}:
        from lamplighter.validation.refs import force_sets  # noqa: PLC0415

        return getattr(force_sets, name)
    problem = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(problem)
