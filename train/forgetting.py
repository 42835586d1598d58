"""What a post-training cost the old heads: errors before and after, and the guard."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lamplighter.console import complain, info, table
from lamplighter.model import Potential
from lamplighter.train.evaluation import by_head, residuals, table_of
from lamplighter.train.finetune_config import FinetuneConfig
from lamplighter.train.job import Outcome
from lamplighter.train.prepare import PreparedData
from lamplighter.train.replay import DriftGuard, drift_verdict
from lamplighter.train.run_log import RunLog, read_log
from lamplighter.train.unlabelled_drift import unlabelled_drift
from lamplighter.train.yaml_config import to_mapping


def roll_back(outcome: Outcome, guard: DriftGuard) -> dict[str, Any]:
    """Return how the guard ended a run and what came back; log it and say it, once.

    The weights are those of the best validation that the guard accepted, whatever
    happened after it.

    Returns:
        ``rolled_back``, ``ended_by``, ``last_step``, ``chosen_step`` and, where the
        guard ended the run in this process, ``beyond``: the heads that drifted.
    """
    state = outcome.state
    found = {
        "rolled_back": outcome.reason == guard.name,
        "ended_by": outcome.reason,
        "last_step": state.step,
        "chosen_step": state.best_step,
        "beyond": list(guard.beyond),
    }
    if found["rolled_back"]:
        if not any(r["event"] == "rollback" for r in read_log(outcome.log)):
            RunLog(outcome.log).write(
                "rollback",
                step=state.step,
                to_step=state.best_step,
                heads=list(guard.beyond),
            )
        names = f" ({', '.join(guard.beyond)})" if guard.beyond else ""
        complain(
            f"old heads drifted beyond the limits{names}: the run ended at step "
            f"{state.step} and went back to the weights of step {state.best_step}"
        )
    return found


def forgetting(
    config: FinetuneConfig,
    base: Potential,
    tuned: Potential,
    data: PreparedData,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Return errors of every old head before and after, on frames that were not learnt.

    Args:
        config: limits.
        base: the potential before.
        tuned: the chosen weights.
        data: frames by use.
        run: how the run ended, from [`roll_back`][].
    """
    old = {h.name for h in base.config.heads}
    held_out = [*data.frames("validation"), *data.frames("test")]
    frames = [f for f in held_out if f.head in old]
    before = by_head(table_of(residuals(base, frames)))
    after = by_head(table_of(residuals(tuned, frames)))
    heads = {
        name: {
            "before": dataclasses.asdict(before[name]),
            "after": dataclasses.asdict(after[name]),
            "growth": drift_verdict(before[name], after[name], config.replay),
        }
        for name in before
    }
    unguarded = [h.name for h in base.config.heads if h.name not in heads]
    _show(heads, unguarded)
    return {
        "units": {"force_percent": "% of RMS force", "energy_rmse": "meV/atom"},
        "limits": to_mapping(config.replay),
        "heads": heads,
        "unguarded_heads": unguarded,
        "without_labels": unlabelled_drift(base, tuned, held_out),
        "run": dict(run),
    }


def _show(heads: Mapping[str, Any], unguarded: Sequence[str]) -> None:
    rows = []
    for name, entry in heads.items():
        cells = [name]
        for key in ("force_percent", "energy_rmse"):
            old, new = entry["before"][key], entry["after"][key]
            cells.append("-" if old is None else f"{old:.2f} -> {new:.2f}")
        rows.append([*cells, "beyond limit" if entry["growth"]["beyond"] else "kept"])
    columns = ("old head", "force error %", "energy error meV/atom", "verdict")
    table(rows, columns, title="old heads before and after")
    if unguarded:
        info(f"without held-out replay data, so not judged: {', '.join(unguarded)}")
