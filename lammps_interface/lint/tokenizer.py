"""Words of a command, and variables in it, by the rules of LAMMPS' input class."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lamplighter.errors import DataError, explain
from lamplighter.lammps_interface.lint.source import (
    SPACE,
    closing_quote,
    comment_start,
)

_LONGEST: Final = 100_000
_FORMAT: Final = re.compile(r"%[0-9 ]*\.[0-9]+[efgEFG]$")


class ScriptSyntaxError(DataError):
    """A line at which LAMMPS itself would stop."""


def strip_comment(text: str) -> str:
    """Return a line without its comment.

    Raises:
        ScriptSyntaxError: a quote is not closed.
    """
    end = comment_start(text)
    kept = text if end is None else text[:end]
    at = 0
    while at < len(kept):
        if kept[at] in "\"'":
            after = closing_quote(kept, at)
            if after is None:
                raise ScriptSyntaxError(explain("a quote is not closed"))
            at = after
        else:
            at += 1
    return kept


def split_words(text: str) -> list[str]:
    """Return the words of a line; text in quotes is one word.

    Raises:
        ScriptSyntaxError: a quote is not closed, or followed by more than white space.
    """
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in SPACE:
            at += 1
            continue
        if text[at] in "\"'":
            end = closing_quote(text, at)
            if end is None:
                raise ScriptSyntaxError(explain("a quote is not closed"))
            if end < len(text) and text[end] not in SPACE:
                raise ScriptSyntaxError(
                    explain("a quote is followed by more than white space")
                )
            width = 3 if text.startswith('"""', at) else 1
            words.append(text[at + width : end - width])
        else:
            end = at
            while end < len(text) and text[end] not in SPACE:
                end += 1
            words.append(text[at:end])
        at = end
    return words


def substitute(
    text: str,
    variable: Callable[[str], str | None],
    immediate: Callable[[str], float | None],
) -> str:
    """Return a line with its variables replaced, except inside quotes.

    What has no known value stays as it is written, without white space: a word with a
    ``$`` in it is a word whose value is not known.

    Args:
        text: a line without its comment.
        variable: the value of ``${name}`` or ``$n``; None if it is not known.
        immediate: the value of ``$(formula)``; None if it is not known.

    Raises:
        ScriptSyntaxError: a bracket is not closed, or a format that LAMMPS refuses.
    """
    out: list[str] = []
    at = size = 0
    while at < len(text):
        character = text[at]
        if character in "\"'":
            end = closing_quote(text, at)
            end = len(text) if end is None else end
            out.append(text[at:end])
        elif character != "$":
            end = at + 1
            out.append(character)
        elif out and out[-1] == "\\":
            out[-1], end = "$", at + 1
        else:
            value, end = _reference(text, at, variable, immediate)
            if value is None:
                value = "".join(text[at:end].split())
            size += len(value)
            if size > _LONGEST:
                raise ScriptSyntaxError(explain("variables make a line too long"))
            out.append(value)
        at = end
    return "".join(out)


def _reference(
    text: str,
    at: int,
    variable: Callable[[str], str | None],
    immediate: Callable[[str], float | None],
) -> tuple[str | None, int]:
    """Return the value of the reference at `at`, and the index behind it."""
    opening = text[at + 1 : at + 2]
    if opening == "{":
        end = text.find("}", at)
        if end < 0:
            raise ScriptSyntaxError(explain("a ${ is not closed"))
        return variable(text[at + 2 : end]), end + 1
    if opening == "(":
        end = _closing_bracket(text, at + 1)
        return _immediate(text[at + 2 : end], immediate), end + 1
    if not opening or opening in SPACE:
        raise ScriptSyntaxError(explain("a $ is not followed by a variable"))
    return variable(opening), at + 2


def _closing_bracket(text: str, at: int) -> int:
    depth = 0
    for index in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ScriptSyntaxError(explain("a $( is not closed"))


def _immediate(formula: str, evaluate: Callable[[str], float | None]) -> str | None:
    style = "%.15g"
    head, colon, tail = formula.rpartition(":")
    if colon and tail.startswith("%"):
        formula, style = head, tail
        if not _FORMAT.match(style):
            raise ScriptSyntaxError(
                explain("a format", got=style, wanted="one like %.3f or %10.4g")
            )
    value = evaluate(formula)
    if value is None:
        return None
    # Wide formats would only add blanks, and precision is bounded by a double's.
    width, _, rest = style[1:].partition(".")
    digits = min(int(rest[:-1][:3]), 30)
    blanks = min(int(width.replace(" ", "")[:3] or 0), 99)
    return f"%{blanks}.{digits}{rest[-1]}" % value
