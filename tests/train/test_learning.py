"""Nothing that a user names is without effect: heads, weights, labels, free atoms."""

from __future__ import annotations

import dataclasses
import importlib
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError
from lamplighter.model import HeadSpec, Potential, PotentialConfig, load_potential
from lamplighter.train import judge, read_frames
from lamplighter.train.config import (
    HeadData,
    LossSettings,
    OptimizerSettings,
    RunSettings,
    SplitSettings,
    TrainConfig,
)
from lamplighter.train.data.cache_build import build_cache
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.dataset import make_items
from lamplighter.train.data.split import split_frames
from lamplighter.train.evaluation import residuals, table_of
from lamplighter.train.finetune_config import (
    FinetuneConfig,
    LoraSettings,
    NewHead,
    ReplaySettings,
)
from lamplighter.train.finetune_heads import announce_guard
from lamplighter.train.heads import fit_heads
from lamplighter.train.learning import check_learning, learnt_labels
from lamplighter.train.loop import Trainer
from lamplighter.train.prepare import keep_hash, prepare
from lamplighter.train.readout_start import fit_first_readout
from lamplighter.train.run_config import SamplingSettings
from lamplighter.train.sampler import FrameCost, HeadSampler
from lamplighter.train.stopping import StopFlag
from lamplighter.train.training import build_job
from lamplighter.train.xyz_writer import labelled_atoms, write_xyz
from lamplighter.train.yaml_config import read_mapping

FILE = Path("x.xyz")
finetune = importlib.import_module("lamplighter.train.finetune")


def head(**changes):
    return HeadData(name="pbe", level="PBE", files=(FILE,), **changes)


def checked(path, loss=None, change=lambda frames: frames, **changes):
    settings = dataclasses.replace(head(**changes), files=(path,))
    data = prepare([settings], SplitSettings(), limits=judge.ReaderLimits())
    (own,) = data.heads
    own = dataclasses.replace(own, train=tuple(change(own.train)))
    data = dataclasses.replace(data, heads=(own,))
    check_learning([settings], data, loss or LossSettings())


def test_a_head_without_any_weight_is_refused(data_file):
    path = data_file(n=4)
    checked(path)
    checked(path, properties=("stress",))
    with pytest.raises(ConfigError, match=r"'pbe' learns nothing.*stress.*none"):
        checked(path, LossSettings(stress_weight=0.0), properties=("stress",))
    checked(
        path, LossSettings(stress_weight=0.0, virial_weight=1.0), properties=("stress",)
    )
    with pytest.raises(ConfigError, match="learns nothing"):
        checked(path, weight=0.0)
    with pytest.raises(ConfigError, match="learns nothing"):
        checked(path, properties=("hessian",))
    with pytest.raises(ConfigError, match="learns nothing"):
        checked(path, LossSettings(config_type_weights={"*": 0.0}))


def test_a_head_whose_frames_lack_what_it_learns_is_refused(data_file):
    def molecules(frames):
        return [f for f in frames if f.stress is None]

    with pytest.raises(ConfigError, match="learns nothing: all its weights are 0"):
        checked(data_file(n=4), properties=("stress",), change=molecules)
    lone = LossSettings(use_isolated_atoms=False)
    with pytest.raises(ConfigError, match="learns nothing"):
        checked(data_file(n=4), lone, change=lambda frames: frames[:2])


def test_a_weight_of_no_config_type_is_refused(data_file):
    path = data_file(n=4)
    checked(path, LossSettings(config_type_weights={"ratt*": 2.0, "IsolatedAtom": 1.0}))
    with pytest.raises(ConfigError, match=r"no frame has.*'ratle'.*molecule, rattle"):
        checked(path, LossSettings(config_type_weights={"ratle": 2.0}))


def test_a_run_is_checked(tiny_config):
    silent = dataclasses.replace(tiny_config.heads[1], weight=0.0)
    config = dataclasses.replace(tiny_config, heads=(tiny_config.heads[0], silent))
    with pytest.raises(ConfigError, match="head 'hot' learns nothing"):
        build_job(config, prepare(config.heads, config.split, config.limits))


