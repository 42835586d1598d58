"""The making of a cache: one shard after the other, from where it stopped."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import atomic_path, sha256_file
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.checks import check_file
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.groups import (
    SeenHashes,
    digest64,
    element_bits,
    group_name,
    hash64,
)
from lamplighter.train.data.labels import describe
from lamplighter.train.data.reader import numbered_frames
from lamplighter.train.data.records import (
    find_neighbours,
    pack_record,
    unpack_record,
)
from lamplighter.train.data.shards import (
    CACHE_INDEX,
    COLUMNS,
    FORMAT,
    VERSION,
    Shard,
    open_shard,
    shard_name,
    write_shard,
)


@dataclass(slots=True)
class _Place:
    """How far the sources have been read.

    Attributes:
        file: number of the file that comes next.
        frame: number of the frame in it that comes next.
        dropped: frames left out, by reason.
    """

    file: int = 0
    frame: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def note(self) -> dict[str, Any]:
        return {"file": self.file, "frame": self.frame, "dropped": dict(self.dropped)}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a cache is made of.

    Attributes:
        path: where it lies.
        sha256: what it holds.
    """

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """Look at a file.

        Raises:
            DataError: it does not exist.
        """
        if not path.is_file():
            raise DataError(explain("data file not found", got=path))
        return cls(path, sha256_file(path))


def check_same(found: object, wanted: str, folder: Path) -> None:
    """Refuse the shards of another cache.

    Raises:
        ConfigError: the fingerprints differ.
    """
    if found != wanted:
        raise ConfigError(
            explain(
                f"{folder} holds a cache of other sources or settings",
                got=f"fingerprint {str(found)[:16]}",
                wanted=wanted[:16],
                fix="choose another folder, or remove this one",
            )
        )


