"""Weights that move in part: a low-rank change, or the rows of some heads.

Every tensor of a potential that is changed this way stays where it is, fixed, and gets
a small module beside it that holds what moves. The potential goes on as before: it sees
the sum. At the end [`merged`][] writes the sum into an ordinary potential.

Source: low-rank adaptation, arXiv 2106.09685; the factor without a rank in it, arXiv
2312.03732.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lamplighter.model import Potential


class LowRank(nn.Module):
    """``W + alpha / sqrt(rank) * A B`` with a random A and, at the start, B = 0.

    A has unit Gaussian entries, so that a step of the optimiser moves an entry of the
    sum by about `alpha` times what it would move it by directly, whatever the rank and
    whatever the size of the weights (those of an equivariant linear map are of order
    one, those of a radial network of order 1/sqrt(fan in)).
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        """Create the factors for `weight`, ``[..., a, b]``; batches get one pair each.

        Args:
            weight: a matrix, or several: one for each element or degree.
            rank: width of the factors.
            alpha: size of a step of the optimiser relative to a direct one.
        """
        super().__init__()
        *batch, rows, columns = weight.shape
        down = torch.randn(*batch, rows, rank).to(weight)
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(down.new_zeros(*batch, rank, columns))
        self.factor = alpha / rank**0.5

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight; bit for bit `weight` while B is zero."""
        change: Tensor = self.factor * (self.down @ self.up)
        return weight + change


class SomeRows(nn.Module):
    """Some rows of a tensor move, those of some heads; the others are fixed."""

    index: Tensor

    def __init__(self, weight: Tensor, rows: Sequence[int]) -> None:
        """Let `rows` of `weight` move, from where they are."""
        super().__init__()
        index = torch.tensor(list(rows), device=weight.device)
        self.register_buffer("index", index)
        self.rows = nn.Parameter(weight.detach().index_select(0, index).clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return `weight` with the moving rows in their places."""
        return weight.index_copy(0, self.index, self.rows)


def low_rank_fits(weight: Tensor, rank: int) -> bool:
    """Return whether factors of this rank have fewer numbers than `weight` itself.

    Vectors, numbers and small matrices move directly: that is cheaper and more free.
    """
    if weight.dim() < 2:
        return False
    *_, rows, columns = weight.shape
    return rank * (rows + columns) < rows * columns


def attach(potential: Potential, name: str, change: nn.Module) -> None:
    """Fix the weight called `name` and let `change` act on it, in place."""
    module, leaf = _place(potential, name)
    parametrize.register_parametrization(module, leaf, change)
    beside = cast("nn.ModuleDict", module.parametrizations)[leaf]
    cast("nn.Parameter", beside.original).requires_grad = False


def weight_called(potential: Potential, name: str) -> Tensor:
    """Return the weight that the potential sees under `name`, changes included."""
    module, leaf = _place(potential, name)
    return cast("Tensor", getattr(module, leaf))


def merged(potential: Potential) -> Potential:
    """Return an ordinary potential with every change written into its weights.

    It evaluates bit for bit like `potential` and has no trace of the changes.
    """
    plain = Potential(potential.config)
    names = list(plain.state_dict())
    state = {name: weight_called(potential, name).detach() for name in names}
    like = state["embedding"]
    plain = plain.to(dtype=like.dtype, device=like.device)
    plain.load_state_dict(state)
    plain.reference_bias = copy.deepcopy(potential.reference_bias)
    return plain.requires_grad_(requires_grad=False).eval()


def _place(potential: Potential, name: str) -> tuple[nn.Module, str]:
    path, _, leaf = name.rpartition(".")
    return potential.get_submodule(path), leaf
