"""Which reader a file needs, and which files a folder stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.train.data.asedb import read_json, read_sqlite
from lamplighter.train.data.aselmdb import read_aselmdb
from lamplighter.train.data.extxyz import read_atoms
from lamplighter.train.data.hdf5 import read_hdf5
from lamplighter.train.data.labels import Found, LabelSettings, translate
from lamplighter.train.data.shards import CACHE_INDEX

READERS: dict[str, Callable[[Path, int], Iterator[Found]]] = {
    ".db": read_sqlite,
    ".json": read_json,
    ".aselmdb": read_aselmdb,
    ".lmdb": read_aselmdb,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
"""Readers by ending; everything else is extended XYZ."""


def is_xyz(path: Path) -> bool:
    """Whether a file is read as extended XYZ."""
    return path.suffix.lower() not in READERS


def is_cache(path: Path) -> bool:
    """Whether a path is the folder of a finished cache."""
    return path.is_dir() and (path / CACHE_INDEX).is_file()


def read_source(path: Path, start: int = 0) -> Iterator[Found]:
    """Yield the structures of a file as they are, without `start` first ones.

    Raises:
        DataError: the file is missing or unreadable.
        OptionalDependencyError: the kind of file needs a package that is not installed.
    """
    if not path.is_file():
        raise DataError(
            explain(
                "data file not found",
                got=path,
                wanted="an extended XYZ file, an ASE database, .aselmdb or .h5",
            )
        )
    reader = READERS.get(path.suffix.lower())
    if reader is not None:
        yield from reader(path, start)
        return
    for number, atoms in read_atoms(path, start):
        yield Found(number, atoms, _values(atoms))


def translated(found: Found, settings: LabelSettings, path: Path) -> Atoms:
    """Return a structure of a file with the names and units of this project."""
    xyz = is_xyz(path)
    if xyz:
        found.atoms.calc = None
        geometry = {"numbers", "positions"}
        for name in set(found.atoms.arrays) - geometry:
            del found.atoms.arrays[name]
    return translate(found, settings, xyz=xyz, path=path)


def _values(atoms: Atoms) -> dict[str, Any]:
    results = {} if atoms.calc is None else atoms.calc.results
    return {**results, **atoms.arrays, **atoms.info}


def expand_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that the paths stand for: a folder stands for its shards.

    A folder of a cache stays as it is.

    Raises:
        DataError: a folder without any ``.aselmdb``.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir() or is_cache(path):
            files.append(path)
            continue
        shards = sorted(path.glob("*.aselmdb"))
        if not shards:
            raise DataError(
                explain(
                    f"{path} holds no data",
                    got="a folder without .aselmdb files",
                    wanted="files, a folder of .aselmdb shards, or a finished cache",
                )
            )
        files += shards
    return files
