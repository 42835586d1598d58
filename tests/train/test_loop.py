"""A run learns, resumes bit for bit, stops when asked, and leaves whole files."""

from __future__ import annotations

import dataclasses
import json
import os
import signal

import pytest
import torch

from lamplighter.errors import ArtifactError, ConfigError
from lamplighter.model import load_potential, read_header
from lamplighter.train import evaluate, train
from lamplighter.train.checkpoint import checkpoint_files
from lamplighter.train.evaluation import by_head, residuals, table_of
from lamplighter.train.loop import CHECKPOINT, Trainer
from lamplighter.train.prepare import prepare
from lamplighter.train.run_log import RunLog, read_log
from lamplighter.train.stopping import (
    StopFlag,
    TrainingDivergedError,
    TrainingInterruptedError,
    stop_on_signals,
)
from lamplighter.train.training import build_job


def _with(config, **parts):
    changed = {
        name: dataclasses.replace(getattr(config, name), **values)
        for name, values in parts.items()
    }
    return dataclasses.replace(config, **changed)


class StopAfter(StopFlag):
    """Asks to stop once the log of the run shows a step."""

    def __init__(self, n_checks: int) -> None:
        self.checks, self.n_checks = 0, n_checks

    @property
    def reason(self) -> str:
        self.checks += 1
        return "test" if self.checks >= self.n_checks else ""


def _state(potential):
    return {k: v.clone() for k, v in potential.state_dict().items()}


def _run(config, stop=None):
    config.output.mkdir(exist_ok=True)
    data = prepare(config.heads, config.split, config.limits)
    trainer = Trainer(build_job(config, data)[0])
    outcome = trainer.run(stop or StopFlag())
    return _state(trainer.job.potential), _state(trainer.average.module), outcome


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
@pytest.mark.parametrize("stop_at", [3, 5])
def test_an_interrupted_run_ends_like_one_that_was_not(tiny_config, stop_at, schedule):
    optimizer = {"schedule": schedule, "plateau_patience": 1}
    whole = _with(tiny_config, optimizer=optimizer)
    weights, average, outcome = _run(whole)
    halves = dataclasses.replace(whole, output=whole.output.with_name("halves"))
    with pytest.raises(TrainingInterruptedError, match=r"stopped by test.*resumes"):
        _run(halves, StopAfter(stop_at))
    resumed, resumed_average, second = _run(halves)
    assert all(torch.equal(weights[k], resumed[k]) for k in weights)
    assert all(torch.equal(average[k], resumed_average[k]) for k in average)
    assert second.state.best_score == outcome.state.best_score
    assert second.state.best_step == outcome.state.best_step
    logs = [
        [
            {k: v for k, v in r.items() if k != "seconds"}
            for r in read_log(c.output / "log.jsonl")
        ]
        for c in (whole, halves)
    ]
    assert logs[0] == logs[1]


def test_training_lowers_every_error_and_writes_all_files(tiny_config):
    config = _with(
        tiny_config,
        run={"max_steps": 120, "validate_every": 120, "checkpoint_every": 120},
        sampling={"batch_frames": 14},
        optimizer={"learning_rate": 0.01},
        loss={"forces_delta": 1.0, "energy_delta": 1.0},
    )
    result = train(config)
    records = read_log(result.log)
    validations = [r for r in records if r["event"] == "validation"]
    for head in ("pbe", "hot"):
        first, last = (v["heads"][head] for v in (validations[0], validations[-1]))
        assert last["force_rmse"] < 0.7 * first["force_rmse"]
        assert last["energy_rmse"] < 0.7 * first["energy_rmse"]
    assert result.learning_curve.read_bytes().startswith(b"\x89PNG")
    errors = json.loads(result.errors.read_text())
    assert errors["units"]["force_rmse"] == "meV/Å"
    assert {r["head"] for r in errors["splits"]["train"]} == {"pbe", "hot"}
    assert "F rmse" in result.errors.with_suffix(".txt").read_text()
    provenance = read_header(result.model).provenance
    assert provenance["config"]["run"]["max_steps"] == 120
    assert set(provenance["data_sha256"]) == {"pbe.xyz", "hot.xyz"}
    assert provenance["reference_energies"]["pbe"][0]["origin"] == "isolated atom"


