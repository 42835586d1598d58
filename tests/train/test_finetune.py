"""Post-training keeps what the base knew, adds a head, and says what was lost."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import load_potential, predict, read_header
from lamplighter.train import FinetuneConfig, NewHead, finetune, read_frames
from lamplighter.train.config import SamplingSettings, SplitSettings
from lamplighter.train.data.dataset import make_batch, make_items
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.finetune_config import ReplaySettings
from lamplighter.train.new_heads import add_heads
from lamplighter.train.prepare import prepare
from lamplighter.train.readout_start import fit_first_readout
from lamplighter.train.replay import DriftGuard, replay_quotas
from lamplighter.train.run_log import read_log


@pytest.fixture
def config(base, base_config, data_file, tmp_path):
    new = data_file("new.xyz", head="new", level="NEW", scale=1.2, n=6)
    return FinetuneConfig(
        base=base,
        output=tmp_path / "tuned",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="pbe"),),
        replay_heads=base_config.heads,
        replay=ReplaySettings(drift_limit=10.0, energy_drift_limit=100.0),
        sampling=SamplingSettings(batch_frames=4),
        optimizer=dataclasses.replace(base_config.optimizer, learning_rate=1e-3),
        run=base_config.run,
    )


def test_every_head_is_kept_and_one_is_added(config, base):
    result = finetune(config)
    header = read_header(result.model)
    assert [h.name for h in header.config.heads] == ["pbe", "hot", "new"]
    old = read_header(base).config
    assert header.config.heads[:2] == old.heads
    new = header.config.heads[2]
    assert new.level_of_theory == "NEW"
    assert new.scale == old.heads[0].scale
    assert new.reference_energies == pytest.approx({"O": -12.0, "Mg": -24.0})
    assert header.provenance["config"]["base_sha256"]


def test_the_forgetting_report_tells_before_and_after(config):
    config = dataclasses.replace(config, replay_heads=config.replay_heads[:1])
    result = finetune(config)
    report = json.loads(result.forgetting.read_text())
    assert list(report["heads"]) == ["pbe"]
    entry = report["heads"]["pbe"]
    growth = entry["after"]["force_percent"] - entry["before"]["force_percent"]
    assert entry["growth"]["force_percent"] == pytest.approx(growth)
    assert report["unguarded_heads"] == ["hot"]


def test_a_new_head_starts_where_its_parent_is(base, data_file):
    potential = load_potential(base)
    parent = potential.config.head("hot")
    spec = dataclasses.replace(parent, name="twin")
    larger = add_heads(potential, [(spec, "hot")])
    frames = read_frames(data_file(n=3))
    for head, twin in (("pbe", "pbe"), ("hot", "hot"), ("hot", "twin")):
        old = make_batch(make_items(frames, potential.config, as_head=head))
        new = make_batch(make_items(frames, larger.config, as_head=twin))
        first, second = predict(potential, old.graph), predict(larger, new.graph)
        assert torch.allclose(first.forces, second.forces, atol=1e-12)
        assert torch.allclose(first.energy, second.energy, atol=1e-10)


def test_an_interrupted_post_training_resumes(config):
    result = finetune(config)
    weights = load_potential(result.model).state_dict()
    again = load_potential(finetune(config).model).state_dict()
    assert all(torch.equal(weights[k], again[k]) for k in weights)


def test_energies_of_atoms_come_from_the_parent_where_none_are_given(
    config, data_file, base
):
    """Without free atoms, E0 is what makes the parent's interaction energies fit."""
    path = data_file(
        "new.xyz",
        head="new",
        level="NEW",
        change=lambda frames: frames.__delitem__(slice(0, 2)),
    )
    head = NewHead(name="new", level="NEW", files=(path,), start_from="pbe")
    with pytest.raises(DataError, match=r"do not determine .* O, Mg.*minimum-norm"):
        finetune(dataclasses.replace(config, heads=(head,)))
    lenient = dataclasses.replace(head, reference_fit="minimum-norm")
    result = finetune(dataclasses.replace(config, heads=(lenient,)))
    header = read_header(result.model)
    origins = {r["origin"] for r in header.provenance["reference_energies"]["new"]}
    assert origins == {"fit (minimum norm)"}
    atoms = header.config.head("new").reference_energies
    data = prepare((lenient, *config.replay_heads), config.split, config.limits)
    frames = list(data.heads[0].train)
    parent = load_potential(base)
    graph = make_batch(make_items(frames, parent.config, as_head="pbe")).graph
    interaction = predict(parent, graph).interaction_energy.detach()
    residual = [
        f.energy - sum(atoms.values()) - float(i)
        for f, i in zip(frames, interaction, strict=True)
    ]
    assert sum(residual) / len(residual) == pytest.approx(0.0, abs=1e-6)


