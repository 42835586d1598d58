"""The hot operators in Triton."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from lamplighter.errors import OptionalDependencyError, explain
from lamplighter.model.compiled.kernels.pairs import PairBlock
from lamplighter.model.compiled.kernels.program import Monomials, ProductTerms
from lamplighter.model.compiled.kernels.unpacked import LayerTensors, Path

_BLOCK: Final = 128
"""Channels of a program."""


def _kernels() -> Any:
    try:
        from lamplighter.model.compiled.kernels import (  # noqa: PLC0415
            triton_kernels,
        )
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                "kernels for GPUs need Triton",
                got=error,
                fix="pip install 'lamplighter[gpu]', or use the operators of torch",
            )
        ) from error
    return triton_kernels


class TritonOperators:
    """The kernels of triton_kernels.py; see [`Operators`][].

    Tensors lie on a GPU; with ``TRITON_INTERPRET=1`` set before Triton is imported,
    on a processor, slowly.

    Attributes:
        deterministic: see [`Operators`][].
    """

    def __init__(self, *, deterministic: bool = False) -> None:
        """Import Triton.

        Args:
            deterministic: gradients of neighbours are gathered pair after pair, not
                added atomically.

        Raises:
            OptionalDependencyError: it is not installed.
        """
        self.deterministic = deterministic
        self._kernels = _kernels()

    def __reduce__(self) -> tuple[Any, ...]:
        return _operators, (self.deterministic,)

    def sums(
        self, layer: LayerTensors, block: PairBlock, turned: Tensor, u: Tensor | None
    ) -> Tensor:
        """Return the sums over neighbours; see [`Operators`][]."""
        n_atoms = block.atoms[1] - block.atoms[0]
        out = turned.new_zeros(n_atoms, layer.n_rows, layer.edge)
        if n_atoms == 0:
            return out
        values = block.values.to(turned.dtype)
        grid = (n_atoms, -(-layer.edge // _BLOCK))
        for path in layer.paths:
            self._kernels.sums[grid](
                *(out, layer.radial, values, block.knots, turned),
                *(_or_empty(u, out), block.first, block.neighbors),
                *_sizes(layer, path, u),
                **_constants(path, u, values),
            )
        return out

    def sums_back(
        self,
        layer: LayerTensors,
        block: PairBlock,
        turned: Tensor,
        u: Tensor | None,
        g: Tensor,
        du: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return what the sums give back; see [`Operators`][]."""
        dturned = torch.zeros_like(turned)
        dr = turned.new_zeros(len(turned))
        if len(turned) == 0:
            return dturned, dr.double()
        values, slopes = block.values.to(turned.dtype), block.slopes.to(turned.dtype)
        received = None
        if du is not None and self.deterministic:
            received = _received(block.neighbors)
        for path in layer.paths:
            if du is not None and received is not None:
                own, first, order = received
                grid = (len(own), -(-layer.edge // _BLOCK))
                self._kernels.features_back[grid](
                    *(du, layer.radial, values, block.knots, turned, g),
                    *(own, first, order, block.centers),
                    *_sizes(layer, path, u),
                    **_sizes_known(path, values),
                )
            self._kernels.sums_back[(len(turned),)](
                *(dturned, dr, _or_empty(du, g), layer.radial, values, slopes),
                *(block.knots, turned, _or_empty(u, g), g),
                *(block.centers, block.neighbors),
                *_sizes(layer, path, u),
                **_constants(path, u, values),
                ATOMIC=received is None,
            )
        return dturned, dr.double()

    def product(self, terms: ProductTerms, b: Tensor, species: Tensor) -> Tensor:
        """Return the symmetric product; see [`Operators`][]."""
        return self._added(terms.there, terms.weights, b, species, None)

    def product_back(
        self, terms: ProductTerms, b: Tensor, species: Tensor, g: Tensor
    ) -> Tensor:
        """Return what the product gives back; see [`Operators`][]."""
        return self._added(terms.back, terms.weights, b, species, g)

    def _added(
        self,
        terms: Monomials,
        weights: Tensor,
        b: Tensor,
        species: Tensor,
        other: Tensor | None,
    ) -> Tensor:
        n_atoms, n_inputs, channels = b.shape
        out = b.new_zeros(n_atoms, terms.n_results, channels)
        if n_atoms == 0:
            return out
        second = _or_empty(other, b).contiguous()
        self._kernels.added[(n_atoms, terms.n_results, -(-channels // _BLOCK))](
            *(out, terms.first, terms.path, terms.source, terms.factors),
            *(terms.values, weights, species, b.contiguous(), second),
            *(terms.n_results, n_inputs, second.shape[1], weights.shape[1], channels),
            BY_SPECIES=len(weights) > 1,
            SECOND=other is not None,
            POWER=terms.factors.shape[1],
            BLOCK=_BLOCK,
        )
        return out


def _operators(deterministic: bool) -> TritonOperators:
    """Return operators as they were; what they import cannot be pickled."""
    return TritonOperators(deterministic=deterministic)


def _received(neighbors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pairs by their neighbours, in one and the same order.

    Returns:
        neighbours that occur, first pair of each and one after the last, and pairs;
        int32.
    """
    rows, order = neighbors.sort(stable=True)
    own, counts = torch.unique_consecutive(rows, return_counts=True)
    first = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    return own.int(), first.int(), order.int()


def _or_empty(given: Tensor | None, other: Tensor) -> Tensor:
    """Return a tensor to point to; the other one where it is not looked at."""
    return other if given is None else given


def _sizes(layer: LayerTensors, path: Path, u: Tensor | None) -> tuple[int, ...]:
    """Return the sizes and places of a coupling, as both kernels want them."""
    return (
        *(layer.edge, layer.radial.shape[1], path.weights),
        *(layer.n_turns, path.turn, layer.n_rows, path.row),
        *((1, 0) if u is None else (u.shape[1], path.l1**2)),
    )


def _constants(path: Path, u: Tensor | None, values: Tensor) -> dict[str, int | bool]:
    """Return what the compiler has to know."""
    return {"FIRST": u is None, **_sizes_known(path, values)}


def _sizes_known(path: Path, values: Tensor) -> dict[str, int | bool]:
    """Return the sizes of a coupling, and those rounded up to powers of two."""
    n1, n3 = path.sizes
    return {
        "N1": n1,
        "N3": n3,
        "P1": 1 << (n1 - 1).bit_length(),
        "P3": 1 << (n3 - 1).bit_length(),
        "NUMBERS": values.shape[1],
        "BLOCK": _BLOCK,
    }
