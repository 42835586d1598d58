"""Engines: one contract, evaluated by ASE calculators or by LAMMPS."""

from lamplighter.validation.engines.base import Engine, EngineInfo, Result

__all__ = ["Engine", "EngineInfo", "Result"]