class Builder:
    """The state of a build; see `lamplighter.train.data.cache_build.build_cache`."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[SourceFile],
        settings: CacheSettings,
        print_: str,
        advance: Callable[[int, str], None],
    ) -> None:
        self.folder = folder
        self.files = files
        self.settings = settings
        self.fingerprint = print_
        self.advance = advance
        self.place = _Place()
        self.shards: list[dict[str, Any]] = []
        self.words: dict[str, dict[str, int]] = {"head": {}, "config_type": {}}
        self.levels: dict[str, str] = {}
        self.free_atoms: dict[tuple[str, int], Frame] = {}
        self.seen = SeenHashes()
        self._clear()

    def _clear(self) -> None:
        self.frames: list[Frame] = []
        self.records: list[bytes] = []
        self.columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
        self.size = 0

    def resume(self) -> None:
        """Take over the whole shards of an interrupted build.

        Raises:
            DataError: one of them is damaged.
            ConfigError: they are of other sources or settings.
        """
        while (path := self.folder / shard_name(len(self.shards))).is_file():
            shard = open_shard(path)
            check_same(shard.note.get("fingerprint"), self.fingerprint, self.folder)
            shard.verify()
            self.shards.append(_entry(path, sha256_file(path), shard.n_frames))
            self.seen.extend(shard.arrays["uid"])
            note = shard.note
            self.words = {key: dict(value) for key, value in note["words"].items()}
            self.levels = dict(note["levels"])
            place = note["next"]
            self.place = _Place(
                place["file"], place["frame"], Counter(place["dropped"])
            )
            self._remember_atoms(shard)
            self.advance(shard.n_frames, "taken over")

    def _remember_atoms(self, shard: Shard) -> None:
        """Keep the isolated atoms of a shard: later frames are compared with them."""
        dtype = np.dtype(self.settings.dtype)
        for k in np.flatnonzero(shard.arrays["n_atoms"] == 1):
            frame, _ = unpack_record(shard.record(int(k)), dtype, pairs=False)
            self._remember_atom(frame)

    def _remember_atom(self, frame: Frame) -> None:
        if frame.is_isolated_atom:
            key = (frame.head, int(frame.numbers[0]))
            self.free_atoms.setdefault(key, frame)

    def run(self) -> None:
        """Read what has not been read and write it.

        Raises:
            DataError: see `build_cache`.
        """
        while self.place.file < len(self.files):
            file = self.files[self.place.file]
            for number, frame in self._unread(file.path):
                self.place.frame = number + 1
                self._add(frame)
                limit = self.settings.shard_mib * 2**20
                if len(self.frames) == self.settings.shard_frames or self.size >= limit:
                    self._flush()
            self.place.file += 1
            self.place.frame = 0
        self._flush()

    def _unread(self, path: Path) -> Iterator[tuple[int, Frame]]:
        """Yield the frames that come next, and count those that are dropped."""
        settings = self.settings

        def drop(number: int, error: DataError) -> None:
            del number
            self.place.dropped[reason(error)] += 1

        for number, frame in numbered_frames(
            path,
            settings.head,
            level=settings.level,
            limits=settings.limits,
            labels=settings.labels,
            start=self.place.frame,
            refused=drop if settings.bad_frames == "drop" else None,
        ):
            yield (
                number,
                dataclasses.replace(
                    frame, source=f"{path.name}: frame {number} (uid {frame.uid})"
                ),
            )

    def _add(self, frame: Frame) -> None:
        uid = hash64(f"{frame.head}\n{frame.uid}")
        if not self.seen.add(uid):
            if self.settings.duplicates == "refuse":
                raise DataError(
                    explain(
                        f"{frame.source}: uid comes twice in head {frame.head!r}",
                        got=repr(frame.uid),
                        wanted="a name of its own for every frame",
                        fix="duplicates: drop keeps the first one only",
                    )
                )
            self.place.dropped["duplicate"] += 1
            return
        rounded = _rounded(frame, self.settings.dtype)
        pairs = find_neighbours(rounded, self.settings.cutoff)
        record = pack_record(rounded, pairs, np.dtype(self.settings.dtype))
        self.frames.append(frame)
        self.records.append(record)
        self.size += len(record)
        low, high = element_bits(frame)
        entry = {
            "n_atoms": frame.n_atoms,
            "n_pairs": len(pairs.centers),
            "head": self._word("head", frame.head),
            "config_type": self._word("config_type", frame.config_type),
            "group": hash64(group_name(frame, self.settings.group_by)),
            "uid": uid,
            "digest": digest64(frame),
            "elements_low": low,
            "elements_high": high,
        }
        for name, value in entry.items():
            self.columns[name].append(value)

    def _word(self, key: str, word: str) -> int:
        table = self.words[key]
        return table.setdefault(word, len(table))

    def _flush(self) -> None:
        """Check the frames side by side and write them as a shard."""
        if not self.frames:
            return
        source = self.files[min(self.place.file, len(self.files) - 1)].path
        known = list(self.free_atoms.values())
        check_file([*known, *self.frames], source, self.settings.limits)
        self._check_levels()
        for frame in self.frames:
            self._remember_atom(frame)
        path = self.folder / shard_name(len(self.shards))
        note: dict[str, Any] = {"version": VERSION, "fingerprint": self.fingerprint}
        note |= {"next": self.place.note(), "words": self.words, "levels": self.levels}
        columns = {
            name: np.array(values, dtype=COLUMNS[name])
            for name, values in self.columns.items()
        }
        digest = write_shard(path, self.records, columns, note)
        self.shards.append(_entry(path, digest, len(self.frames)))
        self.advance(len(self.frames), path.name)
        self._clear()

    def _check_levels(self) -> None:
        """Refuse a second level of theory in a head, over all shards."""
        for frame in self.frames:
            if not frame.level:
                continue
            first = self.levels.setdefault(frame.head, frame.level)
            if first != frame.level:
                raise DataError(
                    explain(
                        f"{frame.source}: level is not that of the other frames of "
                        f"head {frame.head!r}",
                        got=repr(frame.level),
                        wanted=repr(first),
                        fix="labels of two levels of theory cannot share a head",
                    )
                )

    def finish(self) -> dict[str, Any]:
        """Write the index, which makes the folder a cache.

        Raises:
            DataError: no frame is left.
        """
        if not self.shards:
            raise DataError(
                explain(
                    "no frame is left for the cache",
                    got=f"dropped: {dict(self.place.dropped) or 'none'}",
                    wanted=">= 1 frame",
                )
            )
        content = {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "cutoff": self.settings.cutoff,
            "dtype": self.settings.dtype,
            "group_by": self.settings.group_by,
            "labels": describe(self.settings.labels),
            "sources": [
                {"name": file.path.name, "sha256": file.sha256} for file in self.files
            ],
            "words": {key: list(table) for key, table in self.words.items()},
            "levels": self.levels,
            "dropped": dict(self.place.dropped),
            "n_frames": sum(shard["n_frames"] for shard in self.shards),
            "shards": self.shards,
        }
        with atomic_path(self.folder / CACHE_INDEX) as temporary:
            temporary.write_text(
                json.dumps(content, indent=1, ensure_ascii=False) + "\n",
                encoding="utf-8",
            )
        return content


def _entry(path: Path, sha256: str, n_frames: int) -> dict[str, Any]:
    return {
        "name": path.name,
        "sha256": sha256,
        "bytes": path.stat().st_size,
        "n_frames": n_frames,
    }


def reason(error: DataError) -> str:
    """Return what was wrong with a frame, without its name and numbers."""
    problem = str(error).partition("; ")[0]
    return re.sub(r"\d+", "N", problem.rpartition("): ")[2])


def _rounded(frame: Frame, dtype: str) -> Frame:
    if dtype == "float64":
        return frame
    positions = frame.positions.astype(np.float32).astype(np.float64)
    return dataclasses.replace(frame, positions=positions)
