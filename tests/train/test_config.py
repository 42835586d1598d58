"""YAML becomes frozen dataclasses; what does not fit is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamplighter.errors import ConfigError
from lamplighter.train import TrainConfig
from lamplighter.train.config import HeadData, OptimizerSettings, SplitSettings
from lamplighter.train.yaml_config import read_yaml, to_mapping

GOOD = """
output: out
heads:
  - name: pbe
    level: PBE
    files: [a.xyz, "dataset:crystal_pbe"]
    reference_energies: {O: -1.5}
optimizer: {learning_rate: 1e-3}
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return path


def test_paths_count_from_the_file_and_names_stay(tmp_path):
    config = read_yaml(TrainConfig, _write(tmp_path, GOOD))
    assert config.output == tmp_path / "out"
    assert config.heads[0].files == (tmp_path / "a.xyz", Path("dataset:crystal_pbe"))
    assert config.heads[0].reference_energies == {"O": -1.5}
    assert config.optimizer.learning_rate == 1e-3


def test_a_configuration_survives_the_round_trip(tmp_path):
    config = read_yaml(TrainConfig, _write(tmp_path, GOOD))
    text = __import__("json").dumps(to_mapping(config))
    again = read_yaml(TrainConfig, _write(tmp_path, text))
    assert again == config


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "learning_rate",
            "lerning_rate",
            "unknown key 'lerning_rate'.*'learning_rate'",
        ),
        ("output: out", "outptu: out", "unknown key 'outptu'.*did you mean 'output'"),
        ("    level: PBE\n", "", "key 'level' is missing.*heads"),
        ("1e-3", "fast", "wrong value for .*learning_rate; got: 'fast'"),
        ("1e-3", "-1.0", "wrong value for learning_rate; got: -1.0"),
        ("{O: -1.5}", "[1]", "reference_energies.*wanted: a mapping"),
        ("name: pbe", "name: 3", "name; got: 3; wanted: text"),
        ("optimizer: {", "optimizer: {amsgrad: maybe, ", "amsgrad.*true or false"),
        ("optimizer: {", "optimizer: {schedule: linear, ", "one of cosine, plateau"),
        ('files: [a.xyz, "dataset:crystal_pbe"]', "files: []", "at least one file"),
        ("optimizer", "optimizer: 3\nother", "unknown key 'other'|optimizer"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, old, new, message):
    path = _write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_yaml(TrainConfig, path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2", "is not YAML"), ("just text", "holds no settings")],
)
def test_files_that_are_no_settings_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_yaml(TrainConfig, _write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="configuration file not found"):
        read_yaml(TrainConfig, tmp_path / "none.yaml")


def test_a_head_name_comes_once():
    head = HeadData(name="pbe", level="PBE", files=(Path("a.xyz"),))
    with pytest.raises(ConfigError, match="pbe twice"):
        TrainConfig(output=Path("out"), heads=(head, head))


def test_fractions_must_leave_something_to_train_on():
    with pytest.raises(ConfigError, match="split fractions"):
        SplitSettings(validation_fraction=0.6, test_fraction=0.4)


def test_decay_must_be_below_one():
    with pytest.raises(ConfigError, match="ema_decay"):
        OptimizerSettings(ema_decay=1.0)
