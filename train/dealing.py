"""Frames dealt into batches, and batches into parts, of about equal cost."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from lamplighter.train.config import SamplingSettings


class Batches:
    """Batches being filled; a heap knows the one with the fewest pairs.

    Attributes:
        frames: indices of the frames of each batch.
    """

    def __init__(self, n_batches: int, settings: SamplingSettings) -> None:
        """Begin with `n_batches` empty ones, bounded as the settings say."""
        self.frames: list[list[int]] = [[] for _ in range(n_batches)]
        self._atoms = [0] * n_batches
        self._open = [(0, b) for b in range(n_batches)]
        self._max_atoms = settings.max_atoms
        self._max_pairs = settings.max_pairs

    def add(
        self, frame: int, n_atoms: int, n_pairs: int, *, fewest: int, room: int
    ) -> None:
        """Put a frame into the batch with the fewest pairs that has room, or a new one.

        Frames come with ever fewer pairs. No frame to come has fewer than `fewest`
        atoms; a batch holds at most `room` frames.
        """
        load, best = self._emptiest(n_atoms, n_pairs, fewest)
        if best == len(self.frames):
            self.frames.append([])
            self._atoms.append(0)
        self.frames[best].append(frame)
        self._atoms[best] += n_atoms
        if len(self.frames[best]) < room:
            heapq.heappush(self._open, (load + n_pairs, best))

    def _emptiest(self, n_atoms: int, n_pairs: int, fewest: int) -> tuple[int, int]:
        """Take the fitting batch with the fewest pairs, or name a new one.

        Batches that have no room for any frame to come leave the heap.
        """
        passed: list[tuple[int, int]] = []
        found = (0, len(self.frames))
        limit = math.inf if self._max_pairs is None else self._max_pairs
        while self._open and self._open[0][0] + n_pairs <= limit:
            load, batch = heapq.heappop(self._open)
            if self._atoms[batch] + n_atoms <= self._max_atoms:
                found = (load, batch)
                break
            if self._atoms[batch] + fewest <= self._max_atoms:
                passed.append((load, batch))
        for entry in passed:
            heapq.heappush(self._open, entry)
        return found


def deal_parts(
    batch: Sequence[int], pairs: Sequence[int], n_parts: int
) -> list[list[int]]:
    """Return a batch in `n_parts` parts of about equal numbers of pairs.

    Args:
        batch: frame indices.
        pairs: directed pairs of each of them.
        n_parts: number of parts; some are empty where there are fewer frames.
    """
    if n_parts == 1:
        return [list(batch)]
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    load = [(0, part) for part in range(n_parts)]
    for k in sorted(range(len(batch)), key=lambda k: -pairs[k]):
        pairs_of, part = heapq.heappop(load)
        parts[part].append(batch[k])
        heapq.heappush(load, (pairs_of + int(pairs[k]), part))
    return parts
