"""A compiled potential on a GPU, or on any other device that torch has."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

from lamplighter.errors import CheckFailedError, explain
from lamplighter.model.compiled.check import Deviation, Reference
from lamplighter.model.compiled.exchange import RowExchange
from lamplighter.model.compiled.kernels import (
    Operators,
    TensorPotential,
    TorchOperators,
)
from lamplighter.model.compiled.potential import TOLERANCES, CompiledPotential
from lamplighter.model.graph import Graph


class DevicePotential:
    """What `CompiledPotential` says, computed on another device.

    Attributes:
        config: of the potential that was compiled.
        dtype: that it computes with; energies and pair gradients are float64.
        compiled: whose tables it has.
    """

    def __init__(
        self,
        compiled: CompiledPotential,
        device: str,
        operators: Operators | None = None,
        *,
        deterministic: bool | None = None,
    ) -> None:
        """Put the tables of `compiled` on a device.

        Args:
            compiled: stays as it is.
            device: as torch names it.
            operators: see [`operators_for`][]; its choice when left out.
            deterministic: whether two runs give the same bits, at some cost in time;
                that of `compiled` when left out. Operators that are given know it
                themselves.
        """
        self.config, self.dtype, self.compiled = (
            compiled.config,
            compiled.dtype,
            compiled,
        )
        self._device = device
        if deterministic is None:
            deterministic = compiled.deterministic
        self._operators = operators or operators_for(
            device, deterministic=deterministic
        )
        self._tensors = TensorPotential(
            compiled.tables, compiled.dtype, device, self._operators
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return DevicePotential, (self.compiled, self._device, self._operators)

    @property
    def deterministic(self) -> bool:
        """Return whether two runs give the same bits."""
        return self._operators.deterministic

    def evaluate(
        self, graph: Graph, exchange: RowExchange | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return energies ``[n_own]`` with E0 and dE/dr_ij ``[n_pairs, 3]``.

        Both are float64 and on the processor; see
        [`CompiledPotential`][lamplighter.model.compiled.CompiledPotential].

        Raises:
            DataError: two atoms closer than 0.02 Å.
        """
        energies, gradients = self._tensors.evaluate(graph, exchange)
        baseline = self.compiled.baseline(graph)
        return energies.cpu() + baseline, gradients.cpu()

    def check(self, reference: Reference) -> Deviation:
        """Return how far it is from the reference on random geometries.

        Raises:
            CheckFailedError: farther than
                [`TOLERANCES`][lamplighter.model.compiled.potential.TOLERANCES] says.
        """
        found, limit = reference.deviation(self), TOLERANCES[self.dtype]
        if not found.within(limit):
            raise CheckFailedError(
                explain(
                    "the compiled potential on this device does not agree with the "
                    "reference",
                    got=f"energy {found.energy:.1e}, forces {found.forces:.1e} eV/Å",
                    wanted=f"{limit.energy:.1e}, {limit.forces:.1e} eV/Å",
                    fix="use another backend, and tell which GPU and which Triton",
                )
            )
        return found


def operators_for(device: str, *, deterministic: bool = False) -> Operators:
    """Return the kernels for a device: Triton's on a GPU that has it, else torch's.

    Args:
        device: as torch names it.
        deterministic: whether sums are made in the same order every time.
    """
    if torch.device(device).type == "cuda" and importlib.util.find_spec("triton"):
        from lamplighter.model.compiled.kernels.triton_operators import (  # noqa: PLC0415
            TritonOperators,
        )

        return TritonOperators(deterministic=deterministic)
    return TorchOperators(deterministic=deterministic)
