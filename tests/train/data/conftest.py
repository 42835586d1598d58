"""Labelled structures of a pair potential, and writers of the kinds of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from data_rows import pack, row_of, solved

FILES = Path(__file__).parent / "files"


@pytest.fixture
def files() -> Path:
    """Files that other programs wrote."""
    return FILES


@pytest.fixture
def structures() -> list[Atoms]:
    """Eight structures, crystals and molecules in turn."""
    return solved()


@pytest.fixture
def write_shard(tmp_path):
    """Write an LMDB file from key and content."""
    import lmdb

    def make(entries: dict[str, bytes], name: str = "data.0000.aselmdb") -> Path:
        path = tmp_path / name
        with (
            lmdb.open(str(path), subdir=False, map_size=2**26, lock=False) as env,
            env.begin(write=True) as transaction,
        ):
            for key, value in entries.items():
                transaction.put(key.encode(), value)
        return path

    return make


@pytest.fixture
def shard(write_shard, structures) -> Path:
    """A shard of all structures."""
    rows = {str(k): pack(row_of(a)) for k, a in enumerate(structures, 1)}
    return write_shard(rows | {"nextid": pack(len(rows) + 1)})
