"""Batches: shares, passes, equal cost, limits, and the same draw every time."""

from __future__ import annotations

import math
import time
from collections import Counter

import numpy as np
import pytest

from lamplighter.errors import ConfigError
from lamplighter.train.config import SamplingSettings
from lamplighter.train.dealing import deal_parts
from lamplighter.train.sampler import FrameCost, FrameCosts, HeadSampler


def costs(rng, big=200, small=50):
    large = [
        FrameCost(head="crystal", n_atoms=int(n), n_pairs=int(60 * n), label=f"c{k}")
        for k, n in enumerate(rng.integers(2, 17, big))
    ]
    little = [
        FrameCost(head="molecule", n_atoms=int(n), n_pairs=int(n * (n - 1)))
        for n in rng.integers(2, 10, small)
    ]
    return [*large, *little]


def heads_of(sampler_costs, epochs):
    return Counter(sampler_costs[k].head for e in epochs for b in e for k in b)


def test_the_draw_is_a_function_of_seed_and_epoch(rng):
    data = costs(rng)
    settings = SamplingSettings(batch_frames=8)
    first, second = (HeadSampler(data, settings, seed=5) for _ in range(2))
    second.epoch(0)
    assert first.epoch(3) == second.epoch(3)
    assert first.epoch(3) != first.epoch(4)
    assert first.epoch(3) != HeadSampler(data, settings, seed=6).epoch(3)


def test_in_proportion_every_frame_comes_once_an_epoch(rng):
    data = costs(rng)
    sampler = HeadSampler(data, SamplingSettings(batch_frames=10))
    drawn = [k for batch in sampler.epoch(0) for k in batch]
    assert len(sampler.epoch(0)) == sampler.steps_per_epoch == 25
    assert sorted(drawn) == list(range(len(data)))


def test_passes_show_every_frame_before_any_again(rng):
    data = costs(rng)
    settings = SamplingSettings(batch_frames=7, steps_per_epoch=3)
    sampler = HeadSampler(data, settings)
    drawn = [k for e in range(12) for b in sampler.epoch(e) for k in b]
    counts = Counter(k for k in drawn if data[k].head == "molecule")
    assert max(counts.values()) - min(counts[k] for k in range(200, 250)) <= 1


def test_quotas_set_the_shares(rng):
    data = costs(rng)
    quotas = {"crystal": 1.0, "molecule": 3.0}
    sampler = HeadSampler(data, SamplingSettings(batch_frames=8), quotas=quotas)
    shares = heads_of(data, [sampler.epoch(e) for e in range(4)])
    assert shares["molecule"] / shares["crystal"] == pytest.approx(3.0, rel=0.02)


def test_temperature_moves_towards_equal_shares(rng):
    data = costs(rng)
    shares = [
        HeadSampler(data, SamplingSettings(temperature=t)).shares["molecule"]
        for t in (1.0, 2.0, 1e9)
    ]
    assert shares == pytest.approx([0.2, 1 / 3, 0.5])


def test_one_quota_leaves_the_rest_to_the_others(rng):
    data = costs(rng)
    sampler = HeadSampler(data, SamplingSettings(), quotas={"molecule": 0.7})
    assert sampler.shares == pytest.approx({"crystal": 0.8, "molecule": 0.2})


def test_batches_cost_the_same(rng):
    data = costs(rng)
    sampler = HeadSampler(data, SamplingSettings(batch_frames=10, max_atoms=4096))
    pairs = [sum(data[k].n_pairs for k in b) for b in sampler.epoch(1)]
    assert max(pairs) < 1.15 * np.mean(pairs)


def test_no_batch_exceeds_the_atoms(rng):
    data = costs(rng)
    sampler = HeadSampler(data, SamplingSettings(batch_frames=64, max_atoms=60))
    for number in range(5):
        for batch in sampler.epoch(number):
            assert sum(data[k].n_atoms for k in batch) <= 60


def test_no_batch_exceeds_the_pairs(rng):
    data = costs(rng)
    settings = SamplingSettings(batch_frames=64, max_atoms=10**6, max_pairs=2000)
    sampler = HeadSampler(data, settings)
    drawn = []
    for number in range(3):
        for batch in sampler.epoch(number):
            assert sum(data[k].n_pairs for k in batch) <= 2000
            drawn += batch
    assert set(drawn) == set(range(len(data)))
    sizes = [sum(data[k].n_pairs for k in b) for b in sampler.epoch(0)]
    assert np.mean(sizes) > 0.75 * 2000


