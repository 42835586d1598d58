"""Which frames a batch holds: shares per head, equal cost, the same after a restart.

The draw is a pure function of (seed, epoch, window): nothing has to be remembered but
the number of the epoch, of the window in it, and of the batch in that. A window is some
hundred batches, so that neither time nor memory grows with an epoch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamplighter.errors import ConfigError, explain
from lamplighter.train.config import SamplingSettings
from lamplighter.train.dealing import Batches

Integers = NDArray[np.integer]

FILL = 0.9
"""Fraction of `max_atoms` and `max_pairs` that an average batch may reach."""

WINDOW = 512
"""Batches that are dealt together."""


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


def _numbered(index: int) -> str:
    return f"frame {index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCosts:
    """The costs of many frames, as arrays.

    Attributes:
        heads: names of the heads.
        head: [n_frames], index into `heads`.
        n_atoms: [n_frames], atoms.
        n_pairs: [n_frames], directed pairs.
        label: how messages call the frame of an index.
    """

    heads: tuple[str, ...]
    head: Integers
    n_atoms: Integers
    n_pairs: Integers
    label: Callable[[int], str] = _numbered

    @classmethod
    def of(cls, costs: Sequence[FrameCost]) -> FrameCosts:
        """Return the arrays of single costs."""
        heads = tuple(dict.fromkeys(cost.head for cost in costs))
        index = {head: k for k, head in enumerate(heads)}
        return cls(
            heads=heads,
            head=np.array([index[c.head] for c in costs], dtype=np.int32),
            n_atoms=np.array([c.n_atoms for c in costs], dtype=np.int64),
            n_pairs=np.array([c.n_pairs for c in costs], dtype=np.int64),
            label=lambda k: costs[k].label,
        )

    def __len__(self) -> int:
        return len(self.head)


class HeadSampler:
    """Batches of frame indices with fixed shares of the heads.

    Within a head the frames come in shuffled passes: no frame comes twice before every
    other one of its head came once. The frames of a window are then dealt into batches
    of equal numbers of pairs.

    Attributes:
        shares: share of each head in the frames that are drawn; they sum to 1.
        batch_frames: frames in a batch, on average.
        steps_per_epoch: batches in an epoch, unless a limit asks for more.
        windows_per_epoch: windows in an epoch.
        costs: costs of the frames.
    """

    def __init__(
        self,
        costs: Sequence[FrameCost] | FrameCosts,
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
        self.costs = costs if isinstance(costs, FrameCosts) else FrameCosts.of(costs)
        self._settings = settings
        self._seed = seed
        self._check_sizes()
        frames = {
            head: np.flatnonzero(self.costs.head == k)
            for k, head in enumerate(self.costs.heads)
        }
        self._frames = {head: own for head, own in frames.items() if len(own)}
        self._passes: dict[str, tuple[int, Integers]] = {}
        self.shares = _shares(
            {head: len(f) for head, f in self._frames.items()},
            quotas or {},
            settings.temperature,
        )
        self.batch_frames = self._fitting_batch()
        self.steps_per_epoch = settings.steps_per_epoch or max(
            1, math.ceil(len(self.costs) / self.batch_frames)
        )
        self.windows_per_epoch = math.ceil(self.steps_per_epoch / WINDOW)

    def epoch(self, number: int) -> list[list[int]]:
        """Return the batches of an epoch, each a list of frame indices.

        There are `steps_per_epoch` of them, and more only when `max_atoms` and
        `max_pairs` do not leave room otherwise.
        """
        windows = (self.window(number, w) for w in range(self.windows_per_epoch))
        return [batch for window in windows for batch in window]

    def window(self, number: int, window: int) -> list[list[int]]:
        """Return the batches of one window of an epoch."""
        first = window * WINDOW
        last = min(first + WINDOW, self.steps_per_epoch)
        parts = [
            self._range(
                head,
                self._position(head, number, first),
                self._position(head, number, last),
            )
            for head in sorted(self.shares)
        ]
        key = (
            ("deal", number, window) if self.windows_per_epoch > 1 else ("deal", number)
        )
        return self._deal(np.concatenate(parts), last - first, self._rng(*key))

    def _position(self, head: str, number: int, step: int) -> int:
        """Return how many frames of a head are drawn before a step of an epoch."""
        if step == self.steps_per_epoch:
            number, step = number + 1, 0
        exact = self.shares[head] * (self.steps_per_epoch * self.batch_frames)
        return int(exact * number + self.shares[head] * self.batch_frames * step + 0.5)

    def _range(self, head: str, begin: int, end: int) -> Integers:
        """The frames at some positions of the endless sequence of shuffled passes."""
        frames = self._frames[head]
        drawn: list[Integers] = [frames[:0]]
        while begin < end:
            turn, place = divmod(begin, len(frames))
            stop = min(len(frames), place + end - begin)
            drawn.append(frames[self._pass(head, turn)[place:stop]])
            begin += stop - place
        return np.concatenate(drawn)

    def _pass(self, head: str, turn: int) -> Integers:
        """The order of a head's frames in a pass; the latest one is remembered."""
        known = self._passes.get(head)
        if known is None or known[0] != turn:
            order = self._rng("pass", head, turn).permutation(len(self._frames[head]))
            known = turn, order.astype(np.int32)
            self._passes[head] = known
        return known[1]

    def _deal(
        self, drawn: Integers, n_batches: int, rng: np.random.Generator
    ) -> list[list[int]]:
        """Largest first, each to the batch with the fewest pairs that has room."""
        order = drawn[rng.permutation(len(drawn))]
        order = order[np.argsort(-self.costs.n_pairs[order], kind="stable")]
        room = math.ceil(len(drawn) / n_batches)
        atoms, pairs = self.costs.n_atoms[order], self.costs.n_pairs[order]
        # The fewest atoms of any frame still to come: a batch with less room is closed.
        least = np.minimum.accumulate(atoms[::-1])[::-1]
        batches = Batches(n_batches, self._settings)
        for frame, n_atoms, n_pairs, fewest in zip(
            order.tolist(), atoms.tolist(), pairs.tolist(), least.tolist(), strict=True
        ):
            batches.add(frame, n_atoms, n_pairs, fewest=fewest, room=room)
        filled = [batch for batch in batches.frames if batch]
        return [filled[k] for k in rng.permutation(len(filled))]

    def _rng(self, *key: object) -> np.random.Generator:
        text = ":".join(map(str, (self._seed, *key)))
        digest = hashlib.sha256(text.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))

    def _check_sizes(self) -> None:
        if not len(self.costs):
            raise ConfigError(explain("there is no frame to train on"))
        for unit, sizes, limit in (
            ("atoms", self.costs.n_atoms, self._settings.max_atoms),
            ("pairs", self.costs.n_pairs, self._settings.max_pairs),
        ):
            largest = int(sizes.argmax())
            if limit is None or sizes[largest] <= limit:
                continue
            raise ConfigError(
                explain(
                    "a frame is larger than a batch may be "
                    f"({self.costs.label(largest)})",
                    got=f"{sizes[largest]} {unit}",
                    wanted=f"at most sampling.max_{unit} = {limit}",
                    fix=f"raise sampling.max_{unit} or remove the frame",
                )
            )

    def _fitting_batch(self) -> int:
        fitting = self._settings.batch_frames
        for sizes, limit in (
            (self.costs.n_atoms, self._settings.max_atoms),
            (self.costs.n_pairs, self._settings.max_pairs),
        ):
            mean = sum(
                share * float(np.mean(sizes[self._frames[head]]))
                for head, share in self.shares.items()
            )
            if limit is not None and mean > 0:
                fitting = min(fitting, int(FILL * limit / mean))
        return max(1, fitting)


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
