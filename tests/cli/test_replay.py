"""`lamplighter replay` and `lamplighter presets`: what they write, print, end with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.io import write

from lamplighter import cli
from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential
from lamplighter.train import read_frames


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small random potential of H and O with one head."""
    torch.manual_seed(2)
    head = HeadSpec(
        name="pbe", level_of_theory="PBE", reference_energies={"H": -1.0, "O": -2.0}
    )
    shape = PotentialConfig(
        elements=("H", "O"),
        heads=(head,),
        cutoff=4.0,
        n_radial=4,
        radial_hidden=(8,),
        density_hidden=(8,),
        l_max=1,
        channels=4,
        edge_channels=4,
        correlation=2,
        readout_hidden=4,
        density_alpha=8.0,
    )
    path = tmp_path / "model.safetensors"
    save_potential(Potential(shape).double(), path)
    return path


@pytest.fixture
def waters(tmp_path: Path) -> Path:
    """Twelve structures without labels."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(12):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(0, 0.05, (3, 3))
        found.append(atoms)
    path = tmp_path / "waters.xyz"
    write(path, found, format="extxyz")
    return path


def test_label_then_select(
    model: Path, waters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled, chosen = tmp_path / "labelled.xyz", tmp_path / "chosen.xyz"
    words = ["replay", "label", model, waters, "--head", "pbe", "-o", labelled]
    assert cli.run([str(w) for w in words]) == 0
    assert "wrote" in capsys.readouterr().out
    assert cli.run([str(w) for w in words]) == 0
    assert "found" in capsys.readouterr().out
    words = ["replay", "select", labelled, "--new", waters, "-n", 4, "-o", chosen]
    assert cli.run([str(w) for w in [*words, "--model", model, "--json"]]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["chosen"], report["candidates"]) == (4, 12)
    assert report["selection"] == "fps"
    assert report["not_covered"] == []
    kept = {f.uid: f for f in read_frames(chosen)}
    before = {f.uid: f for f in read_frames(labelled)}
    assert len(kept) == 4
    for uid, frame in kept.items():
        assert frame.energy == before[uid].energy
        assert np.array_equal(frame.forces, before[uid].forces)
        assert (frame.head, frame.level) == ("pbe", "PBE")


def test_farthest_points_without_a_model_are_refused(
    model: Path, waters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled, chosen = tmp_path / "labelled.xyz", tmp_path / "chosen.xyz"
    words = ["replay", "label", model, waters, "--head", "pbe", "-o", labelled]
    assert cli.run([str(w) for w in words]) == 0
    words = ["replay", "select", labelled, "--new", waters, "-n", 4, "-o", chosen]
    assert cli.run([str(w) for w in words]) == 2
    assert "farthest points need a potential" in capsys.readouterr().err
    assert not chosen.exists()


def test_presets_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["presets", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    commands = {row["preset"]: row["command"] for row in rows}
    expected = {
        "pretrain": "train",
        "mh1-stage1": "train",
        "mh1-stage2": "finetune",
        "replay": "finetune",
        "lora": "finetune",
        "naive": "finetune",
    }
    assert commands.items() >= expected.items()
    assert cli.run(["presets", "lora", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["method"] == ["lora", "preset"]
    assert values["run.seed"][1] == "default"
    assert cli.run(["presets", "lora"]) == 0
    assert "lora.rank" in capsys.readouterr().out
    assert cli.run(["presets", "loar"]) == 2
