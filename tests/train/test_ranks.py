"""Several processes take the steps of one, and end together."""

from __future__ import annotations

import builtins
import dataclasses

import numpy as np
import pytest
import training_runs
from process_groups import in_processes, slurm_variables

from lamplighter.errors import ConfigError, OptionalDependencyError
from lamplighter.model import load_potential
from lamplighter.train.finetune_config import FinetuneConfig, NewHead, ReplaySettings
from lamplighter.train.ranks import Ranks, join_ranks


def _with(config, **parts):
    changed = {
        name: dataclasses.replace(getattr(config, name), **values)
        for name, values in parts.items()
    }
    return dataclasses.replace(config, **changed)


def _elsewhere(config, name):
    return dataclasses.replace(config, output=config.output.with_name(name))


def _both_values(answers):
    assert [kind for kind, _ in answers] == ["value", "value"], answers
    return [value for _, value in answers]


def _assert_same(one, other, tolerance):
    assert len(one["losses"]) == len(other["losses"]) > 0
    np.testing.assert_allclose(one["losses"], other["losses"], rtol=tolerance)
    for part in ("weights", "average"):
        for name, values in one[part].items():
            np.testing.assert_allclose(
                values, other[part][name], rtol=0, atol=tolerance, err_msg=name
            )


@pytest.mark.parametrize(
    ("batch_frames", "accumulate", "steps"),
    [pytest.param(5, 1, 50, marks=pytest.mark.slow), (1, 1, 12), (5, 2, 12)],
)
def test_two_processes_take_the_steps_of_one(
    tiny_config, batch_frames, accumulate, steps
):
    # With one frame in a batch, the share of the second process is always empty.
    config = _with(
        tiny_config,
        run={"max_steps": steps, "validate_every": 25, "checkpoint_every": 100},
        sampling={"batch_frames": batch_frames},
    )
    alone = training_runs.run(config)
    shared = _elsewhere(_with(config, run={"accumulate": accumulate}), "shared")
    first, second = _both_values(in_processes(training_runs.run, shared))
    assert (first["rank"], second["rank"]) == (0, 1)
    _assert_same(alone, first, 1e-6)
    assert first["best_score"] == pytest.approx(alone["best_score"], rel=1e-6)
    for name, values in first["weights"].items():
        assert np.array_equal(values, second["weights"][name])


def test_a_run_goes_on_with_another_number_of_processes(tiny_config):
    config = _with(tiny_config, run={"max_steps": 6, "checkpoint_every": 3})
    alone = training_runs.run(config)
    half = _elsewhere(config, "half")
    stopped = _with(half, run={"max_minutes": 1e-9})
    _both_values(in_processes(training_runs.run, stopped))
    assert training_runs.run(half)["losses"] == pytest.approx(alone["losses"], rel=1e-6)


def test_srun_starts_a_whole_training(tiny_config):
    answers = in_processes(
        training_runs.run_all, tiny_config, variables=slurm_variables
    )
    first, second = _both_values(answers)
    assert first == second
    assert load_potential(first).config.heads[0].name == "pbe"
    assert not list(tiny_config.output.glob("*.tmp"))


@pytest.mark.slow
def test_two_processes_add_a_head(base, base_config, data_file, tmp_path):
    new = data_file("new.xyz", head="new", level="NEW", scale=1.2, n=6)
    config = FinetuneConfig(
        base=base,
        output=tmp_path / "alone",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="pbe"),),
        replay_heads=base_config.heads,
        replay=ReplaySettings(
            labels="pseudo", drift_limit=10.0, energy_drift_limit=100.0
        ),
        run=dataclasses.replace(base_config.run, max_steps=6),
    )
    alone = load_potential(training_runs.run_all(config)).state_dict()
    shared = _elsewhere(config, "shared")
    first, second = _both_values(in_processes(training_runs.run_all, shared))
    assert first == second
    for name, values in load_potential(first).state_dict().items():
        np.testing.assert_allclose(values, alone[name], atol=1e-8, err_msg=name)


@pytest.mark.parametrize(
    ("trouble", "first", "second"),
    [
        ("error", "RankFailedError: process 1 of 2 has failed", "this disk is on fire"),
        ("nan", "the loss is not finite", "the loss is not finite"),
        ("log", "cannot write", "RankFailedError: process 0 of 2 has failed"),
        ("kill", "RankFailedError: process 0 of 2 has lost the others", -9),
    ],
)
def test_trouble_in_one_process_ends_all(tiny_config, trouble, first, second):
    answers = in_processes(training_runs.run, tiny_config, trouble, timeout=60.0)
    (kind, text), (other, told) = answers
    assert kind == "error"
    assert first in text
    assert other == ("gone" if trouble == "kill" else "error")
    assert told == second if trouble == "kill" else second in told


def test_one_process_needs_no_fabric(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("lightning"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with join_ranks("cpu") as ranks:
        assert (ranks.size, ranks.gather("a"), ranks.sum_numbers([2.0])) == (
            1,
            ["a"],
            [2.0],
        )
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(OptionalDependencyError, match=r"lamplighter\[distributed\]"),
        join_ranks("cpu"),
    ):
        pass


def test_mpiexec_is_refused(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    with (
        pytest.raises(ConfigError, match=r"started by mpiexec.*torchrun"),
        join_ranks("cpu"),
    ):
        pass


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda:1", "cannot share a device by number"), ("cuda", "fewer GPUs than")],
)
def test_devices_that_do_not_fit_are_refused(monkeypatch, device, message):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ConfigError, match=message), join_ranks(device):
        pass


def test_a_batch_script_of_slurm_is_one_process(monkeypatch):
    # Inside sbatch, but not started by srun: the number of tasks is that of the job.
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "0")
    with join_ranks("cpu") as ranks:
        assert type(ranks) is Ranks
