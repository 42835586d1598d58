"""The symmetric product: many-body features from powers of the one-body ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lamplighter.model.coupling import as_tensor, symmetric_basis
from lamplighter.model.recompute import EdgeChunks, recomputed


class SymmetricProduct(nn.Module):
    """Equation (13): ``P = sum over powers and paths of w * C(B, ..., B)``.

    The weights are the same for every element (element-agnostic), or there is one set
    for each. Only the symmetric part of the couplings is kept, which loses nothing.
    """

    def __init__(
        self,
        channels: int,
        l_max: int,
        l_out: int,
        correlation: int,
        n_elements: int | None = None,
    ) -> None:
        """Create the product of degrees 0 ... `l_max` to degrees 0 ... `l_out`.

        `n_elements` is the number of sets of weights; None: one for all elements.
        """
        super().__init__()
        self.l_max, self.l_out, self.correlation = l_max, l_out, correlation
        self.by_element = n_elements is not None
        self.weights = nn.ParameterDict()
        for l in range(l_out + 1):
            bases = [symmetric_basis(l_max, l, n) for n in range(1, correlation + 1)]
            n_paths = sum(len(basis.matrix) for basis in bases)
            for power, basis in enumerate(bases, start=1):
                shape = (n_elements or 1, len(basis.matrix), channels)
                weight = torch.randn(shape) / math.sqrt(max(n_paths, 1))
                self.weights[f"{l}_{power}"] = nn.Parameter(weight)
                self._register(l, power)

    def _register(self, l: int, power: int) -> None:
        """Store the tables of one degree and power as buffers.

        A monomial of power n is one of power n-1 times one component.
        """
        basis = symmetric_basis(self.l_max, l, power)
        n_rows = len(basis.matrix) * (2 * l + 1)
        matrix = as_tensor(basis.matrix.reshape(n_rows, len(basis.monomials)))
        self.register_buffer(f"matrix_{l}_{power}", matrix, persistent=False)
        for k in range(power):
            column = torch.from_numpy(basis.monomials[:, k].copy())
            self.register_buffer(f"factor_{l}_{power}_{k}", column, persistent=False)

    def forward(self, features: Tensor, species: Tensor) -> list[Tensor]:
        """Return P per degree: ``[n, 2 l + 1, channels]``.

        Args:
            features: B ``[n, (l_max + 1)^2, channels]``.
            species: ``[n]``, index of the element.
        """
        n, size, channels = features.shape
        # components first: every factor of a monomial is then one contiguous row
        rows = features.transpose(0, 1).reshape(size, n * channels)
        out = []
        for l in range(self.l_out + 1):
            total = features.new_zeros(2 * l + 1, n, channels)
            for power in range(1, self.correlation + 1):
                values = self._couplings(rows, l, power)
                weight = self.weights[f"{l}_{power}"]
                # Named in full, because -1 is ambiguous on a rank without atoms.
                paths = values.reshape(weight.shape[1], 2 * l + 1, n, channels)
                if self.by_element:
                    own = weight.index_select(0, species)
                    total = total + torch.einsum("kmnc,nkc->mnc", paths, own)
                else:
                    total = total + torch.einsum("kmnc,kc->mnc", paths, weight[0])
            out.append(total.transpose(0, 1))
        return out

    def _couplings(self, rows: Tensor, l: int, power: int) -> Tensor:
        """Return ``[n_paths * (2 l + 1), n * channels]``."""
        product = rows.index_select(0, self._buffer(f"factor_{l}_{power}_0"))
        for k in range(1, power):
            factor = self._buffer(f"factor_{l}_{power}_{k}")
            product = product * rows.index_select(0, factor)
        return self._buffer(f"matrix_{l}_{power}") @ product

    def _buffer(self, name: str) -> Tensor:
        return cast("Tensor", getattr(self, name))


PAIRS_PER_ATOM = 32
"""A chunk of this many pairs costs about as much memory as the powers of one atom."""


def products(
    module: SymmetricProduct,
    features: Tensor,
    species: Tensor,
    chunks: EdgeChunks | None,
) -> Sequence[Tensor]:
    """Return P per degree; see [`SymmetricProduct.forward`][].

    With `chunks` a few atoms at a time, and their monomials are not kept.
    """
    if chunks is None or len(species) == 0:
        plain: Sequence[Tensor] = module(features, species)
        return plain
    names, weights = zip(*module.named_parameters(), strict=True)
    size = max(chunks.size // PAIRS_PER_ATOM, 1)
    parts = [
        recomputed(_with_weights(module, names, atoms), weights, [own], chunks)
        for own, atoms in zip(features.split(size), species.split(size), strict=True)
    ]
    return [torch.cat(degree) for degree in zip(*parts, strict=True)]


def _with_weights(
    module: SymmetricProduct, names: Sequence[str], species: Tensor
) -> Callable[..., tuple[Tensor, ...]]:
    """Return `module` as a function of its weights and of the features."""

    def function(*inputs: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(names, inputs[:-1], strict=True))
        return tuple(functional_call(module, named, (inputs[-1], species)))

    return function
