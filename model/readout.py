"""From node features to one energy per atom and head."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lamplighter.model.linear import SILU_SECOND_MOMENT


class LinearReadout(nn.Module):
    """Equation (15), first layers: one linear map per head."""

    def __init__(self, channels: int, n_heads: int) -> None:
        """Create one column per head."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_heads, channels))

    def forward(self, scalars: Tensor, heads: Tensor) -> Tensor:
        """Return ``[n_own]``, eV before the scale.

        Args:
            scalars: ``[n_own, channels]``.
            heads: ``[n_own]``, head of each atom's structure.
        """
        columns = scalars @ self.weight.T / math.sqrt(self.weight.shape[1])
        return columns.gather(1, heads[:, None])[:, 0]


class NonLinearReadout(nn.Module):
    """Equation (15), last layer: a hidden layer of its own for every head.

    A head never sees the hidden units of another one; upstream reaches the same by a
    mask on one wide layer.
    """

    def __init__(self, channels: int, hidden: int, n_heads: int) -> None:
        """Create `hidden` units per head."""
        super().__init__()
        self.first = nn.Parameter(torch.randn(n_heads, channels, hidden))
        self.second = nn.Parameter(torch.randn(n_heads, hidden))

    def forward(self, scalars: Tensor, heads: Tensor) -> Tensor:
        """Return ``[n_own]``; see [`LinearReadout.forward`][]."""
        n_heads, channels, hidden = self.first.shape
        weight = self.first.transpose(0, 1).reshape(channels, n_heads * hidden)
        units = nn.functional.silu(scalars @ weight / math.sqrt(channels))
        columns = torch.einsum(
            "nhu,hu->nh",
            SILU_SECOND_MOMENT * units.reshape(-1, n_heads, hidden),
            self.second / math.sqrt(hidden),
        )
        return columns.gather(1, heads[:, None])[:, 0]
