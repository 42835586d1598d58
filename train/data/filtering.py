"""Choose frames, and divide them by what belongs together; frames are streamed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.train.config import SplitSettings
from lamplighter.train.data.cache_builder import reason
from lamplighter.train.data.frame import ISOLATED_ATOM, Frame
from lamplighter.train.data.groups import (
    TEST,
    TRAIN,
    VALIDATION,
    SeenHashes,
    digest64,
    group_name,
    hash64,
    is_kept,
    sides,
)
from lamplighter.train.data.inspection import NO_HEAD, frames_of, inspect_files
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.data.writing import check_ending, write_frames
from lamplighter.train.setting_check import check


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """Which frames are kept; every condition must hold.

    Attributes:
        elements: a frame has no other element; empty allows all.
        max_force: largest force on an atom, eV/Å.
        min_atoms: fewest atoms.
        max_atoms: most atoms.
        config_types: patterns of config_type, one of which must fit; empty takes all.
        not_config_types: patterns of config_type that must not fit.
        drop_duplicates: of frames of a head with one geometry (to 1e-6 Å), keep the
            first.
        drop_outliers: leave out energies that do not fit the others of their head, as
            `inspect` finds them.
        bad_frames: what to do with frames that the reader refuses: "drop" or "refuse".
    """

    elements: tuple[str, ...] = ()
    max_force: float | None = None
    min_atoms: int = 1
    max_atoms: int | None = None
    config_types: tuple[str, ...] = ()
    not_config_types: tuple[str, ...] = ()
    drop_duplicates: bool = False
    drop_outliers: bool = False
    bad_frames: Literal["drop", "refuse"] = "drop"

    def __post_init__(self) -> None:
        unknown = [e for e in self.elements if e not in atomic_numbers]
        check(not unknown, "filter: elements", unknown, "chemical symbols")

    def complaint(self, frame: Frame) -> str:
        """Return why a frame is left out by itself; "" if it is not."""
        kind = frame.config_type
        allowed = {atomic_numbers[e] for e in self.elements}
        if allowed and not allowed >= set(frame.numbers.tolist()):
            return "elements"
        if not self.min_atoms <= frame.n_atoms <= (self.max_atoms or frame.n_atoms):
            return "size"
        if self.config_types and not _fits(kind, self.config_types):
            return "config_type"
        if _fits(kind, self.not_config_types):
            return "config_type"
        if self.max_force is not None and frame.forces is not None:
            largest = float(np.linalg.norm(frame.forces, axis=1).max())
            return "max_force" if largest > self.max_force else ""
        return ""


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(slots=True)
class Dropped:
    """Counts what is left out.

    Attributes:
        reasons: frames by reason.
        kept: frames that passed.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    kept: int = 0


def chosen_frames(
    paths: Sequence[Path],
    settings: FilterSettings,
    dropped: Dropped,
    *,
    labels: LabelSettings | None = None,
    limits: ReaderLimits | None = None,
) -> Iterator[Frame]:
    """Yield the frames of some files that pass, and count the others.

    Raises:
        DataError: a file cannot be read, or a frame is refused and must not be.
    """
    names = labels or LabelSettings(default_head=NO_HEAD)
    bounds = limits or ReaderLimits()
    strange: frozenset[str] = frozenset()
    if settings.drop_outliers:
        strange = inspect_files(paths, labels=names, limits=bounds).outliers
    seen = SeenHashes()

    def refused(path: Path, number: int, error: DataError) -> None:
        del path, number
        dropped.reasons[f"refused: {reason(error)}"] += 1

    lenient = refused if settings.bad_frames == "drop" else None
    for name, frame in frames_of(paths, names, bounds, lenient):
        why = settings.complaint(frame)
        if not why and name in strange:
            why = "outlier"
        if not why and settings.drop_duplicates:
            key = hash64(f"{frame.head}\n{digest64(frame)}")
            why = "" if seen.add(key) else "duplicate"
        if why:
            dropped.reasons[why] += 1
        else:
            dropped.kept += 1
            yield frame


