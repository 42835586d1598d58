"""What a finished run leaves behind: model, error table, learning curve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamplighter.files import atomic_path
from lamplighter.model import Potential, save_potential
from lamplighter.train.errors_table import UNITS, ErrorTable
from lamplighter.train.evaluation import Residual, residuals, table_of
from lamplighter.train.job import Outcome
from lamplighter.train.prepare import PreparedData
from lamplighter.train.report import plot_learning_curve
from lamplighter.train.reporting.facts import machine, versions
from lamplighter.train.reporting.watch import Watch
from lamplighter.train.run_log import finite, read_log

USES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Files of a finished run.

    Attributes:
        model: the potential (safetensors).
        log: one JSON object a line.
        errors: error tables of all splits (JSON); a text twin lies beside it.
        learning_curve: picture (PNG).
        reason: why the run ended: "steps", "time" or "drift".
        forgetting: errors of the old heads before and after (JSON); None for a run
            from nothing.
        page: the report (HTML); None where nobody watched the run.
    """

    model: Path
    log: Path
    errors: Path
    learning_curve: Path
    reason: str
    forgetting: Path | None = None
    page: Path | None = None


def write_results(
    outcome: Outcome,
    data: PreparedData,
    *,
    output: Path,
    config: Mapping[str, Any],
    references: Mapping[str, Any],
    forgetting: Path | None = None,
    watch: Watch | None = None,
) -> TrainResult:
    """Evaluate the chosen weights on every split and write all files.

    Args:
        outcome: the end of the loop.
        data: frames by use.
        output: folder.
        config: the effective configuration, for the provenance.
        references: E0 with origin and uncertainty by head, for the provenance.
        forgetting: a file that was written before, passed on.
        watch: has the page that is finished.
    """
    potential = outcome.potential.requires_grad_(requires_grad=False)
    judged = judged_splits(potential, data)
    tables = {use: table_of(found) for use, found in judged.items()}
    errors = output / "errors.json"
    write_tables(errors, tables)
    provenance = {
        "config": _portable(config),
        "data_sha256": dict(data.hashes),
        "reference_energies": references,
        "steps": outcome.state.step,
        "chosen_step": outcome.state.best_step,
        "seconds": round(outcome.state.seconds, 1),
        "ended_by": outcome.reason,
        "versions": versions(),
        "machine": machine(str(next(potential.parameters()).device)),
        "errors": {use: table.to_json() for use, table in tables.items()},
        "error_units": UNITS,
    }
    model = output / "model.safetensors"
    save_potential(potential, model, finite(provenance))
    curve = output / "learning_curve.png"
    plot_learning_curve(read_log(outcome.log), curve)
    page = watch.finish(outcome.reason, judged, forgetting) if watch else None
    return TrainResult(
        model=model,
        log=outcome.log,
        errors=errors,
        learning_curve=curve,
        reason=outcome.reason,
        forgetting=forgetting,
        page=page,
    )


def _portable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` without the folders of this machine."""
    kept = {name: value for name, value in config.items() if name != "output"}
    if "base" in kept:
        kept["base"] = Path(kept["base"]).name
    return kept


def judged_splits(
    potential: Potential, data: PreparedData
) -> dict[str, list[Residual]]:
    """Return predicted minus labelled for every split that has frames."""
    frames = {use: data.judged(use) for use in USES}
    return {use: residuals(potential, group) for use, group in frames.items() if group}


def write_tables(path: Path, tables: Mapping[str, ErrorTable]) -> None:
    """Write error tables as JSON, and as text with the suffix ``.txt`` beside it."""
    content = {
        "units": UNITS,
        "splits": {use: finite(table.to_json()) for use, table in tables.items()},
    }
    write_json(path, content)
    text = "\n\n".join(f"{use}\n{table.text()}" for use, table in tables.items())
    with atomic_path(path.with_suffix(".txt")) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write strict JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(finite(content), indent=1, ensure_ascii=False) + "\n",
            encoding="utf-8",
        )