def test_the_first_readout_meets_the_new_energies(base, data_file):
    """Planted: the new level differs by 0.3 eV per bond-free atom of Mg, 0.1 of O."""
    potential = load_potential(base)
    spec = dataclasses.replace(potential.config.head("pbe"), name="new")
    larger = add_heads(potential, [(spec, "pbe")])
    planted = []
    for frame in read_frames(data_file(n=12)):
        graph = make_batch(make_items([frame], potential.config)).graph
        energy = float(predict(potential, graph).energy.detach())
        energy += sum({12: 0.3, 8: 0.1}[int(z)] for z in frame.numbers)
        planted.append(dataclasses.replace(frame, energy=energy))
    items = make_items(planted, larger.config, as_head="new")
    others = make_items(planted, larger.config, as_head="hot")
    old = larger(make_batch(others).graph).detach()
    before = _energy_errors(larger, items)
    fit_first_readout(larger, items, "new")
    after = _energy_errors(larger, items)
    assert before.abs().mean() == pytest.approx(0.2, rel=1e-6)
    assert after.abs().mean() < 0.01
    assert torch.equal(larger(make_batch(others).graph).detach(), old)


def _energy_errors(potential, items):
    batch = make_batch([i for i in items if i.frame.n_atoms > 1])
    prediction = predict(potential, batch.graph)
    return (prediction.energy.detach() - batch.energy) / batch.n_atoms


def _replace_head(config, **changes):
    head = dataclasses.replace(config.heads[0], **changes)
    return dataclasses.replace(config, heads=(head,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: _replace_head(c, start_from="pbe0"), "unknown head.*'pbe0'"),
        (
            lambda c: _replace_head(
                dataclasses.replace(c, replay_heads=c.replay_heads[:1]), name="hot"
            ),
            "head 'hot' exists in the base already.*replay_heads",
        ),
        (
            lambda c: dataclasses.replace(c, replay_heads=()),
            "no replay data.*replay.fraction: 0",
        ),
        (
            lambda c: dataclasses.replace(
                c,
                replay_heads=(dataclasses.replace(c.replay_heads[0], level="LDA"),),
            ),
            "replay head 'pbe' has another level.*LDA.*wanted: PBE",
        ),
        (
            lambda c: dataclasses.replace(
                c,
                replay_heads=(dataclasses.replace(c.replay_heads[0], name="lda"),),
            ),
            "unknown head.*'lda'",
        ),
    ],
)
def test_contradictions_are_refused(config, change, message):
    with pytest.raises(ConfigError, match=message):
        finetune(change(config))


def test_an_element_that_the_base_lacks_is_refused(config):
    path = config.heads[0].files[0]
    path.write_text(path.read_text().replace("Mg ", "Ca "))
    with pytest.raises(ConfigError, match=r"frame .*does not know an element; got: Ca"):
        finetune(config)


def _row(energy: float, force: float | None) -> ErrorRow:
    return ErrorRow(
        head="pbe",
        config_type="all",
        n_frames=3,
        energy_rmse=energy,
        energy_mae=energy,
        force_rmse=None if force is None else 10 * force,
        force_mae=None,
        force_max=None,
        force_rms=1000.0,
        force_percent=force,
        stress_rmse=None,
        stress_mae=None,
    )


@pytest.mark.parametrize(
    ("after", "accepted"),
    [
        (_row(2.0, 5.0), True),
        (_row(1.0, 4.0), True),
        (_row(12.1, 7.4), True),
        (_row(2.0, 7.6), False),
        (_row(12.3, 5.0), False),
        (_row(2.0, None), True),
    ],
)
def test_the_guard_refuses_drift(after, accepted):
    guard = DriftGuard({"pbe": _row(2.0, 5.0)}, ReplaySettings())
    assert guard.accepts({"pbe": after, "new": _row(900.0, 99.0)}) is accepted


def test_drift_ends_a_run_and_leaves_the_base_weights(config, base):
    strict = dataclasses.replace(
        config,
        replay=ReplaySettings(
            drift_limit=0.0, energy_drift_limit=0.0, relative_drift=0.0, patience=1
        ),
        optimizer=dataclasses.replace(config.optimizer, learning_rate=0.3),
    )
    result = finetune(strict)
    assert result.reason == "drift"
    old, new = (load_potential(p).state_dict() for p in (base, result.model))
    assert torch.equal(old["embedding"], new["embedding"])


def test_the_new_heads_choose_the_weights(config):
    result = finetune(config)
    validations = [r for r in read_log(result.log) if r["event"] == "validation"]
    assert all(
        r["score"] == pytest.approx(r["heads"]["new"]["score"]) for r in validations
    )
    assert set(validations[0]["heads"]) == {"pbe", "hot", "new"}


def test_a_new_head_without_held_out_frames_needs_the_last_weights(config):
    split = SplitSettings(keep_in_train=("*",))
    blind = dataclasses.replace(config, split=split)
    with pytest.raises(ConfigError, match=r"held out for validation of new.*last"):
        finetune(blind)


def test_shares_of_old_and_new_heads(config):
    counts = {"new": 10, "pbe": 30, "hot": 90}
    shares = replay_quotas(config, counts, SamplingSettings(temperature=1.0))
    assert shares == pytest.approx({"pbe": 0.125, "hot": 0.375, "new": 0.5})
    quarter = dataclasses.replace(config, replay=ReplaySettings(fraction=0.25))
    assert replay_quotas(quarter, counts, SamplingSettings())["new"] == 0.75
    none = dataclasses.replace(config, replay=ReplaySettings(fraction=0.0))
    assert replay_quotas(none, counts, SamplingSettings()) == {"new": 1.0}
