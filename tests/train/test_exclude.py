"""Kinds of frames that a head leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamplighter.errors import ConfigError
from lamplighter.train.config import HeadData, SplitSettings
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.prepare import prepare


def kinds(*exclude: str) -> set[str]:
    head = HeadData(
        name="pbesol",
        level="PBEsol",
        files=(Path("dataset:crystal_pbesol"),),
        exclude=exclude,
    )
    data = prepare((head,), SplitSettings(), ReaderLimits())
    return {
        frame.config_type
        for part in ("train", "validation", "test")
        for frame in data.frames(part)
    }


def test_excluded_kinds_are_in_no_part() -> None:
    assert "mgo_b1_rattle" in kinds()
    assert kinds() - kinds("mgo_b1_rattle", "*_elastic") == {
        "mgo_b1_rattle",
        "mgo_b1_elastic",
    }


def test_patterns_that_fit_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"mgo_b1_ratle.*mgo_b1_rattle"):
        kinds("mgo_b1_ratle")
