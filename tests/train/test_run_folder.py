"""A run that is refused leaves the folder of another one as it is."""

from __future__ import annotations

import dataclasses
import fcntl

import pytest

from lamplighter.errors import ConfigError
from lamplighter.train import loop, results, train
from lamplighter.train.ranks import Ranks
from lamplighter.train.restart import check_alike
from lamplighter.train.stopping import TrainingDivergedError


@pytest.fixture
def finished(tiny_config, monkeypatch):
    """A short run that is over."""
    monkeypatch.setattr(results, "plot_learning_curve", lambda *_: None)
    config = dataclasses.replace(
        tiny_config, run=dataclasses.replace(tiny_config.run, max_steps=2)
    )
    train(config)
    return config


def content_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_other_settings_change_no_file(finished):
    before = content_of(finished.output)
    other = dataclasses.replace(
        finished, loss=dataclasses.replace(finished.loss, energy_weight=2.0)
    )
    with pytest.raises(ConfigError, match="settings or the data changed"):
        train(other)
    assert content_of(finished.output) == before


def test_a_second_run_changes_no_file_of_the_first(finished):
    before = content_of(finished.output)
    with (finished.output / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another run is writing"):
            train(finished)
    assert content_of(finished.output) == before


def test_validation_errors_that_are_no_numbers_end_a_run(tiny_config, monkeypatch):
    monkeypatch.setattr(results, "plot_learning_curve", lambda *_: None)
    real = loop.shared_residuals

    def spoilt(*args, **kwargs):
        found = real(*args, **kwargs)
        nan = float("nan")
        return [
            dataclasses.replace(r, energy=nan * r.energy, forces=r.forces * nan)
            if r.frame.head == "hot"
            else r
            for r in found
        ]

    monkeypatch.setattr(loop, "shared_residuals", spoilt)
    with pytest.raises(TrainingDivergedError, match="validation errors of hot are not"):
        train(tiny_config)


class Other(Ranks):
    """Process 0 of two; the other one has read something else."""

    size = 2

    def gather(self, value):
        return [value, f"{value}?"]


def test_processes_with_other_data_are_refused():
    check_alike("a", Ranks())
    with pytest.raises(ConfigError, match=r"processes 1 differ.*the same files"):
        check_alike("a", Other())
