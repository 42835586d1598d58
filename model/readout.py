"""From node features to one energy per atom and head, equation (15)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lamplighter.model.activation import ACTIVATIONS
from lamplighter.model.config import PotentialConfig
from lamplighter.model.layers import LayerShape


class NoReadout(nn.Module):
    """The readout of a layer that is not read out."""

    def forward(self, scalars: Tensor, heads: Tensor) -> Tensor:
        """Return zeros, ``[n_own]``; see [`LinearReadout.forward`][]."""
        return scalars.new_zeros(len(scalars))


class LinearReadout(nn.Module):
    """One linear map per head."""

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
    """A hidden layer of its own for every head.

    A head never sees the hidden units of another one; upstream reaches the same by a
    mask on one wide layer.
    """

    def __init__(self, channels: int, hidden: int, n_heads: int, function: str) -> None:
        """Create `hidden` units per head with the activation called `function`."""
        super().__init__()
        self.function, self.factor = ACTIVATIONS[function]
        self.first = nn.Parameter(torch.randn(n_heads, channels, hidden))
        self.second = nn.Parameter(torch.randn(n_heads, hidden))

    def forward(self, scalars: Tensor, heads: Tensor) -> Tensor:
        """Return ``[n_own]``; see [`LinearReadout.forward`][]."""
        units = self.hidden_units(scalars)
        columns = torch.einsum(
            "nhu,hu->nh", units, self.second / math.sqrt(self.second.shape[1])
        )
        return columns.gather(1, heads[:, None])[:, 0]

    def hidden_units(self, scalars: Tensor) -> Tensor:
        """Return the active hidden units of all heads, ``[n_own, n_heads, hidden]``."""
        n_heads, channels, hidden = self.first.shape
        weight = self.first.transpose(0, 1).reshape(channels, n_heads * hidden)
        units = self.function(scalars @ weight / math.sqrt(channels))
        return self.factor * units.reshape(len(scalars), n_heads, hidden)


class BiasedReadout(NonLinearReadout):
    """Two hidden layers for every head, the second and the output with biases."""

    def __init__(self, channels: int, hidden: int, n_heads: int, function: str) -> None:
        """Create the layers; see [`NonLinearReadout`][]."""
        super().__init__(channels, hidden, n_heads, function)
        self.middle = nn.Parameter(torch.randn(n_heads, hidden, hidden))
        self.middle_bias = nn.Parameter(torch.zeros(n_heads, hidden))
        self.bias = nn.Parameter(torch.zeros(n_heads))

    def hidden_units(self, scalars: Tensor) -> Tensor:
        """Return the active units of the second hidden layer."""
        first = super().hidden_units(scalars)
        weight = self.middle / math.sqrt(self.middle.shape[1])
        units = torch.einsum("nhu,huv->nhv", first, weight) + self.middle_bias
        return self.factor * self.function(units)

    def forward(self, scalars: Tensor, heads: Tensor) -> Tensor:
        """Return ``[n_own]``; see [`LinearReadout.forward`][]."""
        return super().forward(scalars, heads) + self.bias.index_select(0, heads)


def make_readout(config: PotentialConfig, shape: LayerShape) -> nn.Module:
    """Return the readout of a layer."""
    n_heads = len(config.heads)
    if shape.readout == "none":
        return NoReadout()
    if shape.readout == "linear":
        return LinearReadout(config.channels, n_heads)
    sizes = (config.channels, config.readout_hidden, n_heads, config.readout_activation)
    if shape.readout == "mlp":
        return NonLinearReadout(*sizes)
    return BiasedReadout(*sizes)
