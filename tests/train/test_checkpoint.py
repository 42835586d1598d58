"""Checkpoints are whole or refused; a full disk, a second run, a damaged file."""

from __future__ import annotations

import dataclasses
import errno
import io
import multiprocessing
import os
import pathlib
import resource

import pytest
import torch

from lamplighter.errors import ArtifactError, LamplighterError
from lamplighter.model import load_potential
from lamplighter.train.checkpoint import (
    Checkpoint,
    checkpoint_files,
    load_checkpoint,
    load_newest,
    remove_leftovers,
    save_checkpoint,
)
from lamplighter.train.loop import CHECKPOINT, Trainer
from lamplighter.train.prepare import prepare
from lamplighter.train.run_log import RunLog, read_log
from lamplighter.train.stopping import StopFlag
from lamplighter.train.training import build_job


def checkpoint(step):
    tensors = {"a": torch.full((50,), float(step)), "b": torch.tensor(step)}
    return Checkpoint(tensors=tensors, note={"step": step})


def steps_in(folder):
    return [load_checkpoint(p).note["step"] for p in checkpoint_files(folder / "c.st")]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(tmp_path, keep):
    for step in range(5):
        save_checkpoint(tmp_path / "c.st", checkpoint(step), keep=keep)
    assert steps_in(tmp_path) == [4, 3, 2][:keep]
    assert len(list(tmp_path.iterdir())) == keep
    save_checkpoint(tmp_path / "c.st", checkpoint(5), keep=1)
    assert steps_in(tmp_path) == [5]


def test_a_changed_byte_is_noticed_and_the_one_before_taken(tmp_path, capsys):
    path = tmp_path / "c.st"
    for step in (1, 2):
        save_checkpoint(path, checkpoint(step), keep=2)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"is damaged.*SHA-256 differs.*remove"):
        load_checkpoint(path)
    assert load_newest(path).note["step"] == 1
    assert "c.1.st instead" in capsys.readouterr().err.replace("\n", " ")
    (tmp_path / "c.1.st").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"c\.st is damaged.*c\.1\.st"):
        load_newest(path)


def test_a_kill_between_two_renames_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "c.st"
    for step in (1, 2):
        save_checkpoint(path, checkpoint(step), keep=3)
    real, calls = pathlib.Path.replace, []

    def replace(self, target):
        calls.append(target)
        if len(calls) == 3:  # two older ones have moved on; the new one has not come
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, checkpoint(3), keep=3)
    monkeypatch.undo()
    assert not path.exists()
    assert load_newest(path).note["step"] == 2
    save_checkpoint(path, checkpoint(4), keep=3)
    assert steps_in(tmp_path) == [4, 2, 1]


def test_what_killed_runs_left_is_removed(tmp_path):
    path = tmp_path / CHECKPOINT
    save_checkpoint(path, checkpoint(1))
    for name in ("checkpoint.safetensors", "log.jsonl", "report.html", "best-4.st"):
        suffix = pathlib.Path(name).suffix
        (tmp_path / f".{name}.abc_12x4{suffix}").write_bytes(b"half")
    (tmp_path / ".other").write_bytes(b"mine")
    remove_leftovers(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other", CHECKPOINT]


class FullDisk:
    """Raises ENOSPC at the n-th write or sync of a file, as a full disk would."""

    def __init__(self, monkeypatch, at):
        self.calls, self.at = 0, at
        real_open, real_sync = pathlib.Path.open, os.fsync

        def count():
            self.calls += 1
            if self.calls >= self.at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def opened(path, mode="r", *args, **kwargs):
            stream = real_open(path, mode, *args, **kwargs)
            if "w" in mode or "a" in mode:
                real_write = stream.write

                def write(content):
                    # Half of it still fits.
                    if self.calls + 1 >= self.at:
                        real_write(content[: len(content) // 2])
                    count()
                    return real_write(content)

                return Writer(stream, write)
            return stream

        def synced(handle):
            count()
            return real_sync(handle)

        monkeypatch.setattr(pathlib.Path, "open", opened)
        monkeypatch.setattr(os, "fsync", synced)


class Writer(io.TextIOBase):
    """A stream with another `write`."""

    def __init__(self, stream, write):
        self.stream, self.write = stream, write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def flush(self):
        self.stream.flush()

    def fileno(self):
        return self.stream.fileno()


def _with(config, **run):
    return dataclasses.replace(config, run=dataclasses.replace(config.run, **run))


def _run(config):
    config.output.mkdir(exist_ok=True)
    data = prepare(config.heads, config.split, config.limits)
    trainer = Trainer(build_job(config, data)[0])
    trainer.run(StopFlag())
    return {k: v.clone() for k, v in trainer.average.module.state_dict().items()}


@pytest.mark.parametrize("at", [3, 9])
def test_a_full_disk_ends_a_run_which_goes_on_later(tiny_config, monkeypatch, at):
    config = _with(tiny_config, max_steps=5, checkpoint_every=2)
    whole = _run(dataclasses.replace(config, output=config.output.with_name("whole")))
    FullDisk(monkeypatch, at)
    with pytest.raises(LamplighterError, match=r"No space left.*free some space"):
        _run(config)
    monkeypatch.undo()
    hidden = [p.name for p in config.output.iterdir() if p.name.startswith(".")]
    assert hidden == []
    again = _run(config)
    assert all(torch.equal(whole[k], again[k]) for k in whole)
    steps = [r["step"] for r in read_log(config.output / "log.jsonl")]
    assert steps == sorted(steps)


def _limited(path, pipe):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    big = Checkpoint(tensors={"a": torch.zeros(10_000)}, note={"step": 2})
    try:
        save_checkpoint(path, big, keep=2)
    except LamplighterError as error:
        pipe.send(str(error))


def test_a_file_beyond_the_limit_of_the_system_leaves_the_old_one(tmp_path):
    save_checkpoint(tmp_path / "c.st", checkpoint(1))
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_limited, args=(tmp_path / "c.st", theirs)
    )
    process.start()
    process.join()
    assert "c.st was not written" in ours.recv()
    assert steps_in(tmp_path) == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_best_models_so_far_are_kept(tiny_config):
    config = _with(tiny_config, max_steps=20, validate_every=2, keep_best=2)
    _run(config)
    records = read_log(config.output / "log.jsonl")
    best, falling = float("inf"), []
    for record in records:
        if record["event"] == "validation" and record["score"] < best:
            best = record["score"]
            falling.append(record["step"])
    kept = sorted(config.output.glob("best-*.safetensors"))
    assert len(falling) > 2
    assert {p.name for p in kept} == {f"best-{k}.safetensors" for k in falling[-2:]}
    assert load_potential(kept[0]).config.heads[0].name == "pbe"


def test_a_damaged_log_is_read_as_far_as_it_can(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    log.write("train", step=1)
    with log.path.open("ab") as stream:
        stream.write(b'\x00\x00\xff{"ev\n[1]\n{"a": 1}\n')
    log.write("train", step=2)
    assert [r["step"] for r in read_log(log.path)] == [1, 2]


def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(LamplighterError, match=r"cannot write.*log\.jsonl.*resumes"):
        RunLog(tmp_path / "absent" / "log.jsonl").write("train", step=1)
