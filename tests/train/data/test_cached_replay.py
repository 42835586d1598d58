"""Post-training from caches: the weights of a run from files, frames left on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError
from lamplighter.model import load_potential
from lamplighter.train import FinetuneConfig, NewHead, finetune, read_frames
from lamplighter.train.config import SamplingSettings, SplitSettings
from lamplighter.train.data.cache import Cache, CachedFrames
from lamplighter.train.data.cache_build import build_cache
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.streaming import JoinedFrames, StreamedItems
from lamplighter.train.finetune_config import ReplaySettings
from lamplighter.train.finetune_heads import training_items
from lamplighter.train.prepare import prepare
from lamplighter.train.replay_selection import select_frames


@pytest.fixture
def from_files(base, base_config, data_file, tmp_path):
    new = data_file("new.xyz", head="new", level="NEW", scale=1.2, n=6)
    return FinetuneConfig(
        base=base,
        output=tmp_path / "files",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="pbe"),),
        replay_heads=base_config.heads,
        replay=ReplaySettings(drift_limit=10.0, energy_drift_limit=100.0),
        split=SplitSettings(validation_fraction=0.0),
        sampling=SamplingSettings(batch_frames=4),
        run=dataclasses.replace(base_config.run, selection="last"),
    )


@pytest.fixture
def from_caches(from_files, tmp_path):
    def cached(head):
        folder = tmp_path / f"cache-{head.name}"
        settings = CacheSettings(
            cutoff=4.0,
            head=head.name,
            level=head.level,
            labels=LabelSettings(group_key="uid"),
            shard_frames=5,
        )
        build_cache(head.files, folder, settings)
        return dataclasses.replace(head, files=(folder,))

    return dataclasses.replace(
        from_files,
        output=tmp_path / "caches",
        heads=tuple(map(cached, from_files.heads)),
        replay_heads=tuple(map(cached, from_files.replay_heads)),
    )


def test_the_weights_are_those_of_a_run_from_files(from_files, from_caches):
    weights = [
        load_potential(finetune(config).model).state_dict()
        for config in (from_files, from_caches)
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_frames_of_caches_stay_on_the_disk(from_caches, base, monkeypatch):
    heads = (*from_caches.heads, *from_caches.replay_heads)
    data = prepare(heads, from_caches.split, from_caches.limits)
    read: list[int] = []
    whole = Cache.read
    monkeypatch.setattr(
        Cache, "read", lambda self, k, **kw: (read.append(k), whole(self, k, **kw))[1]
    )
    chosen = select_frames(data.heads[1].train, ReplaySettings(), new=[])
    items = training_items(from_caches, chosen, load_potential(base))
    assert isinstance(items, StreamedItems)
    assert len(items) == len(chosen) == 18
    assert not read
    assert items[3].frame.head == "pbe"
    assert read == [3]


@pytest.mark.parametrize(
    ("relevance", "wanted", "expected"),
    [
        ("shared", {8}, lambda own: 8 in own),
        ("subset", {8}, lambda own: own <= {8}),
        ("subset", {8, 12}, lambda own: own <= {8, 12}),
    ],
)
def test_relevance_of_cached_frames_is_that_of_lists(
    from_caches, relevance, wanted, expected
):
    head = from_caches.replay_heads[0]
    frames = Cache(head.files[0]).frames()
    new = [f for f in frames if set(f.numbers) == wanted][:1] or list(frames[:2])
    settings = ReplaySettings(relevance=relevance)
    chosen = select_frames(frames, settings, new=new)
    assert isinstance(chosen, JoinedFrames)
    by_hand = [f.uid for f in frames if expected({int(z) for z in f.numbers})]
    assert [f.uid for f in chosen] == by_hand
    in_memory = select_frames(list(frames), settings, new=new)
    assert [f.uid for f in in_memory] == by_hand


def test_a_choice_is_made_among_the_candidates(from_caches):
    head = from_caches.replay_heads[0]
    frames = Cache(head.files[0]).frames()
    settings = ReplaySettings(max_frames=3, selection="kinds", candidates=6)
    among = {f.uid for f in frames.sample(6)}
    assert 6 <= len(among) < len(frames)
    chosen = select_frames(frames, settings)
    assert len(chosen) == 3
    assert {f.uid for f in chosen} <= among


def test_elements_of_a_cache_that_the_base_lacks_are_named(
    from_caches, data_file, tmp_path
):
    def to_iron(frames):
        frames[3].numbers[:] = 26

    path = data_file("iron.xyz", change=to_iron, head="new", level="NEW")
    settings = CacheSettings(cutoff=4.0, head="new", level="NEW")
    build_cache([path], tmp_path / "iron", settings)
    head = dataclasses.replace(
        from_caches.heads[0],
        files=(tmp_path / "iron",),
        reference_energies={"Fe": -1.0},
    )
    with pytest.raises(ConfigError, match=r"iron.*frame 3.*does not know.*Fe"):
        finetune(dataclasses.replace(from_caches, heads=(head,)))


def test_element_columns_tell_what_the_frames_have(from_caches):
    frames = Cache(from_caches.replay_heads[0].files[0]).frames()
    assert {tuple(np.unique(f.numbers)) for f in frames.within({"O"})} == {(8,)}
    assert len(frames.having({"Mg"})) == sum(12 in f.numbers for f in frames)
    assert len(frames.having({"Og"})) == 0
    assert len(frames.within({"O", "Mg", "Og"})) == len(frames)


def test_a_random_choice_leaves_the_frames_of_caches_on_the_disk(
    from_caches, data_file, monkeypatch
):
    heads = (*from_caches.heads, *from_caches.replay_heads)
    frames = prepare(heads, from_caches.split, from_caches.limits).heads[1].train
    pool = JoinedFrames([read_frames(data_file("l.xyz", n=9, seed=8)), *frames.parts])
    monkeypatch.delattr(Cache, "read")
    chosen = [
        select_frames(pool, ReplaySettings(selection="random", max_frames=15, seed=s))
        for s in (1, 1, 2)
    ]
    assert [len(c) for c in chosen] == [15, 15, 15]
    few, cached = chosen[0].parts
    assert isinstance(cached, CachedFrames)
    assert 0 < len(few) < 15
    again = chosen[1].parts
    assert [f.uid for f in few] == [f.uid for f in again[0]]
    assert np.array_equal(cached.indices, again[1].indices)
    assert not np.array_equal(cached.indices, chosen[2].parts[1].indices)
    assert np.all(np.diff(cached.indices) > 0)
