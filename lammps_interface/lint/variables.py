"""Variables of a script: what is known of them without running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lamplighter.lammps_interface.lint.expressions import evaluate

_DEPTH: Final = 20
# Styles that keep their first definition, so that the command line overrides them.
_FIRST_WINS: Final = frozenset({"index", "loop", "world", "universe", "uloop"})


@dataclass(frozen=True, slots=True)
class _Variable:
    style: str
    text: str | None


class Variables:
    """The variables that a script has defined so far.

    Args:
        given: variables of the command line (``-var NAME VALUE``), of style index.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._known = {name: _Variable("index", text) for name, text in given.items()}
        self._depth = 0

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def define(self, args: tuple[str, ...], *, sure: bool) -> None:
        """Take in a `variable` command.

        Args:
            args: its words, substituted.
            sure: False for a command that may not run: its value is not known then.
        """
        if len(args) < 2:
            return
        name, style, *rest = args
        old = self._known.get(name)
        if style == "delete":
            if sure:
                self._known.pop(name, None)
            return
        if old is not None and (style in _FIRST_WINS or old.style in _FIRST_WINS):
            return
        text = _first_value(style, rest) if sure and "$" not in " ".join(rest) else None
        self._known[name] = _Variable(style, text)

    def advance(self, names: tuple[str, ...]) -> None:
        """Take in a `next` command: these values are not known any more."""
        for name in names:
            if name in self._known:
                self._known[name] = _Variable(self._known[name].style, None)

    def text(self, name: str) -> str | None:
        """Return what ``${name}`` becomes; None if that is not known."""
        variable = self._known.get(name)
        if variable is None or variable.text is None:
            return None
        if variable.style != "equal":
            return variable.text
        value = self.formula(variable.text)
        return None if value is None else f"{value:.15g}"

    def value(self, name: str) -> float | None:
        """Return the value of ``v_name`` in a formula; None if it is not known."""
        text = self.text(name)
        try:
            return None if text is None else float(text)
        except ValueError:
            return None

    def formula(self, text: str) -> float | None:
        """Return the value of a formula; None if not known, or if it is circular."""
        if self._depth >= _DEPTH:
            return None
        self._depth += 1
        try:
            return evaluate(text, self.value)
        finally:
            self._depth -= 1


def _first_value(style: str, rest: list[str]) -> str | None:
    """Return the text that a new variable starts with, None if a run decides it."""
    if style in {"index", "string", "equal"} and rest:
        return rest[0]
    numbers = [word for word in rest if word.isascii() and word.isdigit()]
    if style == "loop" and numbers:
        first, last = ("1", numbers[0]) if len(numbers) == 1 else numbers[:2]
        return first.zfill(len(last)) if rest[-1] == "pad" else first
    return None
