"""Frames to files: extended XYZ, plain or gzipped, and HDF5; every digit is kept."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import atomic_path
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.hdf5 import BLOCK, FORMAT, VERSION
from lamplighter.train.data.labels import TEXTS
from lamplighter.train.data.optional import import_extra
from lamplighter.train.xyz_writer import labelled_atoms, write_xyz

ENDINGS = (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz", ".h5", ".hdf5")


def check_ending(path: Path) -> None:
    """Refuse a file name whose ending names no kind of file that can be written.

    Raises:
        ConfigError: as above.
    """
    if not path.name.lower().endswith(ENDINGS):
        raise ConfigError(
            explain(
                "the kind of file to write is not known",
                got=path.name,
                wanted=f"a name that ends in one of {', '.join(ENDINGS)}",
            )
        )


def write_frames(path: Path, frames: Iterable[Frame]) -> int:
    """Write frames, one after the other; return how many there were.

    The file is whole or absent. What is read back is what was written, apart from
    `source`; a uid that is only the digest of the geometry is written too.

    Raises:
        ConfigError: an ending that is not known, or no folder.
        DataError: HDF5 for frames with rows of a Hessian.
    """
    check_ending(path)
    counted = _Counted(frames)
    with atomic_path(path) as temporary:
        if path.suffix.lower() in {".h5", ".hdf5"}:
            _write_hdf5(temporary, counted)
        elif path.suffix.lower() == ".gz":
            plain = temporary.with_suffix(".part")
            try:
                write_xyz(plain, map(labelled_atoms, counted))
                with (
                    plain.open("rb") as source,
                    temporary.open("wb") as target,
                    gzip.GzipFile("", "wb", fileobj=target, mtime=0) as packed,
                ):
                    shutil.copyfileobj(source, packed)
            finally:
                plain.unlink(missing_ok=True)
        else:
            write_xyz(temporary, map(labelled_atoms, counted))
    return counted.number


class _Counted:
    """Counts what goes through."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self.frames = frames
        self.number = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames:
            self.number += 1
            yield frame


def _write_hdf5(path: Path, frames: Iterable[Frame]) -> None:
    h5py = import_extra("h5py", f"writing {path.suffix}")
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        _create(file, h5py.string_dtype())
        source = iter(frames)
        while block := list(islice(source, BLOCK)):
            _append(file, block)


def _create(file: Any, text: Any) -> None:
    """Make the empty arrays of the layout in `lamplighter.train.data.hdf5`."""
    entries: dict[str, tuple[Any, tuple[int, ...]]] = {
        "n_atoms": ("i4", ()),
        "cell": ("f8", (3, 3)),
        "pbc": ("?", (3,)),
        "energy": ("f8", ()),
        "stress": ("f8", (3, 3)),
        "weight": ("f8", ()),
        "has_forces": ("?", ()),
        "has_stress": ("?", ()),
        "numbers": ("u1", ()),
        "positions": ("f8", (3,)),
        "forces": ("f8", (3,)),
        **dict.fromkeys(TEXTS, (text, ())),
    }
    for name, (dtype, shape) in entries.items():
        file.create_dataset(
            name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(4096, *shape)
        )


def _append(file: Any, frames: list[Frame]) -> None:
    for frame in frames:
        if frame.hessian is not None:
            raise DataError(
                explain(
                    f"{frame.source}: HDF5 has no place for rows of a Hessian",
                    fix="write extended XYZ",
                )
            )
    none = np.zeros((3, 3))
    columns: dict[str, Any] = {
        "n_atoms": [f.n_atoms for f in frames],
        "cell": [f.cell for f in frames],
        "pbc": [f.pbc for f in frames],
        "energy": [f.energy for f in frames],
        "stress": [none if f.stress is None else f.stress for f in frames],
        "weight": [f.weight for f in frames],
        "has_forces": [f.forces is not None for f in frames],
        "has_stress": [f.stress is not None for f in frames],
        "numbers": np.concatenate([f.numbers for f in frames]),
        "positions": np.concatenate([f.positions for f in frames]),
        "forces": np.concatenate(
            [np.zeros((f.n_atoms, 3)) if f.forces is None else f.forces for f in frames]
        ),
        **{name: [getattr(f, name) for f in frames] for name in TEXTS},
    }
    for name, values in columns.items():
        entry = file[name]
        begin = len(entry)
        entry.resize(begin + len(values), axis=0)
        entry[begin:] = values
