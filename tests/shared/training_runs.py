"""Small training runs that other processes can be asked for."""

from __future__ import annotations

import dataclasses
import os
import signal
from typing import Any
from unittest import mock

import torch

from lamplighter.train import loop
from lamplighter.train.config import TrainConfig
from lamplighter.train.finetune import finetune
from lamplighter.train.finetune_config import FinetuneConfig
from lamplighter.train.loop import LOG, Trainer
from lamplighter.train.prepare import prepare
from lamplighter.train.ranks import join_ranks
from lamplighter.train.run_log import read_log
from lamplighter.train.stopping import StopFlag
from lamplighter.train.training import build_job, train


def run(config: TrainConfig, trouble: str = "") -> dict[str, Any]:
    """Train as one of the processes of a run.

    Args:
        config: the settings.
        trouble: what process 1 meets at its third frame: "error", "nan" or "kill"; or
            "log", a log that process 0 cannot write.

    Returns:
        The loss of every step, the weights and the averages.
    """
    every = mock.patch.object(loop, "LOG_EVERY", 1)
    with every, join_ranks(config.run.device) as ranks:
        data = prepare(config.heads, config.split, config.limits)
        job, _ = build_job(config, data)
        if trouble not in {"", "log"} and ranks.rank == 1:
            object.__setattr__(job, "train", Troubled(job.train, trouble))
        ranks.from_main(lambda: config.output.mkdir(exist_ok=True))
        trainer = Trainer(job, ranks=ranks)
        if trouble == "log":
            trainer.log.path = config.output / "nowhere" / "log"
        outcome = trainer.run(StopFlag())
        records = [r for r in read_log(config.output / LOG) if r["event"] == "train"]
        return {
            "rank": ranks.rank,
            "losses": [r["loss"] for r in records],
            "weights": numbers(trainer.stepper.weights),
            "average": numbers(trainer.average.module),
            "best_score": outcome.state.best_score,
        }


def run_all(config: TrainConfig | FinetuneConfig) -> str:
    """Train as `lamplighter train` or `lamplighter finetune` does."""
    if isinstance(config, FinetuneConfig):
        return str(finetune(config).model)
    return str(train(config).model)


def numbers(module: torch.nn.Module) -> dict[str, Any]:
    return {k: v.double().numpy() for k, v in module.state_dict().items()}


class Troubled:
    """Frames of which the third that is asked for does harm."""

    def __init__(self, items: Any, trouble: str) -> None:
        self.items, self.trouble, self.asked = items, trouble, 0

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Any:
        return iter(self.items)

    def __getitem__(self, index: int) -> Any:
        self.asked += 1
        item = self.items[index]
        if self.asked != 3:
            return item
        if self.trouble == "error":
            raise ValueError("this disk is on fire")  # noqa: TRY003
        if self.trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return dataclasses.replace(item, energy=item.energy * float("nan"))


def run_steps(config: TrainConfig) -> None:
    """Train in a process of its own, and write nothing but what the loop writes."""
    torch.set_num_threads(1)
    data = prepare(config.heads, config.split, config.limits)
    config.output.mkdir(exist_ok=True)
    Trainer(build_job(config, data)[0]).run(StopFlag())
