"""TensorBoard and Weights & Biases, for those who ask for them.

Neither is installed with Lamplighter. W&B writes into the folder of the run and sends
nothing anywhere, unless the settings say ``wandb_online: true``.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from lamplighter.errors import OptionalDependencyError, explain
from lamplighter.train.config import RunSettings
from lamplighter.train.evaluation import Residual
from lamplighter.train.reporting.facts import RunFacts
from lamplighter.train.run_log import read_log

SHOWN = (
    *("energy_rmse", "energy_mae", "force_rmse", "force_mae", "force_percent"),
    *("stress_rmse", "score"),
)
"""Errors of a head that trackers get."""

_NOT_SHOWN = frozenset({"step", "event", "epoch"})


class Tracker(Protocol):
    """An observer that is closed at the end of the run."""

    def logged(self, record: Mapping[str, Any]) -> None:
        """Take note of a record."""

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Take note of a validation."""

    def close(self) -> None:
        """Write what is not written yet."""


class TensorBoardTracker:
    """Writes event files into the folder ``tensorboard`` of the run."""

    def __init__(self, facts: RunFacts, folder: Path) -> None:
        """Write into `folder`; steps that a resumed run repeats are replaced.

        Raises:
            OptionalDependencyError: TensorBoard is not installed.
        """
        _imported("tensorboard", "tensorboard")
        from torch.utils.tensorboard import (  # noqa: PLC0415  (needs the extra)
            SummaryWriter,
        )

        log = read_log(folder / "log.jsonl")
        self._writer = SummaryWriter(
            str(folder / "tensorboard"),
            purge_step=int(log[-1].get("step", 0)) + 1 if log else None,
        )
        text = "\n".join(f"    {key}: {v}" for key, v in flat(facts.config).items())
        self._writer.add_text("settings", text)

    def logged(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of a record."""
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, int(record["step"]))
        if record["event"] == "validation":
            self._writer.flush()

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Nothing: the record tells the errors."""

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()


class WandbTracker:
    """Writes a run of Weights & Biases into the folder ``wandb`` of the run."""

    def __init__(self, facts: RunFacts, folder: Path, *, online: bool) -> None:
        """Begin a run, or go on with that of an earlier part.

        Raises:
            OptionalDependencyError: wandb is not installed.
        """
        wandb = _imported("wandb", "wandb")
        self._run = wandb.init(
            project="lamplighter",
            name=folder.name,
            dir=str(folder),
            mode="online" if online else "offline",
            resume="allow" if online else None,
            config=dict(facts.config),
        )

    def logged(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of a record."""
        numbers = scalars(record)
        if numbers:
            self._run.log({**numbers, "step": int(record["step"])})

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Nothing: the record tells the errors."""

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def open_trackers(
    run: RunSettings, facts: RunFacts, folder: Path, stack: contextlib.ExitStack
) -> list[Tracker]:
    """Return the trackers that the settings name; `stack` closes them.

    Raises:
        OptionalDependencyError: one is not installed; the message has the command.
    """
    trackers: list[Tracker] = []
    for name in dict.fromkeys(run.logging):
        tracker: Tracker
        if name == "tensorboard":
            tracker = TensorBoardTracker(facts, folder)
        else:
            tracker = WandbTracker(facts, folder, online=run.wandb_online)
        stack.callback(tracker.close)
        trackers.append(tracker)
    return trackers


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a record by name: ``train/loss``, ``pbe/force_rmse``."""
    event = str(record["event"])
    if event not in {"train", "validation"}:
        return {}
    found = {
        f"{event}/{key}": float(value)
        for key, value in record.items()
        if key not in _NOT_SHOWN
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
    }
    for head, row in record.get("heads", {}).items():
        found |= {
            f"{head}/{key}": float(row[key])
            for key in SHOWN
            if row.get(key) is not None
        }
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one mapping with names like ``run.seed``."""
    return dict(_flat(config, prefix))


def _flat(config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _imported(module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                f"run.logging names {extra}, which is not installed",
                wanted=f"the package {module}",
                fix=f"pip install 'lamplighter[{extra}]', or take it out of the list",
            )
        ) from error
