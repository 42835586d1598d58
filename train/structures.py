"""Structures without their labels, from any file that holds some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.train.data.frame import Frame, geometry_digest
from lamplighter.train.data.labels import LabelSettings, describe, is_wanted
from lamplighter.train.data.sources import READERS, is_xyz, read_source, translated

Named = Sequence[tuple[str, Atoms]]
"""What messages call a structure, and the structure."""

UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AssertionError,
    UnknownFileTypeError,
)
"""What ASE's readers raise about files that they cannot read."""


def read_structures(path: Path, labels: LabelSettings | None = None) -> Named:
    """Return the structures of a file: data of this project, or what ASE reads.

    Args:
        path: the file.
        labels: names and units in data of this project, and which frames are wanted;
            None means the defaults.

    Raises:
        DataError: the file cannot be read, is cut off, or holds no wanted frame.
        ConfigError: names or units are declared for a format that has its own.
        OptionalDependencyError: the kind of file needs a package that is not installed.
    """
    settings = labels or LabelSettings()
    name = path.name.removesuffix(".gz")
    if name.endswith((".xyz", ".extxyz")) or path.suffix.lower() in READERS:
        return _of_data(path, settings)
    if not settings.is_plain:
        raise ConfigError(
            explain(
                f"{path} is of a format with names and units of its own",
                got=f"labels {describe(settings)}",
                wanted="extended XYZ, a database or HDF5",
                fix="convert the file, or remove the labels",
            )
        )
    try:
        found = ase.io.read(path, index=":")
    except UNREADABLE as error:
        raise DataError(
            explain(
                f"cannot read structures from {path}",
                got=f"{type(error).__name__}: {error}",
                wanted="a format that ASE reads",
            )
        ) from error
    several = found if isinstance(found, list) else [found]
    return [(f"{path}: frame {k}", atoms) for k, atoms in enumerate(several)]


def _of_data(path: Path, settings: LabelSettings) -> Named:
    plain = settings.is_plain and is_xyz(path)
    found = [
        (
            f"{path}: frame {one.number}",
            one.atoms if plain else translated(one, settings, path),
        )
        for one in read_source(path)
        if is_wanted(one, settings.where)
    ]
    if not found:
        raise DataError(
            explain(
                f"no frame of {path} has the values that are asked for",
                got=f"labels.where {dict(settings.where)}",
                wanted=">= 1 frame",
            )
        )
    return found


def uid_of(atoms: Atoms) -> str:
    """Return the ``uid`` key of a structure, or a digest of its geometry."""
    given = str(atoms.info.get("uid", "")).strip()
    return given or geometry_digest(
        np.asarray(atoms.numbers), atoms.positions, atoms.cell.array
    )


def bare_frame(name: str, atoms: Atoms) -> Frame:
    """Return a structure as a frame of no head, without labels; its energy is NaN."""
    return Frame(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=np.asarray(atoms.positions, dtype=float),
        cell=np.asarray(atoms.cell.array, dtype=float),
        pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        energy=float("nan"),
        forces=None,
        stress=None,
        head="",
        level="",
        config_type=str(atoms.info.get("config_type", "")),
        uid=uid_of(atoms),
        source=name,
    )
