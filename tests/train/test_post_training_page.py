"""Every block of docs/post_training.md runs, in order, in one folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from doc_pages import code_blocks

from lamplighter import cli
from lamplighter.model import read_header
from lamplighter.train.data.reader import read_frames
from lamplighter.train.preset_files import PRESETS


@pytest.mark.slow
def test_the_page_runs(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (root / "docs" / "post_training.md").read_text()
    blocks = code_blocks(text)
    assert [kind for kind, _ in blocks].count("sh") == 4
    assert [kind for kind, _ in blocks].count("python") == 3
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, (kind, block) in enumerate(blocks):
        if kind == "yaml":
            Path("finetune.yaml").write_text(block)
        elif kind == "python":
            exec(
                compile(block, f"docs/post_training.md, block {number}", "exec"), names
            )
        elif kind == "sh":
            for line in block.splitlines():
                program, *words = shlex.split(line)
                assert program == "lamplighter"
                assert cli.run(words) == 0, line
    shown = capsys.readouterr().out
    assert "pbe: 6 of 11 frames replayed (selection fps, relevance any)" in shown
    assert "found labelled.xyz: 11 structures" in shown
    assert "optimizer.learning_rate" in shown
    assert len(read_frames("chosen.xyz")) == 6
    heads = [
        h.name for h in read_header(tmp_path / "tuned/model.safetensors").config.heads
    ]
    assert heads[-1] == "pbesol"
    assert len(heads) == 6
    assert names["tuned"].config.heads[-1].name == "pbesol"
    for name in PRESETS:
        assert f"`{name}`" in text
