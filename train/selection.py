"""Which weights of a run are kept: a declared rule over all heads."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from lamplighter.errors import ConfigError, explain
from lamplighter.train.config import RunSettings
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.stopping import TrainingDivergedError


def head_score(
    row: ErrorRow, settings: RunSettings, learnt: Collection[str] = ()
) -> float:
    """Return the score of a head: 1 where energy and forces just meet their targets.

    Half of (force RMSE / RMS force / `force_target`) plus half of (energy RMSE /
    `energy_target`); a head without forces counts its energy alone.

    Args:
        row: validation errors of the head.
        settings: targets.
        learnt: labels that the head is trained on; where energy or forces are among
            them, the other one does not count unless it is too.
    """
    found = {"energy": 1e-3 * row.energy_rmse / settings.energy_target}
    if row.force_percent is not None:
        found["forces"] = 0.01 * row.force_percent / settings.force_target
    counted = [x for name, x in found.items() if name in learnt] or [*found.values()]
    return sum(counted) / len(counted)


def head_weight(head: str, settings: RunSettings) -> float:
    """Return what a head counts: that of the first pattern that fits; 0 if none does.

    Without patterns every head counts 1.
    """
    patterns = settings.selection_heads
    if not patterns:
        return 1.0
    return next((w for p, w in patterns.items() if fnmatchcase(head, p)), 0.0)


def check_patterns(settings: RunSettings, heads: Collection[str]) -> None:
    """Refuse a pattern of `selection_heads` that fits no head with validation frames.

    Raises:
        ConfigError: as above.
    """
    for pattern in settings.selection_heads:
        if not any(fnmatchcase(head, pattern) for head in heads):
            raise ConfigError(
                explain(
                    "run.selection_heads names a head that is not validated",
                    got=repr(pattern),
                    wanted=f"patterns that fit among {', '.join(sorted(heads))}",
                )
            )


def total_score(scores: Mapping[str, float], settings: RunSettings) -> float:
    """Return the mean over the heads, or the worst, as `settings.selection` says.

    Heads count by [`head_weight`][]: as weights in the mean, as factors for the worst.
    """
    weighted = [(head_weight(head, settings), score) for head, score in scores.items()]
    if settings.selection == "worst":
        return max(weight * score for weight, score in weighted)
    total = sum(weight for weight, _ in weighted)
    return sum(weight * score for weight, score in weighted) / total


def check_scores(scores: Mapping[str, float], *, step: int, kept: object) -> None:
    """Refuse scores that are not finite: they would never be the best, nor said so.

    Args:
        scores: of the heads that choose the weights.
        step: steps done.
        kept: where the last good state is.

    Raises:
        TrainingDivergedError: as above.
    """
    bad = [head for head, score in scores.items() if not math.isfinite(score)]
    if bad:
        raise TrainingDivergedError(
            explain(
                f"the validation errors of {', '.join(bad)} are not finite at step "
                f"{step}",
                fix="look at the validation frames of these heads, or lower "
                f"optimizer.learning_rate, and run again; {kept} holds the last good "
                "state",
            )
        )
