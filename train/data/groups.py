"""What belongs together: trajectories, compositions, geometries, as 64-bit numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt
from ase.formula import Formula

from lamplighter.train.config import SplitSettings
from lamplighter.train.data.frame import Frame, geometry_digest

Hashes = npt.NDArray[np.uint64]
TRAIN, VALIDATION, TEST = 0, 1, 2


def group_name(frame: Frame, by: str = "group") -> str:
    """Return what keeps a frame together with others.

    Args:
        frame: the frame.
        by: "group" takes the frame's group, and the composition where it names none;
            "composition" takes the reduced formula always.
    """
    if by == "group" and frame.group:
        return f"group:{frame.group}"
    counts = {
        int(z): int(n)
        for z, n in zip(*np.unique(frame.numbers, return_counts=True), strict=True)
    }
    divisor = int(np.gcd.reduce(list(counts.values())))
    return "composition:" + ",".join(f"{z}x{n // divisor}" for z, n in counts.items())


def hash64(text: str) -> int:
    """Return a number below 2^64 that names a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def digest64(frame: Frame) -> int:
    """Return a number below 2^64 that names the geometry, to 1e-6 Å."""
    return int(geometry_digest(frame.numbers, frame.positions, frame.cell), 16)


def fractions(groups: Hashes, seed: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each group that depends on it and `seed` alone.

    Source: the finaliser of SplitMix64, G. L. Steele, D. Lea, C. H. Flood, Fast
    splittable pseudorandom number generators, OOPSLA 2014.
    """
    start = np.uint64(hash64(f"split:{seed}"))
    with np.errstate(over="ignore"):
        z = groups ^ start
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) / 2.0**53)


def sides(
    groups: Hashes, settings: SplitSettings, kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int8]:
    """Return the side of each frame; all frames of a group are on one side.

    A group is held out when its fraction says so, and it has no frame that is kept in
    training. Nothing but the group and the seed decides: more data or another order of
    them move no group. Where that leaves no group for validation although it should,
    the one with the smallest fraction is taken, unless it is the last.

    Args:
        groups: group of each frame.
        settings: fractions and seed.
        kept: frames that must stay in training, with their groups.
    """
    values = fractions(groups, settings.seed)
    edges = np.cumsum([settings.validation_fraction, settings.test_fraction])
    result = np.full(len(groups), TRAIN, dtype=np.int8)
    result[values < edges[1]] = TEST
    result[values < edges[0]] = VALIDATION
    free = ~np.isin(groups, np.unique(groups[kept])) if kept.any() else ~kept
    result[~free] = TRAIN
    if settings.validation_fraction > 0 and not (result == VALIDATION).any():
        learnt = free & (result == TRAIN)
        if len(np.unique(groups[learnt])) > 1:
            first = groups[learnt][np.argmin(values[learnt])]
            result[groups == first] = VALIDATION
    return result


def is_kept(config_types: Sequence[str], settings: SplitSettings) -> list[bool]:
    """Whether each config_type is never held out."""
    return [
        any(fnmatchcase(name, pattern) for pattern in settings.keep_in_train)
        for name in config_types
    ]


class SeenHashes:
    """A set of 64-bit numbers in eight bytes each."""

    def __init__(self) -> None:
        """Begin empty."""
        self._sorted: Hashes = np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def add(self, value: int) -> bool:
        """Remember a number; return whether it is new."""
        if value in self._recent or self._holds(value):
            return False
        self._recent.add(value)
        if len(self._recent) >= max(2**16, len(self._sorted) // 8):
            self.extend(np.empty(0, dtype=np.uint64))
        return True

    def extend(self, values: Hashes) -> None:
        """Remember many numbers."""
        recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
        self._sorted = np.union1d(self._sorted, np.concatenate([recent, values]))
        self._recent.clear()

    def _holds(self, value: int) -> bool:
        place = int(np.searchsorted(self._sorted, np.uint64(value)))
        return place < len(self._sorted) and int(self._sorted[place]) == value


def formula(frame: Frame) -> str:
    """Return the chemical formula in Hill's order."""
    symbols = frame.atoms().get_chemical_symbols()
    return Formula.from_list(symbols).format("hill")


def element_bits(frame: Frame) -> tuple[int, int]:
    """Return the elements as bits: of 1 to 63, and of 64 and above."""
    bits = 0
    for z in np.unique(frame.numbers):
        bits |= 1 << int(z)
    return bits & (2**64 - 1), bits >> 64
