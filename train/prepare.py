"""From the settings of the heads to checked, split frames with their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import sha256_file
from lamplighter.resources import dataset, model_file
from lamplighter.train.config import HeadData, SplitSettings
from lamplighter.train.data.cache import CachedFrames
from lamplighter.train.data.cached_heads import (
    JUDGED_FRAMES,
    CachedSplit,
    check_apart,
    check_unique,
    open_for_head,
    split_cached,
)
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.data.reader import read_frames
from lamplighter.train.data.sources import expand_files, is_cache
from lamplighter.train.data.split import Split, split_frames
from lamplighter.train.data.streaming import JoinedFrames, sampled
from lamplighter.train.finetune_config import NewHead


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFrames:
    """The frames of a head by use.

    Attributes:
        head: settings.
        train: frames to learn from; those of caches are read when they are asked for.
        validation: frames that choose the weights.
        test: frames that are only judged at the end.
    """

    head: HeadData
    train: Sequence[Frame]
    validation: tuple[Frame, ...]
    test: tuple[Frame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedData:
    """All heads, and the SHA-256 of every file read.

    Attributes:
        heads: frames of each head, in the order of the settings.
        hashes: SHA-256 by file name.
    """

    heads: tuple[HeadFrames, ...]
    hashes: Mapping[str, str]

    def frames(self, use: str) -> Sequence[Frame]:
        """Return the frames of all heads for "train", "validation" or "test"."""
        return JoinedFrames([getattr(head, use) for head in self.heads])

    def judged(self, use: str) -> list[Frame]:
        """Return the frames of all heads for a use, of each cache a part."""
        return sampled(self.frames(use), JUDGED_FRAMES)


def resolve(path: Path) -> Path:
    """Return a path, looking up ``dataset:NAME`` and ``model:base``.

    Raises:
        ConfigError: there is no such data set or model.
    """
    kind, _, name = str(path).partition(":")
    if kind == "dataset" and name:
        return dataset(name)
    return model_file(path)


def prepare(
    heads: Sequence[HeadData], split: SplitSettings, limits: ReaderLimits
) -> PreparedData:
    """Return the frames of all heads, read, checked and split.

    Geometries are held out together in all heads that hold out a part of their files.
    New heads come after the others, so that adding one does not move a frame that a
    base model was judged on into training.

    Raises:
        DataError: a file is unusable, or a head has the same uid twice.
        ConfigError: an unknown data set, or a head that nothing is left to train on.
    """
    reader = _Reader(limits)
    files: dict[str, list[Frame]] = {}
    cached: dict[str, list[CachedSplit]] = {}
    for head in heads:
        files[head.name], found = reader.read_all(head)
        whole = SplitSettings(validation_fraction=0)
        own = whole if head.validation_files else split
        cached[head.name] = [split_cached(frames, own) for frames in found]
    shared = [h for h in heads if not h.validation_files]
    parts = _split(shared, files, split)
    result = []
    for head in heads:
        validation = reader.read(head, head.validation_files)
        test = reader.read(head, head.test_files)
        if head.validation_files:
            train = files[head.name]
        else:
            train = _of(head, parts.train)
            validation = _of(head, parts.validation)
            test = [*test, *_of(head, parts.test)]
        for part in cached[head.name]:
            validation += part.validation
            test += part.test
        streamed = [part.train for part in cached[head.name]]
        _check_apart(head, train, streamed, [*validation, *test])
        result.append(
            HeadFrames(
                head=head,
                train=JoinedFrames([train, *streamed]) if streamed else tuple(train),
                validation=tuple(validation),
                test=tuple(test),
            )
        )
    return PreparedData(heads=tuple(result), hashes=reader.hashes)


class _Reader:
    """Reads files of heads and remembers their fingerprints."""

    def __init__(self, limits: ReaderLimits) -> None:
        self._limits = limits
        self.hashes: dict[str, str] = {}

    def read_all(self, head: HeadData) -> tuple[list[Frame], list[CachedFrames]]:
        """The frames of the files, and of the caches, that a head is trained on."""
        paths = expand_files(map(resolve, head.files))
        frames = self.read(head, [path for path in paths if not is_cache(path)])
        cached = [open_for_head(path, head) for path in paths if is_cache(path)]
        for part in cached:
            name = f"{head.name}: {part.cache.folder.name}"
            keep_hash(self.hashes, name, part.cache.index["fingerprint"])
        if cached:
            check_unique(head, [frames, *cached])
        kinds = {frame.config_type for frame in frames}
        kinds.update(*(part.cache.config_types for part in cached))
        _check_excluded(head, kinds)
        return _kept(frames, head), cached

    def read(self, head: HeadData, files: Sequence[Path]) -> list[Frame]:
        frames: list[Frame] = []
        for path in expand_files(map(resolve, files)):
            if is_cache(path):
                part = open_for_head(path, head)
                frames += part.sample(JUDGED_FRAMES)
                name = f"{head.name}: {path.name}"
                keep_hash(self.hashes, name, part.cache.index["fingerprint"])
                continue
            frames += read_frames(
                path,
                head.name,
                level=head.level,
                limits=self._limits,
                labels=head.labels,
            )
            keep_hash(self.hashes, path.name, sha256_file(path))
        _check_unique(head, frames)
        return frames


def keep_hash(hashes: dict[str, str], name: str, sha256: str) -> None:
    """Note the SHA-256 of a file; another file of the same name gets a number."""
    number, key = 1, name
    while hashes.get(key, sha256) != sha256:
        number += 1
        key = f"{name} ({number})"
    hashes[key] = sha256


def _split(
    heads: Sequence[HeadData], files: Mapping[str, list[Frame]], settings: SplitSettings
) -> Split:
    """Divide the frames of existing heads, then those of new heads."""
    new = {h.name for h in heads if isinstance(h, NewHead)}
    old_frames = [f for h in heads if h.name not in new for f in files[h.name]]
    new_frames = [f for h in heads if h.name in new for f in files[h.name]]
    old = split_frames(old_frames, settings)
    added = split_frames(new_frames, settings, fixed=old)
    return Split(
        train=old.train + added.train,
        validation=old.validation + added.validation,
        test=old.test + added.test,
    )


def _of(head: HeadData, frames: Sequence[Frame]) -> list[Frame]:
    return [f for f in frames if f.head == head.name]


def _check_excluded(head: HeadData, kinds: set[str]) -> None:
    """Refuse a pattern of config types to leave out that fits none there is.

    Raises:
        ConfigError: as above.
    """
    for pattern in head.exclude:
        if not any(fnmatchcase(kind, pattern) for kind in kinds):
            raise ConfigError(
                explain(
                    f"head {head.name!r} excludes a config_type that no frame has",
                    got=repr(pattern),
                    wanted="patterns that fit among " + ", ".join(sorted(kinds)),
                )
            )


def _kept(frames: list[Frame], head: HeadData) -> list[Frame]:
    return [
        frame
        for frame in frames
        if not any(fnmatchcase(frame.config_type, p) for p in head.exclude)
    ]


def _check_unique(head: HeadData, frames: Sequence[Frame]) -> None:
    seen: dict[str, Frame] = {}
    for frame in frames:
        twin = seen.setdefault(frame.uid, frame)
        if twin is not frame:
            raise DataError(
                explain(
                    f"{frame.source}: uid comes twice in head {head.name!r}",
                    got=f"{frame.uid!r}, first at {twin.source}",
                    wanted="a name of its own for every frame",
                    fix="list each file once and rename frames that differ",
                )
            )


def _check_apart(
    head: HeadData,
    train: Sequence[Frame],
    streamed: Sequence[CachedFrames],
    held_out: Sequence[Frame],
) -> None:
    learnt = {f.uid: f for f in train}
    if not learnt and not any(len(part) for part in streamed):
        raise ConfigError(
            explain(
                f"head {head.name!r} has nothing to train on",
                fix="lower split.validation_fraction or add files",
            )
        )
    check_apart(head, streamed, held_out)
    for frame in held_out:
        if frame.uid in learnt:
            raise DataError(
                explain(
                    f"{frame.source}: a held-out frame is also trained on",
                    got=f"uid {frame.uid!r}, in training at {learnt[frame.uid].source}",
                    wanted="different geometries for training and for judging",
                )
            )
