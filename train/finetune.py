"""Multi-head replay post-training: keep every head of a potential and add some."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ase.data import chemical_symbols

from lamplighter.console import info, table
from lamplighter.errors import ConfigError, explain
from lamplighter.files import sha256_file
from lamplighter.model import (
    HeadSpec,
    Potential,
    load_potential,
    predict,
    torch_dtype,
)
from lamplighter.train.data.dataset import Item, make_batch, make_items
from lamplighter.train.data.frame import Frame
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.evaluation import by_head, residuals, table_of
from lamplighter.train.finetune_config import FinetuneConfig, NewHead
from lamplighter.train.heads import FittedHead
from lamplighter.train.job import Job
from lamplighter.train.loop import Trainer
from lamplighter.train.new_heads import add_heads
from lamplighter.train.prepare import PreparedData, prepare, resolve
from lamplighter.train.readout_start import fit_first_readout
from lamplighter.train.references import reference_energies
from lamplighter.train.replay import (
    DriftGuard,
    choose_frames,
    drift_verdict,
    replay_quotas,
)
from lamplighter.train.results import TrainResult, write_json, write_results
from lamplighter.train.stopping import stop_on_signals
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
    base = load_potential(base_path, dtype=config.run.compute_dtype, device=config.run.device)
    _check_heads(config, base)
    data = _with_replay_limit(
        prepare((*config.heads, *config.replay_heads), config.split, config.limits),
        config,
    )
    _check_elements(data, base)
    fitted = [_new_head(head, data, base) for head in config.heads]
    potential = add_heads(
        base,
        [(f.spec, h.start_from) for f, h in zip(fitted, config.heads, strict=True)],
    )
    _start_readouts(config, data, potential)
    announce(config.run, data, potential)
    config.output.mkdir(parents=True, exist_ok=True)
    write_json(config.output / "config.json", to_mapping(config))
    old = [f for f in data.frames("validation") if _is_old(f, base)]
    before = by_head(table_of(residuals(base, old)))
    job = _job(config, data, potential, before, sha256_file(base_path))
    with stop_on_signals() as stop:
        outcome = Trainer(job).run(stop)
    forgetting = config.output / "forgetting.json"
    write_json(forgetting, _forgetting(config, base, outcome.potential, data))
    result = write_results(
        outcome,
        data,
        output=config.output,
        config=to_mapping(config) | {"base_sha256": sha256_file(base_path)},
        references=reference_record(fitted),
        forgetting=forgetting,
    )
    info(f"wrote {result.model} (ended by {result.reason})")
    return result


def _check_heads(config: FinetuneConfig, base: Potential) -> None:
    names = [h.name for h in base.config.heads]
    there = ", ".join(names)
    for head in config.heads:
        if head.name in names:
            raise ConfigError(
                explain(
                    f"head {head.name!r} exists in the base already",
                    got=f"base heads {there}",
                    wanted="a new name",
                    fix="list its data under replay_heads to train it further",
                )
            )
        base.config.head_index(head.start_from)
    for replay in config.replay_heads:
        spec = base.config.head(replay.name)
        if spec.level_of_theory != replay.level:
            raise ConfigError(
                explain(
                    f"replay head {replay.name!r} has another level of theory",
                    got=replay.level,
                    wanted=spec.level_of_theory,
                )
            )
    if not config.replay_heads and config.replay.fraction > 0:
        raise ConfigError(
            explain(
                "there is no replay data, so the old heads would drift unseen",
                wanted=f"replay_heads with data of {there}",
                fix="add them, or set replay.fraction: 0 to accept the drift",
            )
        )


def _check_elements(data: PreparedData, base: Potential) -> None:
    known = set(base.config.elements)
    for frame in data.frames("train"):
        lacking = set(frame.atoms().get_chemical_symbols()) - known
        if lacking:
            raise ConfigError(
                explain(
                    f"{frame.source}: the base model does not know an element",
                    got=", ".join(sorted(lacking)),
                    wanted=f"only {', '.join(base.config.elements)}",
                    fix="start from a base that was trained with it",
                )
            )


def _with_replay_limit(data: PreparedData, config: FinetuneConfig) -> PreparedData:
    """Keep at most `replay.max_frames` training frames of each old head."""
    new = {h.name for h in config.heads}
    heads = tuple(
        h
        if h.head.name in new
        else dataclasses.replace(
            h, train=choose_frames(h.train, config.replay.max_frames)
        )
        for h in data.heads
    )
    return dataclasses.replace(data, heads=heads)


def _new_head(head: NewHead, data: PreparedData, base: Potential) -> FittedHead:
    """E0 from the data; scale of the head whose readout it starts from."""
    (own,) = [h.train for h in data.heads if h.head.name == head.name]
    start = base.config.head(head.start_from)
    known = {*head.reference_energies}
    known |= {chemical_symbols[int(f.numbers[0])] for f in own if f.is_isolated_atom}
    needed = {chemical_symbols[int(z)] for f in own for z in f.numbers}
    references = reference_energies(
        own,
        head=head.name,
        given=head.reference_energies,
        interaction=_interactions(own, head, base) if needed - known else None,
        prior=(
            start.reference_energies if head.reference_fit == "minimum-norm" else None
        ),
    )
    spec = HeadSpec(
        name=head.name,
        level_of_theory=head.level,
        reference_energies={r.element: r.energy for r in references},
        scale=start.scale,
        shift=start.shift,
        dispersion=head.dispersion,
        licence=head.licence,
        source=head.source,
    )
    return FittedHead(spec=spec, references=tuple(references))


def _start_readouts(
    config: FinetuneConfig, data: PreparedData, potential: Potential
) -> None:
    """Let every new head meet the energies of its training frames."""
    for head in config.heads:
        (own,) = [h.train for h in data.heads if h.head.name == head.name]
        fit_first_readout(potential, _items(config, own, potential), head.name)


def _interactions(
    frames: Sequence[Frame], head: NewHead, base: Potential
) -> list[float]:
    """Interaction energies of the head that the new one starts from, eV."""
    items = make_items(
        frames,
        base.config,
        dtype=base.dtype,
        device=str(base.embedding.device),
        as_head=head.start_from,
    )
    return [
        float(predict(base, make_batch([item]).graph).interaction_energy.detach())
        for item in items
    ]


def _is_old(frame: Frame, base: Potential) -> bool:
    return frame.head in {h.name for h in base.config.heads}


def _job(
    config: FinetuneConfig,
    data: PreparedData,
    potential: Potential,
    before: Mapping[str, ErrorRow],
    base_sha256: str,
) -> Job:
    counts = {h.head.name: len(h.train) for h in data.heads}
    quotas = replay_quotas(config, counts, config.sampling)
    train = [f for f in data.frames("train") if f.head in quotas]
    return Job(
        potential=potential,
        train=_items(config, train, potential),
        validation=_items(config, data.frames("validation"), potential),
        quotas=quotas,
        loss=config.loss,
        sampling=config.sampling,
        optimizer=config.optimizer,
        run=config.run,
        output=config.output,
        fingerprint=fingerprint(
            to_mapping(config), {**data.hashes, "base": base_sha256}
        ),
        guard=DriftGuard(before, config.replay),
        scored=frozenset(h.name for h in config.heads),
        label="post-training",
    )


def _items(
    config: FinetuneConfig, frames: Sequence[Frame], potential: Potential
) -> list[Item]:
    return make_items(
        [f for f in frames if config.loss.use_isolated_atoms or not f.is_isolated_atom],
        potential.config,
        heads=(*config.heads, *config.replay_heads),
        loss=config.loss,
        dtype=torch_dtype(config.run.compute_dtype),
        device=config.run.device,
    )


def _forgetting(
    config: FinetuneConfig, base: Potential, tuned: Potential, data: PreparedData
) -> dict[str, Any]:
    """Errors of every old head before and after, on frames that were not learnt."""
    held_out = [*data.frames("validation"), *data.frames("test")]
    frames = [f for f in held_out if _is_old(f, base)]
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
