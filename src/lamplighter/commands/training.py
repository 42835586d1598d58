"""What `train` and `finetune` do: call the room, say where the results lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.console import info

if TYPE_CHECKING:
    from lamplighter.train import TrainResult

DONE = 0
CHECK_FAILED = 1


def train(config: Path, preset: str | None = None) -> int:
    """Train the potential that a YAML file describes."""
    from lamplighter import train as room
    from lamplighter.train.preset_files import read_and_show

    return _trained(room.train(read_and_show(room.TrainConfig, config, preset)))


def finetune(config: Path, preset: str | None = None) -> int:
    """Post-train as a YAML file describes; fails when the old heads drifted."""
    from lamplighter import train as room
    from lamplighter.train.preset_files import read_and_show

    result = room.finetune(read_and_show(room.FinetuneConfig, config, preset))
    code = _trained(result)
    return CHECK_FAILED if result.reason == "drift" else code


def _trained(result: TrainResult) -> int:
    """Say what a finished run left behind."""
    info(f"ended by: {result.reason}")
    info(f"model: {result.model}")
    info(f"errors: {result.errors}")
    if result.forgetting is not None:
        info(f"errors of the old heads, before and after: {result.forgetting}")
    info(f"learning curve: {result.learning_curve}")
    info(f"page: {result.page}")
    info(f"log: {result.log}")
    return DONE
