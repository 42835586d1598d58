"""The settings of a cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.setting_check import check


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How a cache is made; all of it is part of its fingerprint.

    Attributes:
        cutoff: range of the neighbour lists, Å; a potential may have a shorter one.
        head: head of frames that name none; all others must have it.
        level: level of theory of frames that name none; all others must have it.
        labels: names and units of the labels.
        limits: what is refused.
        dtype: of positions, forces and stress; neighbours belong to the rounded
            positions. Energies are always float64.
        duplicates: of two frames of a head with one uid (which is that of the geometry
            where a source names none), "refuse" both, or "drop" the second.
        bad_frames: "refuse" the file, or "drop" the frame and count it.
        group_by: what keeps frames on one side of a split: their "group" (and their
            composition, where they name none), or their "composition".
        shard_frames: most frames in a shard.
        shard_mib: size at which a shard is closed, MiB.
    """

    cutoff: float = 6.0
    head: str | None = None
    level: str | None = None
    labels: LabelSettings = field(default_factory=LabelSettings)
    limits: ReaderLimits = field(default_factory=ReaderLimits)
    dtype: Literal["float32", "float64"] = "float64"
    duplicates: Literal["refuse", "drop"] = "refuse"
    bad_frames: Literal["refuse", "drop"] = "refuse"
    group_by: Literal["group", "composition"] = "group"
    shard_frames: int = 8192
    shard_mib: int = 32

    def __post_init__(self) -> None:
        check(self.cutoff > 0, "cache: cutoff", self.cutoff, "more than 0 Å")
        check(self.shard_frames > 0, "cache: shard_frames", self.shard_frames, ">= 1")
        check(self.shard_mib > 0, "cache: shard_mib", self.shard_mib, "at least 1")
        for name, known in (
            ("dtype", ("float32", "float64")),
            ("duplicates", ("refuse", "drop")),
            ("bad_frames", ("refuse", "drop")),
            ("group_by", ("group", "composition")),
        ):
            value = getattr(self, name)
            check(value in known, f"cache: {name}", value, f"one of {', '.join(known)}")
