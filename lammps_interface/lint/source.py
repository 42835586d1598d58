"""Physical lines of a script, joined to logical lines as LAMMPS joins them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SPACE: Final = " \t\n\v\f\r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One logical line.

    Attributes:
        text: the line with its continuations, the ``&`` removed, comments left in.
        number: the number of its first physical line, from 1.
        swallowed: physical lines after the first that begin inside a comment.
    """

    text: str
    number: int
    swallowed: tuple[str, ...] = ()


def logical_lines(text: str) -> Iterator[Line]:
    """Yield the logical lines of a script.

    A line whose last printable character is ``&`` goes on in the next one, also when it
    is a comment; so does a line with an odd number of triple quotes.

    Args:
        text: the content of a script.

    Yields:
        Logical lines; together they hold every physical line once.
    """
    joined, start, triples = "", 1, 0
    swallowed: list[str] = []
    fresh = True
    for number, raw in enumerate(text.split("\n"), start=1):
        triples += raw.count('"""')
        piece = raw.rstrip(SPACE)
        if fresh:
            joined, start, swallowed = "", number, []
        elif comment_start(joined) is not None:
            swallowed.append(piece)
        joined += piece
        fresh = False
        if joined.endswith("&"):
            joined = joined[:-1]
        elif triples % 2:
            joined += "\n"
        else:
            yield Line(text=joined, number=start, swallowed=tuple(swallowed))
            fresh, triples = True, 0
    if not fresh:
        yield Line(text=joined, number=start, swallowed=tuple(swallowed))


def comment_start(text: str) -> int | None:
    """Return where the comment of a line begins: the first # outside quotes.

    Args:
        text: a line; an unmatched quote runs to its end.

    Returns:
        The index, or None without a comment.
    """
    at = 0
    while at < len(text):
        character = text[at]
        if character == "#":
            return at
        if character in "\"'":
            end = closing_quote(text, at)
            if end is None:
                return None
            at = end
        else:
            at += 1
    return None


def closing_quote(text: str, at: int) -> int | None:
    """Return the index behind the quote that closes the one at `at`, or None."""
    mark = '"""' if text.startswith('"""', at) else text[at]
    found = text.find(mark, at + len(mark))
    return None if found < 0 else found + len(mark)
