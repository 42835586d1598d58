"""The compiled potential: tables for one head, evaluated by a native library."""

from lamplighter.model.compiled.evaluator import CompiledEvaluator
from lamplighter.model.compiled.potential import CompiledPotential, compile_potential

__all__ = ["CompiledEvaluator", "CompiledPotential", "compile_potential"]
