"""Which frames a batch holds: shares per head, equal cost, the same after a restart.

The draw is a pure function of (seed, epoch): nothing has to be remembered but the
number of the epoch and of the batch in it.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from lamplighter.errors import ConfigError, explain
from lamplighter.train.config import SamplingSettings

FILL = 0.9
"""Fraction of `max_atoms` that an average batch may reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCost:
    """What the sampler has to know about a frame.

    Attributes:
        head: head of the frame.
        n_atoms: its atoms.
        n_pairs: its directed pairs, to which time and memory are proportional.
        label: how messages call it.
    """

    head: str
    n_atoms: int
    n_pairs: int
    label: str = ""


class HeadSampler:
    """Batches of frame indices with fixed shares of the heads.

    Within a head the frames come in shuffled passes: no frame comes twice before every
    other one of its head came once. The frames of an epoch are then dealt into batches
    of equal numbers of pairs.
    """

    def __init__(
        self,
        costs: Sequence[FrameCost],
        settings: SamplingSettings,
        *,
        quotas: dict[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare the draw.

        Args:
            costs: one entry per frame; batches hold indices into it.
            settings: sizes and mode.
            quotas: share of some heads, in any unit; the others share what their
                temperature weights give them, on the scale where the weights of all
                heads sum to the sum of the quotas (or 1).
            seed: changes the draw.

        Raises:
            ConfigError: a frame is larger than a batch may be, or a quota names a head
                without frames.
        """
        self._costs = list(costs)
        self._settings = settings
        self._seed = seed
        by_head: dict[str, list[int]] = {}
        for index, cost in enumerate(self._costs):
            by_head.setdefault(cost.head, []).append(index)
        self._frames = {head: np.array(own) for head, own in by_head.items()}
        self._check_sizes()
        self.shares = _shares(
            {head: len(f) for head, f in self._frames.items()},
            quotas or {},
            settings.temperature,
        )
        self.batch_frames = self._fitting_batch()
        self.steps_per_epoch = settings.steps_per_epoch or max(
            1, math.ceil(len(self._costs) / self.batch_frames)
        )

    def epoch(self, number: int) -> list[list[int]]:
        """Return the batches of an epoch, each a list of frame indices.

        There are `steps_per_epoch` of them, and more only when `max_atoms` does not
        leave room otherwise.
        """
        drawn: list[int] = []
        per_epoch = self.steps_per_epoch * self.batch_frames
        for head in sorted(self.shares):
            exact = self.shares[head] * per_epoch
            begin, end = int(exact * number + 0.5), int(exact * (number + 1) + 0.5)
            drawn += self._range(head, begin, end)
        return self._deal(drawn, number)

    def _range(self, head: str, begin: int, end: int) -> list[int]:
        """The frames at some positions of the endless sequence of shuffled passes."""
        frames = self._frames[head]
        drawn: list[int] = []
        while begin < end:
            turn, place = divmod(begin, len(frames))
            stop = min(len(frames), place + end - begin)
            order = self._rng("pass", head, turn).permutation(len(frames))
            drawn += frames[order[place:stop]].tolist()
            begin += stop - place
        return drawn

    def _deal(self, drawn: Sequence[int], number: int) -> list[list[int]]:
        """Largest first, each to the batch with the fewest pairs that has room."""
        rng = self._rng("deal", number)
        order = [drawn[k] for k in rng.permutation(len(drawn))]
        order.sort(key=lambda k: -self._costs[k].n_pairs)
        room = math.ceil(len(drawn) / self.steps_per_epoch)
        sizes = [self._costs[k].n_atoms for k in order]
        # The fewest atoms of any frame still to come: a batch with less room is closed.
        least = [*accumulate(reversed(sizes), min)][::-1]
        batches: list[list[int]] = [[] for _ in range(self.steps_per_epoch)]
        atoms = [0] * len(batches)
        open_ = [(0, b) for b in range(len(batches))]
        for k, size, smallest in zip(order, sizes, least, strict=True):
            most = self._settings.max_atoms - size
            load, best = self._emptiest(open_, atoms, most, size - smallest)
            if best == len(batches):
                batches.append([])
                atoms.append(0)
            batches[best].append(k)
            atoms[best] += size
            if len(batches[best]) < room:
                heapq.heappush(open_, (load + self._costs[k].n_pairs, best))
        filled = [batch for batch in batches if batch]
        return [filled[k] for k in rng.permutation(len(filled))]

    @staticmethod
    def _emptiest(
        open_: list[tuple[int, int]], atoms: Sequence[int], most: int, spare: int
    ) -> tuple[int, int]:
        """Take the batch with the fewest pairs that has at most `most` atoms.

        Batches with more than ``most + spare`` atoms are full for every frame to come
        and leave the heap. Without a fitting batch the answer is a new one.
        """
        passed: list[tuple[int, int]] = []
        found = (0, len(atoms))
        while open_:
            load, batch = heapq.heappop(open_)
            if atoms[batch] <= most:
                found = (load, batch)
                break
            if atoms[batch] <= most + spare:
                passed.append((load, batch))
        for entry in passed:
            heapq.heappush(open_, entry)
        return found

    def _rng(self, *key: object) -> np.random.Generator:
        text = ":".join(map(str, (self._seed, *key)))
        digest = hashlib.sha256(text.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))

    def _check_sizes(self) -> None:
        if not self._costs:
            raise ConfigError(explain("there is no frame to train on"))
        largest = max(self._costs, key=lambda c: c.n_atoms)
        if largest.n_atoms > self._settings.max_atoms:
            raise ConfigError(
                explain(
                    f"a frame is larger than a batch may be ({largest.label})",
                    got=f"{largest.n_atoms} atoms",
                    wanted=f"at most sampling.max_atoms = {self._settings.max_atoms}",
                    fix="raise sampling.max_atoms or remove the frame",
                )
            )

    def _fitting_batch(self) -> int:
        mean = sum(
            share * float(np.mean([self._costs[k].n_atoms for k in self._frames[head]]))
            for head, share in self.shares.items()
        )
        fitting = int(FILL * self._settings.max_atoms / mean)
        return max(1, min(self._settings.batch_frames, fitting))


def _shares(
    sizes: dict[str, int], quotas: dict[str, float], temperature: float
) -> dict[str, float]:
    """Return the share of each head, summing to 1."""
    unknown = sorted(set(quotas) - set(sizes))
    if unknown:
        raise ConfigError(
            explain(
                "a quota names a head without training frames",
                got=", ".join(unknown),
                wanted=f"one of {', '.join(sorted(sizes))}",
            )
        )
    raw = {head: size ** (1.0 / temperature) for head, size in sizes.items()}
    norm = sum(raw.values())
    scale = sum(quotas.values()) or 1.0
    open_share = sum(raw[h] for h in sizes if h not in quotas) / norm
    result = {}
    for head in sizes:
        if head in quotas:
            result[head] = quotas[head] / scale * (1.0 - open_share)
        else:
            result[head] = raw[head] / norm
    total = sum(result.values())
    return {head: share / total for head, share in result.items()}