def test_what_is_not_in_the_loss_is_not_learnt():
    loss = LossSettings(stress_weight=0.0)
    assert learnt_labels(head(weight=2.0), loss) == {"energy": 2.0, "forces": 2.0}
    virial = LossSettings(stress_weight=0.0, virial_weight=1.0, hessian_weight=1.0)
    assert set(learnt_labels(head(), virial)) == set(head().properties)


def test_quotas_of_some_heads_only_are_refused():
    def heads(kind, *quotas, **more):
        return tuple(
            kind(name=f"h{k}", level="X", files=(FILE,), quota=quota, **more)
            for k, quota in enumerate(quotas)
        )

    out = Path("out")
    TrainConfig(output=out, heads=heads(HeadData, 1.0, 2.0))
    with pytest.raises(ConfigError, match=r"quota.*quota of h1, none of h0"):
        TrainConfig(output=out, heads=heads(HeadData, None, 2.0))
    new = heads(NewHead, None, start_from="a")
    old = [dataclasses.replace(h, name=f"old{h.name}") for h in heads(HeadData, 1, 2)]
    common = {"base": FILE, "output": out, "heads": new}
    FinetuneConfig(**common, replay_heads=tuple(old))
    old[0] = dataclasses.replace(old[0], quota=None)
    with pytest.raises(ConfigError, match="quota of oldh1, none of oldh0"):
        FinetuneConfig(**common, replay_heads=tuple(old))


def test_one_quota_says_nothing_about_a_share():
    """It is relative to other quotas: why quotas of some heads only are refused."""
    costs = [FrameCost(head=h, n_atoms=1, n_pairs=1) for h in "aaab"]
    sampler = HeadSampler(costs, SamplingSettings(), quotas={"b": 0.7})
    assert sampler.shares == pytest.approx({"a": 0.75, "b": 0.25})


def test_free_atoms_count_where_the_other_head_lacks_them(data_file):
    """E0 of a head with labelled atoms is theirs, whatever its geometries share."""
    pbe = read_frames(data_file(n=3))
    other = read_frames(data_file("hot.xyz", n=3, head="hot", level="HOT", scale=1.5))
    first = dataclasses.replace(head(), reference_energies={"O": -10.0, "Mg": -20.0})
    second = HeadData(
        name="hot",
        level="HOT",
        files=(FILE,),
        reference_like="pbe",
        reference_fit="minimum-norm",
    )
    shared = [f for f in pbe if not f.is_isolated_atom]
    _, fitted = fit_heads([first, second], {"pbe": shared, "hot": other})
    assert {r.origin for r in fitted.references} == {"isolated atom"}
    found = fitted.spec.reference_energies
    assert found == pytest.approx({"O": -15.0, "Mg": -30.0}, abs=1e-9)


def test_energies_that_are_masked_do_not_move_the_readout(data_file):
    torch.manual_seed(3)
    energies = {"O": -10.0, "Mg": -20.0}
    spec = HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=energies)
    shape = PotentialConfig(
        elements=("O", "Mg"),
        heads=(spec,),
        cutoff=4.0,
        n_radial=4,
        radial_hidden=(8,),
        l_max=1,
        channels=4,
        edge_channels=4,
        correlation=2,
    )
    frames = read_frames(data_file(n=2))
    for properties, moves in ((("forces",), False), (("forces", "energy"), True)):
        potential = Potential(shape).double()
        before = potential.readouts[0].weight.detach().clone()
        items = make_items(frames, shape, heads=[head(properties=properties)])
        fit_first_readout(potential, items, "pbe")
        assert (not torch.equal(before, potential.readouts[0].weight)) == moves


def test_files_of_one_name_keep_their_fingerprints():
    hashes = {}
    for name, digest in (("a", "1"), ("b", "1"), ("a", "2"), ("a", "1"), ("a", "3")):
        keep_hash(hashes, name, digest)
    assert hashes == {"a": "1", "b": "1", "a (2)": "2", "a (3)": "3"}


