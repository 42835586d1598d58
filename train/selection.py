"""Which weights of a run are kept: a declared rule over all heads."""

from __future__ import annotations

from collections.abc import Mapping

from lamplighter.train.config import RunSettings
from lamplighter.train.errors_table import ErrorRow


def head_score(row: ErrorRow, settings: RunSettings) -> float:
    """Return the score of a head: 1 where energy and forces just meet their targets.

    Half of (force RMSE / RMS force / `force_target`) plus half of (energy RMSE /
    `energy_target`); a head without forces counts its energy alone.
    """
    energy = 1e-3 * row.energy_rmse / settings.energy_target
    if row.force_percent is None:
        return energy
    return 0.5 * (energy + 0.01 * row.force_percent / settings.force_target)


def total_score(rows: Mapping[str, ErrorRow], settings: RunSettings) -> float:
    """Return the mean over the heads, or the worst, as `settings.selection` says."""
    scores = [head_score(row, settings) for row in rows.values()]
    if settings.selection == "worst":
        return max(scores)
    return sum(scores) / len(scores)
