"""Presets: what they hold, that own values win, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from lamplighter.errors import ConfigError
from lamplighter.train import FinetuneConfig, TrainConfig
from lamplighter.train.preset_files import (
    FOLDER,
    PRESETS,
    effective_settings,
    overlaid,
    preset_summary,
    preset_text,
    read_and_show,
    read_with_preset,
)
from lamplighter.train.yaml_config import from_mapping, read_yaml

TRAIN = """
output: run
heads: [{name: pbe, level: PBE, files: [a.xyz]}]
"""
FINETUNE = """
base: "model:base"
output: run
heads: [{name: mine, level: PBE, files: [a.xyz], start_from: pbe}]
"""


def _file(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return path


def test_every_file_is_a_preset_and_says_what_it_is():
    assert {p.stem for p in FOLDER.glob("*.yaml")} == set(PRESETS)
    assert all(len(preset_summary(name)) > 20 for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_configures_a_run(tmp_path, name):
    kind = PRESETS[name]
    path = _file(tmp_path, TRAIN if kind is TrainConfig else FINETUNE)
    config, found = read_with_preset(kind, path, name)
    origins = {one.name: one.origin for one in found}
    assert origins["output"] == "file"
    assert "preset" in origins.values()
    assert "default" in origins.values()
    assert config.heads[0].name in ("pbe", "mine")


def test_mh1_stage_1_is_what_was_published(tmp_path):
    path = _file(tmp_path, TRAIN + "preset: mh1-stage1\n")
    config, _ = read_with_preset(TrainConfig, path)
    loss, optimizer, model = config.loss, config.optimizer, config.model
    weights = (loss.energy_weight, loss.forces_weight, loss.stress_weight)
    assert weights == (1.0, 10.0, 0.0)
    assert (optimizer.learning_rate, optimizer.amsgrad) == (3e-3, True)
    assert (optimizer.ema_decay, optimizer.clip_norm) == (0.995, 100.0)
    assert (model.channels, model.edge_channels, model.cutoff) == (512, 128, 6.0)
    assert config.run.seed == 123


def test_own_values_win_and_the_rest_of_a_section_stays(tmp_path):
    text = FINETUNE + "preset: lora\noptimizer: {learning_rate: 7.0e-4}\n"
    config, found = read_with_preset(FinetuneConfig, _file(tmp_path, text))
    assert config.optimizer.learning_rate == 7e-4
    assert config.optimizer.clip_norm == 1.0
    assert config.method == "lora"
    origins = {one.name: one.origin for one in found}
    assert origins["optimizer.learning_rate"] == "file"
    assert origins["optimizer.clip_norm"] == "preset"
    assert origins["optimizer.beta1"] == "default"


def test_a_preset_changes_nothing_that_a_file_sets(tmp_path):
    """Every value of a preset can be overruled: nothing is forced."""
    for name, kind in PRESETS.items():
        base = TRAIN if kind is TrainConfig else FINETUNE
        plain = read_yaml(kind, _file(tmp_path, base))
        text = base + "optimizer: {learning_rate: 0.123, ema_decay: 0.5}\n"
        config, _ = read_with_preset(kind, _file(tmp_path, text), name)
        assert config.optimizer.learning_rate == 0.123
        assert config.optimizer.ema_decay == 0.5
        assert plain.heads == config.heads


def test_a_section_starts_from_the_default_of_its_parent(tmp_path):
    """A post-training has another learning rate than a training."""
    text = FINETUNE + "optimizer: {ema_decay: 0.9}\n"
    config = read_yaml(FinetuneConfig, _file(tmp_path, text))
    default = FinetuneConfig(base=config.base, output=config.output, heads=config.heads)
    expected = dataclasses.replace(default.optimizer, ema_decay=0.9)
    assert config.optimizer == expected
    assert expected.learning_rate == 3e-4


@pytest.mark.parametrize(
    ("text", "preset", "message"),
    [
        (
            "preset: repaly",
            None,
            "unknown preset; got: repaly.* one of pretrain",
        ),
        ("", "repaly", "unknown preset"),
        ("preset: pretrain", None, "'pretrain' is not for lamplighter finetune.*lora"),
        ("preset: lora", "naive", "two presets are named.*'lora'.*'naive'"),
    ],
)
def test_wrong_presets_are_refused(tmp_path, text, preset, message):
    path = _file(tmp_path, FINETUNE + text + "\n")
    with pytest.raises(ConfigError, match=message):
        read_with_preset(FinetuneConfig, path, preset)


def test_effective_values_are_shown_with_their_origin(tmp_path, capsys):
    path = _file(tmp_path, FINETUNE)
    read_and_show(FinetuneConfig, path)
    shown = capsys.readouterr().out
    assert "optimizer.learning_rate" in shown
    assert "preset" not in shown
    read_and_show(FinetuneConfig, path, "replay")
    shown = capsys.readouterr().out
    assert "optimizer.learning_rate" in shown
    assert "0.0001" in shown
    assert "preset" in shown


def test_a_preset_can_be_printed_whole():
    rows = {one.name: one for one in effective_settings("naive")}
    assert rows["method"].value == "naive"
    assert rows["replay.guard"].origin == "preset"
    assert rows["run.seed"].origin == "default"
    assert not any(name.startswith(("heads", "base", "output")) for name in rows)
    assert "never published" in preset_text("mh1-stage2")


def test_mappings_are_merged_and_lists_replaced():
    start = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    merged = overlaid(start, {"a": {"b": 3}, "d": [4]})
    assert merged == {"a": {"b": 3, "c": 2}, "d": [4]}
    assert start == {"a": {"b": 1, "c": 2}, "d": [1, 2]}


def test_the_example_is_complete(root):
    path = root / "examples" / "add-a-head" / "finetune.yaml"
    config = read_yaml(FinetuneConfig, path)
    assert config.heads[0].start_from in {h.name for h in config.replay_heads}


def test_a_wrong_value_inside_a_default_is_refused(tmp_path):
    content = {"output": "x", "heads": [], "base": "b"}
    with pytest.raises(ConfigError, match="unknown key 'lerning_rate' in here: optimi"):
        from_mapping(
            FinetuneConfig,
            {**content, "optimizer": {"lerning_rate": 1}},
            where="here",
            folder=tmp_path,
        )
