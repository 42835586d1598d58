"""Networks of a pair: radial weights and the local density."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lamplighter.model.activation import SILU_SECOND_MOMENT


class PairInput(NamedTuple):
    """What the networks of a pair see, equation (4) of docs/potential.md.

    Attributes:
        basis: ``[n_slots, n_radial]``.
        source: S, ``[n_elements, channels]``; empty where species do not count.
        target: T, the same shape.
        species: of the neighbour (source) and of the centre (target), ``[n_slots]``
            each.
    """

    basis: Tensor
    source: Tensor
    target: Tensor
    species: tuple[Tensor, Tensor]


class NoTables(nn.Module):
    """Species do not count."""

    def forward(self, basis: Tensor, species: tuple[Tensor, Tensor]) -> PairInput:
        """Return the input of the networks."""
        empty = basis.new_zeros(0, 0)
        return PairInput(basis, empty, empty, species)


class SpeciesTables(nn.Module):
    """The tables S and T of a layer."""

    def __init__(self, n_elements: int, width: int) -> None:
        """Create the tables, almost zero: training starts from a species-blind one."""
        super().__init__()
        shape = (n_elements, width)
        self.source = nn.Parameter(torch.empty(shape).uniform_(-1e-3, 1e-3))
        self.target = nn.Parameter(torch.empty(shape).uniform_(-1e-3, 1e-3))

    def forward(self, basis: Tensor, species: tuple[Tensor, Tensor]) -> PairInput:
        """Return the input of the networks."""
        return PairInput(basis, self.source, self.target, species)


class SpeciesNetwork(nn.Module):
    """A network of (distance, source species, target species).

    Equation (5): several times (linear with bias, LayerNorm, SiLU), then linear. The
    first layer of the concatenation ``[b(r); S[z_j]; T[z_i]]`` is evaluated as its
    exact split ``W_b b(r) + (S W_S)[z_j] + (T W_T)[z_i]``: ten inputs per pair instead
    of ten plus twice the embedding width.
    """

    def __init__(
        self, n_radial: int, n_embedding: int, hidden: tuple[int, ...], n_out: int
    ) -> None:
        """Create the network; widths as in the configuration."""
        super().__init__()
        first = hidden[0]
        bound = 1.0 / math.sqrt(n_radial)
        self.radial = nn.Parameter(torch.empty(n_radial, first).uniform_(-bound, bound))
        self.source = nn.Parameter(torch.empty(n_embedding, first).uniform_(-1, 1))
        self.target = nn.Parameter(torch.empty(n_embedding, first).uniform_(-1, 1))
        self.bias = nn.Parameter(torch.empty(first).uniform_(-bound, bound))
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in hidden])
        widths = [*hidden, n_out]
        self.linears = nn.ModuleList(
            [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        )

    def forward(self, pair: PairInput) -> Tensor:
        """Return ``[n_slots, n_out]``."""
        neighbor, center = pair.species
        source, target = pair.source @ self.source, pair.target @ self.target
        table = source[:, None] + target[None] + self.bias
        pair_type = neighbor * len(source) + center
        x = pair.basis @ self.radial + table.flatten(0, 1).index_select(0, pair_type)
        for norm, linear in zip(self.norms, self.linears, strict=True):
            x = linear(nn.functional.silu(norm(x)))
        return x


class DistanceNetwork(nn.Module):
    """A network of the distance alone, without biases: zero input, zero output.

    Every layer is scaled by ``1/sqrt(fan in)``, every SiLU has unit second moment.
    """

    def __init__(self, n_radial: int, hidden: tuple[int, ...], n_out: int) -> None:
        """Create the network; `hidden` may be empty."""
        super().__init__()
        widths = [n_radial, *hidden, n_out]
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.randn(a, b)) for a, b in itertools.pairwise(widths)]
        )

    def forward(self, pair: PairInput) -> Tensor:
        """Return ``[n_slots, n_out]``."""
        first, *others = self.weights
        x: Tensor = pair.basis @ (first / math.sqrt(len(first)))
        for weight in others:
            active = SILU_SECOND_MOMENT * nn.functional.silu(x)
            x = active @ (weight / math.sqrt(len(weight)))
        return x
