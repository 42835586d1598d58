"""Rows of ASE databases, as JSON and as sqlite hold them: data, never code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.train.data.labels import Found

GEOMETRY = frozenset({"numbers", "positions", "cell", "pbc"})
NESTED = ("key_value_pairs", "data")
"""Entries of a row whose own entries are labels as well; the row's entries win."""


def _decoded(value: dict[str, Any]) -> Any:
    """Return a JSON object, or the array or the cell that it stands for.

    Of ASE's markers only arrays and cells are understood; other objects stay
    dictionaries.

    Raises:
        ValueError: a marked array whose entries do not fit its shape.
    """
    if "__ndarray__" in value:
        shape, dtype, flat = value["__ndarray__"]
        kind = np.dtype(str(dtype)).kind
        if kind not in "biufUS":
            raise ValueError(f"an array of dtype {dtype}")  # noqa: TRY003
        return np.asarray(flat, dtype=str(dtype)).reshape(shape)
    if value.get("__ase_objtype__") == "cell":
        return value["array"]
    return value


def found_in_row(row: Mapping[str, Any], number: int, where: str) -> Found:
    """Return the structure of a row that has been decoded.

    Args:
        row: numbers, positions, cell, pbc, properties, key_value_pairs and data.
        number: number of the frame.
        where: file and row for messages.

    Raises:
        DataError: the row has no geometry.
    """
    try:
        numbers = np.asarray(row["numbers"], dtype=np.int64)
        positions = np.asarray(row["positions"], dtype=float).reshape(len(numbers), 3)
        cell = np.asarray(row.get("cell", np.zeros((3, 3))), dtype=float)
        atoms = Atoms(
            numbers=numbers,
            positions=positions,
            cell=cell.reshape(3, 3),
            pbc=np.asarray(row.get("pbc", (False,) * 3), dtype=bool),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            explain(
                f"{where} holds no structure",
                got=f"{type(error).__name__}: {error}",
                wanted="numbers, positions, cell and pbc as ASE writes them",
            )
        ) from error
    if not len(numbers):
        raise DataError(explain(f"{where} has no atoms", wanted="at least one"))
    values: dict[str, Any] = {}
    for name in reversed(NESTED):
        nested = row.get(name)
        if isinstance(nested, Mapping):
            values |= nested
    own = {key: v for key, v in row.items() if key not in (*NESTED, *GEOMETRY)}
    return Found(number, atoms, values | own)


def parse_json(content: bytes | str, where: str) -> Any:
    """Return what a JSON text holds, its marked arrays as arrays.

    Raises:
        DataError: it is not JSON.
    """
    try:
        return json.loads(content, object_hook=_decoded)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            explain(
                f"{where} is not a row of an ASE database",
                got=f"{type(error).__name__}: {error}"[:200],
                wanted="JSON",
                fix="the file is damaged or of another kind; fetch it again",
            )
        ) from error


def unpack_blob(content: bytes, where: str) -> Any:
    """Return the ``data`` of a row in an sqlite file: JSON behind its arrays.

    Raises:
        DataError: it is cut off or malformed.
    """
    try:
        offset = int(np.frombuffer(content, "<i8", 1)[0])
        return _fill(json.loads(content[offset:]), content)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(
            explain(
                f"{where}: data cannot be decoded",
                got=f"{type(error).__name__}: {error}"[:200],
                wanted="what ASE 3.20 or newer writes",
            )
        ) from error


def _fill(value: Any, content: bytes) -> Any:
    """Replace marked arrays by the bytes in front of the JSON."""
    if isinstance(value, list):
        return [_fill(v, content) for v in value]
    if not isinstance(value, dict):
        return value
    if "__ndarray__" in value:
        shape, name, offset = value["__ndarray__"]
        dtype = np.dtype(str(name)).newbyteorder("<")
        if dtype.kind not in "biuf":
            raise ValueError(f"an array of dtype {name}")  # noqa: TRY003
        size = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(content, dtype, size, int(offset)).reshape(shape)
    return {key: _fill(v, content) for key, v in value.items()}
