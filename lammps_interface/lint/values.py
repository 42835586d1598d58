"""Values of settings as far as a script decides them."""

from __future__ import annotations

from typing import TypeVar

from lamplighter.lammps_interface.lint.options import Command
from lamplighter.lammps_interface.lint.state import Setting

T = TypeVar("T")


def is_known(command: Command, *words: str) -> bool:
    """Return whether a command certainly runs, with words that are known."""
    return command.sure and not any("$" in word for word in words)


def changed(
    old: Setting[T] | None, value: T | None, command: Command, *, known: bool
) -> Setting[T]:
    """Return the new setting; one that may not be made is known if it is no news."""
    if not known and (old is None or old.value != value or value is None):
        value = None
    return Setting(value, command.where)


def number(word: str) -> float | None:
    """Return the number that a word is, or None."""
    try:
        return float(word)
    except ValueError:
        return None
