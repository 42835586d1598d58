"""What a suite may not say, whatever it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain

MAX_SECONDS: Final = 1e9
"""Longest time limit, thirty years: what waits for a child process can wait no more."""


def check_time_limit(seconds: float) -> None:
    """Refuse a time that no clock can wait for.

    Raises:
        ConfigError: it is negative, no number, or longer than thirty years.
    """
    if not 0 <= seconds <= MAX_SECONDS:
        wanted = f"seconds, at most {MAX_SECONDS:g}, or 0 for no limit"
        raise ConfigError(explain("time_limit", got=seconds, wanted=wanted))


def check_name(name: str, where: str) -> None:
    """Refuse names that no table and no file can hold.

    Raises:
        ConfigError: nothing, blanks around it, or characters that cannot be printed.
    """
    if not name or name != name.strip() or not name.isprintable():
        wanted = "printable text without blanks at its ends"
        raise ConfigError(explain(where, got=repr(name), wanted=wanted))


def check_apart(what: str, names: Sequence[str], *, may_be_none: bool = False) -> None:
    """Refuse none of something, and two of one name.

    Raises:
        ConfigError: see above.
    """
    if (not names and not may_be_none) or len(set(names)) < len(names):
        wanted = "one or more, named apart"
        raise ConfigError(explain(what, got=list(names) or "none", wanted=wanted))


def check_elements(elements: Sequence[str]) -> None:
    """Refuse what is no element, and elements that stand there twice.

    Raises:
        ConfigError: see above.
    """
    unknown = [e for e in elements if e not in atomic_numbers or e == "X"]
    if unknown or len(set(elements)) < len(elements):
        got = ", ".join(map(str, unknown or elements))
        wanted = "symbols such as Mg, each of them once"
        raise ConfigError(explain("elements", got=got, wanted=wanted))
