"""Equivariant linear maps and the gate, on features of shape [n, components, channels].

Features hold the degrees 0 ... l one after the other along the component axis, with the
same number of channels each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lamplighter.model.activation import SIGMOID_SECOND_MOMENT, SILU_SECOND_MOMENT


def by_degree(features: Tensor) -> tuple[Tensor, ...]:
    """Return the components of each degree l: ``[n, 2 l + 1, channels]``.

    One split instead of several slices: the derivative of a split is one concatenation.
    """
    n_degrees = math.isqrt(features.shape[1])
    return torch.split(features, [2 * l + 1 for l in range(n_degrees)], dim=1)


class EquivariantLinear(nn.Module):
    """One matrix per degree, shared by its 2l+1 components.

    Weights start as unit Gaussians; the factor ``1/sqrt(fan in)`` is applied in
    `forward`, so that every weight has the same scale for the optimiser.
    """

    def __init__(self, widths: Sequence[tuple[int, int]]) -> None:
        """Create the map; ``widths[l]`` is (channels in, channels out) of degree l."""
        super().__init__()
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.randn(a, b)) for a, b in widths]
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Map each degree: ``features[l]`` is ``[n, 2 l + 1, channels in]``."""
        return [
            torch.matmul(x, weight / math.sqrt(max(len(weight), 1)))
            for x, weight in zip(features, self.weights, strict=True)
        ]


class ElementLinear(nn.Module):
    """One matrix per degree and element: the map depends on the atom's species."""

    def __init__(self, widths: Sequence[tuple[int, int]], n_elements: int) -> None:
        """Create the map; see [`EquivariantLinear`][]."""
        super().__init__()
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.randn(n_elements, a, b)) for a, b in widths]
        )

    def forward(self, features: Sequence[Tensor], species: Tensor) -> list[Tensor]:
        """Map each degree of each atom with the matrix of its element.

        Args:
            features: ``features[l]`` is ``[n, 2 l + 1, channels in]``.
            species: ``[n]``, index of the element.
        """
        order = torch.argsort(species, stable=True)
        place = torch.argsort(order)
        counts = torch.bincount(species, minlength=len(self.weights[0])).tolist()
        out = []
        for x, weight in zip(features, self.weights, strict=True):
            groups = x.index_select(0, order).split(counts)
            matrices = weight / math.sqrt(max(weight.shape[1], 1))
            mapped = [torch.matmul(g, m) for g, m in zip(groups, matrices, strict=True)]
            out.append(torch.cat(mapped).index_select(0, place))
        return out


def gate(features: Sequence[Tensor], channels: int) -> list[Tensor]:
    """Return the gated features of equation (11).

    Args:
        features: per degree ``[n, 2 l + 1, channels]``; degree 0 carries, after its own
            channels, `channels` gate scalars for each higher degree.
        channels: width of each degree.

    Returns:
        per degree ``[n, 2 l + 1, channels]``: SiLU of the scalars, and each higher
        channel times the sigmoid of its own gate, both of unit second moment.
    """
    scalars, *gates = torch.split(features[0], channels, dim=-1)
    out = [SILU_SECOND_MOMENT * nn.functional.silu(scalars)]
    for gate_scalars, higher in zip(gates, features[1:], strict=True):
        out.append(SIGMOID_SECOND_MOMENT * torch.sigmoid(gate_scalars) * higher)
    return out
