"""The files of a cache: shards of records with their columns, and the index.

A shard is a safetensors file with ``records`` (bytes, one record after the other),
``ends`` [n_frames + 1] (where each begins and ends), ``crc32`` of each record, and one
entry per frame in each of `COLUMNS`. Its metadata says how the cache was made
(``fingerprint``), which place in the sources comes after it, and what its columns
count.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save

from lamplighter.arrays import AnyArray
from lamplighter.errors import DataError, explain
from lamplighter.files import atomic_path, sha256_file

FORMAT: Final = "lamplighter-cache"
VERSION: Final = 1
"""Version of records, shards and index."""

CACHE_INDEX: Final = "index.json"
"""The file that makes a folder a cache."""

_INDEX_KEYS = frozenset(
    {"version", "fingerprint", "cutoff", "dtype", "words", "levels", "shards"}
)

COLUMNS: Final[dict[str, str]] = {
    "n_atoms": "<i4",
    "n_pairs": "<i4",
    "head": "<i4",
    "config_type": "<i4",
    "group": "<u8",
    "uid": "<u8",
    "digest": "<u8",
    "elements_low": "<u8",
    "elements_high": "<u8",
}
"""One entry per frame. `head` and `config_type` count the words of the metadata; bit z
of `elements_low` and bit z - 64 of `elements_high` stand for atomic number z."""

_REBUILD = "remove this file and build the cache again: the shards before it are kept"


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:06d}.safetensors"


def write_shard(
    path: Path,
    records: list[bytes],
    columns: Mapping[str, AnyArray],
    note: Mapping[str, Any],
) -> str:
    """Write a shard, whole or not at all; return its SHA-256.

    Args:
        path: the file.
        records: bytes of each frame.
        columns: see `COLUMNS`.
        note: metadata, as JSON.
    """
    ends = np.cumsum([0, *map(len, records)], dtype="<i8")
    tensors = {
        "records": np.frombuffer(b"".join(records), dtype="u1"),
        "ends": ends,
        "crc32": np.array([zlib.crc32(r) for r in records], dtype="<u4"),
        **{name: np.asarray(columns[name], dtype=t) for name, t in COLUMNS.items()},
    }
    # One entry only: safetensors writes several in an order that changes.
    metadata = {FORMAT: json.dumps(note, ensure_ascii=False)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))
        return sha256_file(temporary)


def read_index(folder: Path) -> dict[str, Any]:
    """Return the index of a cache.

    Raises:
        DataError: there is none, it is damaged, or of a newer version.
    """
    path = folder / CACHE_INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            explain(
                f"cannot read the cache {folder}",
                got=getattr(error, "strerror", None) or error,
                wanted=f"a folder with {CACHE_INDEX}",
                fix="run lamplighter data cache; an interrupted build goes on",
            )
        ) from error
    there = isinstance(content, dict) and content.get("format") == FORMAT
    if not there or not set(content) >= _INDEX_KEYS:
        raise DataError(
            explain(
                f"{path} is not the index of a cache",
                wanted=f"format {FORMAT} and {', '.join(sorted(_INDEX_KEYS))}",
                fix="remove the folder and build the cache again",
            )
        )
    if content["version"] != VERSION:
        raise DataError(
            explain(
                f"{folder} is a cache of another version",
                got=content["version"],
                wanted=VERSION,
                fix="remove the folder and build the cache again",
            )
        )
    return dict(content)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that is open: its arrays are views of the file, not copies.

    Attributes:
        path: the file.
        note: its metadata.
        arrays: views by name.
    """

    path: Path
    note: Mapping[str, Any]
    arrays: Mapping[str, AnyArray]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.arrays["crc32"])

    def record(self, k: int) -> bytes:
        """Return the bytes of frame `k`.

        Raises:
            DataError: they are not what was written.
        """
        begin, end = (int(n) for n in self.arrays["ends"][k : k + 2])
        record = self.arrays["records"][begin:end].tobytes()
        if zlib.crc32(record) != int(self.arrays["crc32"][k]):
            raise DataError(
                explain(
                    f"{self.path} is damaged",
                    got=f"frame {k} of {self.n_frames} has another checksum",
                    wanted="the bytes that were written",
                    fix=_REBUILD,
                )
            )
        return record

    def verify(self) -> None:
        """Compare the checksum of every frame.

        Raises:
            DataError: the first frame that does not fit.
        """
        for k in range(self.n_frames):
            self.record(k)


def open_shard(path: Path) -> Shard:
    """Return a shard of a cache, mapped into memory.

    Raises:
        DataError: it is missing, truncated or no shard; the message names it.
    """
    try:
        with path.open("rb") as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DataError(
            explain(
                f"cannot read the shard {path}",
                got=getattr(error, "strerror", None) or error,
                wanted="every shard that the index names",
                fix="build the cache again: the shards before it are kept",
            )
        ) from error
    # Frames are drawn in random order: reading ahead would only fill the memory.
    content.madvise(mmap.MADV_RANDOM)
    try:
        return _parsed(path, content)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            explain(
                f"{path} is damaged",
                got=f"{type(error).__name__}: {error}",
                wanted="a whole shard of a cache",
                fix=_REBUILD,
            )
        ) from error


def _parsed(path: Path, content: mmap.mmap) -> Shard:
    """Return the shard; what does not fit the file raises ValueError."""
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= len(content) - 8:
        raise ValueError("the header is cut off")  # noqa: TRY003
    header = json.loads(content[8 : 8 + size])
    metadata = header.pop("__metadata__")
    known = {"records": "u1", "ends": "<i8", "crc32": "<u4", **COLUMNS}
    arrays = {}
    for name, dtype in known.items():
        begin, end = header[name]["data_offsets"]
        count, odd = divmod(end - begin, np.dtype(dtype).itemsize)
        if odd or not 0 <= begin <= end <= len(content) - 8 - size:
            raise ValueError(f"{name} is cut off")  # noqa: TRY003
        arrays[name] = np.frombuffer(content, dtype, count, 8 + size + begin)
    n = len(arrays["crc32"])
    ends = arrays["ends"]
    fits = len(ends) == n + 1 and ends[0] == 0 and ends[-1] == len(arrays["records"])
    same = all(len(arrays[name]) == n for name in COLUMNS)
    if not (fits and same and (np.diff(ends) > 0).all()):
        raise ValueError("the columns do not fit the records")  # noqa: TRY003
    return Shard(path, json.loads(metadata[FORMAT]), arrays)
