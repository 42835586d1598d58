"""What keeps the old heads in place: their share of a batch, a limit on the drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lamplighter.train.config import SamplingSettings
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.finetune_config import FinetuneConfig, ReplaySettings


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
    fraction = config.replay_fraction
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
    """Accepts weights only while the old heads stay near where they were.

    Attributes:
        patience: refused validations in a row that end the run.
        beyond: the heads beyond a limit at the last validation.
    """

    name = "drift"

    def __init__(
        self, before: Mapping[str, ErrorRow], settings: ReplaySettings
    ) -> None:
        """Compare with the validation errors of the old heads before the run."""
        self._before = dict(before)
        self._settings = settings
        self.patience = settings.patience
        self.beyond: tuple[str, ...] = ()

    def accepts(self, rows: Mapping[str, ErrorRow]) -> bool:
        """Whether no old head has drifted beyond a limit; `beyond` names those."""
        self.beyond = tuple(
            name
            for name, row in self._before.items()
            if name in rows and drift_verdict(row, rows[name], self._settings)["beyond"]
        )
        return not self.beyond

    def allowed(self) -> dict[str, tuple[float | None, float]]:
        """Return the largest force error (%) and energy RMSE (meV/atom) of each head.

        The force error is None for a head without one.
        """
        share, settings = self._settings.relative_drift, self._settings
        return {
            name: (
                None
                if row.force_percent is None
                else (1.0 + share) * row.force_percent + 100.0 * settings.drift_limit,
                (1.0 + share) * row.energy_rmse + 1e3 * settings.energy_drift_limit,
            )
            for name, row in self._before.items()
        }


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
    allowed = 1e3 * settings.energy_drift_limit + share * before.energy_rmse
    beyond = not energy <= allowed  # so that a NaN is beyond
    if force is not None and before.force_percent is not None:
        allowed = 100.0 * settings.drift_limit + share * before.force_percent
        beyond = beyond or not force <= allowed
    return {"force_percent": force, "energy_rmse": energy, "beyond": beyond}
