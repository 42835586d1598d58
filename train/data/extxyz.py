"""Cut an extended XYZ file, plain or gzipped, into frames without losing any.

ASE stops silently at a blank line and fills short columns; here every line is accounted
for before ASE parses a frame, so that a truncated or edited file is refused by frame.
"""

from __future__ import annotations

import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import read
from ase.io.extxyz import XYZError

from lamplighter.errors import DataError, explain
from lamplighter.train.data.labels import TEXTS

_ENTRY = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)')
_WHOLE_FILE = "write the file again; it looks truncated or edited by hand"


def read_atoms(path: Path, start: int = 0) -> Iterator[tuple[int, Atoms]]:
    """Yield (frame number from 0, ASE atoms) for every frame of a file, line by line.

    Args:
        path: the file; ``.gz`` is decompressed on the way.
        start: frames to pass over; their lines are counted but not parsed.

    Raises:
        DataError: the file is missing, unreadable, empty, truncated, or a frame does
            not parse.
    """
    if not path.is_file():
        raise DataError(
            explain("data file not found", got=path, wanted="an extended XYZ file")
        )
    number = -1
    for number, chunk in enumerate(_chunks(_lines(path), path)):
        if number >= start:
            yield number, _parse(chunk, path, number)
    if number < 0:
        raise DataError(
            explain(f"{path} holds no frame", got="an empty file", wanted=">= 1 frame")
        )


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines without their ends."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                if not line.endswith("\n"):
                    raise DataError(
                        explain(
                            f"{path} ends in the middle of a line",
                            got=repr(line[-40:]),
                            wanted="a line end after the last number",
                            fix="write the file again, or add the line end if it is "
                            "whole",
                        )
                    )
                yield line[:-1]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            explain(f"cannot read {path}", got=error, fix=_WHOLE_FILE)
        ) from error


def _chunks(lines: Iterator[str], path: Path) -> Iterator[list[str]]:
    """Yield the lines of one frame after the other; blank lines may end the file."""
    position = 0
    for number in itertools.count():
        first = next(lines, None)
        if first is None:
            return
        if not first.strip():
            following = next((line for line in lines if line.strip()), None)
            if following is None:
                return
        n_atoms = _atom_count(first, path, number, position)
        rest = list(itertools.islice(lines, 1 + n_atoms))
        if len(rest) < 1 + n_atoms:
            raise DataError(
                explain(
                    f"{path}: frame {number} is cut off",
                    got=f"{max(len(rest) - 1, 0)} atom lines",
                    wanted=f"{n_atoms}",
                    fix=_WHOLE_FILE,
                )
            )
        yield [first, *rest]
        position += 2 + n_atoms


def _atom_count(line: str, path: Path, number: int, position: int) -> int:
    if line.strip().isdigit() and int(line) > 0:
        return int(line)
    raise DataError(
        explain(
            f"{path}: frame {number} does not begin with a number of atoms "
            f"(line {position + 1})",
            got=repr(line[:60]),
            wanted="a positive integer alone on its line",
            fix=_WHOLE_FILE,
        )
    )


def _parse(chunk: list[str], path: Path, number: int) -> Atoms:
    widths = {len(line.split()) for line in chunk[2:]}
    if len(widths) > 1:
        raise DataError(
            explain(
                f"{path}: frame {number} has atom lines of different lengths",
                got=f"{sorted(widths)} columns",
                wanted="the columns that Properties names, on every line",
                fix=_WHOLE_FILE,
            )
        )
    stream = io.StringIO("\n".join(chunk) + "\n")
    try:
        atoms = read(stream, index=0, format="extxyz")
    except (XYZError, ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(
            explain(
                f"{path}: frame {number} is not extended XYZ",
                got=f"{type(error).__name__}: {error}",
                wanted="a comment line of key=value and the columns of Properties",
            )
        ) from error
    if not isinstance(atoms, Atoms):
        raise DataError(explain(f"{path}: frame {number} holds no atoms", got=atoms))
    _keep_words(atoms, chunk[1])
    return atoms


def _keep_words(atoms: Atoms, comment: str) -> None:
    """Undo ASE's reading of words as numbers: a uid 007 is not 7, nor 1e5 a float."""
    odd = [key for key in TEXTS if not isinstance(atoms.info.get(key, ""), str)]
    if odd:
        written = dict(_ENTRY.findall(comment))
        for key in odd:
            if key in written:
                atoms.info[key] = written[key].strip('"')
