"""The compiled potential on tensors of any device: torch, and Triton for GPUs.

The same tables and the same stages as the native library. What is computed with a pair
and its channels, and the symmetric product, are operators: in torch, the readable twin
that runs everywhere, and in Triton.
"""

from lamplighter.model.compiled.kernels.body import TensorPotential
from lamplighter.model.compiled.kernels.operators import Operators, TorchOperators

__all__ = ["Operators", "TensorPotential", "TorchOperators"]
