"""The words after FLAG in a pair_style command: keywords, each with a value.

pair_style mliap unified mgo.pt 0 head pbe charge -1 spin 2 check 1000
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lamplighter.errors import ConfigError, explain

_Value = TypeVar("_Value", int, float, str)
BACKENDS: Final = ("reference", "compiled")
DEVICES: Final = re.compile(r"cpu|cuda(:\d+)?")

_SHORT: Final = {"charge": "total_charge", "spin": "total_spin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """What a script asks of its model.

    Attributes:
        head: name of the head to use; None: the file has one.
        conditions: total charge (e), spin (multiplicity 2S + 1) by their long names.
        device: where to compute, ``cpu``, ``cuda`` or ``cuda:N``; None: see `device`.
        backend: what evaluates, ``reference`` or ``compiled``; None: the reference.
        check: steps between comparisons with an independent evaluation; 0: none.
        native: whether steps are evaluated without Python; None: where they can be.
        deterministic: whether runs repeat to the last bit, whatever threads there are.
        replace: go on from a restart file that was written with another model.
    """

    head: str | None = None
    conditions: dict[str, float] = field(default_factory=dict)
    device: str | None = None
    backend: str | None = None
    native: bool | None = None
    check: int = 0
    deterministic: bool = False
    replace: bool = False


def parse(text: str) -> Keywords:
    """Return the keywords in the words after FLAG.

    Raises:
        ConfigError: an unknown keyword, one given twice, or a value that is missing or
            of the wrong kind.
    """
    given = dict(_pairs(text.split()))
    conditions = {
        _SHORT[keyword]: _convert(float, value, keyword, math.isfinite)
        for keyword, value in given.items()
        if keyword in _SHORT
    }
    return Keywords(
        head=given.get("head"),
        conditions=conditions,
        device=_word(given, "device", DEVICES.fullmatch),
        backend=_word(given, "backend", BACKENDS.__contains__),
        native=_choice(given, "native"),
        check=_convert(int, given.get("check", "0"), "check", _counts(given)),
        deterministic=_choice(given, "deterministic") is True,
        replace=_choice(given, "replace") is True,
    )


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each keyword with its value; refuse what is no such pair."""
    seen = set()
    for keyword, value in itertools.zip_longest(words[::2], words[1::2]):
        if keyword not in _WANTED:
            raise _problem(keyword, "unknown keyword")
        if keyword in seen:
            raise _problem(keyword, "keyword given twice")
        if value is None:
            raise _problem(keyword, "keyword without a value")
        seen.add(keyword)
        yield keyword, value


def _word(
    given: dict[str, str], keyword: str, good: Callable[[str], object]
) -> str | None:
    """Return the value of a keyword, if it is given."""
    if keyword not in given:
        return None
    return _convert(str, given[keyword], keyword, good)


def _choice(given: dict[str, str], keyword: str) -> bool | None:
    """Return whether a keyword says yes, if it is given."""
    word = _word(given, keyword, ("yes", "no").__contains__)
    return None if word is None else word == "yes"


def _counts(given: dict[str, str]) -> Callable[[int], bool]:
    """Return what a number of steps has to be: at least 1 where it is given."""
    fewest = 1 if "check" in given else 0
    return lambda n: n >= fewest


_WANTED: Final = {
    "head": "the name of a head in the file",
    "charge": "the total charge in e, a number",
    "spin": "the spin multiplicity 2S + 1, a number",
    "device": "cpu, cuda or cuda:N",
    "backend": "reference or compiled",
    "native": "yes or no",
    "check": "a number of steps, 1 or more",
    "deterministic": "yes or no",
    "replace": "yes or no",
}


def _convert(
    kind: Callable[[str], _Value],
    text: str,
    keyword: str,
    good: Callable[[_Value], object],
) -> _Value:
    problem = _problem(keyword, "bad value", text)
    try:
        value = kind(text)
    except ValueError as error:
        raise problem from error
    if not good(value):
        raise problem
    return value


def _problem(keyword: str, what: str, value: str = "") -> ConfigError:
    known = ", ".join(_WANTED)
    return ConfigError(
        explain(
            f"{what} among the words after FLAG of pair_style mliap unified",
            got=f"{keyword} {value}".strip(),
            wanted=_WANTED.get(keyword, f"one of {known}, each followed by its value"),
        )
    )
