"""Shards ``.aselmdb`` of OMat24, OC20, OMol25: LMDB files of ASE rows, read directly.

The keys of such a file are ``1``, ``2``, ... in ASCII, with ``nextid`` (the first
number that is free), ``deleted_ids`` (numbers that have been given back) and
``metadata`` beside them. Every value is JSON compressed with zlib; arrays are nested
lists, or, from older writers, ASE's marked arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lamplighter.errors import DataError, explain
from lamplighter.train.data.labels import Found
from lamplighter.train.data.optional import import_extra
from lamplighter.train.data.rows import found_in_row, parse_json

_DAMAGED = "the file is damaged or incomplete; fetch it again"
_MOST_INFLATED = 2**30


def read_aselmdb(path: Path, start: int = 0) -> Iterator[Found]:
    """Yield the structures of a shard in the order of their numbers.

    Args:
        path: the file.
        start: structures to pass over without decoding them.

    Raises:
        DataError: the file is no LMDB file, is shorter than it says, or a row cannot be
            decoded; the message names it.
        OptionalDependencyError: lmdb is not installed.
    """
    lmdb = import_extra("lmdb", f"reading {path.name}")
    try:
        with (
            lmdb.open(
                str(path), subdir=False, readonly=True, lock=False, readahead=True
            ) as environment,
            environment.begin() as transaction,
        ):
            _check_length(environment, path)
            for number, key in enumerate(_keys(transaction, path)):
                if number >= start:
                    yield _row(transaction, key, number, path)
    except lmdb.Error as error:
        raise DataError(
            explain(
                f"cannot read {path}", got=error, wanted="an LMDB file", fix=_DAMAGED
            )
        ) from error


def metadata(path: Path) -> dict[str, Any]:
    """Return the entry ``metadata`` of a shard; empty when there is none.

    Raises:
        DataError: as `read_aselmdb`.
    """
    lmdb = import_extra("lmdb", f"reading {path.name}")
    try:
        with (
            lmdb.open(
                str(path), subdir=False, readonly=True, lock=False
            ) as environment,
            environment.begin() as transaction,
        ):
            _check_length(environment, path)
            content = _value(transaction, b"metadata", path)
    except lmdb.Error as error:
        raise DataError(explain(f"cannot read {path}", got=error)) from error
    return content if isinstance(content, dict) else {}


def _check_length(environment: Any, path: Path) -> None:
    """Refuse a file that ends before its last page: touching it would be fatal."""
    pages = environment.info()["last_pgno"] + 1
    wanted = pages * environment.stat()["psize"]
    there = path.stat().st_size
    if there < wanted:
        raise DataError(
            explain(
                f"{path} is truncated",
                got=f"{there} bytes",
                wanted=f"{wanted} bytes, as its first page says",
                fix=_DAMAGED,
            )
        )


def _keys(transaction: Any, path: Path) -> list[bytes]:
    """Return the keys of the rows, ascending."""
    after_last = _value(transaction, b"nextid", path)
    if after_last is None:
        cursor = transaction.cursor().iternext(keys=True, values=False)
        numbers = sorted(int(key) for key in map(bytes, cursor) if key.isdigit())
    else:
        deleted = set(_value(transaction, b"deleted_ids", path) or ())
        if not isinstance(after_last, int):
            raise DataError(
                explain(
                    f"{path}: nextid is no number", got=repr(after_last), fix=_DAMAGED
                )
            )
        numbers = [n for n in range(1, after_last) if n not in deleted]
    return [str(n).encode("ascii") for n in numbers]


def _row(transaction: Any, key: bytes, number: int, path: Path) -> Found:
    where = f"{path}: row {key.decode()}"
    content = _value(transaction, key, path)
    if not isinstance(content, dict):
        raise DataError(
            explain(
                f"{where} is missing",
                got="nothing" if content is None else type(content).__name__,
                wanted="a row, which nextid and deleted_ids promise",
                fix=_DAMAGED,
            )
        )
    return found_in_row(content, number, where)


def _value(transaction: Any, key: bytes, path: Path) -> Any:
    packed = transaction.get(key)
    if packed is None:
        return None
    where = f"{path}: {key.decode()}"
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, _MOST_INFLATED)
    except zlib.error as error:
        raise DataError(
            explain(f"{where} cannot be decompressed", got=error, fix=_DAMAGED)
        ) from error
    if not unpacker.eof:
        raise DataError(
            explain(f"{where} is cut off, or larger than 1 GiB", fix=_DAMAGED)
        )
    return parse_json(content, where)
