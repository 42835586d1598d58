"""Cut an extended XYZ file, plain or gzipped, into frames without losing any.

ASE stops silently at a blank line and fills short columns; here every line is accounted
for before ASE parses a frame, so that a truncated or edited file is refused by frame.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.io import read
from ase.io.extxyz import XYZError

from lamplighter.errors import DataError, explain

_WHOLE_FILE = "write the file again; it looks truncated or edited by hand"


def read_atoms(path: Path) -> Iterator[tuple[int, Atoms]]:
    """Yield (frame number from 0, ASE atoms) for every frame of a file.

    Raises:
        DataError: the file is missing, unreadable, empty, truncated, or a frame does
            not parse.
    """
    lines = _lines(path)
    for number, chunk in _chunks(lines, path):
        yield number, _parse(chunk, path, number)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(
            explain("data file not found", got=path, wanted="an extended XYZ file")
        )
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            explain(f"cannot read {path}", got=error, fix=_WHOLE_FILE)
        ) from error
    if not text.strip():
        raise DataError(
            explain(f"{path} holds no frame", got="an empty file", wanted=">= 1 frame")
        )
    if not text.endswith("\n"):
        raise DataError(
            explain(
                f"{path} ends in the middle of a line",
                got=repr(text[-40:]),
                wanted="a line end after the last number",
                fix="write the file again, or add the line end if it is whole",
            )
        )
    return text.splitlines()


def _chunks(lines: list[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    while lines and not lines[-1].strip():
        lines.pop()
    position = 0
    number = 0
    while position < len(lines):
        n_atoms = _atom_count(lines[position], path, number, position)
        chunk = lines[position : position + 2 + n_atoms]
        if len(chunk) < 2 + n_atoms:
            raise DataError(
                explain(
                    f"{path}: frame {number} is cut off",
                    got=f"{max(len(chunk) - 2, 0)} atom lines",
                    wanted=f"{n_atoms}",
                    fix=_WHOLE_FILE,
                )
            )
        yield number, chunk
        position += 2 + n_atoms
        number += 1


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
    return atoms