def filter_files(
    paths: Sequence[Path],
    output: Path,
    settings: FilterSettings,
    *,
    labels: LabelSettings | None = None,
    limits: ReaderLimits | None = None,
) -> Dropped:
    """Write the frames that pass into one file.

    Raises:
        DataError: a file cannot be read, or nothing is left.
        ConfigError: the kind of file to write is not known.
    """
    check_ending(output)
    dropped = Dropped()

    def something() -> Iterator[Frame]:
        yield from chosen_frames(paths, settings, dropped, labels=labels, limits=limits)
        if not dropped.kept:
            raise DataError(
                explain(
                    "no frame passes the filter",
                    got=f"dropped: {dict(dropped.reasons)}",
                    wanted=">= 1 frame",
                )
            )

    write_frames(output, map(_without_stand_in, something()))
    return dropped


def _without_stand_in(frame: Frame) -> Frame:
    """Do not write the word that stands for no head."""
    return frame if frame.head != NO_HEAD else dataclasses.replace(frame, head="")


@dataclass(frozen=True, slots=True, kw_only=True)
class DivideSettings:
    """How files are divided.

    Attributes:
        by: what stays together: the "composition" (reduced formula), or the "group"
            (trajectory or system; the composition where a frame names none).
        validation_fraction: fraction of the groups for validation.
        test_fraction: fraction of the groups for the test.
        keep_in_train: patterns of config_type whose groups stay in training.
        seed: changes the draw.
        ending: kind of the files, ".xyz", ".xyz.gz" or ".h5".
    """

    by: Literal["composition", "group"] = "group"
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    keep_in_train: tuple[str, ...] = (ISOLATED_ATOM,)
    seed: int = 0
    ending: str = ".xyz.gz"

    def __post_init__(self) -> None:
        check(self.by in {"composition", "group"}, "split: by", self.by, "see --help")
        self.rule()

    def rule(self) -> SplitSettings:
        """Return the same as settings of a training run."""
        return SplitSettings(
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
            keep_in_train=self.keep_in_train,
            seed=self.seed,
        )


def split_files(
    paths: Sequence[Path],
    folder: Path,
    settings: DivideSettings,
    *,
    labels: LabelSettings | None = None,
    limits: ReaderLimits | None = None,
) -> dict[str, dict[str, Any]]:
    """Write train, validation and test files; no group is in two of them.

    The side of a group depends on its name, the fractions and the seed alone: frames
    that are added later move none.

    Returns:
        For each file that was written its path, frames and groups.

    Raises:
        DataError: a file or a frame is unusable.
        ConfigError: nothing would be held out, as all frames are of one group.
    """
    names, bounds = labels or LabelSettings(default_head=NO_HEAD), limits
    bounds = bounds or ReaderLimits()
    groups, kinds = [], []
    for _, frame in frames_of(paths, names, bounds):
        groups.append(hash64(group_name(frame, settings.by)))
        kinds.append(frame.config_type)
    words = sorted(set(kinds))
    kept = dict(zip(words, is_kept(words, settings.rule()), strict=True))
    hashes = np.array(groups, dtype=np.uint64)
    side = sides(
        hashes, settings.rule(), np.array([kept[k] for k in kinds], dtype=bool)
    )
    if not (side != TRAIN).any():
        raise ConfigError(
            explain(
                f"no {settings.by} can be held out",
                got=f"{len(set(groups))} of them in {len(groups)} frames",
                wanted="at least two beside those that stay in training",
                fix="name a key that tells trajectories apart with --group-key, or add "
                "other compositions",
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, number in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        own = side == number
        if own.any():
            path = folder / f"{name}{settings.ending}"
            source = frames_of(paths, names, bounds)
            frames = (
                _without_stand_in(frame)
                for (_, frame), mine in zip(source, own, strict=True)
                if mine
            )
            count = write_frames(path, frames)
            n_groups = len(np.unique(hashes[own]))
            written[name] = {"path": str(path), "frames": count, "groups": n_groups}
    return written
