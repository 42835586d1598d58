"""`lamplighter evaluate`: right numbers, missing labels left out, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from lamplighter import Calculator, cli
from lamplighter.train.errors_table import ErrorTable
from lamplighter.train.judge import compare, judge, read_labelled
from lamplighter.units import GPA_PER_EV_A3

SHIFT = {"pbe": 0.05, "rpbe": -0.02}
"""What every label of a head misses the model by: eV/atom, eV/Å."""


def _frames(model: Path) -> list[Atoms]:
    """Labels that miss the model by known amounts; some frames lack some labels."""
    rng = np.random.default_rng(0)
    frames = []
    for k in range(8):
        head = "pbe" if k < 5 else "rpbe"
        atoms = bulk("MgO", "rocksalt", a=4.2)
        atoms.rattle(0.05, seed=k)
        if k == 4:
            atoms = Atoms("HO", positions=[[0, 0, 0], [0, 0, 0.98]])
        calculator = Calculator(model, head=head)
        said = calculator.evaluate(atoms)
        atoms.info = {"head": head, "config_type": "rattled" if k != 4 else "molecule"}
        atoms.info["uid"] = f"u{k}"
        if k != 1:
            atoms.info["REF_energy"] = said.energy - len(atoms) * SHIFT[head]
        if k != 2:
            signs = rng.choice([-1.0, 1.0], said.forces.shape)
            atoms.arrays["REF_forces"] = said.forces + SHIFT[head] * signs
        if all(atoms.pbc) and k != 3:
            atoms.info["REF_stress"] = said.stress + 0.01
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def labelled(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set") / "labels.xyz"
    write(path, _frames(tiny_model), format="extxyz")
    return path


def _refused(capfd: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.run([str(word) for word in words]) == 2
    return " ".join(capfd.readouterr().err.split())


def _rows(
    content: dict[str, object], by: str
) -> dict[tuple[str, str], dict[str, float]]:
    return {(r["head"], r[by]): r for r in content["errors"][f"by_{by}"]}


def test_the_errors_are_those_that_were_planted(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["evaluate", str(tiny_model), str(labelled), "--json"]) == 0
    content = json.loads(capfd.readouterr().out)
    assert content["frames"] == 8
    assert content["without_label"] == {"energy": 1, "forces": 1, "stress": 1}
    kinds = _rows(content, "config_type")
    assert set(kinds) == {
        *(("pbe", kind) for kind in ("all", "molecule", "rattled")),
        *(("rpbe", kind) for kind in ("all", "rattled")),
    }
    for (head, _), row in kinds.items():
        for name in ("energy_mae", "energy_rmse", "energy_max"):
            assert row[name] == pytest.approx(1e3 * abs(SHIFT[head]), rel=1e-5)
        for name in ("force_mae", "force_rmse", "force_max"):
            assert row[name] == pytest.approx(1e3 * abs(SHIFT[head]), rel=1e-5)
    for name in ("stress_mae", "stress_rmse", "stress_max"):
        found = kinds["pbe", "rattled"][name]
        assert found == pytest.approx(0.01 * GPA_PER_EV_A3, rel=1e-5)
    assert kinds["pbe", "molecule"]["stress_rmse"] is None
    elements = _rows(content, "element")
    assert {e for head, e in elements if head == "pbe"} == {"all", "H", "Mg", "O"}
    assert elements["pbe", "H"]["n_frames"] == 1
    domains = _rows(content, "domain")
    assert {d for head, d in domains if head == "pbe"} == {"all", "crystal", "molecule"}


def test_the_table_shows_the_groupings_that_are_asked_for(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(tiny_model), str(labelled)]
    assert cli.run(words) == 0
    out = capfd.readouterr().out
    assert "config_type" in out
    assert "50.00" in out
    assert "1 without energy, 1 without forces, 1 without stress" in out
    assert "domain" not in out
    assert cli.run([*words, "--by", "element", "domain"]) == 0
    out = capfd.readouterr().out
    assert "config_type" not in out
    assert "crystal" in out


def test_one_head_judges_all_frames(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    frames = [a for a in read(labelled, ":") if "H" not in a.get_chemical_symbols()]
    for atoms in frames:
        del atoms.info["head"]
    path = tmp_path / "nameless.xyz"
    write(path, frames, format="extxyz")
    message = _refused(capfd, "evaluate", tiny_model, path)
    assert "7 of 7 frames name no head" in message
    assert "--head pbe" in message
    assert cli.run(["evaluate", str(tiny_model), str(path), "--head", "rpbe"]) == 0
    assert "rpbe" in capfd.readouterr().out


def test_unknown_heads_and_elements_are_named_with_their_frames(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "odd.xyz"
    text = labelled.read_text()
    path.write_text(text.replace("head=rpbe", "head=pbe0"))
    message = _refused(capfd, "evaluate", tiny_model, path)
    assert "lacks heads that the frames name; got: 'pbe0' (3 frames)" in message
    assert "one of pbe, rpbe" in message
    message = _refused(capfd, "evaluate", tiny_model, labelled, "--head", "rpbe")
    assert "H in head 'rpbe' (1 frames)" in message
    assert "'rpbe' knows Mg, O" in message
    message = _refused(capfd, "evaluate", tiny_model, labelled, "--head", "pbe0")
    assert "pbe0" in message


def test_a_frame_without_any_label_is_refused(
    tiny_model: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "bare.xyz"
    atoms = bulk("MgO", "rocksalt", a=4.2)
    atoms.info = {"head": "pbe", "energy": -3.0}
    write(path, atoms, format="extxyz")
    message = _refused(capfd, "evaluate", tiny_model, path)
    assert "REF_energy is missing" in message
    assert "energy" in message


def test_other_names_and_units_are_declared(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, names = tmp_path / "meV.xyz", tmp_path / "labels.yaml"
    path.write_text(labelled.read_text().replace("REF_energy", "dft"))
    names.write_text(
        "energy_key: dft\nforces_key: REF_forces\nstress_key: REF_stress\n"
    )
    words = ["evaluate", str(tiny_model), str(path), "--labels", str(names), "--json"]
    assert cli.run(words) == 0
    content = json.loads(capfd.readouterr().out)
    assert _rows(content, "config_type")["pbe", "all"]["energy_mae"] == pytest.approx(
        50
    )


def test_predictions_beside_labels(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "both.xyz"
    assert (
        cli.run(["evaluate", str(tiny_model), str(labelled), "--xyz", str(path)]) == 0
    )
    capfd.readouterr()
    frames = read(path, ":")
    assert len(frames) == 8
    assert "REF_energy" not in frames[1].info
    assert "REF_forces" not in frames[2].arrays
    assert "REF_stress" not in frames[3].info
    assert "MODEL_stress" not in frames[4].info
    for k, atoms in enumerate(frames):
        said = Calculator(tiny_model, head=atoms.info["MODEL_head"]).evaluate(atoms)
        assert atoms.info["MODEL_energy"] == pytest.approx(said.energy, abs=1e-10)
        assert atoms.arrays["MODEL_forces"] == pytest.approx(said.forces, abs=1e-10)
        if k not in {1, 4}:
            gap = (atoms.info["MODEL_energy"] - atoms.info["REF_energy"]) / len(atoms)
            assert gap == pytest.approx(SHIFT[atoms.info["head"]], abs=1e-9)
    again, _ = read_labelled([path])
    assert [f.uid for f in again] == [f"u{k}" for k in range(8)]


def test_two_models_are_compared_on_the_same_frames(
    tiny_model: Path, labelled: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from lamplighter.model import load_potential, save_potential

    potential = load_potential(tiny_model)
    for values in potential.parameters():
        values.data.mul_(1.2)
    other, page = tmp_path / "other.safetensors", tmp_path / "page.html"
    save_potential(potential, other, provenance={})
    words = ["evaluate", str(tiny_model), str(labelled), "--against", str(other)]
    assert cli.run([*words, "--html", str(page)]) == 0
    out = capfd.readouterr().out
    assert "B/A" in out
    assert "worse" in out
    html = page.read_text()
    assert "Two models" in html
    assert "http-equiv" not in html
    assert html.count("<svg") > 5
    assert cli.run([*words, "--json"]) == 0
    content = json.loads(capfd.readouterr().out)
    rows = {(r["head"], r["quantity"]): r for r in content["comparison"]}
    first = rows["pbe", "forces"]
    assert first["first"] == pytest.approx(0.05, rel=1e-5)
    assert first["low"] <= first["ratio"] <= first["high"]
    assert content["against"]["model"] == "other.safetensors"


def test_a_model_is_as_good_as_itself(tiny_model: Path, labelled: Path) -> None:
    frames, _ = read_labelled([labelled])
    one = judge(tiny_model, frames)
    ratios = compare(one, one)
    assert {r.ratio for r in ratios} == {1.0}
    assert {r.verdict for r in ratios} == {"no difference"}
    assert isinstance(one.table("element"), ErrorTable)
    with pytest.raises(ValueError, match="judged different frames"):
        compare(one, judge(tiny_model, frames[1:]))


def test_batches_do_not_change_the_numbers(
    tiny_model: Path, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamplighter.train import evaluation

    frames, _ = read_labelled([labelled])
    whole = judge(tiny_model, frames).table()
    monkeypatch.setattr(evaluation, "BATCH_ATOMS", 2)
    monkeypatch.setattr(evaluation, "CHUNK_FRAMES", 3)
    seen: list[int] = []
    parts = judge(tiny_model, frames, advance=seen.append)
    assert sum(seen) == 8
    assert len(seen) == 8
    for a, b in zip(whole.rows, parts.table().rows, strict=True):
        assert a.force_rmse == pytest.approx(b.force_rmse, rel=1e-9)
        assert a.energy_rmse == pytest.approx(b.energy_rmse, rel=1e-9)
