"""Structures without their labels, from any file that holds some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from lamplighter.errors import DataError, explain
from lamplighter.train.data.frame import Frame, geometry_digest
from lamplighter.train.data.sources import READERS, read_source

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


def read_structures(path: Path) -> Named:
    """Return the structures of a file: data of this project, or what ASE reads.

    Raises:
        DataError: the file cannot be read, or is cut off.
        OptionalDependencyError: the kind of file needs a package that is not installed.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith((".xyz", ".extxyz")) or path.suffix.lower() in READERS:
        return [(f"{path}: frame {f.number}", f.atoms) for f in read_source(path)]
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
