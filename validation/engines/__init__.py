"""Engines: one contract, evaluated by ASE calculators or by LAMMPS."""

from lamplighter.validation.engines.ase import AseEngine, EngineCalculator
from lamplighter.validation.engines.base import Engine, EngineInfo, Result
from lamplighter.validation.engines.cache import CachedEngine
from lamplighter.validation.engines.factory import ase_engine
from lamplighter.validation.engines.lammps import LammpsEngine
from lamplighter.validation.engines.lammps_file import LammpsFileEngine
from lamplighter.validation.engines.lammps_lib import LammpsLibEngine
from lamplighter.validation.engines.pair_style import (
    PairStyle,
    mliap_style,
    pair_style,
)
from lamplighter.validation.engines.spec import EngineSpec, engine_spec

__all__ = [
    "AseEngine",
    "CachedEngine",
    "Engine",
    "EngineCalculator",
    "EngineInfo",
    "EngineSpec",
    "LammpsEngine",
    "LammpsFileEngine",
    "LammpsLibEngine",
    "PairStyle",
    "Result",
    "ase_engine",
    "engine_spec",
    "mliap_style",
    "pair_style",
]
