"""Engines: one contract, evaluated by ASE calculators or by LAMMPS."""

from lamplighter.validation.engines.ase import AseEngine, EngineCalculator
from lamplighter.validation.engines.base import Engine, EngineInfo, Result
from lamplighter.validation.engines.lammps import (
    LammpsEngine,
    PairStyle,
    mliap_style,
    pair_style,
)

__all__ = [
    "AseEngine",
    "Engine",
    "EngineCalculator",
    "EngineInfo",
    "LammpsEngine",
    "PairStyle",
    "Result",
    "mliap_style",
    "pair_style",
]
