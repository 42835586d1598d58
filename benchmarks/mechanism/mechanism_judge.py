"""Errors of every potential of the study on frames that no head has seen."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mechanism_data import SOURCES, TEST_SETS
from mechanism_recipes import ARMS, SHIPPED_ARMS, Size

import lamplighter
from lamplighter.files import sha256_file
from lamplighter.model import Potential, load_potential
from lamplighter.resources import base_model
from lamplighter.train import FinetuneConfig, Frame, read_frames
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.evaluation import by_head, residuals, table_of
from lamplighter.train.prepare import prepare
from lamplighter.train.yaml_config import read_yaml

NUMBERS = ("energy_mae", "energy_rmse", "force_mae", "force_rmse", "force_rms")
"""Columns that are kept, energies in meV/atom, forces in meV/Å."""

log = logging.getLogger(__name__)


def collect(
    output: Path, *, seeds: Sequence[int], size: Size, counts: Mapping[str, int]
) -> dict[str, Any]:
    """Return all errors of the trainings that are there, ready for JSON.

    ``runs[arm][seed]["errors"][set]`` holds the numbers of a test set, and
    ``["validation"][head]`` those of the held-out frames by which settings may be
    chosen. ``shipped[arm][seed][head]`` holds those of the shipped model's held-out
    frames, ``shipped["base"]["1"][head]`` before post-training.
    """
    runs: dict[str, dict[str, Any]] = {}
    for arm in ARMS:
        for seed in seeds:
            folder = output / f"seed{seed}" / arm
            if (folder / "errors.json").is_file():
                log.info("seed %d %s: judged", seed, arm)
                runs.setdefault(arm, {})[str(seed)] = _judge(folder, output / "data")
    shipped = _shipped(output, seeds)
    return {
        "lamplighter": lamplighter.__version__,
        "torch": torch.__version__,
        "size": dataclasses.asdict(size),
        "units": {"energy": "meV/atom", "force": "meV/Å"},
        "frames": dict(counts),
        "test_sets": {
            t.name: {"head": t.head, "relation": t.relation}
            for t in TEST_SETS
            if counts[t.name]
        },
        "runs": runs,
        "shipped": shipped,
    }


def _judge(folder: Path, data: Path) -> dict[str, Any]:
    potential = load_potential(folder / "model.safetensors", dtype="float64")
    heads = {h.name for h in potential.config.heads}
    errors = {
        t.name: _errors(potential, data / f"{t.name}.xyz", t.head)
        for t in TEST_SETS
        if t.head in heads and (data / f"{t.name}.xyz").stat().st_size
    }
    validation = {
        s.head: _errors(potential, data / f"{s.head}-validation.xyz", s.head)
        for s in SOURCES
        if s.head in heads
    }
    end = json.loads((folder / "log.jsonl").read_text("utf-8").splitlines()[-1])
    return {
        "sha256": sha256_file(folder / "model.safetensors"),
        "n_weights": sum(p.numel() for p in potential.parameters()),
        "steps": end["step"],
        "chosen_step": end["best_step"],
        "ended_by": end["reason"],
        "errors": errors,
        "validation": validation,
    }


def _shipped(output: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Every old head of the shipped model on what that model held out."""
    done = {
        (arm, seed): folder / "model.safetensors"
        for arm in SHIPPED_ARMS
        for seed in seeds
        if ((folder := output / f"seed{seed}" / arm) / "errors.json").is_file()
    }
    if not done:
        return {}
    config = read_yaml(
        FinetuneConfig, output / f"seed{seeds[0]}" / "shipped-replay.yaml"
    )
    data = prepare((*config.heads, *config.replay_heads), config.split, config.limits)
    old = {h.name for h in config.replay_heads}
    frames = [f for f in data.frames("validation") if f.head in old]
    result: dict[str, Any] = {"base": {"1": _by_head(base_model(), frames)}}
    for (arm, seed), model in done.items():
        log.info("seed %d %s: judged", seed, arm)
        result.setdefault(arm, {})[str(seed)] = _by_head(model, frames)
    return result


def _by_head(model: Path, frames: Sequence[Frame]) -> dict[str, Any]:
    potential = load_potential(model, dtype="float64")
    rows = by_head(table_of(residuals(potential, frames)))
    return {
        head: {"n_frames": row.n_frames, **_numbers(row)} for head, row in rows.items()
    }


def _errors(potential: Potential, path: Path, head: str) -> dict[str, float]:
    frames = read_frames(path, head)
    return _numbers(by_head(table_of(residuals(potential, frames)))[head])


def _numbers(row: ErrorRow) -> dict[str, float]:
    values = dataclasses.asdict(row)
    return {
        name: round(values[name], 3) for name in NUMBERS if values[name] is not None
    }
