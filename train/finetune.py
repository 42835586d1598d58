"""Multi-head replay post-training: keep every head of a potential and add some."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from lamplighter.console import info
from lamplighter.files import sha256_file
from lamplighter.model import Potential, load_potential
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.evaluation import by_head, residuals, table_of
from lamplighter.train.finetune_config import FinetuneConfig
from lamplighter.train.finetune_heads import (
    check_elements,
    check_heads_of_base,
    new_head,
    start_readouts,
    training_items,
)
from lamplighter.train.forgetting import forgetting, roll_back
from lamplighter.train.job import Job, NoGuard
from lamplighter.train.loop import Trainer
from lamplighter.train.lora import merged
from lamplighter.train.new_heads import add_heads
from lamplighter.train.prepare import PreparedData, prepare, resolve
from lamplighter.train.replay import DriftGuard, replay_quotas
from lamplighter.train.replay_data import choose_replay, replay_heads, write_reports
from lamplighter.train.reporting.watch import watched
from lamplighter.train.results import TrainResult, write_json, write_results
from lamplighter.train.stopping import stop_on_signals
from lamplighter.train.trainable import apply_plan, plan_weights
from lamplighter.train.training import (
    announce,
    fingerprint,
    reference_record,
    set_threads,
)
from lamplighter.train.yaml_config import read_yaml, to_mapping


def run_finetune(config_path: str | os.PathLike[str]) -> TrainResult:
    """Post-train as a YAML file says; see [`finetune`][]."""
    return finetune(read_yaml(FinetuneConfig, config_path))


def finetune(config: FinetuneConfig) -> TrainResult:
    """Add heads to a potential while replay holds its old ones, or resume.

    Returns:
        The files written into ``config.output``; `forgetting` tells the errors of every
        old head before and after. The new heads' validation errors choose the weights,
        among those with which every old head stays within its drift limits.

    Raises:
        ArtifactError: the base model is unusable.
        DataError: unusable data.
        ConfigError: heads that the base has already or lacks, elements it does not
            know, or settings that contradict each other.
        TrainingInterruptedError: SIGINT or SIGTERM; the same command resumes.
        TrainingDivergedError: the loss is not finite.
    """
    set_threads(config.run)
    base_path = resolve(config.base)
    base = load_potential(
        base_path, dtype=config.run.compute_dtype, device=config.run.device
    )
    check_heads_of_base(config, base)
    config.output.mkdir(parents=True, exist_ok=True)
    old_heads = replay_heads(config, base_path)
    everything = prepare((*config.heads, *old_heads), config.split, config.limits)
    check_elements(everything, base)
    data, reports = choose_replay(everything, config, base)
    fitted = [new_head(head, data, base) for head in config.heads]
    starts = [head.start_from for head in config.heads]
    specs = [head.spec for head in fitted]
    potential = add_heads(base, list(zip(specs, starts, strict=True)))
    start_readouts(config, data, potential)
    announce(config.run, data, potential)
    moving = apply_plan(potential, plan_weights(config, potential), config)
    info(f"method {config.method}: {moving.moving} of {moving.weights} weights move")
    write_reports(reports, config.output)
    write_json(config.output / "config.json", to_mapping(config))
    guard = DriftGuard(_errors_before(base, data), config.replay)
    base_sha256 = sha256_file(base_path)
    job = _job(config, data, potential, guard, base_sha256)
    watching = watched(job, data, to_mapping(config))
    with watching as watch, stop_on_signals() as stop:
        outcome = Trainer(job, watch.observers).run(stop)
    outcome = dataclasses.replace(outcome, potential=merged(outcome.potential))
    report = config.output / "forgetting.json"
    run = roll_back(outcome, guard)
    write_json(report, forgetting(config, base, outcome.potential, data, run))
    result = write_results(
        outcome,
        data,
        output=config.output,
        config=to_mapping(config) | {"base_sha256": base_sha256},
        references=reference_record(fitted),
        forgetting=report,
        watch=watch,
    )
    info(f"wrote {result.model} (ended by {result.reason})")
    return result


def _errors_before(base: Potential, data: PreparedData) -> Mapping[str, ErrorRow]:
    names = {h.name for h in base.config.heads}
    old = [f for f in data.frames("validation") if f.head in names]
    return by_head(table_of(residuals(base, old)))


def _job(
    config: FinetuneConfig,
    data: PreparedData,
    potential: Potential,
    guard: DriftGuard,
    base_sha256: str,
) -> Job:
    counts = {h.head.name: len(h.train) for h in data.heads}
    quotas = replay_quotas(config, counts, config.sampling)
    train = [f for f in data.frames("train") if f.head in quotas]
    return Job(
        potential=potential,
        train=training_items(config, train, potential),
        validation=training_items(config, data.frames("validation"), potential),
        quotas=quotas,
        loss=config.loss,
        sampling=config.sampling,
        optimizer=config.optimizer,
        run=config.run,
        output=config.output,
        fingerprint=fingerprint(
            to_mapping(config), {**data.hashes, "base": base_sha256}
        ),
        guard=guard if config.replay.guard else NoGuard(),
        scored=frozenset(h.name for h in config.heads),
        label="post-training",
    )
