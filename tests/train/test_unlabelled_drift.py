"""What moved is told without labels."""

from __future__ import annotations

import numpy as np
import pytest

from lamplighter.model import load_potential
from lamplighter.train import read_frames
from lamplighter.train.unlabelled_drift import count_wells, unlabelled_drift


@pytest.fixture
def frames(data_file):
    return [f for f in read_frames(data_file(n=3)) if f.n_atoms == 2]


def test_nothing_moved_where_nothing_changed(base, frames):
    potential = load_potential(base)
    found = unlabelled_drift(potential, potential, frames)
    assert list(found) == ["pbe", "hot"]
    for one in found.values():
        assert one["n_frames"] == 6
        assert one["energy_moved"] == one["force_moved"] == one["pair_moved"] == 0.0
        assert one["wells_before"] == one["wells_after"]


def test_a_changed_readout_moves_its_energies(base, frames):
    before, after = load_potential(base), load_potential(base)
    for values in after.parameters():
        values.data.mul_(1.05)
    found = unlabelled_drift(before, after, frames)
    for one in found.values():
        assert one["energy_moved"] > 1.0
        assert one["force_moved"] > 1.0
        assert one["pair_moved"] > 1.0


def test_without_geometries_there_are_still_pairs(base):
    potential = load_potential(base)
    one = unlabelled_drift(potential, potential, [])["pbe"]
    assert one["n_frames"] == 0
    assert one["energy_moved"] is None
    assert one["force_moved"] is None
    assert one["pair_moved"] == 0.0


def test_wells_are_counted_where_they_are_deep():
    x = np.linspace(0.5, 6.0, 60)
    morse = (1 - np.exp(-2 * (x - 1.5))) ** 2
    assert count_wells(morse) == 1
    assert count_wells(np.exp(-x)) == 0
    assert count_wells(-np.exp(-x)) == 0
    assert count_wells(np.cos(2 * np.pi * x)) == 5
    assert count_wells(0.001 * np.cos(2 * np.pi * x)) == 0
