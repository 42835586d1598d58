"""Which geometries are held out: the same for every head, and for every machine."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lamplighter.train.config import SplitSettings
from lamplighter.train.data.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Frames by use.

    Attributes:
        train: frames to learn from.
        validation: frames that choose the weights.
        test: frames that are only judged at the end.
    """

    train: tuple[Frame, ...]
    validation: tuple[Frame, ...]
    test: tuple[Frame, ...]


def split_frames(frames: Sequence[Frame], settings: SplitSettings) -> Split:
    """Return `frames` divided by geometry (uid), stratified by config_type.

    Within a config_type the geometries are ordered by a hash of their uid and the first
    ones are held out. The number is the fraction of the stratum, rounded up or down by a
    hash of its name so that small strata are not all rounded the same way. No count or
    order of other config types matters.
    """
    strata: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        strata[frame.config_type].add(frame.uid)
    validation: set[str] = set()
    test: set[str] = set()
    for name, uids in strata.items():
        if len(uids) < settings.min_stratum or is_any(name, settings.keep_in_train):
            continue
        order = sorted(uids, key=lambda uid: _fraction(settings.seed, "uid", uid))
        n_test = _count(settings.test_fraction, len(order), settings.seed, f"t:{name}")
        n_validation = _count(
            settings.validation_fraction, len(order), settings.seed, f"v:{name}"
        )
        n_validation = min(n_validation, len(order) - n_test - 1)
        test.update(order[:n_test])
        validation.update(order[n_test : n_test + max(n_validation, 0)])
    return Split(
        train=tuple(f for f in frames if f.uid not in validation | test),
        validation=tuple(f for f in frames if f.uid in validation),
        test=tuple(f for f in frames if f.uid in test),
    )


def is_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a config_type matches one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _count(fraction: float, size: int, seed: int, name: str) -> int:
    """The integer part of fraction * size, and one more with the rest's probability."""
    exact = fraction * size
    whole = int(exact)
    return min(whole + (_fraction(seed, "stratum", name) < exact - whole), size - 1)


def _fraction(seed: int, kind: str, text: str) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    digest = hashlib.sha256(f"{seed}:{kind}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64
