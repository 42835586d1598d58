"""Equivariant linear maps and the gate, on features of shape [n, components, channels].

Features hold the degrees 0 ... l one after the other along the component axis, with the
same number of channels each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

SILU_SECOND_MOMENT = 1.0 / math.sqrt(0.3557755198173522)
"""Factor that gives SiLU of a unit Gaussian the second moment 1."""

SIGMOID_SECOND_MOMENT = 1.0 / math.sqrt(0.293379035858093)
"""The same for the logistic function."""


def degree(features: Tensor, l: int) -> Tensor:
    """Return the components of degree `l`: ``[n, 2 l + 1, channels]``."""
    return features[:, l * l : (l + 1) ** 2]


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
    scalars = features[0]
    out = [SILU_SECOND_MOMENT * nn.functional.silu(scalars[..., :channels])]
    for l in range(1, len(features)):
        gates = scalars[..., l * channels : (l + 1) * channels]
        out.append(SIGMOID_SECOND_MOMENT * torch.sigmoid(gates) * features[l])
    return out
