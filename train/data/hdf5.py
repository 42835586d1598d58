"""HDF5: the layout of this project, and that of mace-torch's preprocessing.

Own layout (attribute ``format`` is ``lamplighter-frames``, ``version`` is 1), all
frames behind each other:

* for each frame ``n_atoms``, ``cell`` [3, 3] (Å), ``pbc`` [3], ``energy`` (eV),
  ``stress`` [3, 3] (eV/Å^3, tension positive), ``weight``, ``has_forces``,
  ``has_stress``, and the texts ``head``, ``level``, ``config_type``, ``uid``,
  ``domain``, ``group``;
* for each atom ``numbers``, ``positions`` [3] (Å), ``forces`` [3] (eV/Å).

mace-torch: groups ``config_batch_I/config_J`` with ``atomic_numbers``, ``positions``,
``cell``, ``pbc``, ``weight``, ``config_type``, ``properties`` and ``property_weights``;
a property that is ``None`` or weighs 0 is absent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.train.data.labels import TEXTS, Found
from lamplighter.train.data.optional import import_extra
from lamplighter.train.data.rows import found_in_row

FORMAT, VERSION = "lamplighter-frames", 1
BLOCK = 1024
"""Frames that are read at once."""

_DAMAGED = "the file is damaged or incomplete; write or fetch it again"


def read_hdf5(path: Path, start: int = 0) -> Iterator[Found]:
    """Yield the structures of an HDF5 file of either layout.

    Args:
        path: the file.
        start: structures to pass over.

    Raises:
        DataError: another layout or version, or a damaged file.
        OptionalDependencyError: h5py is not installed.
    """
    h5py = import_extra("h5py", f"reading {path.name}")
    try:
        with h5py.File(path, "r") as file:
            yield from _found(file, path, start)
    except (OSError, RuntimeError) as error:
        raise DataError(
            explain(f"cannot read {path}", got=error, wanted="HDF5", fix=_DAMAGED)
        ) from error
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            explain(
                f"{path} does not have the layout that it claims",
                got=f"{type(error).__name__}: {error}",
                fix=_DAMAGED,
            )
        ) from error


def _found(file: Any, path: Path, start: int) -> Iterator[Found]:
    if file.attrs.get("format") == FORMAT:
        return _read_own(file, path, start)
    if any(name.startswith("config_batch_") for name in file):
        return _read_mace(file, path, start)
    raise DataError(
        explain(
            f"{path} has a layout that is not known",
            got=f"entries {', '.join(list(file)[:8]) or '(none)'}",
            wanted=f"format {FORMAT}, or groups config_batch_0 as mace-torch writes",
        )
    )


def _read_own(file: Any, path: Path, start: int) -> Iterator[Found]:
    if int(file.attrs["version"]) > VERSION:
        raise DataError(
            explain(
                f"{path} was written by a newer Lamplighter",
                got=f"version {file.attrs['version']}",
                wanted=f"at most {VERSION}",
            )
        )
    counts = file["n_atoms"][:].astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(counts)])
    if ends[-1] != len(file["numbers"]) or (counts < 1).any():
        raise DataError(
            explain(
                f"{path}: the atoms are not those of the frames",
                got=len(file["numbers"]),
                wanted=int(ends[-1]),
                fix=_DAMAGED,
            )
        )
    for begin in range(start, len(counts), BLOCK):
        end = min(begin + BLOCK, len(counts))
        frames = {
            name: file[name][begin:end]
            for name in ("cell", "pbc", "energy", "stress", "weight")
        }
        frames |= {name: file[name][begin:end] for name in ("has_forces", "has_stress")}
        texts = {name: file[name].asstr()[begin:end] for name in TEXTS}
        atoms = {
            name: file[name][ends[begin] : ends[end]]
            for name in ("numbers", "positions", "forces")
        }
        for k in range(end - begin):
            own = slice(
                ends[begin + k] - ends[begin], ends[begin + k + 1] - ends[begin]
            )
            row = {name: values[k] for name, values in frames.items()}
            row |= {name: values[own] for name, values in atoms.items()}
            yield _own_found(row, {t: v[k] for t, v in texts.items()}, begin + k)


def _own_found(row: dict[str, Any], texts: dict[str, str], number: int) -> Found:
    values: dict[str, Any] = {key: text for key, text in texts.items() if text}
    values["energy"] = float(row["energy"])
    values["weight"] = float(row["weight"])
    if row["has_forces"]:
        values["forces"] = row["forces"]
    if row["has_stress"]:
        values["stress"] = row["stress"]
    atoms = Atoms(
        numbers=row["numbers"],
        positions=row["positions"],
        cell=row["cell"],
        pbc=row["pbc"],
    )
    return Found(number, atoms, values)


def _read_mace(file: Any, path: Path, start: int) -> Iterator[Found]:
    number = 0
    for batch in _numbered(file, "config_batch_", path):
        group = file[batch]
        for name in _numbered(group, "config_", path):
            if number >= start:
                where = f"{path}: {batch}/{name}"
                yield _mace_found(group[name], number, where)
            number += 1


def _numbered(group: Any, prefix: str, path: Path) -> list[str]:
    """Return the names ``PREFIX0``, ``PREFIX1``, ... in the order of their numbers."""
    numbers = sorted(int(name.removeprefix(prefix)) for name in group)
    if numbers != list(range(len(numbers))):
        raise DataError(
            explain(
                f"{path}: entries {prefix}... are missing",
                got=f"{len(numbers)} of them, the last {numbers[-1]}",
                wanted="numbers without a gap from 0",
                fix=_DAMAGED,
            )
        )
    return [f"{prefix}{n}" for n in numbers]


def _mace_found(group: Any, number: int, where: str) -> Found:
    row = {
        "numbers": group["atomic_numbers"][()],
        "positions": group["positions"][()],
        "cell": np.zeros((3, 3)),
        "pbc": np.zeros(3, dtype=bool),
    }
    for name in ("cell", "pbc"):
        value = _unpacked(group[name][()])
        if value is not None:
            row[name] = value
    for name in ("config_type", "head"):
        if name in group:
            row[name] = _unpacked(group[name][()]) or ""
    if "weight" in group:
        weight = _unpacked(group["weight"][()])
        row["weight"] = 1.0 if weight is None else float(weight)
    weights = group["property_weights"]
    for name, entry in group["properties"].items():
        value = _unpacked(entry[()])
        weight = _unpacked(weights[name][()]) if name in weights else 1.0
        if value is not None and weight not in (None, 0.0):
            row[name] = value
            row[f"config_{name}_weight"] = weight
    if row.get("config_type") == "Default":
        del row["config_type"]
    return found_in_row(row, number, where)


def _unpacked(value: Any) -> Any:
    """Return a value; mace-torch writes None as a text."""
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            value = value.decode("utf-8")
    return None if isinstance(value, str) and value == "None" else value
