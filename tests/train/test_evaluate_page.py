"""Every block of docs/evaluate.md runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_pages import code_blocks, run_shell

from lamplighter.train.config import RunSettings
from lamplighter.train.yaml_config import from_mapping


@pytest.fixture
def blocks(root: Path) -> list[tuple[str, str]]:
    text = (root / "docs" / "evaluate.md").read_text()
    return code_blocks(text)


@pytest.mark.slow  # the base model on a hundred frames, several times
def test_the_page_runs(blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for number, (language, block) in enumerate(blocks):
        if language == "sh":
            shown.append(run_shell(block))
        elif language == "python":
            exec(compile(block, f"docs/evaluate.md, block {number}", "exec"), names)
    first, _, third = shown
    assert "slab5_relax" in first
    assert "no difference" in third
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert set(errors["errors"]) == {"by_config_type", "by_element", "by_domain"}
    assert (tmp_path / "page.html").stat().st_size < 2_000_000
    assert len(names["frames"]) == 5


def test_the_settings_are_settings(blocks, tmp_path):
    (block,) = [text for language, text in blocks if language == "yaml"]
    run = from_mapping(
        RunSettings, yaml.safe_load(block)["run"], where="page", folder=tmp_path
    )
    assert run.logging == ("tensorboard", "wandb")


def test_no_block_is_left_out(blocks):
    assert [language for language, _ in blocks] == [
        *("sh", "sh", "python", "sh", "python", "yaml")
    ]


def test_the_picture_is_there(root):
    assert (root / "docs" / "images" / "training-page.png").stat().st_size < 400_000
