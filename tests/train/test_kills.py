"""A run that is killed at any moment ends with the weights of one that was not."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import time

import pytest
import training_runs
from process_groups import context

from lamplighter.train.checkpoint import load_newest
from lamplighter.train.loop import CHECKPOINT
from lamplighter.train.run_log import read_log


def _config(config, output):
    return dataclasses.replace(
        config,
        output=output,
        run=dataclasses.replace(
            config.run,
            max_steps=12,
            validate_every=4,
            checkpoint_every=2,
            keep_best=2,
        ),
        sampling=dataclasses.replace(config.sampling, batch_frames=2),
    )


def _state(output):
    """Everything that the run has made, but for the time it took."""
    checkpoint = load_newest(output / CHECKPOINT)
    digest = hashlib.sha256()
    for name in sorted(checkpoint.tensors):
        digest.update(name.encode() + checkpoint.tensors[name].numpy().tobytes())
    state = {k: v for k, v in checkpoint.note["state"].items() if k != "seconds"}
    records = [
        {k: v for k, v in r.items() if k != "seconds"}
        for r in read_log(output / "log.jsonl")
    ]
    kept = sorted(path.name for path in output.glob("best-*.safetensors"))
    return digest.hexdigest(), state, records, kept


def _run(config, kill_after=None):
    """Run in a process of its own; return whether it was killed, and its time."""
    process = context().Process(target=training_runs.run_steps, args=(config,))
    begin = time.monotonic()
    process.start()
    process.join(kill_after)
    killed = process.is_alive()
    process.kill()
    process.join()
    assert killed or process.exitcode == 0
    return killed, time.monotonic() - begin


def _kill_runs(tiny_config, n_kills):
    folder = tiny_config.output.parent
    whole = _config(tiny_config, folder / "whole")
    _run(whole)
    _, duration = _run(_config(tiny_config, folder / "again"))
    expected = _state(whole.output)
    assert _state(folder / "again") == expected
    rng = random.Random(3)
    kills = trial = 0
    while kills < n_kills:
        config = _config(tiny_config, folder / f"trial{trial}")
        # Some trials are killed again while they resume.
        for _ in range(3):
            killed, _ = _run(config, rng.uniform(0.0, duration))
            kills += killed
            if not killed:
                break
        _run(config)
        assert _state(config.output) == expected, trial
        left = [p.name for p in config.output.glob(".*") if p.name != ".lock"]
        assert left == []
        trial += 1


def test_a_few_kills(tiny_config):
    _kill_runs(tiny_config, 3)


@pytest.mark.slow
def test_a_hundred_kills(tiny_config):
    _kill_runs(tiny_config, 100)