def test_a_change_in_either_of_two_files_of_one_name_is_noticed(tiny_config, tmp_path):
    heads = []
    for own in tiny_config.heads:
        folder = tmp_path / own.name
        folder.mkdir()
        path = folder / "train.xyz"
        path.write_bytes(own.files[0].read_bytes())
        heads.append(dataclasses.replace(own, files=(path,)))
    config = dataclasses.replace(tiny_config, heads=tuple(heads))

    def fingerprint():
        data = prepare(config.heads, config.split, config.limits)
        return build_job(config, data)[0].fingerprint

    first = fingerprint()
    assert fingerprint() == first
    path = heads[0].files[0]
    path.write_text(path.read_text().replace("uid=mol007", "uid=mol999"))
    assert fingerprint() != first


def test_a_key_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("a: &x {b: 1}\nc: {<<: *x, b: 2}\n")
    assert read_mapping(path) == {"a": {"b": 1}, "c": {"b": 2}}
    path.write_text("run: {max_steps: 3}\noptimizer: {}\nrun: {seed: 2}\n")
    with pytest.raises(ConfigError, match="the key 'run' comes twice"):
        read_mapping(path)
    path.write_text("run:\n  seed: 2\n  seed: 3\n")
    with pytest.raises(ConfigError, match="the key 'seed' comes twice"):
        read_mapping(path)


def test_a_written_choice_keeps_the_trajectory(data_file, tmp_path):
    frame = dataclasses.replace(read_frames(data_file(n=1))[2], group="run 7", weight=2)
    write_xyz(tmp_path / "out.xyz", [labelled_atoms(frame)])
    (again,) = read_frames(tmp_path / "out.xyz")
    assert (again.group, again.weight, again.level) == ("run 7", 2.0, "PBE")


def test_a_geometry_of_two_kinds_is_held_out_once(data_file):
    """In another head the same geometry may be called something else."""
    frames = read_frames(data_file(n=40))
    renamed = [dataclasses.replace(f, head="b", config_type="x") for f in frames]
    settings = SplitSettings(
        validation_fraction=0.3, test_fraction=0.3, keep_in_train=()
    )
    found = split_frames([*frames, *renamed], settings)
    sides = [{f.uid for f in part} for part in (found.validation, found.test)]
    assert all(sides)
    assert not sides[0] & sides[1]


def test_a_plateau_needs_frames_to_judge(tiny_config):
    config = dataclasses.replace(
        tiny_config,
        split=SplitSettings(validation_fraction=0.0),
        run=dataclasses.replace(tiny_config.run, selection="last"),
        optimizer=dataclasses.replace(tiny_config.optimizer, schedule="plateau"),
    )
    job, _ = build_job(config, prepare(config.heads, config.split, config.limits))
    with pytest.raises(ConfigError, match="'plateau' follows validation errors"):
        job.check_selection()


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (OptimizerSettings, "final_fraction", -0.1),
        (OptimizerSettings, "warmup_steps", -1),
        (OptimizerSettings, "plateau_patience", -1),
        (RunSettings, "energy_target", 0.0),
        (RunSettings, "force_target", float("nan")),
    ],
)
def test_numbers_that_make_no_sense_are_refused(make, name, value):
    with pytest.raises(ConfigError, match=name):
        make(**{name: value})


def test_an_interval_takes_little_memory():
    rng = np.random.default_rng(1)
    frame = SimpleNamespace(head="pbe", n_atoms=2)
    found = [
        SimpleNamespace(frame=frame, energy=x, forces=None, stress=None)
        for x in rng.normal(size=5000)
    ]
    tracemalloc.start()
    ratio = judge._ratio("pbe", "energy", found, found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (ratio.low, ratio.ratio, ratio.high) == (1.0, 1.0, 1.0)
    assert peak < 8e6


def test_old_heads_are_judged_on_the_same_frames_before_and_after(
    base, base_config, data_file, tmp_path
):
    """Free atoms that are not learnt from are judged all the same."""
    new = data_file("new.xyz", head="new", level="NEW", n=4)
    held = data_file("held.xyz", n=2, seed=7)
    old = dataclasses.replace(
        base_config.heads[0],
        validation_files=(held,),
        files=(data_file("old.xyz", n=3, seed=3, change=_without_atoms),),
    )
    config = FinetuneConfig(
        base=base,
        output=tmp_path / "tuned",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="pbe"),),
        replay_heads=(old,),
        loss=LossSettings(use_isolated_atoms=False),
        run=base_config.run,
    )
    start = finetune._start(config, load_potential(base), config.replay_heads)
    job = finetune._job(config, start, "0")
    judged = [f.uid for f in start.data.frames("validation")]
    assert {"atom0", "atom1"} <= set(judged)
    assert [item.frame.uid for item in job.validation] == judged
    assert not any(item.frame.is_isolated_atom for item in job.train)


