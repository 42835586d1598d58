"""Every block of docs/heads.md runs, in order, in one folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from doc_pages import code_blocks

from lamplighter import cli
from lamplighter.model import load_potential, read_header
from lamplighter.train.config import TrainConfig
from lamplighter.train.heads import fit_heads
from lamplighter.train.prepare import prepare
from lamplighter.train.yaml_config import read_yaml


def test_the_page_runs(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = code_blocks((root / "docs" / "heads.md").read_text())
    assert [kind for kind, _ in blocks] == [
        *("python", "sh", "python", "yaml", "python", "python")
    ]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, (kind, block) in enumerate(blocks):
        if kind == "yaml":
            Path("train.yaml").write_text(block)
        elif kind == "python":
            exec(compile(block, f"docs/heads.md, block {number}", "exec"), names)
        else:
            for line in block.splitlines():
                program, *words = shlex.split(line)
                assert program == "lamplighter"
                assert cli.run(words) == 0, line
    assert "RPBE" in capsys.readouterr().out
    heads = [h.name for h in load_potential("some.safetensors").config.heads]
    assert heads[-1] == "PBE-D3"
    assert not {"r2scan", "rpbe"} & set(heads)
    steps = read_header("fresh.safetensors").provenance["heads_edited"]
    operations = [step["operation"] for step in steps]
    assert operations == ["copy", "rename", "describe", "renew"]
    assert names["smaller"].config.head("SCAN").licence == "CC-BY-4.0"


def test_the_settings_of_the_page_make_a_head(root: Path, tmp_path: Path) -> None:
    text = (root / "docs" / "heads.md").read_text()
    (settings,) = [block for kind, block in code_blocks(text) if kind == "yaml"]
    (tmp_path / "train.yaml").write_text(settings)
    config = read_yaml(TrainConfig, tmp_path / "train.yaml")
    data = prepare(config.heads, config.split, config.limits)
    (fitted,) = fit_heads(config.heads, {h.head.name: h.train for h in data.heads})
    assert fitted.spec.learnt == {"energy": 1.0, "forces": 2.0}
    assert {r.origin for r in fitted.references} <= {
        *("isolated atom", "fit", "fit (minimum norm)")
    }
    assert config.heads[0].reference_bias.trainable
