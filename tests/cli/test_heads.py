"""lamplighter heads: files are whole, kept heads are the same, provenance tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lamplighter import cli
from lamplighter.files import sha256_file
from lamplighter.model import load_potential, read_header
from lamplighter.model.head_rows import head_rows


def run(*words: object) -> int:
    return cli.run(["heads", *(str(word) for word in words)])


def names(file: Path) -> list[str]:
    return [head.name for head in read_header(file).config.heads]


def test_list_and_show(tiny_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("list", tiny_model) == 0
    said = capfd.readouterr().out
    assert "rpbe" in said
    assert run("list", tiny_model, "--json") == 0
    listed = json.loads(capfd.readouterr().out)
    assert [head["name"] for head in listed] == ["pbe", "rpbe"]
    assert run("show", tiny_model, "rpbe") == 0
    said = capfd.readouterr().out
    assert "RPBE" in said
    assert "-3.000000 eV" in said
    assert run("show", tiny_model, "pbe", "--json") == 0
    shown = json.loads(capfd.readouterr().out)
    assert list(shown["reference_energies"]) == ["H", "O", "Mg"]
    assert shown["weights"]["readouts.0.weight"] == [4]


@pytest.mark.parametrize(
    ("words", "expected", "note"),
    [
        (("rename", "pbe", "PBE"), ["PBE", "rpbe"], {"heads": {"pbe": "PBE"}}),
        (("drop", "pbe"), ["rpbe"], {"heads": ["pbe"]}),
        (("copy", "pbe", "mine"), ["pbe", "rpbe", "mine"], {"heads": {"pbe": "mine"}}),
        (("renew", "pbe", "--seed=3"), ["pbe", "rpbe"], {"heads": ["pbe"], "seed": 3}),
        (
            ("describe", "pbe", "--licence=MIT", "--dispersion=d3bj:pbe"),
            ["pbe", "rpbe"],
            {"heads": ["pbe"], "licence": "MIT", "dispersion": "d3bj:pbe"},
        ),
    ],
)
def test_a_changed_file_keeps_the_other_heads_and_says_what_was_done(
    tiny_model: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    expected: list[str],
    note: dict[str, object],
) -> None:
    command, *rest = words
    out = tmp_path / "out.safetensors"
    assert run(command, tiny_model, *rest, "-o", out) == 0
    assert names(out) == expected
    header = read_header(out)
    digest = sha256_file(tiny_model)
    assert header.provenance["made"] == "untrained"
    assert header.provenance["heads_edited"] == [
        {"operation": command, **note, "file": tiny_model.name, "sha256": digest}
    ]
    assert header.dtype == read_header(tiny_model).dtype
    old, new = load_potential(tiny_model), load_potential(out)
    for name, value in head_rows(old, "rpbe").items():
        assert torch.equal(value, head_rows(new, "rpbe")[name])
    trunk = [k for k in old.state_dict() if not k.startswith("readouts.")]
    assert all(torch.equal(old.state_dict()[k], new.state_dict()[k]) for k in trunk)


def test_a_file_can_be_changed_in_place_again_and_again(
    tiny_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(tiny_model.read_bytes())
    assert run("copy", file, "pbe", "a", "-o", file) == 0
    assert run("rename", file, "a", "b", "-o", file) == 0
    assert names(file) == ["pbe", "rpbe", "b"]
    steps = read_header(file).provenance["heads_edited"]
    assert [step["operation"] for step in steps] == ["copy", "rename"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "scan"), "one of 'pbe', 'rpbe'"),
        (("show",), "one of 'pbe', 'rpbe'"),
        (("rename", "scan", "x", "-o", "OUT"), "one of 'pbe', 'rpbe'"),
        (("rename", "pbe", "rpbe", "-o", "OUT"), "each name once"),
        (("drop", "scan", "-o", "OUT"), "one of 'pbe', 'rpbe'"),
        (("drop", "pbe", "rpbe", "-o", "OUT"), "needs a head"),
        (("copy", "scan", "x", "-o", "OUT"), "one of 'pbe', 'rpbe'"),
        (("renew", "scan", "-o", "OUT"), "one of 'pbe', 'rpbe'"),
        (("describe", "pbe", "-o", "OUT"), "nothing to change"),
        (("describe", "pbe", "--dispersion=d3", "-o", "OUT"), "d3bj:pbe"),
    ],
)
def test_what_cannot_be_done_leaves_no_file(
    tiny_model: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    out = tmp_path / "out.safetensors"
    command, *rest = (str(out) if word == "OUT" else word for word in words)
    assert run(command, tiny_model, *rest) == 2
    assert said in capfd.readouterr().err
    assert not list(tmp_path.iterdir())
