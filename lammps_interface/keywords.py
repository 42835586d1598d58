"""The words after FLAG in a pair_style command: keywords, each with a value.

pair_style mliap unified mgo.pt 0 head pbe charge -1 spin 2 check 1000
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lamplighter.errors import ConfigError, explain

_Number = TypeVar("_Number", int, float)

_SHORT: Final = {"charge": "total_charge", "spin": "total_spin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """What a script asks of its model.

    Attributes:
        head: name of the head to use; None: the file has one.
        conditions: total charge (e), spin (multiplicity 2S + 1) by their long names.
        check: steps between comparisons with an independent evaluation; 0: none.
        replace: go on from a restart file that was written with another model.
    """

    head: str | None = None
    conditions: dict[str, float] = field(default_factory=dict)
    check: int = 0
    replace: bool = False


def parse(text: str) -> Keywords:
    """Return the keywords in the words after FLAG.

    Raises:
        ConfigError: an unknown keyword, one given twice, or a value that is missing or
            of the wrong kind.
    """
    words = text.split()
    head, conditions, check, replace = None, {}, 0, False
    seen = set()
    for at in range(0, len(words), 2):
        keyword = words[at]
        if keyword not in _WANTED:
            raise _problem(keyword, "unknown keyword")
        if keyword in seen:
            raise _problem(keyword, "keyword given twice")
        seen.add(keyword)
        if at + 1 == len(words):
            raise _problem(keyword, "keyword without a value")
        value = words[at + 1]
        if keyword == "head":
            head = value
        elif keyword == "check":
            check = _convert(int, value, keyword, lambda n: n > 0)
        elif keyword == "replace":
            replace = {"yes": True, "no": False}.get(value) is True
            if value not in ("yes", "no"):
                raise _problem(keyword, "bad value", value)
        else:
            name = _SHORT[keyword]
            conditions[name] = _convert(float, value, keyword, math.isfinite)
    return Keywords(head=head, conditions=conditions, check=check, replace=replace)


_WANTED: Final = {
    "head": "the name of a head in the file",
    "charge": "the total charge in e, a number",
    "spin": "the spin multiplicity 2S + 1, a number",
    "check": "a number of steps, 1 or more",
    "replace": "yes or no",
}


def _convert(
    kind: Callable[[str], _Number],
    text: str,
    keyword: str,
    good: Callable[[_Number], bool],
) -> _Number:
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
