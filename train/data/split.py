"""Which geometries are held out: the same for every head, and for every machine."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
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


def split_frames(
    frames: Sequence[Frame],
    settings: SplitSettings,
    *,
    fixed: Split | None = None,
) -> Split:
    """Return `frames` divided by geometry (uid), stratified by config_type.

    Within a config_type the geometries are ordered by a hash of their uid and the first
    ones are held out. The number is the fraction of the stratum, rounded up or down by
    a hash of its name so that small strata are not all rounded the same way. No count
    or order of other config types matters.

    Args:
        frames: frames of all heads together.
        settings: fractions and exceptions.
        fixed: frames divided before; a geometry that they hold stays on its side.
    """
    known = fixed or Split(train=(), validation=(), test=())
    validation = {f.uid for f in known.validation}
    test = {f.uid for f in known.test}
    decided = validation | test | {f.uid for f in known.train}
    strata: dict[str, set[str]] = defaultdict(set)
    for frame in frames:
        if frame.uid not in decided:
            strata[frame.config_type].add(frame.uid)
    for name, uids in strata.items():
        if len(uids) >= settings.min_stratum and not _is_kept(name, settings):
            _draw(name, uids, settings, validation, test)
    # A geometry may be of another kind in another head, and so be drawn twice.
    validation -= test
    _top_up(frames, settings, decided | test, validation)
    _keep_elements(frames, decided, validation, test)
    return Split(
        train=tuple(f for f in frames if f.uid not in validation | test),
        validation=tuple(f for f in frames if f.uid in validation),
        test=tuple(f for f in frames if f.uid in test),
    )


def _draw(
    name: str,
    uids: set[str],
    settings: SplitSettings,
    validation: set[str],
    test: set[str],
) -> None:
    """Move a part of a stratum into `validation` and `test`."""
    seed = settings.seed
    order = _shuffled(uids, seed)
    n_test = _count(settings.test_fraction, len(order), seed, f"t:{name}")
    n_validation = _count(settings.validation_fraction, len(order), seed, f"v:{name}")
    n_validation = max(min(n_validation, len(order) - n_test - 1), 0)
    test.update(order[:n_test])
    validation.update(order[n_test : n_test + n_validation])


def _top_up(
    frames: Sequence[Frame],
    settings: SplitSettings,
    decided: set[str],
    validation: set[str],
) -> None:
    """Hold out more geometries of heads that would be judged on too few."""
    if settings.validation_fraction == 0:
        return
    for head in dict.fromkeys(f.head for f in frames):
        eligible = {
            f.uid
            for f in frames
            if f.head == head and not _is_kept(f.config_type, settings)
        }
        wanted = min(settings.min_validation, len(eligible) // 4)
        missing = wanted - len(eligible & validation)
        free = _shuffled(eligible - validation - decided, settings.seed)
        validation.update(free[: max(missing, 0)])


def _keep_elements(
    frames: Sequence[Frame], decided: set[str], validation: set[str], test: set[str]
) -> None:
    """Take back geometries with the only training atoms of an element of a head."""
    for head in dict.fromkeys(f.head for f in frames):
        own = [f for f in frames if f.head == head]
        held = validation | test
        known = {int(z) for f in own if f.uid not in held for z in f.numbers}
        for frame in own:
            elements = {int(z) for z in frame.numbers}
            if frame.uid in held - decided and not elements <= known:
                known |= elements
                validation.discard(frame.uid)
                test.discard(frame.uid)


def _is_kept(name: str, settings: SplitSettings) -> bool:
    """Whether a config_type is never held out."""
    return any(fnmatchcase(name, pattern) for pattern in settings.keep_in_train)


def _shuffled(uids: set[str], seed: int) -> list[str]:
    return sorted(uids, key=lambda uid: _fraction(seed, "uid", uid))


def _count(fraction: float, size: int, seed: int, name: str) -> int:
    """The integer part of fraction * size, and one more with the rest's probability."""
    exact = fraction * size
    whole = int(exact)
    return min(whole + (_fraction(seed, "stratum", name) < exact - whole), size - 1)


def _fraction(seed: int, kind: str, text: str) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    digest = hashlib.sha256(f"{seed}:{kind}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64
