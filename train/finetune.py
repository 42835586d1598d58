"""Multi-head replay post-training: keep every head of a potential and add some."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lamplighter.console import info
from lamplighter.files import sha256_file
from lamplighter.model import Potential, load_potential
from lamplighter.train.config import HeadData
from lamplighter.train.data.streaming import JoinedFrames
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.evaluation import by_head, residuals, table_of
from lamplighter.train.finetune_config import FinetuneConfig
from lamplighter.train.finetune_heads import (
    announce_guard,
    check_elements,
    check_heads_of_base,
    judged_items,
    new_head,
    start_readouts,
    training_items,
)
from lamplighter.train.forgetting import forgetting, roll_back
from lamplighter.train.heads import FittedHead, train_reference_bias
from lamplighter.train.job import Job, NoGuard, Outcome
from lamplighter.train.learning import check_learning
from lamplighter.train.loop import Trainer
from lamplighter.train.lora import merged
from lamplighter.train.new_heads import add_heads
from lamplighter.train.prepare import PreparedData, prepare, resolve
from lamplighter.train.preset_files import read_and_show
from lamplighter.train.ranks import Ranks, join_ranks
from lamplighter.train.replay import DriftGuard, replay_quotas
from lamplighter.train.replay_data import choose_replay, replay_heads, write_reports
from lamplighter.train.replay_report import Relevance
from lamplighter.train.reporting.watch import Watch, watched
from lamplighter.train.restart import alone
from lamplighter.train.results import TrainResult, write_json, write_results
from lamplighter.train.stopping import stop_on_signals
from lamplighter.train.trainable import apply_plan, plan_weights
from lamplighter.train.training import (
    announce,
    fingerprint,
    reference_record,
    set_threads,
)
from lamplighter.train.yaml_config import to_mapping


def run_finetune(config_path: str | os.PathLike[str]) -> TrainResult:
    """Post-train as a YAML file says; see [`finetune`][]."""
    return finetune(read_and_show(FinetuneConfig, config_path))


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
    with join_ranks(config.run.device) as ranks:
        return _finetune(config, ranks)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What a run starts from: the same in every process."""

    base: Potential
    data: PreparedData
    reports: tuple[Relevance, ...]
    fitted: tuple[FittedHead, ...]
    potential: Potential
    guard: DriftGuard


def _finetune(config: FinetuneConfig, ranks: Ranks) -> TrainResult:
    """Post-train as one of the processes of a run; process 0 writes the files."""
    plain, base_path = to_mapping(config), resolve(config.base)
    own = dataclasses.replace(config.run, device=ranks.device)
    with ranks.together("preparing the heads"):
        base = load_potential(base_path, dtype=own.compute_dtype, device=ranks.device)
        check_heads_of_base(config, base)

    def label() -> tuple[HeadData, ...]:
        config.output.mkdir(parents=True, exist_ok=True)
        return replay_heads(config, base_path)

    old_heads = ranks.from_main(label)
    with ranks.together("preparing the heads"):
        own_config = dataclasses.replace(config, run=own)
        start = _start(own_config, base, old_heads)
        base_sha256 = sha256_file(base_path)
        job = _job(own_config, start, base_sha256)

    def begin() -> None:
        write_reports(start.reports, config.output)
        write_json(config.output / "config.json", plain)

    with alone(config.output, ranks):
        trainer = Trainer(job, ranks=ranks)
        ranks.from_main(begin)
        with watched(job, start.data, plain, ranks) as watch, stop_on_signals() as stop:
            trainer.watch(watch.observers)
            outcome = trainer.run(stop)
        provenance = plain | {"base_sha256": base_sha256}
        result = ranks.from_main(
            lambda: _write(config, start, outcome, provenance, watch)
        )
    info(f"wrote {result.model} (ended by {result.reason})")
    return result


def _start(
    config: FinetuneConfig, base: Potential, old_heads: Sequence[HeadData]
) -> _Start:
    """Return the enlarged potential, its data, and what guards its old heads."""
    everything = prepare((*config.heads, *old_heads), config.split, config.limits)
    check_elements(everything, base)
    replayed = config.replay_heads if config.replay_fraction > 0 else ()
    check_learning((*config.heads, *replayed), everything, config.loss)
    data, reports = choose_replay(everything, config, base)
    fitted = [new_head(head, data, base, config.loss) for head in config.heads]
    starts = [head.start_from for head in config.heads]
    specs = [head.spec for head in fitted]
    potential = add_heads(base, list(zip(specs, starts, strict=True)))
    start_readouts(config, data, potential)
    announce(config.run, data, potential)
    moving = apply_plan(potential, plan_weights(config, potential), config)
    train_reference_bias(potential, (*config.heads, *config.replay_heads))
    info(f"method {config.method}: {moving.moving} of {moving.weights} weights move")
    before = _errors_before(base, data)
    announce_guard(config, base, before)
    return _Start(
        base=base,
        data=data,
        reports=tuple(reports),
        fitted=tuple(fitted),
        potential=potential,
        guard=DriftGuard(before, config.replay),
    )


def _write(
    config: FinetuneConfig,
    start: _Start,
    outcome: Outcome,
    provenance: Mapping[str, Any],
    watch: Watch,
) -> TrainResult:
    """Judge what the old heads have forgotten, and write all files."""
    outcome = dataclasses.replace(outcome, potential=merged(outcome.potential))
    report = config.output / "forgetting.json"
    run = roll_back(outcome, start.guard)
    write_json(
        report, forgetting(config, start.base, outcome.potential, start.data, run)
    )
    return write_results(
        outcome,
        start.data,
        output=config.output,
        config=provenance,
        references=reference_record(start.fitted),
        forgetting=report,
        watch=watch,
    )


def _errors_before(base: Potential, data: PreparedData) -> Mapping[str, ErrorRow]:
    names = {h.name for h in base.config.heads}
    old = [f for f in data.frames("validation") if f.head in names]
    return by_head(table_of(residuals(base, old)))


def _job(config: FinetuneConfig, start: _Start, base_sha256: str) -> Job:
    data, potential = start.data, start.potential
    counts = {h.head.name: len(h.train) for h in data.heads}
    quotas = replay_quotas(config, counts, config.sampling)
    drawn = JoinedFrames([h.train for h in data.heads if h.head.name in quotas])
    train = training_items(config, drawn, potential)
    return Job(
        potential=potential,
        train=train,
        costs=train.costs(),
        validation=judged_items(config, data.frames("validation"), potential),
        quotas=quotas,
        loss=config.loss,
        sampling=config.sampling,
        optimizer=config.optimizer,
        run=config.run,
        output=config.output,
        fingerprint=fingerprint(
            to_mapping(config), {**data.hashes, "base": base_sha256}
        ),
        guard=start.guard if config.replay.guard else NoGuard(),
        scored=frozenset(h.name for h in config.heads),
        label="post-training",
    )
