"""The settings of docs/training.md are read, and its command for two processes runs."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lamplighter.model import load_potential
from lamplighter.train.config import TrainConfig
from lamplighter.train.optim import Optimizers
from lamplighter.train.optim_config import OptimizerSettings
from lamplighter.train.prepare import prepare
from lamplighter.train.run_config import RunSettings, SamplingSettings
from lamplighter.train.training import build_job
from lamplighter.train.yaml_config import read_yaml

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture
def settings(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return path


def test_the_settings_are_known_and_their_defaults_as_said(settings):
    config = read_yaml(TrainConfig, settings)
    assert config.sampling.max_pairs == 20000
    content = yaml.safe_load(settings.read_text())
    changed = {
        "sampling": {"max_pairs", "steps_per_epoch"},
        "optimizer": {"no_decay", "rate_factors", "frozen"},
        "run": {"keep_best"},
    }
    classes = (SamplingSettings, OptimizerSettings, RunSettings)
    for (section, others), cls in zip(changed.items(), classes, strict=True):
        for name in content[section]:
            same = getattr(getattr(config, section), name) == getattr(cls(), name)
            assert same == (name not in others), name


def test_the_patterns_fit(settings):
    config = read_yaml(TrainConfig, settings)
    small = dataclasses.replace(config.model, channels=4, edge_channels=4, l_max=1)
    config = dataclasses.replace(config, model=small)
    data = prepare(config.heads[:1], config.split, config.limits)
    job, _ = build_job(dataclasses.replace(config, heads=config.heads[:1]), data)
    Optimizers(job.potential, config.optimizer)
    assert not job.potential.embedding.requires_grad


@pytest.mark.slow
def test_torchrun_trains_in_two_processes(settings, tmp_path):
    (command,) = re.findall(
        r"^(OMP_NUM_THREADS=1 torchrun .*)$", PAGE.read_text(), re.MULTILINE
    )
    content = yaml.safe_load(settings.read_text())
    del content["heads"][1]
    content["run"] |= {"max_steps": 4, "threads": 1}
    content["model"] = {
        "channels": 4,
        "edge_channels": 4,
        "l_max": 1,
        "cutoff": 4.0,
        "radial_hidden": [8],
        "correlation": 2,
    }
    settings.write_text(yaml.safe_dump(content))
    variables, *words = command.split()
    assert variables == "OMP_NUM_THREADS=1"
    assert words[0] == "torchrun"
    finished = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words[1:]],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("ended by steps") == 1
    assert len(load_potential(tmp_path / "run" / "model.safetensors").config.heads) == 1
