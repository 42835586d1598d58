"""Drawing an epoch takes time in proportion to its frames, with the same result."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from lamplighter.train.config import SamplingSettings
from lamplighter.train.sampler import FrameCost, HeadSampler


def deal_by_search(sampler, drawn, number):
    """The rule as it is said: largest first, to the emptiest batch that has room."""
    n_atoms, n_pairs = sampler.costs.n_atoms, sampler.costs.n_pairs
    settings = sampler._settings
    rng = sampler._rng("deal", number)
    order = [drawn[k] for k in rng.permutation(len(drawn))]
    order.sort(key=lambda k: -n_pairs[k])
    room = math.ceil(len(drawn) / sampler.steps_per_epoch)
    batches = [[] for _ in range(sampler.steps_per_epoch)]
    for k in order:
        fitting = [
            b
            for b, batch in enumerate(batches)
            if len(batch) < room
            and sum(n_atoms[m] for m in [*batch, k]) <= settings.max_atoms
        ]
        if not fitting:
            fitting = [len(batches)]
            batches.append([])
        load = [sum(n_pairs[m] for m in batch) for batch in batches]
        batches[min(fitting, key=lambda b: (load[b], b))].append(k)
    filled = [batch for batch in batches if batch]
    return [filled[k] for k in rng.permutation(len(filled))]


@pytest.mark.parametrize("max_atoms", [30, 60, 1000])
def test_the_heap_deals_as_the_search_would(rng, max_atoms):
    costs = [
        FrameCost(head="h", n_atoms=int(n), n_pairs=int(p))
        for n, p in zip(rng.integers(1, 30, 150), rng.integers(0, 40, 150), strict=True)
    ]
    sampler = HeadSampler(costs, SamplingSettings(max_atoms=max_atoms), seed=2)
    drawn = sampler._range("h", 0, 150)
    found = sampler._deal(drawn, sampler.steps_per_epoch, sampler._rng("deal", 4))
    assert found == deal_by_search(sampler, drawn.tolist(), 4)


def test_positions_run_through_shuffled_passes():
    costs = [FrameCost(head="h", n_atoms=2, n_pairs=int(k)) for k in range(7)]
    sampler = HeadSampler(costs, SamplingSettings(), seed=2)
    singles = [sampler._range("h", k, k + 1)[0] for k in range(20)]
    assert sampler._range("h", 0, 20).tolist() == singles
    assert sorted(singles[:7]) == sorted(singles[7:14]) == list(range(7))


def test_fifty_thousand_frames_are_dealt_in_seconds(rng):
    sizes = rng.integers(2, 30, 50_000)
    costs = [FrameCost(head="h", n_atoms=int(n), n_pairs=int(40 * n)) for n in sizes]
    sampler = HeadSampler(costs, SamplingSettings(batch_frames=16))
    begin = time.process_time()
    epoch = sampler.epoch(0)
    assert time.process_time() - begin < 10.0
    assert {k for batch in epoch for k in batch} == set(range(50_000))
    pairs = np.array([sum(costs[k].n_pairs for k in batch) for batch in epoch])
    low, high = np.quantile(pairs, [0.05, 0.95])
    assert high < 1.2 * low