def _without_atoms(frames):
    del frames[:2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference_model": FILE}, "reference_sources.*isolated, fit.*foundation"),
        ({"reference_head": "pbe"}, "reference_model.*potential of reference_head"),
    ],
)
def test_a_foundation_that_is_not_used_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        head(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": LoraSettings(rank=2)}, "lora of method full.*rank 2.*method: lora"),
        ({"heads": {"reference_like": "pbe"}}, "reference_like.*fitted like the one"),
    ],
)
def test_settings_that_a_post_training_would_not_use_are_refused(changes, message):
    more = changes.pop("heads", {})
    new = NewHead(name="new", level="X", files=(FILE,), start_from="pbe", **more)
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig(base=FILE, output=FILE, heads=(new,), **changes)


def test_heads_that_nothing_guards_are_named_before_the_run(base, tmp_path, capsys):
    new = NewHead(name="new", level="X", files=(FILE,), start_from="pbe")
    config = FinetuneConfig(base=base, output=tmp_path, heads=(new,))
    potential = load_potential(base)
    announce_guard(config, potential, ["pbe"])
    assert "not guarded, without held-out frames: hot" in capsys.readouterr().out
    announce_guard(config, potential, [])
    assert "the guard has nothing to watch" in capsys.readouterr().err
    announce_guard(config, potential, ["pbe", "hot"])
    quiet = dataclasses.replace(config, replay=ReplaySettings(guard=False))
    announce_guard(quiet, potential, [])
    assert capsys.readouterr() == ("", "")


def test_a_pattern_that_excludes_nothing_of_a_cache_is_refused(data_file, tmp_path):
    folder = tmp_path / "cache"
    build_cache([data_file(n=3)], folder, CacheSettings(cutoff=4.0))
    own = dataclasses.replace(head(exclude=("mol*",)), files=(folder,))
    (found,) = prepare([own], SplitSettings(), judge.ReaderLimits()).heads
    assert {f.config_type for f in found.train} == {"IsolatedAtom", "rattle"}
    typo = dataclasses.replace(own, exclude=("mol*", "ratle"))
    with pytest.raises(ConfigError, match=r"no frame has; got: 'ratle'.*molecule"):
        prepare([typo], SplitSettings(), judge.ReaderLimits())


def test_a_step_does_not_ask_frames_for_their_names(tiny_config):
    """Frames of a cache would be read again for that."""

    def asked(k):
        raise AssertionError(k)

    run = dataclasses.replace(tiny_config.run, max_steps=2, selection="last")
    config = dataclasses.replace(
        tiny_config, run=run, split=SplitSettings(validation_fraction=0.0)
    )
    job, _ = build_job(config, prepare(config.heads, config.split, config.limits))
    job = dataclasses.replace(job, costs=dataclasses.replace(job.costs, label=asked))
    config.output.mkdir()
    assert Trainer(job).run(StopFlag()).state.step == 2


def test_a_kind_that_is_called_all_is_counted_once(data_file, potential):
    frames = read_frames(data_file(n=2))[2:]
    named = [dataclasses.replace(f, config_type="all") for f in frames]
    rows = table_of(residuals(potential, named)).rows
    assert [(r.config_type, r.n_frames) for r in rows] == [("all", 4), ("(all)", 4)]


def test_a_cache_is_judged_like_its_file(data_file, tmp_path):
    path, folder = data_file(n=3), tmp_path / "cache"
    index = build_cache([path], folder, CacheSettings(cutoff=4.0))
    cached, hashes = judge.read_labelled([folder])
    frames, _ = judge.read_labelled([path])
    assert [f.uid for f in cached] == [f.uid for f in frames]
    assert [f.energy for f in cached] == [f.energy for f in frames]
    assert hashes == {"cache": index["fingerprint"]}
