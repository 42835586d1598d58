"""import, inspect and select from the command line, on real checkpoints."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ase import Atoms
from torch import nn

from lamplighter import cli
from lamplighter.model import (
    Calculator,
    ConditionSpec,
    HeadSpec,
    Potential,
    PotentialConfig,
    read_header,
    save_potential,
)


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


@pytest.fixture
def heads3(checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    """Import a checkpoint with three heads."""
    model = tmp_path / "heads3.safetensors"
    assert run("import", checkpoint("v0.3.13-heads3-zbl"), "-o", model) == 0
    return model


def test_import_says_what_it_found(
    checkpoint: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = checkpoint("v0.3.13-heads3-zbl")
    model = tmp_path / "out.safetensors"
    assert run("import", file, "-o", model) == 0
    said = capfd.readouterr().out
    assert "parameters" in said
    assert "note: the file does not say the level of theory of pbe" in said
    header = read_header(model)
    assert header.provenance["imported_from"] == "v0.3.13-heads3-zbl.model"
    assert header.provenance["dtype"] == "float64"
    assert header.dtype == "float64"


def test_heads_are_described_by_a_yaml_file(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    file = checkpoint("v0.3.13-heads3-zbl")
    model = tmp_path / "out.safetensors"
    heads = tmp_path / "heads.yaml"
    heads.write_text(
        "pbe: {level_of_theory: PBE, dispersion: 'd3bj:pbe', licence: MIT,"
        " source: mine, elements: [Mg, O]}\n"
    )
    assert run("import", file, "-o", model, "--heads", heads, "--dtype=float32") == 0
    header = read_header(model)
    spec = header.config.head("pbe")
    assert (spec.level_of_theory, spec.dispersion) == ("PBE", "d3bj:pbe")
    assert (spec.licence, spec.source) == ("MIT", "mine")
    assert set(spec.reference_energies) == {"Mg", "O"}
    assert header.dtype == "float32"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("pbe0: {licence: MIT}", "pbe0"),
        ("pbe: {license: MIT}", "license"),
        ("pbe: {elements: [Xe]}", "Xe"),
        ("pbe: {dispersion: d3}", "d3bj:pbe"),
        ("pbe: {dispersion: no}", "dispersion of head 'pbe' is no text"),
        ("- pbe", "does not describe heads"),
        ("pbe: [", "cannot be read"),
    ],
)
def test_bad_descriptions_are_refused(
    checkpoint: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    content: str,
    said: str,
) -> None:
    file = checkpoint("v0.3.13-heads3-zbl")
    model = tmp_path / "out.safetensors"
    heads = tmp_path / "heads.yaml"
    heads.write_text(content)
    assert run("import", file, "-o", model, "--heads", heads) == 2
    assert said in capfd.readouterr().err
    assert not model.exists()


def test_a_malicious_checkpoint_is_refused_by_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.system, (f"touch {tmp_path}/executed",)

    module = nn.Module()
    module.surprise = Attack()
    torch.save(module, tmp_path / "bad.model", pickle_module=pickle)
    assert run("import", tmp_path / "bad.model", "-o", tmp_path / "m.safetensors") == 2
    assert "system" in capfd.readouterr().err
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "m.safetensors").exists()


def test_inspect_tells_size_precision_and_hash(
    heads3: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert run("inspect", heads3, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["size_bytes"] == heads3.stat().st_size
    assert len(facts["sha256"]) == 64
    assert facts["parameters"] > 1000
    assert facts["dtype"] == "float64"
    assert facts["provenance"]["class"].endswith("ScaleShiftMACE")
    assert run("inspect", heads3) == 0
    assert "head pbe" in capfd.readouterr().out


def test_inspect_reads_a_checkpoint_too(
    checkpoint: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    file = checkpoint("v0.3.13-heads3-zbl")
    assert run("inspect", file, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["kind"].startswith("checkpoint of mace-torch")
    assert len(facts["heads"]) == 3
    assert facts["zbl"] is True


def test_select_keeps_the_numbers(heads3: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.safetensors"
    names = [spec.name for spec in read_header(heads3).config.heads]
    words = ("--heads", names[2], names[0], "--elements", "O", "Mg")
    assert run("select", heads3, "-o", small, *words) == 0
    config = read_header(small).config
    assert [spec.name for spec in config.heads] == [names[2], names[0]]
    assert config.elements == ("O", "Mg")
    assert small.stat().st_size < heads3.stat().st_size
    for name in (names[0], names[2]):
        energies = []
        for file in (heads3, small):
            atoms = Atoms("MgO", [[0, 0, 0], [0, 0, 1.9]])
            atoms.calc = Calculator(file, name)
            energies.append(atoms.get_potential_energy())
        assert energies[0] == pytest.approx(energies[1], abs=1e-11)


def test_select_of_a_head_keeps_the_elements_that_it_knows(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    file, model = checkpoint("v0.3.13-heads3-zbl"), tmp_path / "m.safetensors"
    heads = tmp_path / "heads.yaml"
    heads.write_text("pbe: {elements: [Mg, O]}\n")
    assert run("import", file, "-o", model, "--heads", heads) == 0
    small = tmp_path / "small.safetensors"
    assert run("select", model, "-o", small, "--heads", "pbe") == 0
    assert read_header(small).config.elements == ("O", "Mg")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--heads", "none"], "unknown head"),
        (["--heads", "pbe", "pbe"], "named twice"),
        (["--elements", "Xe"], "Xe"),
        (["--elements", "Mg", "Xe"], "Xe"),
    ],
)
def test_impossible_selections_are_refused(
    heads3: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    out = tmp_path / "small.safetensors"
    assert run("select", heads3, "-o", out, *words) == 2
    assert said in capfd.readouterr().err
    assert not out.exists()


def test_charge_and_spin_are_fixed_for_lammps(
    checkpoint: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "m.pt"
    assert run("import", checkpoint("embedding-readout"), "-o", model) == 0
    head = read_header(model).config.heads[0].name
    words = ("convert", model, "--head", head, "--elements", "O", "-o", out)
    assert run(*words, "--charge", "1", "--spin", "2") == 0
    capfd.readouterr()
    assert run("inspect", out, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["conditions"] == {"total_charge": 1.0, "total_spin": 2.0}
    assert run(*words, "--charge", "99") == 2
    assert "whole number" in capfd.readouterr().err


def test_another_condition_has_to_be_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "m.pt"
    heat = ConditionSpec(name="elec_temp", kind="continuous", width=2, default=None)
    head = HeadSpec(name="pbe", level_of_theory="PBE", reference_energies={"O": -2.0})
    config = PotentialConfig(
        elements=("O",),
        heads=(head,),
        channels=2,
        edge_channels=2,
        l_max=1,
        radial_hidden=(4,),
        density_hidden=(4,),
        conditions=(heat,),
    )
    torch.manual_seed(0)
    save_potential(Potential(config), model)
    words = ("convert", model, "--elements", "O", "-o", out)
    assert run(*words) == 2
    assert "depends on elec_temp" in capfd.readouterr().err
    assert not out.exists()
    assert run(*words, "--condition.elec_temp", "0.3") == 0
    capfd.readouterr()
    assert run("inspect", out, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["conditions"] == {"elec_temp": 0.3}


def test_the_shipped_model_has_a_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", "model:base") == 0
    assert "b3lyp-d3bj" in capfd.readouterr().out
    words = ["--head", "pbe", "--elements", "H", "-o"]
    assert run("convert", "model:base", *words, tmp_path / "h.pt") == 0
    assert (tmp_path / "h.pt").is_file()
    assert run("convert", "model:none", *words, tmp_path / "no.pt") == 2
    assert "wanted: model:base" in capfd.readouterr().err


def test_every_command_about_a_potential_knows_the_shipped_one(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run("heads", "list", "model:base") == 0
    assert "b3lyp-d3bj" in capfd.readouterr().out
    assert run("heads", "show", "model:base", "pbe") == 0
    assert run("heads", "list", "model:best") == 2
    assert "wanted: model:base" in capfd.readouterr().err


def test_tables_can_be_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "h.pt"
    words = ["--head", "pbe", "--elements", "H", "-o", out, "--no-tables"]
    assert run("convert", "model:base", *words) == 0
    capfd.readouterr()
    assert run("inspect", out, "--json") == 0
    assert not json.loads(capfd.readouterr().out)["compiled"]
