"""Commands that do their work: what they write, print and end with."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lamplighter import __version__, cli
from lamplighter.resources import dataset

TRAIN = """
output: run
heads:
  - {name: pbe, level: PBE, files: [few.xyz]}
model:
  {cutoff: 4.0, n_radial: 4, radial_hidden: [8], l_max: 1, channels: 4,
   edge_channels: 4, correlation: 2, readout_hidden: 4}
run: {max_steps: 3, validate_every: 2, checkpoint_every: 2, selection: last}
sampling: {batch_frames: 2}
"""

FINETUNE = """
base: run/model.safetensors
output: tuned
heads:
  - {name: mine, level: PBE, files: [mine.xyz], start_from: pbe}
replay_heads:
  - {name: pbe, level: PBE, files: [few.xyz]}
run: {max_steps: 2, validate_every: 2, checkpoint_every: 2, selection: last}
sampling: {batch_frames: 2}
"""


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder in which `lamplighter train train.yaml` has run for three steps."""
    folder = tmp_path_factory.mktemp("trained")
    with gzip.open(dataset("crystal_pbe"), "rt") as source:
        lines = source.read().splitlines()
    frames, start = [], 0
    while start < len(lines):
        end = start + 2 + int(lines[start])
        frames.append(lines[start:end])
        start = end
    chosen = frames[:16]
    text = "\n".join(line for frame in chosen for line in frame) + "\n"
    (folder / "few.xyz").write_text(text)
    (folder / "train.yaml").write_text(TRAIN)
    assert cli.run(["train", str(folder / "train.yaml")]) == 0
    return folder


def test_train_writes_model_log_errors_and_curve(trained: Path) -> None:
    run = trained / "run"
    names = {path.name for path in run.iterdir()}
    assert {"model.safetensors", "errors.json", "learning_curve.png"} <= names
    assert "report.html" in names
    assert any(name.endswith(".jsonl") for name in names)
    assert {name for name in names if name.startswith(".")} <= {".lock"}


def test_train_again_finds_everything_done(
    trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "run" / "model.safetensors").read_bytes()
    assert cli.run(["train", str(trained / "train.yaml")]) == 0
    assert (trained / "run" / "model.safetensors").read_bytes() == before
    assert str(trained / "run" / "model.safetensors") in capfd.readouterr().out


def test_evaluate_prints_the_same_numbers_as_table_and_json(
    trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [
        "evaluate",
        str(trained / "run" / "model.safetensors"),
        str(trained / "few.xyz"),
    ]
    assert cli.run(words) == 0
    shown = capfd.readouterr().out
    assert cli.run([*words, "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["errors"]["by_config_type"]
    assert [row["head"] for row in rows] == ["pbe"] * len(rows)
    assert rows[0]["config_type"] == "all"
    assert rows[0]["n_frames"] == 16
    assert f"{rows[0]['energy_rmse']:.2f}" in shown


def test_finetune_keeps_the_head_and_adds_one(
    trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = trained / "finetune.yaml"
    config.write_text(FINETUNE)
    text = (trained / "few.xyz").read_text()
    (trained / "mine.xyz").write_text(text.replace("head=pbe", "head=mine"))
    assert cli.run(["finetune", str(config)]) == 0
    capfd.readouterr()
    assert (
        cli.run(["inspect", str(trained / "tuned" / "model.safetensors"), "--json"])
        == 0
    )
    facts = json.loads(capfd.readouterr().out)
    assert [head["name"] for head in facts["heads"]] == ["pbe", "mine"]


def test_parity_of_structures_from_a_file(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from ase.build import bulk

    rocksalt = bulk("MgO", "rocksalt", a=4.2, cubic=True)
    rocksalt.rattle(0.05, seed=1)
    rocksalt.write(tmp_path / "mgo.xyz", format="extxyz")
    words = [str(tiny_model), str(tmp_path / "mgo.xyz"), "--head", "pbe", "--json"]
    assert cli.run(["validate", "parity", *words]) == 0
    (result,) = json.loads(capfd.readouterr().out)
    assert result["property"] == "parity"
    assert result["values"]["forces"]["value"] < 1e-8


def test_the_console_script_and_the_module_are_the_same_program() -> None:
    script = Path(sys.executable).parent / "lamplighter"
    outputs = [
        subprocess.run([*words, "--version"], capture_output=True, check=True).stdout
        for words in ([script], [sys.executable, "-m", "lamplighter"])
    ]
    assert outputs[0] == outputs[1] == f"lamplighter {__version__}\n".encode()


def test_the_exit_code_reaches_the_shell() -> None:
    words = [sys.executable, "-m", "lamplighter", "fortran"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 2
