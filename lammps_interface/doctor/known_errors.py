"""What an error message of LAMMPS, ML-IAP, torch or MPI means, and what to do."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamplighter.errors import DataError, explain

_READ: Final = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError:
    """An error text that is understood.

    Attributes:
        name: a few words.
        line: the line in which it was found.
        cause: why it comes.
        cure: what to do.
    """

    name: str
    line: str
    cause: str
    cure: str

    def to_dict(self) -> dict[str, Any]:
        """Return the entry for JSON."""
        return {
            "name": self.name,
            "line": self.line,
            "cause": self.cause,
            "cure": self.cure,
        }


def _read_table() -> tuple[tuple[re.Pattern[str], str, str, str], ...]:
    """Return the rows of the table: pattern, name, cause, cure."""
    text = Path(__file__).with_name("known_errors.toml").read_text(encoding="utf-8")
    return tuple(
        (
            re.compile("|".join(row["patterns"]), re.IGNORECASE),
            row["name"],
            " ".join(row["cause"].split()),
            " ".join(row["cure"].split()),
        )
        for row in tomllib.loads(text)["error"]
    )


_TABLE: Final = _read_table()

NAMES: Final = tuple(name for _, name, _, _ in _TABLE)
"""The errors that are understood."""


def explain_text(text: str) -> tuple[KnownError, ...]:
    """Return what is known about the errors in a text.

    Args:
        text: a message, the output of a run, or a log file.

    Returns:
        Each known error once, in the order in which they first appear: the first is
        most often the cause of the others.
    """
    hits = []
    for pattern, name, cause, cure in _TABLE:
        match = pattern.search(text)
        if match is not None:
            line = _line_at(text, match.start())
            known = KnownError(name=name, line=line, cause=cause, cure=cure)
            hits.append((match.start(), known))
    return tuple(known for _, known in sorted(hits, key=lambda hit: hit[0]))


def text_of(text_or_file: str) -> str:
    """Return the text that is meant: the words themselves, or the end of a file.

    Args:
        text_or_file: a text, or the path of a log file.

    Raises:
        DataError: it names a file that cannot be read, or it is empty.
    """
    if not text_or_file.strip():
        raise DataError(
            explain("nothing to explain", wanted="an error text or a log file")
        )
    if "\n" in text_or_file or len(text_or_file) > 1000:
        return text_or_file
    path = Path(text_or_file)
    try:
        if not path.is_file():
            return text_or_file
        with path.open("rb") as stream:
            size = path.stat().st_size
            stream.seek(max(0, size - _READ))
            return stream.read().decode("utf-8", errors="replace")
    except OSError as error:
        raise DataError(explain(f"cannot read {path}", got=error.strerror)) from error


def _line_at(text: str, at: int) -> str:
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    return text[begin : end if end >= 0 else None].strip()[:300]
