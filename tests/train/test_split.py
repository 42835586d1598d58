"""Held-out frames: by geometry, by kind, and the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from lamplighter.train.config import SplitSettings
from lamplighter.train.data import Frame
from lamplighter.train.data.split import split_frames


def frame(uid: str, kind: str, head: str = "pbe", symbol: int = 8) -> Frame:
    return Frame(
        numbers=np.array([symbol, symbol]),
        positions=np.array([[0.0, 0, 0], [0, 0, 1.2]]),
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
        energy=-1.0,
        forces=np.zeros((2, 3)),
        stress=None,
        head=head,
        level="PBE",
        config_type=kind,
        uid=uid,
        source=f"test: frame {uid}",
    )


FRAMES = [
    *(frame(f"r{k}", "rattle") for k in range(40)),
    *(frame(f"e{k}", "mgo_eos") for k in range(10)),
    *(frame(f"m{k}", "molecule") for k in range(20)),
    frame("alone", "vacancy"),
]


def _uids(frames):
    return {f.uid for f in frames}


def test_every_frame_has_one_use():
    split = split_frames(FRAMES, SplitSettings(test_fraction=0.2))
    parts = [_uids(split.train), _uids(split.validation), _uids(split.test)]
    assert sum(map(len, parts)) == len(FRAMES) == len(set.union(*parts))


def test_each_kind_gives_its_share():
    split = split_frames(
        FRAMES, SplitSettings(validation_fraction=0.25, test_fraction=0.1)
    )
    kinds = [f.config_type for f in split.validation]
    assert kinds.count("rattle") == 10
    assert kinds.count("molecule") == 5
    assert [f.config_type for f in split.test].count("rattle") == 4


def test_scans_and_lone_frames_stay_in_training():
    split = split_frames(FRAMES, SplitSettings(validation_fraction=0.5))
    train = _uids(split.train)
    assert {f"e{k}" for k in range(10)} <= train
    assert "alone" in train


def test_order_and_other_kinds_do_not_matter():
    settings = SplitSettings(validation_fraction=0.3)
    whole = _uids(split_frames(FRAMES, settings).validation)
    rattles = [f for f in FRAMES if f.config_type == "rattle"]
    alone = _uids(split_frames(rattles[::-1], settings).validation)
    assert alone == {u for u in whole if u.startswith("r")}


def test_the_seed_changes_the_draw():
    first = split_frames(FRAMES, SplitSettings(seed=0))
    second = split_frames(FRAMES, SplitSettings(seed=1))
    assert _uids(first.validation) != _uids(second.validation)


def test_a_geometry_is_on_the_same_side_in_every_head():
    twins = [frame(f.uid, f.config_type, head="r2scan") for f in FRAMES[::2]]
    split = split_frames([*FRAMES, *twins], SplitSettings(validation_fraction=0.3))
    assert not _uids(split.train) & _uids(split.validation)


def test_fractions_of_small_strata_average_out():
    small = [frame(f"s{k}", f"kind{k // 3}") for k in range(300)]
    split = split_frames(small, SplitSettings(validation_fraction=0.2))
    assert len(split.validation) == pytest.approx(60, abs=15)


def test_each_head_is_judged_on_something():
    small = [frame(f"s{k}", f"kind{k}", head="small") for k in range(16)]
    split = split_frames([*FRAMES, *small], SplitSettings())
    assert sum(f.head == "small" for f in split.validation) == 4


def test_the_only_atoms_of_an_element_stay_in_training():
    carbon = [frame("c0", "carbon", symbol=6), frame("c1", "carbon", symbol=6)]
    settings = SplitSettings(validation_fraction=0.5)
    found = list(split_frames([*FRAMES, *carbon], settings).train)
    assert {f.uid for f in found if f.config_type == "carbon"}


def test_a_fixed_split_is_kept():
    settings = SplitSettings(validation_fraction=0.3)
    old = split_frames(FRAMES, settings)
    twins = [frame(f.uid, f.config_type, head="new") for f in FRAMES]
    extra = [frame(f"x{k}", "rattle", head="new") for k in range(40)]
    added = split_frames([*twins, *extra], settings, fixed=old)
    assert not _uids(added.train) & _uids(old.validation)
    assert not _uids(added.validation) & _uids(old.train)
    assert sum(f.uid.startswith("x") for f in added.validation) == 12
