"""ASE databases: ``.db`` (sqlite) and ``.json``, read directly and read-only."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lamplighter.errors import DataError, explain
from lamplighter.train.data.labels import Found
from lamplighter.train.data.rows import found_in_row, parse_json, unpack_blob

_NEEDED = ("id", "numbers", "positions", "cell", "pbc", "key_value_pairs")
_WANTED = ("energy", "free_energy", "forces", "stress", "data")
_OLDEST = 5
"""First version of the tables with today's names and units of the columns."""


def read_sqlite(path: Path, start: int = 0) -> Iterator[Found]:
    """Yield the structures of an ASE database in the order of their ids.

    Args:
        path: the file.
        start: structures to pass over.

    Raises:
        DataError: the file is no ASE database, too old, or damaged.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            columns = _columns(connection, path)
            rows = connection.execute(
                f"SELECT {', '.join(columns)} FROM systems ORDER BY id "  # noqa: S608
                "LIMIT -1 OFFSET ?",
                (start,),
            )
            for number, values in enumerate(rows, start):
                yield _row(dict(zip(columns, values, strict=True)), number, path)
    except sqlite3.Error as error:
        raise DataError(
            explain(
                f"cannot read {path}",
                got=error,
                wanted="an ASE database (sqlite)",
                fix="the file is damaged, incomplete or of another kind",
            )
        ) from error


def _columns(connection: sqlite3.Connection, path: Path) -> Sequence[str]:
    """Return the columns to read; the table names them, nothing a user says."""
    there = [row[1] for row in connection.execute("PRAGMA table_info(systems)")]
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        raise DataError(
            explain(
                f"{path} is not an ASE database",
                got=f"a table systems with columns {', '.join(there) or '(none)'}",
                wanted=", ".join(_NEEDED),
            )
        )
    with contextlib.suppress(sqlite3.OperationalError):
        query = "SELECT value FROM information WHERE name='version'"
        version = connection.execute(query).fetchone()
        if version is not None and int(version[0]) >= _OLDEST:
            return [*_NEEDED, *(name for name in _WANTED if name in there)]
    raise DataError(
        explain(
            f"{path} has tables of an old ASE",
            wanted=f"version {_OLDEST} or newer",
            fix=f"python -m ase.db.convert {path}",
        )
    )


def _row(values: dict[str, Any], number: int, path: Path) -> Found:
    where = f"{path}: row {values.pop('id')}"
    row = {key: value for key, value in values.items() if value is not None}
    try:
        row["numbers"] = np.frombuffer(row["numbers"], "<i4")
        for name in ("positions", "forces", "stress", "cell"):
            if name in row:
                row[name] = np.frombuffer(row[name], "<f8")
        if "forces" in row:
            row["forces"] = row["forces"].reshape(-1, 3)
        row["pbc"] = [bool(int(row.get("pbc", 0)) & bit) for bit in (1, 2, 4)]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            explain(
                f"{where} is damaged",
                got=f"{type(error).__name__}: {error}",
                wanted="arrays as ASE writes them",
            )
        ) from error
    row["key_value_pairs"] = parse_json(row.get("key_value_pairs", "{}"), where)
    data = row.get("data")
    if isinstance(data, bytes):
        row["data"] = unpack_blob(data, where)
    elif isinstance(data, str):
        row["data"] = parse_json(data, where)
    return found_in_row(row, number, where)


def read_json(path: Path, start: int = 0) -> Iterator[Found]:
    """Yield the structures of an ASE database in JSON; the file is read whole.

    Raises:
        DataError: the file is no such database or is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(explain(f"cannot read {path}", got=error)) from error
    content = parse_json(text, str(path))
    if not isinstance(content, dict) or not ("ids" in content or "1" in content):
        raise DataError(
            explain(
                f"{path} is not an ASE database",
                got=f"JSON of type {type(content).__name__} without ids",
                wanted="rows by id, ids and nextid, as ase.db writes them",
            )
        )
    ids = content.get("ids", [1])
    for number, key in enumerate(ids):
        if number < start:
            continue
        row = content.get(str(key))
        if not isinstance(row, dict):
            raise DataError(
                explain(f"{path}: row {key} is missing", wanted="every id in ids")
            )
        yield found_in_row(row, number, f"{path}: row {key}")
