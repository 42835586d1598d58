"""The words after FLAG in a pair_style command: keywords, each with a value.

pair_style mliap unified mgo.pt 0 head pbe charge -1 spin 2 check 1000
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lamplighter.errors import ConfigError, explain

_Value = TypeVar("_Value", int, float, str)
_DEVICES: Final = re.compile(r"cpu|cuda(:\d+)?")

_SHORT: Final = {"charge": "total_charge", "spin": "total_spin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """What a script asks of its model.

    Attributes:
        head: name of the head to use; None: the file has one.
        conditions: total charge (e), spin (multiplicity 2S + 1) by their long names.
        device: where to compute, ``cpu``, ``cuda`` or ``cuda:N``; None: see `device`.
        check: steps between comparisons with an independent evaluation; 0: none.
        replace: go on from a restart file that was written with another model.
    """

    head: str | None = None
    conditions: dict[str, float] = field(default_factory=dict)
    device: str | None = None
    check: int = 0
    replace: bool = False


def parse(text: str) -> Keywords:
    """Return the keywords in the words after FLAG.

    Raises:
        ConfigError: an unknown keyword, one given twice, or a value that is missing or
            of the wrong kind.
    """
    words = text.split()
    head, device, conditions, check, replace = None, None, {}, 0, False
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
        elif keyword == "device":
            device = _convert(str, value, keyword, _DEVICES.fullmatch)
        elif keyword == "check":
            check = _convert(int, value, keyword, lambda n: n > 0)
        elif keyword == "replace":
            replace = {"yes": True, "no": False}.get(value) is True
            if value not in ("yes", "no"):
                raise _problem(keyword, "bad value", value)
        else:
            name = _SHORT[keyword]
            conditions[name] = _convert(float, value, keyword, math.isfinite)
    return Keywords(
        head=head, conditions=conditions, device=device, check=check, replace=replace
    )


_WANTED: Final = {
    "head": "the name of a head in the file",
    "charge": "the total charge in e, a number",
    "spin": "the spin multiplicity 2S + 1, a number",
    "device": "cpu, cuda or cuda:N",
    "check": "a number of steps, 1 or more",
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
