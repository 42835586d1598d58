"""Batches are read ahead, in their order, and what goes wrong is not lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lamplighter.errors import DataError
from lamplighter.train.config import SamplingSettings
from lamplighter.train.reading import Drawn, ReadAhead, draw
from lamplighter.train.sampler import FrameCost, FrameCosts, HeadSampler


@pytest.fixture
def sampler():
    costs = FrameCosts.of(
        [FrameCost(head="a", n_atoms=2, n_pairs=9, label=str(k)) for k in range(10)]
    )
    return HeadSampler(costs, SamplingSettings(batch_frames=4), quotas={}, seed=1)


def take(batches, n):
    return [next(batches) for _ in range(n)]


def test_batches_go_on_from_any_place(sampler):
    whole = take(draw(sampler, 0, 0, 0), 12)
    for k, drawn in enumerate(whole[:-1]):
        assert take(draw(sampler, *drawn.place), 1) == [whole[k + 1]]
    assert whole[-1].place[0] > 0
    assert whole[0].batch == sampler.window(0, 0)[0]


def test_one_batch_is_read_while_another_is_used(sampler):
    begun = [threading.Event() for _ in range(5)]
    reads: list[list[int]] = []

    def read(batch):
        begun[len(reads)].set()
        reads.append(batch)
        return sum(batch)

    expected = take(draw(sampler, 0, 0, 0), 3)
    with ReadAhead(draw(sampler, 0, 0, 0), read) as ahead:
        for k, wanted in enumerate(expected):
            drawn, content = ahead.take()
            assert drawn == wanted
            assert content() == sum(wanted.batch)
            assert begun[k + 1].wait(10.0)  # the next one, without being asked for
    assert [d.batch for d in expected] == reads[:3]
    assert len(reads) == 4


def test_an_error_comes_with_the_batch_that_it_belongs_to():
    def read(batch):
        if batch == [1]:
            message = "a damaged shard"
            raise DataError(message)
        return np.array(batch)

    batches = (Drawn(batch=[k], place=(0, 0, k + 1)) for k in range(9))
    with ReadAhead(batches, read) as ahead:
        assert ahead.take()[1]() == [0]
        drawn, content = ahead.take()
        assert drawn.batch == [1]
        with pytest.raises(DataError, match="a damaged shard"):
            content()
    assert threading.active_count() < 20