def test_the_saved_model_has_the_errors_of_the_table(tiny_config):
    result = train(tiny_config)
    errors = json.loads(result.errors.read_text())["splits"]
    table = evaluate(result.model, [h.files[0] for h in tiny_config.heads])
    expected = sum(
        r["n_frames"] for s in errors.values() for r in s if r["config_type"] == "all"
    )
    assert sum(r.n_frames for r in table.rows if r.config_type == "all") == expected
    data = prepare(tiny_config.heads, tiny_config.split, tiny_config.limits)
    potential = load_potential(result.model)
    row = by_head(table_of(residuals(potential, data.frames("validation"))))["hot"]
    (stored,) = [
        r
        for r in errors["validation"]
        if r["head"] == "hot" and r["config_type"] == "all"
    ]
    assert row.force_rmse == pytest.approx(stored["force_rmse"], rel=1e-9)
    assert row.energy_rmse == pytest.approx(stored["energy_rmse"], rel=1e-6)


def test_a_finished_run_is_not_trained_again(tiny_config):
    first = train(tiny_config)
    content = first.model.read_bytes()
    again = train(tiny_config)
    assert load_potential(again.model).config == load_potential(first.model).config
    old, new = (_state(load_potential(p)) for p in (first.model, again.model))
    assert len(content) > 0
    assert all(torch.equal(old[k], new[k]) for k in old)


def test_other_settings_do_not_resume(tiny_config):
    train(tiny_config)
    other = _with(tiny_config, optimizer={"learning_rate": 1e-4})
    with pytest.raises(ConfigError, match=r"settings or the data changed.*checkpoint"):
        train(other)


def test_a_longer_time_budget_resumes(tiny_config):
    train(tiny_config)
    train(_with(tiny_config, run={"max_minutes": 5.0, "checkpoint_every": 2}))


def test_other_data_do_not_resume(tiny_config, data_file):
    train(tiny_config)
    data_file(n=9)
    with pytest.raises(ConfigError, match="settings or the data changed"):
        train(tiny_config)


def test_the_time_budget_ends_a_run(tiny_config):
    result = train(_with(tiny_config, run={"max_steps": 10**6, "max_minutes": 0.02}))
    assert result.reason == "time"
    assert result.model.is_file()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_truncated_checkpoints_are_refused_when_no_other_is_left(tiny_config):
    config = _with(tiny_config, run={"keep_checkpoints": 1})
    train(config)
    assert [p.name for p in checkpoint_files(config.output / CHECKPOINT)] == [
        CHECKPOINT
    ]
    _cut(config.output / CHECKPOINT)
    with pytest.raises(ArtifactError, match=r"cannot read the checkpoint.*remove"):
        train(config)


def test_a_loss_that_is_not_finite_ends_the_run(tiny_config):
    wild = _with(
        tiny_config, optimizer={"learning_rate": 1e12}, run={"dtype": "float32"}
    )
    with pytest.raises(
        TrainingDivergedError, match=r"not finite at step.*learning_rate"
    ):
        train(wild)
    assert not (wild.output / "model.safetensors").exists()


def test_validation_needs_frames(tiny_config):
    none = _with(tiny_config, split={"validation_fraction": 0.0})
    with pytest.raises(ConfigError, match="no frame is held out"):
        train(none)
    result = train(_with(none, run={"selection": "last"}))
    assert result.model.is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_ask_for_a_stop_and_are_given_back(number):
    before = signal.getsignal(number)
    with stop_on_signals() as flag:
        os.kill(os.getpid(), number)
        assert flag.reason == signal.Signals(number).name
    assert signal.getsignal(number) is before


def test_the_log_forgets_what_will_happen_again(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    for step in range(5):
        log.write("train", step=step, loss=float("nan"))
    log.rewind(2)
    log.write("end", step=2)
    log.rewind(2)
    with log.path.open("a") as stream:
        stream.write('{"event": "train", "st')
    assert [r["step"] for r in read_log(log.path)] == [0, 1, 2]
    assert read_log(log.path)[0]["loss"] is None
