"""Make a cache: checked frames with their neighbours in shards, as far as it got."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lamplighter.train.data.cache_builder import Builder, SourceFile, check_same
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.shards import (
    CACHE_INDEX,
    VERSION,
    read_index,
)
from lamplighter.train.data.sources import expand_files


def build_cache(
    sources: Sequence[Path],
    folder: str | os.PathLike[str],
    settings: CacheSettings,
    *,
    advance: Callable[[int, str], None] | None = None,
) -> dict[str, Any]:
    """Write a cache, or go on with one that was interrupted; return its index.

    A finished cache of the same sources and settings is left as it is.

    Args:
        sources: files with labelled frames, or folders of ``.aselmdb`` shards.
        folder: where the cache goes; it is made.
        settings: see there.
        advance: is called with the number of finished frames and a note.

    Raises:
        DataError: a source is unusable, or frames of it are.
        ConfigError: the folder holds a cache of other sources or settings.
    """
    target = Path(folder)
    files = [SourceFile.of(path) for path in expand_files(sources)]
    print_ = fingerprint(files, settings)
    index = target / CACHE_INDEX
    if index.is_file():
        content = read_index(target)
        check_same(content["fingerprint"], print_, target)
        if all(_is_whole(target, shard) for shard in content["shards"]):
            return content
        index.unlink()
    target.mkdir(parents=True, exist_ok=True)
    builder = Builder(target, files, settings, print_, advance or _silent)
    builder.resume()
    builder.run()
    return builder.finish()


def _is_whole(folder: Path, entry: Mapping[str, Any]) -> bool:
    path = folder / str(entry["name"])
    return path.is_file() and path.stat().st_size == entry["bytes"]


def _silent(n: int, note: str) -> None:
    del n, note


def fingerprint(files: Sequence[SourceFile], settings: CacheSettings) -> str:
    """Return a digest of everything that the content of a cache depends on."""
    content = {
        "version": VERSION,
        "sources": [file.sha256 for file in files],
        "settings": dataclasses.asdict(settings),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
