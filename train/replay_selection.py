"""Which frames of a large set are replayed: deterministic, and free of file order.

Every method gives what it promises or raises; none falls back to another one, and none
fills up with other frames.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lamplighter.errors import ConfigError, explain
from lamplighter.model import Potential
from lamplighter.train.data.cache import CachedFrames
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.groups import Hashes, digest64, fractions
from lamplighter.train.data.streaming import JoinedFrames, parts_of, sampled
from lamplighter.train.data.streaming import elements_of as symbols_of
from lamplighter.train.finetune_config import Relevance, ReplaySettings
from lamplighter.train.structure_space import (
    StructureSpace,
    Vectors,
    structure_vectors,
)

MIDDLE_OF = 256
"""Structures from which the first of the farthest points is in the middle."""


def select_frames(
    frames: Sequence[Frame],
    settings: ReplaySettings,
    *,
    new: Sequence[Frame] = (),
    potential: Potential | None = None,
) -> Sequence[Frame]:
    """Return the frames to replay, at most ``settings.max_frames``, in file order.

    Those of a cache stay on the disk where all are replayed, and with the method
    "random"; any other choice is made among ``settings.candidates`` of them.

    Args:
        frames: candidates, of one head.
        settings: number, method, relevance, seed.
        new: frames of the new data; their elements are relevant.
        potential: whose invariants the method "fps" compares.

    Raises:
        ConfigError: no candidate is relevant, "elements" cannot cover the elements with
            so few frames, or "fps" without a potential.
    """
    wanted = elements_of(new)
    pool = relevant(frames, settings.relevance, wanted)
    limit = settings.max_frames
    if limit <= 0 or len(pool) <= limit:
        return pool
    cached = any(isinstance(part, CachedFrames) for part in parts_of(pool))
    if settings.selection == "random" and cached:
        return _at_random(pool, limit, settings.seed)
    pool = sampled(pool, max(settings.candidates, limit))
    ordered = sorted(pool, key=lambda f: (_hash(f.uid, settings.seed), f.uid))
    if settings.selection == "fps":
        chosen = _farthest(ordered, limit, _needed(potential))
    elif settings.selection == "elements":
        chosen = _covering(ordered, limit, wanted)
    elif settings.selection == "kinds":
        chosen = _taking_turns(ordered, limit)
    else:
        chosen = ordered[:limit]
    kept = {id(f) for f in chosen}
    return tuple(f for f in pool if id(f) in kept)


def elements_of(frames: Sequence[Frame]) -> frozenset[int]:
    """Return the atomic numbers in some frames."""
    return frozenset(atomic_numbers[symbol] for symbol in symbols_of(frames))


def relevant(
    frames: Sequence[Frame], relevance: Relevance, wanted: frozenset[int]
) -> Sequence[Frame]:
    """Return the frames that share elements with the new data as `relevance` says.

    Frames of caches are not read.

    Raises:
        ConfigError: none does.
    """
    own = {chemical_symbols[z] for z in wanted}
    found = JoinedFrames([_relevant(p, relevance, own) for p in parts_of(frames)])
    if not found:
        raise ConfigError(
            explain(
                "no frame may be replayed",
                got=f"{len(frames)} frames, replay.relevance: {relevance}",
                wanted=f"frames with {symbols(wanted)}",
                fix="replay other data, or set relevance: any",
            )
        )
    return found


def _relevant(
    frames: Sequence[Frame], relevance: Relevance, wanted: set[str]
) -> Sequence[Frame]:
    if relevance == "any":
        return frames
    if isinstance(frames, CachedFrames):
        shared = relevance == "shared"
        return frames.having(wanted) if shared else frames.within(wanted)
    if relevance == "shared":
        return [f for f in frames if symbols_of([f]) & wanted]
    return [f for f in frames if symbols_of([f]) <= wanted]


def symbols(numbers: frozenset[int]) -> str:
    """Return atomic numbers as chemical symbols for messages."""
    return ", ".join(chemical_symbols[z] for z in sorted(numbers)) or "no element"


def _hash(uid: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:replay:{uid}".encode()).hexdigest()


def _at_random(pool: Sequence[Frame], limit: int, seed: int) -> Sequence[Frame]:
    """Return the frames whose geometries have the smallest numbers drawn by `seed`."""
    parts = parts_of(pool)
    drawn = [fractions(_digests(part), seed) for part in parts]
    chosen = np.zeros(len(pool), dtype=bool)
    chosen[np.argsort(np.concatenate(drawn), kind="stable")[:limit]] = True
    masks = np.split(chosen, np.cumsum([len(part) for part in parts])[:-1])
    return JoinedFrames(
        [
            part.where(mask)
            if isinstance(part, CachedFrames)
            else [f for f, taken in zip(part, mask, strict=True) if taken]
            for part, mask in zip(parts, masks, strict=True)
        ]
    )


def _digests(frames: Sequence[Frame]) -> Hashes:
    if isinstance(frames, CachedFrames):
        return np.asarray(frames.column("digest"))
    return np.array([digest64(f) for f in frames], dtype=np.uint64)


def _taking_turns(ordered: Sequence[Frame], limit: int) -> list[Frame]:
    """The config types take turns."""
    by_type: dict[str, list[Frame]] = defaultdict(list)
    for frame in ordered:
        by_type[frame.config_type].append(frame)
    turns = zip_longest(*(by_type[name] for name in sorted(by_type)))
    return [frame for turn in turns for frame in turn if frame is not None][:limit]


def _covering(
    ordered: Sequence[Frame], limit: int, wanted: frozenset[int]
) -> list[Frame]:
    """The element with the fewest chosen frames gets the next one.

    Elements of the new data come first, and so do frames of which a larger part of the
    elements belongs to the new data.
    """
    own = {id(f): elements_of([f]) for f in ordered}
    ranked = sorted(ordered, key=lambda f: -len(own[id(f)] & wanted) / len(own[id(f)]))
    waiting: dict[int, list[Frame]] = defaultdict(list)
    for frame in reversed(ranked):
        for z in own[id(frame)]:
            waiting[z].append(frame)
    counts = dict.fromkeys(sorted(waiting), 0)
    chosen: dict[int, Frame] = {}
    while len(chosen) < limit:
        open_ = [z for z in counts if waiting[z]]
        z = min(open_, key=lambda z: (counts[z], z not in wanted, z))
        frame = waiting[z].pop()
        if id(frame) in chosen:
            continue
        chosen[id(frame)] = frame
        for other in own[id(frame)]:
            counts[other] += 1
    _check_cover(counts, limit)
    return list(chosen.values())


def _check_cover(counts: dict[int, int], limit: int) -> None:
    bare = frozenset(z for z, count in counts.items() if count == 0)
    if bare:
        raise ConfigError(
            explain(
                "replay.max_frames is too small to cover every element",
                got=f"{limit} frames, none with {symbols(bare)}",
                fix="raise replay.max_frames, or set replay.relevance: shared",
            )
        )


def _needed(potential: Potential | None) -> Potential:
    if potential is None:
        raise ConfigError(
            explain(
                "farthest points need a potential for the descriptors",
                fix="name a model, or choose another selection",
            )
        )
    return potential


def _farthest(
    ordered: Sequence[Frame], limit: int, potential: Potential
) -> list[Frame]:
    """Always the frame that is farthest from those chosen so far.

    The first one is in the middle.
    """
    vectors = structure_vectors(potential, ordered)
    space = StructureSpace(vectors)
    chosen = [_middle(space, vectors)]
    nearest = space.squared_distances(vectors[chosen[0]])
    nearest[chosen[0]] = -1.0
    while len(chosen) < limit:
        k = int(np.argmax(nearest))
        chosen.append(k)
        nearest = np.minimum(nearest, space.squared_distances(vectors[k]))
        nearest[chosen] = -1.0
    return [ordered[k] for k in chosen]


def _middle(space: StructureSpace, vectors: Sequence[Vectors]) -> int:
    """The structure with the smallest sum of distances to some of the others."""
    total = sum(np.sqrt(space.squared_distances(v)) for v in vectors[:MIDDLE_OF])
    return int(np.argmin(total))
