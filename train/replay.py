"""What keeps the old heads in place: replay frames, shares, a limit on the drift."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from lamplighter.train.config import SamplingSettings
from lamplighter.train.data.frame import Frame
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.finetune_config import FinetuneConfig, ReplaySettings


def choose_frames(
    frames: Sequence[Frame], limit: int, *, seed: int = 0
) -> tuple[Frame, ...]:
    """Return at most `limit` frames, spread over the config types.

    The types take turns, and within a type a hash of the uid gives the order: the
    choice does not depend on the order of the files. 0 takes all frames.
    """
    if limit <= 0 or len(frames) <= limit:
        return tuple(frames)
    by_type: dict[str, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda f: _hash(f.uid, seed)):
        by_type[frame.config_type].append(frame)
    turns = zip_longest(*(by_type[name] for name in sorted(by_type)))
    chosen = [frame for turn in turns for frame in turn if frame is not None][:limit]
    wanted = {f.uid for f in chosen}
    return tuple(f for f in frames if f.uid in wanted)


def _hash(uid: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:replay:{uid}".encode()).hexdigest()


def replay_quotas(
    config: FinetuneConfig, counts: Mapping[str, int], sampling: SamplingSettings
) -> dict[str, float]:
    """Return the share of every head in a batch, summing to 1.

    The old heads together have ``replay.fraction``; within old and new heads the shares
    follow the quotas, and where none is given the number of frames to the power of
    1/temperature.

    Args:
        config: heads and fraction.
        counts: training frames of each head.
        sampling: temperature.
    """
    fraction = config.replay.fraction if config.replay_heads else 0.0
    shares: dict[str, float] = {}
    for group, share in ((config.replay_heads, fraction), (config.heads, 1 - fraction)):
        raw = {
            h.name: h.quota
            if h.quota is not None
            else counts[h.name] ** (1.0 / sampling.temperature)
            for h in group
        }
        total = sum(raw.values())
        shares |= {name: share * value / total for name, value in raw.items()}
    return {name: share for name, share in shares.items() if share > 0}


class DriftGuard:
    """Accepts weights only while the old heads stay near where they were."""

    name = "drift"

    def __init__(
        self, before: Mapping[str, ErrorRow], settings: ReplaySettings
    ) -> None:
        """Compare with the validation errors of the old heads before the run."""
        self._before = dict(before)
        self._settings = settings
        self.patience = settings.patience

    def accepts(self, rows: Mapping[str, ErrorRow]) -> bool:
        """Whether no old head has drifted beyond a limit."""
        return not any(
            drift_verdict(row, rows[name], self._settings)["beyond"]
            for name, row in self._before.items()
            if name in rows
        )


def drift_verdict(
    before: ErrorRow, after: ErrorRow, settings: ReplaySettings
) -> dict[str, Any]:
    """Return how far a head moved, and whether that is beyond a limit.

    Returns:
        ``force_percent``: growth of the force RMSE in percent points of the RMS force
        (None without forces); ``energy_rmse``: growth in meV/atom; ``beyond``.
    """
    share = settings.relative_drift
    energy = after.energy_rmse - before.energy_rmse
    force = None
    if after.force_percent is not None and before.force_percent is not None:
        force = after.force_percent - before.force_percent
    beyond = energy > 1e3 * settings.energy_drift_limit + share * before.energy_rmse
    if force is not None and before.force_percent is not None:
        allowed = 100.0 * settings.drift_limit + share * before.force_percent
        beyond = beyond or force > allowed
    return {"force_percent": force, "energy_rmse": energy, "beyond": beyond}