def test_a_frame_of_more_pairs_than_a_batch_may_have_is_refused():
    data = [FrameCost(head="h", n_atoms=9, n_pairs=700, label="slab.xyz: frame 3")]
    with pytest.raises(ConfigError, match=r"frame 3.*700 pairs.*sampling\.max_pairs"):
        HeadSampler(data, SamplingSettings(max_pairs=600))


def arrays(data):
    return FrameCosts(
        heads=("molecule", "empty", "crystal"),
        head=np.array([0 if c.head == "molecule" else 2 for c in data]),
        n_atoms=np.array([c.n_atoms for c in data]),
        n_pairs=np.array([c.n_pairs for c in data]),
    )


def test_arrays_of_costs_draw_the_same(rng):
    data = costs(rng)
    one = HeadSampler(data, SamplingSettings(batch_frames=8), seed=3)
    other = HeadSampler(arrays(data), SamplingSettings(batch_frames=8), seed=3)
    assert one.epoch(2) == other.epoch(2)
    with pytest.raises(ConfigError, match=r"\(frame \d+\); got: 16 atoms"):
        HeadSampler(arrays(data), SamplingSettings(max_atoms=15))


def test_windows_keep_the_passes_and_the_shares(rng, monkeypatch):
    monkeypatch.setattr("lamplighter.train.sampler.WINDOW", 4)
    data = costs(rng)
    sampler = HeadSampler(data, SamplingSettings(batch_frames=10), seed=1)
    assert sampler.windows_per_epoch == 7
    assert len(sampler.epoch(0)) == sampler.steps_per_epoch == 25
    for number in range(3):
        drawn = [k for batch in sampler.epoch(number) for k in batch]
        assert sorted(drawn) == list(range(len(data)))
        # A fifth of the frames are molecules, in every window.
        for window in range(7):
            heads = heads_of(data, [sampler.window(number, window)])
            assert heads["molecule"] == pytest.approx(heads.total() / 5, abs=1)
    # A window can be drawn without those before it.
    fresh = HeadSampler(data, SamplingSettings(batch_frames=10), seed=1)
    assert fresh.window(2, 3) == sampler.window(2, 3)


def test_a_window_of_a_large_set_is_drawn_fast(rng):
    n = 1_000_000
    atoms = rng.integers(2, 100, n)
    many = FrameCosts(
        heads=("a", "b"),
        head=(np.arange(n) % 10 == 0).astype(np.int8),
        n_atoms=atoms,
        n_pairs=40 * atoms,
    )
    begin = time.process_time()
    sampler = HeadSampler(many, SamplingSettings(batch_frames=32, max_atoms=4096))
    assert sum(len(b) for b in sampler.window(0, 0)) == 512 * 32
    assert sampler.windows_per_epoch == math.ceil(n / 32 / 512)
    assert time.process_time() - begin < 3.0
    # The order of a pass is remembered: the next window takes no new permutation.
    begin = time.process_time()
    sampler.window(0, 1)
    assert time.process_time() - begin < 1.0


def test_parts_of_a_batch_hold_every_frame_once_and_cost_the_same(rng):
    batch = rng.permutation(1000)[:40].tolist()
    pairs = rng.integers(10, 500, 40).tolist()
    parts = deal_parts(batch, pairs, 4)
    assert sorted(k for p in parts for k in p) == sorted(batch)
    of = dict(zip(batch, pairs, strict=True))
    loads = [sum(of[k] for k in p) for p in parts]
    assert max(loads) < 1.05 * min(loads)
    assert deal_parts(batch, pairs, 1) == [batch]
    assert deal_parts(batch[:1], pairs[:1], 3) == [batch[:1], [], []]


def test_a_frame_larger_than_a_batch_is_refused():
    data = [FrameCost(head="h", n_atoms=99, n_pairs=1, label="slab.xyz: frame 3")]
    with pytest.raises(ConfigError, match=r"slab\.xyz: frame 3.*99 atoms.*max_atoms"):
        HeadSampler(data, SamplingSettings(max_atoms=64))


def test_a_quota_without_frames_is_refused(rng):
    with pytest.raises(ConfigError, match="without training frames; got: other"):
        HeadSampler(costs(rng), SamplingSettings(), quotas={"other": 1.0})


def test_no_frames_are_refused():
    with pytest.raises(ConfigError, match="no frame to train on"):
        HeadSampler([], SamplingSettings())
