"""Train a multi-head potential from nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ase.data import atomic_numbers

from lamplighter.console import info, table
from lamplighter.memory import reuse_freed_memory
from lamplighter.model import Potential, PotentialConfig, torch_dtype
from lamplighter.train.config import (
    HeadData,
    LossSettings,
    ModelSettings,
    RunSettings,
    TrainConfig,
)
from lamplighter.train.data.dataset import Item, ItemMaker, make_items
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.streaming import (
    StreamedItems,
    elements_of,
    sampled,
    without_isolated_atoms,
)
from lamplighter.train.heads import FittedHead, fit_heads, train_reference_bias
from lamplighter.train.job import Job
from lamplighter.train.learning import check_learning
from lamplighter.train.loop import Trainer
from lamplighter.train.prepare import PreparedData, prepare
from lamplighter.train.preset_files import read_and_show
from lamplighter.train.ranks import Ranks, join_ranks
from lamplighter.train.reporting.watch import watched
from lamplighter.train.restart import alone
from lamplighter.train.results import USES, TrainResult, write_json, write_results
from lamplighter.train.stopping import stop_on_signals
from lamplighter.train.yaml_config import to_mapping

FREE_TO_CHANGE = (
    *("max_minutes", "threads", "checkpoint_every"),
    *("keep_checkpoints", "keep_best", "accumulate", "edge_chunk", "device"),
    *("logging", "wandb_online"),
)
"""Settings of `RunSettings` that may differ when a run is resumed."""
FIT_FRAMES = 20_000
"""Frames of each cache that E0 and scale of a head are fitted to."""


def run_train(config_path: str | os.PathLike[str]) -> TrainResult:
    """Train as a YAML file says; see [`train`][]."""
    return train(read_and_show(TrainConfig, config_path))


def train(config: TrainConfig) -> TrainResult:
    """Train a potential with all heads of `config`, or resume where it stopped.

    Returns:
        The files written into ``config.output``.

    Raises:
        DataError: unusable data.
        ConfigError: settings that contradict each other, or a checkpoint of others.
        TrainingInterruptedError: SIGINT or SIGTERM; the same command resumes.
        TrainingDivergedError: the loss is not finite.
        RankFailedError: another process of the run has failed.
    """
    set_threads(config.run)
    with join_ranks(config.run.device) as ranks:
        return _train(config, ranks)


def _train(config: TrainConfig, ranks: Ranks) -> TrainResult:
    """Train as one of the processes of a run; process 0 writes the files."""
    plain = to_mapping(config)
    with ranks.together("reading the data"):
        data = prepare(config.heads, config.split, config.limits)
        own = dataclasses.replace(config.run, device=ranks.device)
        job, references = build_job(dataclasses.replace(config, run=own), data)
    announce(config.run, data, job.potential)

    with alone(config.output, ranks):
        trainer = Trainer(job, ranks=ranks)
        ranks.from_main(lambda: write_json(config.output / "config.json", plain))
        with watched(job, data, plain, ranks) as watch, stop_on_signals() as stop:
            trainer.watch(watch.observers)
            outcome = trainer.run(stop)
        result = ranks.from_main(
            lambda: write_results(
                outcome,
                data,
                output=config.output,
                config=plain,
                references=references,
                watch=watch,
            )
        )
    info(f"wrote {result.model} (ended by {result.reason})")
    return result


def build_job(config: TrainConfig, data: PreparedData) -> tuple[Job, dict[str, Any]]:
    """Return the run that `config` describes, and the E0 of its heads as a record."""
    check_learning(config.heads, data, config.loss)
    frames = {h.head.name: sampled(h.train, FIT_FRAMES) for h in data.heads}
    fitted = fit_heads(config.heads, frames, config.loss)
    potential = _new_potential(config, data, fitted)
    train_reference_bias(potential, config.heads)
    items = _train_items(data, config, potential.config)
    job = Job(
        potential=potential,
        train=items,
        costs=items.costs(),
        validation=_validation_items(data, config, potential.config),
        quotas={h.name: h.quota for h in config.heads if h.quota is not None},
        loss=config.loss,
        sampling=config.sampling,
        optimizer=config.optimizer,
        run=config.run,
        output=config.output,
        fingerprint=fingerprint(to_mapping(config), data.hashes),
    )
    return job, reference_record(fitted)


def set_threads(run: RunSettings) -> None:
    """Give torch the number of threads that the settings name, and keep its memory."""
    reuse_freed_memory()
    if run.threads > 0:
        torch.set_num_threads(run.threads)


def fingerprint(config: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
    """Return a digest of everything that the trajectory of a run depends on."""
    content = json.loads(json.dumps({**config, "data": dict(hashes)}))
    for name in ("output", "limits"):
        content.pop(name)
    for name in FREE_TO_CHANGE:
        content["run"].pop(name)
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def items_of(
    frames: Sequence[Frame],
    shape: PotentialConfig,
    heads: Sequence[HeadData],
    loss: LossSettings,
    run: RunSettings,
) -> StreamedItems:
    """Return frames as graphs with the weights of their heads; caches stay on disk."""
    maker = ItemMaker(
        config=shape,
        heads={head.name: head for head in heads},
        loss=loss,
        dtype=torch_dtype(run.compute_dtype),
        device=run.device,
    )
    return StreamedItems(frames, maker)


def _train_items(
    data: PreparedData, config: TrainConfig, shape: PotentialConfig
) -> StreamedItems:
    """Return the frames to learn from as graphs with their weights."""
    frames = data.frames("train")
    if not config.loss.use_isolated_atoms:
        frames = without_isolated_atoms(frames)
    return items_of(frames, shape, config.heads, config.loss, config.run)


def _validation_items(
    data: PreparedData, config: TrainConfig, shape: PotentialConfig
) -> list[Item]:
    return make_items(
        data.frames("validation"),
        shape,
        dtype=torch_dtype(config.run.compute_dtype),
        device=config.run.device,
    )


def _new_potential(
    config: TrainConfig, data: PreparedData, fitted: Sequence[FittedHead]
) -> Potential:
    """A potential with random weights that depend on the seed alone."""
    elements = config.model.elements or set().union(
        *(elements_of(data.frames(use)) for use in USES)
    )
    settings = {
        f.name: getattr(config.model, f.name)
        for f in dataclasses.fields(ModelSettings)
        if f.name != "elements"
    }
    shape = PotentialConfig(
        elements=tuple(sorted(elements, key=lambda e: atomic_numbers[e])),
        heads=tuple(f.spec for f in fitted),
        **settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        potential = Potential(shape)
    return potential.to(
        device=config.run.device, dtype=torch_dtype(config.run.compute_dtype)
    )


def reference_record(fitted: Sequence[FittedHead]) -> dict[str, Any]:
    """Return E0 with origin and uncertainty (eV) by head, for log and provenance."""
    return {f.spec.name: [dataclasses.asdict(r) for r in f.references] for f in fitted}


def announce(run: RunSettings, data: PreparedData, potential: Potential) -> None:
    """Show the heads, their data and the size of the potential."""
    n_weights = sum(p.numel() for p in potential.parameters())
    rows = [
        (
            h.head.name,
            h.head.level,
            len(h.train),
            len(h.validation),
            len(h.test),
            f"{potential.config.head(h.head.name).scale:.3f}",
        )
        for h in data.heads
    ]
    columns = ("head", "level", "train", "validation", "test", "scale eV/Å")
    table(rows, columns, title=f"{n_weights} weights, {run.dtype}")
