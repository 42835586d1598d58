"""The compiled potential: tables for one head, evaluated by a native library."""

from lamplighter.model.compiled.device import DevicePotential
from lamplighter.model.compiled.evaluator import CompiledEvaluator, WhereSupported
from lamplighter.model.compiled.potential import CompiledPotential, compile_potential
from lamplighter.model.compiled.stored import tables_from_bytes, tables_to_bytes

__all__ = [
    "CompiledEvaluator",
    "CompiledPotential",
    "DevicePotential",
    "WhereSupported",
    "compile_potential",
    "tables_from_bytes",
    "tables_to_bytes",
]
