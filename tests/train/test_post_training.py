"""Post-training end to end: methods, the six heads of MH-1, the guard, what is kept."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from ase.io import read, write

from lamplighter import cli
from lamplighter.errors import ConfigError
from lamplighter.lammps_interface.convert import convert
from lamplighter.model import (
    graph_from_atoms,
    load_potential,
    predict,
    read_header,
    save_potential,
)
from lamplighter.model.mace_import import import_mace
from lamplighter.train import (
    FinetuneConfig,
    HeadData,
    NewHead,
    ReaderLimits,
    finetune,
)
from lamplighter.train.config import RunSettings, SamplingSettings
from lamplighter.train.finetune_config import LoraSettings, ReplaySettings
from lamplighter.train.run_log import read_log
from lamplighter.train.yaml_config import to_mapping

SIX = (
    "matpes_r2scan",
    "mp_pbe_refit_add",
    "spice_wB97M",
    "oc20_usemppbe",
    "omol",
    "omat_pbe",
)
LOOSE = ReplaySettings(drift_limit=10.0, energy_drift_limit=1e3)


@pytest.fixture
def config(base, base_config, data_file, tmp_path):
    """A new head for the tiny base, with replay of both of its heads."""
    new = data_file("new.xyz", head="new", level="NEW", scale=1.2, n=6)
    return FinetuneConfig(
        base=base,
        output=tmp_path / "tuned",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="pbe"),),
        replay_heads=base_config.heads,
        replay=LOOSE,
        sampling=SamplingSettings(batch_frames=4),
        optimizer=dataclasses.replace(base_config.optimizer, learning_rate=1e-3),
        run=dataclasses.replace(base_config.run, max_steps=4, validate_every=2),
    )


@pytest.fixture(scope="module")
def mh1(checkpoint, tmp_path_factory):
    """A random model with the structure and the heads of MACE-MH-1, imported."""
    heads = {name: {"level_of_theory": name.upper()} for name in SIX}
    found = import_mace(checkpoint("mh1-narrow-old"), heads)
    path = tmp_path_factory.mktemp("mh1") / "mh1.safetensors"
    save_potential(found.potential, path, found.provenance)
    return path


def _replayed(names, path):
    return tuple(HeadData(name=n, level=n.upper(), files=(path,)) for n in names)


@pytest.fixture
def seventh(mh1, data_file, tmp_path):
    """A seventh head; structures that the model labels for two of its six."""
    new = data_file("new.xyz", head="new", level="NEW", n=4)
    geometries = data_file("geometries.xyz", n=2, seed=1)
    return FinetuneConfig(
        base=mh1,
        output=tmp_path / "seven",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="omat_pbe"),),
        replay_heads=_replayed(SIX[:2], geometries),
        replay=ReplaySettings(labels="pseudo", fraction=0.6),
        limits=ReaderLimits(max_force=1e4, max_stress=1e4, max_binding=1e4),
        sampling=SamplingSettings(batch_frames=4),
        run=RunSettings(
            max_steps=0, validate_every=1, dtype="float64", threads=1, selection="last"
        ),
    )


def _of_heads(path, names, structures):
    """Energies, forces and virials of some heads, from float64 weights."""
    potential = load_potential(path)
    found = []
    for name in names:
        for atoms in structures:
            p = predict(potential, graph_from_atoms(atoms, potential.config, name))
            found += [p.energy.detach(), p.forces.detach(), p.virial.detach()]
    return found


@pytest.mark.parametrize(
    "method", ["full", pytest.param("lora", marks=pytest.mark.slow)]
)
def test_a_seventh_head_leaves_the_six_bit_identical_at_the_start(seventh, mh1, method):
    result = finetune(dataclasses.replace(seventh, method=method))
    header = read_header(result.model)
    assert tuple(h.name for h in header.config.heads) == (*SIX, "new")
    assert header.config.heads[:6] == read_header(mh1).config.heads
    # the new data have no hydrogen: the new head does not know it, the six do
    assert header.config.elements == ("H", "O", "Mg")
    assert set(header.config.head("new").reference_energies) == {"O", "Mg"}
    assert all("H" in head.reference_energies for head in header.config.heads[:6])
    structures = read(seventh.heads[0].files[0], ":")[1::4]
    structures[-1].rattle(0.05)
    old = _of_heads(mh1, SIX, structures)
    new = _of_heads(result.model, SIX, structures)
    assert len(old) == 6 * 3 * len(structures)
    assert all(torch.equal(a, b) for a, b in zip(old, new, strict=True))
    report = json.loads(result.forgetting.read_text())
    assert list(report["heads"]) == list(SIX[:2])
    assert report["unguarded_heads"] == list(SIX[2:])
    assert report["run"]["chosen_step"] == 0


@pytest.mark.slow
def test_a_seventh_head_is_trained_while_the_six_are_replayed(seventh, mh1):
    run = dataclasses.replace(seventh.run, max_steps=6, validate_every=3)
    replayed = _replayed(SIX, seventh.replay_heads[0].files[0])
    # A random model has no errors to be relative to: only coarse limits make sense.
    wide = dataclasses.replace(seventh.replay, drift_limit=0.5, energy_drift_limit=1.0)
    result = finetune(
        dataclasses.replace(seventh, run=run, replay_heads=replayed, replay=wide)
    )
    report = json.loads(result.forgetting.read_text())
    assert set(report["heads"]) == set(SIX)
    assert report["unguarded_heads"] == []
    for entry in report["heads"].values():
        assert entry["before"]["energy_rmse"] == pytest.approx(0.0, abs=1e-6)
        assert not entry["growth"]["beyond"]
    assert report["run"]["chosen_step"] == 6
    structures = read(seventh.heads[0].files[0], ":")
    old, new = (_of_heads(p, SIX, structures[-1:]) for p in (mh1, result.model))
    assert not any(torch.equal(a, b) for a, b in zip(old[1::3], new[1::3], strict=True))
    cached = sorted((seventh.output / "pseudolabels").glob("*.xyz"))
    assert len(cached) == 6
    chosen = json.loads((seventh.output / "replay.json").read_text())
    assert [r["head"] for r in chosen] == list(SIX)


@pytest.mark.slow
def test_low_rank_changes_end_as_an_ordinary_model(config, base, tmp_path):
    lora = dataclasses.replace(
        config, method="lora", lora=LoraSettings(rank=1), output=tmp_path / "lora"
    )
    result = finetune(lora)
    old, new = (load_potential(p).state_dict() for p in (base, result.model))
    assert set(new) == set(old)
    trunk = [k for k in old if not k.startswith("readouts.")]
    assert any(not torch.equal(old[k], new[k]) for k in trunk)
    again = dataclasses.replace(
        lora, base=result.model, output=tmp_path / "more", heads=_renamed(lora, "more")
    )
    assert len(read_header(finetune(again).model).config.heads) == 4
    out = convert([result.model], "new", ["Mg", "O"], tmp_path / "new.pt")
    assert out.is_file()


@pytest.mark.slow
def test_an_interrupted_low_rank_run_resumes(config):
    lora = dataclasses.replace(config, method="lora", lora=LoraSettings(rank=1))
    first = load_potential(finetune(lora).model).state_dict()
    again = load_potential(finetune(lora).model).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)


@pytest.mark.slow
def test_readouts_alone_keep_trunk_and_old_heads_to_the_bit(config, base):
    result = finetune(dataclasses.replace(config, method="heads"))
    old, new = (load_potential(p).state_dict() for p in (base, result.model))
    for name, value in old.items():
        kept = new[name][:2] if name.startswith("readouts.") else new[name]
        assert torch.equal(kept, value), name
    report = json.loads(result.forgetting.read_text())
    for entry in report["heads"].values():
        assert entry["before"] == pytest.approx(entry["after"])
    steps = [r for r in read_log(result.log) if r["event"] == "validation"]
    assert steps[-1]["step"] == 4


@pytest.mark.slow
def test_a_naive_run_draws_no_replay_and_needs_none(config):
    bare = dataclasses.replace(config, method="naive", replay_heads=())
    report = json.loads(finetune(bare).forgetting.read_text())
    assert report["heads"] == {}
    assert report["unguarded_heads"] == ["pbe", "hot"]


def _wild(config, tmp_path, **changes):
    """Naive fine-tuning with a rate that ruins the old heads at once."""
    return dataclasses.replace(
        config,
        method="naive",
        output=tmp_path / "wild",
        replay=ReplaySettings(patience=2),
        optimizer=dataclasses.replace(
            config.optimizer, learning_rate=0.3, ema_decay=0.0, warmup_steps=0
        ),
        run=dataclasses.replace(config.run, max_steps=40, validate_every=1),
        **changes,
    )


def test_the_guard_stops_and_rolls_back(config, base, tmp_path, capsys):
    result = finetune(_wild(config, tmp_path))
    assert result.reason == "drift"
    log = read_log(result.log)
    validations = [r for r in log if r["event"] == "validation"]
    assert [v["accepted"] for v in validations[-2:]] == [False, False]
    accepted = [v["step"] for v in validations if v["accepted"]]
    (back,) = [r for r in log if r["event"] == "rollback"]
    assert back["step"] == validations[-1]["step"] < 40
    assert back["to_step"] in accepted
    assert set(back["heads"]) <= {"pbe", "hot"}
    assert back["heads"]
    report = json.loads(result.forgetting.read_text())
    assert report["run"]["rolled_back"]
    assert report["run"]["chosen_step"] == back["to_step"]
    assert not any(e["growth"]["beyond"] for e in report["heads"].values())
    assert "went back to the weights of step" in capsys.readouterr().err
    if back["to_step"] == 0:
        old, new = (load_potential(p).state_dict() for p in (base, result.model))
        assert torch.equal(old["embedding"], new["embedding"])


@pytest.mark.slow
def test_what_comes_back_are_the_accepted_weights(config, tmp_path):
    """Drift that grows: the best accepted validation is not the first one."""
    wild = _wild(config, tmp_path)
    slow = dataclasses.replace(
        wild,
        replay=ReplaySettings(patience=1, drift_limit=0.05, energy_drift_limit=0.05),
        optimizer=dataclasses.replace(
            wild.optimizer, learning_rate=0.02, warmup_steps=20, schedule="constant"
        ),
        run=dataclasses.replace(wild.run, keep_best=3, selection="last"),
    )
    result = finetune(slow)
    assert result.reason == "drift"
    step = json.loads(result.forgetting.read_text())["run"]["chosen_step"]
    assert step > 0
    kept, model = (
        load_potential(p).state_dict()
        for p in (slow.output / f"best-{step}.safetensors", result.model)
    )
    assert all(torch.equal(kept[k], model[k]) for k in kept)
    log = [r for r in read_log(result.log) if r["event"] == "validation"]
    assert [v["step"] for v in log if v["accepted"]][-1] == step
    assert finetune(slow).reason == "drift"
    assert sum(r["event"] == "rollback" for r in read_log(result.log)) == 1


@pytest.mark.slow
def test_a_run_that_drifted_ends_with_exit_code_1(config, tmp_path):
    path = tmp_path / "wild.yaml"
    path.write_text(json.dumps(to_mapping(_wild(config, tmp_path))))
    assert cli.run(["finetune", str(path)]) == 1
    assert (tmp_path / "wild" / "model.safetensors").is_file()


@pytest.mark.slow
def test_without_the_guard_drift_is_only_reported(config, tmp_path):
    wild = _wild(config, tmp_path)
    free = dataclasses.replace(
        wild,
        replay=ReplaySettings(guard=False),
        run=dataclasses.replace(wild.run, max_steps=3, selection="last"),
    )
    result = finetune(free)
    assert result.reason == "steps"
    report = json.loads(result.forgetting.read_text())
    assert any(e["growth"]["beyond"] for e in report["heads"].values())
    assert not report["run"]["rolled_back"]


def _renamed(config, name):
    """The new head under another name, with a file of its own."""
    (head,) = config.heads
    path = head.files[0].with_name(f"{name}.xyz")
    text = head.files[0].read_text()
    path.write_text(text.replace("head=new", f"head={name}"))
    return (dataclasses.replace(head, name=name, files=(path,)),)


@pytest.mark.slow
def test_a_fine_tuned_model_is_fine_tuned_again(config, tmp_path):
    """Also from float32 weights, and with the head that was added replayed."""
    first = finetune(
        dataclasses.replace(
            config, run=dataclasses.replace(config.run, dtype="float32")
        )
    )
    assert read_header(first.model).dtype == "float32"
    added = HeadData(name="new", level="NEW", files=config.heads[0].files)
    again = dataclasses.replace(
        config,
        base=first.model,
        output=tmp_path / "again",
        heads=_renamed(config, "newer"),
        replay_heads=(*config.replay_heads, added),
        run=dataclasses.replace(config.run, max_steps=0, selection="last"),
    )
    result = finetune(again)
    names = [h.name for h in read_header(result.model).config.heads]
    assert names == ["pbe", "hot", "new", "newer"]
    structures = read(config.heads[0].files[0], ":")[2:5]
    old, new = (
        _of_heads(p, names[:3], structures) for p in (first.model, result.model)
    )
    assert all(torch.equal(a, b) for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("use", ["validation_files", "test_files"])
def test_a_judged_element_that_the_base_lacks_is_refused(config, data_file, use):
    strange = data_file("strange.xyz", head="new", level="NEW", seed=7, n=4)
    frames = read(strange, ":")
    for frame in frames:
        frame.numbers[frame.numbers == 12] = 20
        del frame.info["uid"]
    write(strange, frames[2:], format="extxyz")
    head = dataclasses.replace(config.heads[0], **{use: (strange,)})
    with pytest.raises(ConfigError, match=r"does not know an element; got: Ca"):
        finetune(dataclasses.replace(config, heads=(head,)))


@pytest.mark.parametrize(
    "selection",
    [
        "fps",
        pytest.param("elements", marks=pytest.mark.slow),
        pytest.param("random", marks=pytest.mark.slow),
    ],
)
def test_the_choice_of_replay_is_written(config, selection, tmp_path):
    chosen = dataclasses.replace(
        config,
        output=tmp_path / selection,
        replay=dataclasses.replace(LOOSE, selection=selection, max_frames=5),
        run=dataclasses.replace(config.run, max_steps=0, selection="last"),
    )
    result = finetune(chosen)
    reports = json.loads((chosen.output / "replay.json").read_text())
    assert [(r["head"], r["chosen"]) for r in reports] == [("pbe", 5), ("hot", 5)]
    assert all(r["selection"] == selection for r in reports)
    assert all(r["not_covered"] == [] for r in reports)
    assert all(r["distances"]["median"] > 0 for r in reports)
    assert "5 of" in (chosen.output / "replay.txt").read_text()
    learnt = json.loads(result.errors.read_text())["splits"]["train"]
    counts = {r["head"]: r["n_frames"] for r in learnt if r["config_type"] == "all"}
    assert (counts["pbe"], counts["hot"]) == (5, 5)
    assert counts["new"] > 5
    assert result.reason == "steps"


@pytest.mark.slow
def test_pseudolabels_of_another_base_are_refused(config, base, tmp_path):
    pseudo = dataclasses.replace(
        config,
        replay=dataclasses.replace(LOOSE, labels="pseudo"),
        run=dataclasses.replace(config.run, max_steps=0, selection="last"),
    )
    finetune(pseudo)
    other = tmp_path / "other.safetensors"
    changed = load_potential(base)
    with torch.no_grad():
        changed.embedding.mul_(1.01)
    save_potential(changed, other)
    with pytest.raises(ConfigError, match=r"depend on something else.*weights"):
        finetune(dataclasses.replace(pseudo, base=other))


@pytest.mark.slow
def test_the_rule_that_chooses_weights_names_heads(config):
    run = dataclasses.replace(config.run, selection_heads={"new": 1.0, "p*": 3.0})
    result = finetune(dataclasses.replace(config, run=run))
    for record in read_log(result.log):
        if record["event"] == "validation":
            heads = record["heads"]
            mean = (heads["new"]["score"] + 3.0 * heads["pbe"]["score"]) / 4.0
            assert record["score"] == pytest.approx(mean)
    unknown = dataclasses.replace(config.run, selection_heads={"nwe": 1.0})
    with pytest.raises(ConfigError, match=r"is not validated; got: 'nwe'.*hot, new, p"):
        finetune(dataclasses.replace(config, run=unknown))
