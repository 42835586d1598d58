"""Training from a cache: the same items, the same weights, nothing kept in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import load_potential
from lamplighter.resources import dataset
from lamplighter.train import read_frames, train
from lamplighter.train.config import SplitSettings
from lamplighter.train.data.cache import Cache
from lamplighter.train.data.cache_build import build_cache
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.dataset import ItemMaker, make_items
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.streaming import JoinedFrames, StreamedItems
from lamplighter.train.job import Job
from lamplighter.train.prepare import prepare
from lamplighter.train.training import build_job


def tensors(item):
    for part in (item.graph, item):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, torch.Tensor):
                yield field.name, value
    yield "slots", item.graph.slots.pair


def assert_same(one, other):
    for (name, a), (_, b) in zip(tensors(one), tensors(other), strict=True):
        assert a.dtype == b.dtype, name
        assert torch.equal(a, b), name
    assert one.weights == other.weights


@pytest.fixture
def cached(tiny_config, tmp_path):
    """The settings of the small run, their two files also as caches."""
    heads = []
    for head in tiny_config.heads:
        folder = tmp_path / f"cache-{head.name}"
        settings = CacheSettings(
            cutoff=tiny_config.model.cutoff,
            head=head.name,
            level=head.level,
            labels=LabelSettings(group_key="uid"),
            shard_frames=5,
        )
        build_cache(head.files, folder, settings)
        heads.append(dataclasses.replace(head, files=(folder,)))
    return dataclasses.replace(tiny_config, heads=tuple(heads))


@pytest.fixture
def shape(tiny_config):
    """The shape of the small potential."""
    data = prepare(tiny_config.heads, tiny_config.split, tiny_config.limits)
    return build_job(tiny_config, data)[0].potential.config


def test_items_of_a_cache_are_those_of_the_file(tmp_path, shape):
    path = dataset("crystal_pbe")
    config = shape
    frames = [f for f in read_frames(path) if set(f.numbers) <= {8, 12}]
    settings = CacheSettings(cutoff=config.cutoff, shard_frames=50)
    build_cache([path], tmp_path / "cache", settings)
    cache = Cache(tmp_path / "cache")
    maker = ItemMaker(config=config, dtype=torch.float32)
    own = [k for k, f in enumerate(cache.frames()) if set(f.numbers) <= {8, 12}]
    items = StreamedItems(cache.frames(np.array(own)), maker)
    direct = make_items(frames, config, dtype=torch.float32)
    assert len(items) == len(direct) > 50
    for one, other in zip(items, direct, strict=True):
        assert_same(one, other)
    costs = items.costs()
    assert costs.heads == ("pbe",)
    assert costs.n_pairs.tolist() == [item.n_pairs for item in direct]
    assert costs.n_atoms.tolist() == [item.frame.n_atoms for item in direct]


def test_a_longer_cutoff_of_the_cache_is_trimmed(tmp_path, shape, tiny_config):
    config = shape
    file = tiny_config.heads[0].files[0]
    build_cache([file], tmp_path / "cache", CacheSettings(cutoff=7.0))
    cache = Cache(tmp_path / "cache")
    items = StreamedItems(cache.frames(), ItemMaker(config=config))
    for one, other in zip(items, make_items(read_frames(file), config), strict=True):
        assert one.n_pairs == other.n_pairs
        pairs = zip(
            one.graph.pair_vectors.norm(dim=1).sort().values,
            other.graph.pair_vectors.norm(dim=1).sort().values,
            strict=True,
        )
        assert all(a == b for a, b in pairs)


def test_a_shorter_cutoff_is_refused(tmp_path, shape, tiny_config):
    config = shape
    file = tiny_config.heads[0].files[0]
    build_cache([file], tmp_path / "cache", CacheSettings(cutoff=3.0))
    frames = Cache(tmp_path / "cache").frames()
    with pytest.raises(ConfigError, match=r"too short.*3 Å.*4 Å.*build the cache"):
        StreamedItems(frames, ItemMaker(config=config))


def test_unknown_elements_and_heads_are_refused(tmp_path, shape, tiny_config):
    config = shape
    file = tiny_config.heads[0].files[0]
    build_cache([file], tmp_path / "cache", CacheSettings(cutoff=4.0))
    frames = Cache(tmp_path / "cache").frames()
    with pytest.raises(ConfigError, match="nonesuch"):
        StreamedItems(frames, ItemMaker(config=config, as_head="nonesuch"))[0]
    heads = tuple(
        dataclasses.replace(h, reference_energies={"O": -1.0}) for h in config.heads
    )
    narrow = dataclasses.replace(config, heads=heads)
    with pytest.raises(ConfigError, match=r"frame \d.*does not know.*Mg"):
        list(StreamedItems(frames, ItemMaker(config=narrow)))


def test_caches_are_split_and_streamed(cached):
    data = prepare(cached.heads, cached.split, cached.limits)
    assert all(len(head.validation) > 0 for head in data.heads)
    assert isinstance(data.heads[0].train, JoinedFrames)


def test_a_run_from_caches_has_the_weights_of_a_run_from_files(cached, tiny_config):
    """With validation files, nothing is split: both runs see the same frames."""
    whole = SplitSettings(validation_fraction=0.0)
    run = dataclasses.replace(tiny_config.run, selection="last")
    weights = []
    for k, config in enumerate((cached, tiny_config)):
        output = config.output.parent / f"run{k}"
        one = dataclasses.replace(config, split=whole, run=run, output=output)
        weights.append(load_potential(train(one).model).state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_the_last_composition_stays_in_training(tiny_config, tmp_path):
    """All of it is MgO: nothing can be held out, and the run says what to do."""
    head = tiny_config.heads[0]
    build_cache(head.files, tmp_path / "cache", CacheSettings(cutoff=4.0))
    alone = dataclasses.replace(head, files=(tmp_path / "cache",))
    data = prepare([alone], tiny_config.split, tiny_config.limits)
    assert len(data.frames("train")) == 18
    assert not data.frames("validation")
    with pytest.raises(ConfigError, match=r"no frame is held out.*validation_files"):
        train(dataclasses.replace(tiny_config, heads=(alone,)))


def test_files_and_caches_may_be_mixed(cached, tiny_config):
    head = cached.heads[0]
    other = tiny_config.heads[0].files[0]
    both = dataclasses.replace(head, files=(*head.files, other))
    with pytest.raises(DataError, match=r"uid comes twice in head 'pbe'"):
        prepare([both], cached.split, cached.limits)
    with pytest.raises(DataError, match=r"held-out frame is also trained on"):
        prepare(
            [dataclasses.replace(head, validation_files=(other,))],
            cached.split,
            cached.limits,
        )


def test_a_cache_of_another_head_or_level_is_refused(cached):
    pbe, hot = cached.heads
    with pytest.raises(ConfigError, match=r"no frame of head 'hot'.*heads pbe"):
        prepare(
            [dataclasses.replace(hot, files=pbe.files)], cached.split, cached.limits
        )
    with pytest.raises(DataError, match=r"another level of theory.*'PBE'.*'LDA'"):
        prepare([dataclasses.replace(pbe, level="LDA")], cached.split, cached.limits)


def test_isolated_atoms_of_a_cache_give_the_references(cached):
    data = prepare(cached.heads, cached.split, cached.limits)
    job, references = build_job(cached, data)
    assert {r["origin"] for r in references["pbe"]} == {"isolated atom"}
    assert isinstance(job, Job)
    assert len(job.train) == len(job.costs)
    loss = dataclasses.replace(cached.loss, use_isolated_atoms=False)
    fewer, _ = build_job(dataclasses.replace(cached, loss=loss), data)
    assert len(fewer.train) == len(job.train) - 4
