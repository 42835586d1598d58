"""The caches among the files of a head: opened, checked and split by their groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.train.config import HeadData, SplitSettings
from lamplighter.train.data.cache import Cache, CachedFrames
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.groups import (
    TEST,
    TRAIN,
    VALIDATION,
    Hashes,
    hash64,
    is_kept,
    sides,
)

JUDGED_FRAMES = 4096
"""Most frames of a cache that are held in memory for validation, and for the test."""


@dataclass(frozen=True, slots=True)
class CachedSplit:
    """The frames of a cache by use.

    Attributes:
        train: frames to learn from; they stay on the disk.
        validation: frames that choose the weights.
        test: frames that are only judged at the end.
    """

    train: CachedFrames
    validation: tuple[Frame, ...]
    test: tuple[Frame, ...]


def open_for_head(folder: Path, head: HeadData) -> CachedFrames:
    """Return the frames of a head in a cache.

    Raises:
        DataError: the cache is unusable, or has another level of theory for the head.
        ConfigError: it does not have the head.
    """
    cache = Cache(folder)
    if head.name not in cache.heads:
        raise ConfigError(
            explain(
                f"the cache {folder} has no frame of head {head.name!r}",
                got=f"heads {', '.join(cache.heads)}",
                wanted=f"head {head.name!r}",
                fix=f"build the cache with head {head.name}",
            )
        )
    level = cache.index["levels"].get(head.name, head.level)
    if level != head.level:
        raise DataError(
            explain(
                f"the cache {folder} has another level of theory for {head.name!r}",
                got=repr(level),
                wanted=repr(head.level),
                fix="labels of two levels of theory cannot share a head",
            )
        )
    frames = cache.frames()
    own = frames.column("head") == cache.heads.index(head.name)
    excluded = [
        any(fnmatchcase(kind, pattern) for pattern in head.exclude)
        for kind in cache.config_types
    ]
    return frames.where(own & ~np.array(excluded)[frames.column("config_type")])


def split_cached(frames: CachedFrames, settings: SplitSettings) -> CachedSplit:
    """Divide the frames of a cache by the groups that it has recorded.

    Frames of one group are on one side, in every cache, with any other data beside it.
    Elements that would only be held out are taken back with their groups. At most
    `JUDGED_FRAMES` held-out frames are read; the others are not used.
    """
    kept = np.array(is_kept(frames.cache.config_types, settings))
    groups = frames.column("group")
    side = sides(groups, settings, kept[frames.column("config_type")])
    side = _keep_elements(frames, groups, side)
    validation = frames.where(side == VALIDATION).sample(JUDGED_FRAMES)
    test = frames.where(side == TEST).sample(JUDGED_FRAMES)
    return CachedSplit(frames.where(side == TRAIN), tuple(validation), tuple(test))


def _keep_elements(
    frames: CachedFrames, groups: Hashes, side: np.ndarray
) -> np.ndarray:
    """Take back the groups with elements that are in no training frame."""
    low, high = frames.column("elements_low"), frames.column("elements_high")
    for bits in (low, high):
        known = np.bitwise_or.reduce(bits[side == TRAIN], initial=np.uint64(0))
        foreign = (side != TRAIN) & ((bits & ~known) != 0)
        if foreign.any():
            side = np.where(np.isin(groups, groups[foreign]), np.int8(TRAIN), side)
    return side


def uid_hashes(frames: Sequence[Frame]) -> Hashes:
    """Return the numbers under which caches know the uids of some frames."""
    if isinstance(frames, CachedFrames):
        return np.asarray(frames.column("uid"))
    hashes = [hash64(f"{f.head}\n{f.uid}") for f in frames]
    return np.array(hashes, dtype=np.uint64)


def check_unique(head: HeadData, parts: Sequence[Sequence[Frame]]) -> None:
    """Refuse a uid that comes in two files of a head.

    Raises:
        DataError: the message names the head and a frame.
    """
    hashes = np.concatenate([uid_hashes(part) for part in parts])
    values, counts = np.unique(hashes, return_counts=True)
    if len(values) == len(hashes):
        return
    twice = values[counts > 1][0]
    places = [
        part[int(k)].source
        for part in parts
        for k in np.flatnonzero(uid_hashes(part) == twice)
    ]
    raise DataError(
        explain(
            f"{places[1]}: uid comes twice in head {head.name!r}",
            got=f"first at {places[0]}",
            wanted="a name of its own for every frame",
            fix="list each file once and rename frames that differ",
        )
    )


def check_apart(
    head: HeadData, train: Sequence[CachedFrames], held_out: Sequence[Frame]
) -> None:
    """Refuse held-out frames that a cache has for training.

    Raises:
        DataError: the message names the frame.
    """
    hashes = uid_hashes(held_out)
    for part in train:
        same = np.isin(hashes, uid_hashes(part))
        if same.any():
            frame = held_out[int(np.flatnonzero(same)[0])]
            raise DataError(
                explain(
                    f"{frame.source}: a held-out frame is also trained on",
                    got=f"uid {frame.uid!r} in {part.cache.folder}, head {head.name!r}",
                    wanted="different geometries for training and for judging",
                )
            )
