"""Bad input to a command: a message that says what is wrong, exit code 2, no file."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from lamplighter import cli


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _refused(capfd: pytest.CaptureFixture[str], words: list[str | Path]) -> str:
    """The message of a command line that is refused as bad input."""
    code = cli.run([str(word) for word in words])
    out, err = capfd.readouterr()
    assert code == 2, err
    assert len(err.splitlines()) == 2
    assert out == ""
    return err


def _labelled(path: Path, **changes: object) -> Path:
    """A labelled file of one frame, with its comment line changed."""
    facts: dict[str, object] = {
        "Lattice": '"8 0 0 0 8 0 0 0 8"',
        "Properties": "species:S:1:pos:R:3:REF_forces:R:3",
        "uid": "one",
        "config_type": "rattled",
        "head": "pbe",
        "level": "PBE",
        "REF_energy": "-5.0",
        "pbc": '"T T T"',
    }
    facts |= changes
    comment = " ".join(f"{key}={value}" for key, value in facts.items() if value != "")
    rows = ["O 0 0 0 0.1 0 0", "Mg 2.1 0 0 -0.1 0 0"]
    path.write_text("\n".join(["2", comment, *rows, ""]))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--head", "pbe0", "--elements", "Mg", "O"], ["pbe0", "'pbe', 'rpbe'"]),
        (["--elements", "Mg", "O"], ["'pbe', 'rpbe'"]),
        (["--head", "pbe", "--elements", "Mg", "Si"], ["Si"]),
        (["--head", "rpbe", "--elements", "Mg", "H"], ["rpbe", "H"]),
        (["--head", "pbe", "--elements", "Mg", "Mg"], ["Mg"]),
    ],
)
def test_convert_refuses(
    folder: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    said: list[str],
) -> None:
    message = _refused(capfd, ["convert", tiny_model, *options, "-o", "out.pt"])
    assert all(word in message for word in said)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["inspect", "convert", "evaluate"])
@pytest.mark.parametrize("kept", [0, 5, 0.5, 0.999])
def test_a_truncated_model_is_refused(
    folder: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
    command: str,
    kept: float,
) -> None:
    content = tiny_model.read_bytes()
    size = kept if isinstance(kept, int) else int(kept * len(content))
    broken = folder / "broken.safetensors"
    broken.write_bytes(content[:size])
    options: dict[str, list[str | Path]] = {
        "inspect": [],
        "convert": ["--head", "pbe", "--elements", "O", "-o", "out.pt"],
        "evaluate": [_labelled(folder / "data.xyz")],
    }
    message = _refused(capfd, [command, broken, *options[command]])
    assert "broken.safetensors" in message
    assert not (folder / "out.pt").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"REF_energy": "nan"}, "REF_energy"),
        ({"head": "pbe0"}, "pbe0"),
        ({"Properties": "species:S:1:pos:R:3:REF_forces:R:2"}, ""),
    ],
)
def test_evaluate_refuses_odd_labels(
    folder: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
    changes: dict[str, object],
    said: str,
) -> None:
    data = _labelled(folder / "odd.xyz", **changes)
    message = _refused(capfd, ["evaluate", tiny_model, data])
    assert said in message


def test_labels_with_a_nan_force_name_file_frame_and_key(
    folder: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = _labelled(folder / "odd.xyz")
    data.write_text(data.read_text().replace("O 0 0 0 0.1 0 0", "O 0 0 0 nan 0 0"))
    message = _refused(capfd, ["evaluate", tiny_model, data])
    assert "odd.xyz" in message
    assert "REF_forces" in message


def test_labels_without_forces_are_refused_in_training(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = _labelled(folder / "bare.xyz", Properties="species:S:1:pos:R:3")
    lines = data.read_text().splitlines()
    lines[2:] = [" ".join(line.split()[:4]) for line in lines[2:]]
    data.write_text("\n".join(lines) + "\n")
    config = folder / "train.yaml"
    config.write_text(
        "output: run\nheads:\n  - {name: pbe, level: PBE, files: [bare.xyz]}\n"
    )
    assert cli.run(["train", str(config)]) == 2  # after it has shown the settings
    message = capfd.readouterr().err
    assert "bare.xyz" in message
    assert "forces" in message
    assert not list(folder.glob("**/*.safetensors"))


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_a_configuration_with_an_unknown_key_is_refused(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    config = folder / "config.yaml"
    config.write_text("output: run\nepoch: 3\n")
    assert "epoch" in _refused(capfd, [command, config])
    assert not (folder / "run").exists()


@pytest.mark.parametrize("command", ["train", "finetune", "inspect"])
def test_a_missing_file_is_named(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    assert "absent.yaml" in _refused(capfd, [command, folder / "absent.yaml"])


@pytest.mark.parametrize(
    "content", ["", "model: 3\n", "model: {file: absent.safetensors, head: pbe}\n"]
)
def test_a_suite_that_cannot_run_is_refused(
    folder: Path, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    suite = folder / "suite.yaml"
    suite.write_text(content)
    _refused(capfd, ["validate", "run", suite, "-o", folder / "report"])
    assert not list(folder.glob("report/*.html"))


def test_a_structure_with_a_foreign_element_is_refused(
    folder: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    silicon = Atoms("Si2", [[0, 0, 0], [1.3, 1.3, 1.3]], cell=np.eye(3) * 5, pbc=True)
    silicon.write(folder / "si.xyz", format="extxyz")
    words = ["validate", "bulk", tiny_model, folder / "si.xyz", "--head", "pbe"]
    assert "Si" in _refused(capfd, words)


def test_inspect_shows_heads_and_json_holds_the_same(
    tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["inspect", str(tiny_model)]) == 0
    shown = capfd.readouterr().out
    assert cli.run(["inspect", str(tiny_model), "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert [head["name"] for head in facts["heads"]] == ["pbe", "rpbe"]
    assert facts["heads"][1]["elements"] == ["O", "Mg"]
    for head in facts["heads"]:
        assert f"head {head['name']}" in shown
        assert head["level_of_theory"] in shown


@pytest.mark.usefixtures("folder")
def test_convert_then_inspect(
    tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--head", "rpbe", "--elements", "Mg", "O", "-o", "mgo.pt"]
    assert cli.run(["convert", str(tiny_model), *words]) == 0
    assert "pair_style mliap unified mgo.pt 0" in capfd.readouterr().out
    assert cli.run(["inspect", "mgo.pt", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["kind"], facts["head"], facts["elements"]) == (
        *("mliap", "rpbe"),
        ["O", "Mg"],
    )


@pytest.mark.parametrize(
    "words",
    [
        ["certify"],
        ["forecast", "--atoms", "100"],
        ["doctor", "--no-trial", "--model"],
        ["lint", "in.lammps", "--model"],
        ["script", "nvt", "MgO.cif", "-o", "run"],
    ],
)
@pytest.mark.parametrize("model", ["model:base", "my tiny.safetensors"])
def test_a_potential_where_lammps_reads_is_answered_with_the_line_to_type(
    folder: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    model: str,
) -> None:
    (folder / "my tiny.safetensors").write_bytes(tiny_model.read_bytes())
    position = 3 if words[0] == "script" else len(words)
    if words[0] == "forecast":
        position = 1
    line = [*words[:position], model, *words[position:]]
    message = _refused(capfd, line)
    assert f"{model} is a potential" in message
    (fix,) = [x for x in message.splitlines() if x.startswith("fix: ")]
    program, *convert = shlex.split(fix.removeprefix("fix: "))
    assert program == "lamplighter"
    assert cli.run(convert) == 0, "the line works as it stands"
    assert list(folder.glob("*.pt"))
