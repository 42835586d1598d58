"""Parity allows for tables where one of the engines interpolates in them."""

from __future__ import annotations

from types import SimpleNamespace

from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.parity import tolerances_for
from lamplighter.validation.properties.parity_terms import COMPILED, FLOAT32, FLOAT64


def engine(backend: str, dtype: str = "float64") -> SimpleNamespace:
    extra = {"backend": backend} if backend else {}
    info = EngineInfo(kind="ase", name="a", model="m", dtype=dtype, extra=extra)
    return SimpleNamespace(info=info)


def test_tolerances_are_those_of_the_least_precise() -> None:
    assert tolerances_for(engine(""), engine("reference")) is FLOAT64
    assert tolerances_for(engine("reference"), engine("compiled")) is COMPILED
    assert tolerances_for(engine("compiled"), engine("", "float32")) is FLOAT32
    assert FLOAT64.forces < COMPILED.forces < FLOAT32.forces
    assert FLOAT64.energy < COMPILED.energy < FLOAT32.energy
