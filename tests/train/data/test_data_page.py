"""Every block of docs/data.md runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from doc_pages import code_blocks, run_shell

from lamplighter.train.config import HeadData
from lamplighter.train.yaml_config import from_mapping


@pytest.fixture
def blocks(root: Path) -> list[tuple[str, str]]:
    text = (root / "docs" / "data.md").read_text()
    return code_blocks(text)


@pytest.mark.slow  # nine commands, each of which starts Python
def test_the_page_runs(blocks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = []
    for number, (language, block) in enumerate(blocks):
        if language == "sh":
            shown.append(run_shell(block))
        elif language == "python":
            exec(compile(block, f"docs/data.md, block {number}", "exec"), {})
    assert "no problem found" in shown[0]
    assert json.loads((tmp_path / "found.json").read_text())["problems"] == []
    assert "dropped 2: duplicate" in shown[1]
    assert "frames are as they were written" in shown[2]
    assert "crystal_pbe.xyz.gz: frame 12" in capsys.readouterr().out


def test_the_settings_are_settings(blocks, tmp_path):
    texts = [text for language, text in blocks if language == "yaml"]
    assert len(texts) == 2
    for text in texts:
        (entry,) = yaml.safe_load(text)["heads"]
        head = from_mapping(HeadData, entry, where="page", folder=tmp_path)
        assert isinstance(head, HeadData)


def test_the_page_names_every_ending(root):
    from lamplighter.train.data.sources import READERS

    text = (root / "docs" / "data.md").read_text()
    assert all(f"`{ending}`" in text for ending in READERS)
