"""From node features to one energy per atom and head, equation (15).

Every head is computed by itself: how many heads a potential has, and in which order,
changes no bit of the energies and forces of another one.
"""

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
        own = self.weight.index_select(0, heads)
        # the order of a sum follows the layout of its terms
        return (scalars.contiguous() * own).sum(dim=1) / math.sqrt(self.weight.shape[1])


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
        rows = scalars.contiguous()
        # by themselves: gradients of heads that lie beside each other in one tensor
        # reach the matrix product with other strides, and it rounds otherwise
        each = [
            (self.hidden_units(rows, head) * self.second[head]).sum(dim=1)
            for head in range(len(self.second))
        ]
        columns = torch.stack(each, dim=1) / math.sqrt(self.second.shape[1])
        return columns.gather(1, heads[:, None])[:, 0]

    def hidden_units(self, rows: Tensor, head: int) -> Tensor:
        """Return the active hidden units of a head, ``[n_own, hidden]``."""
        units = rows @ self.first[head].clone() / math.sqrt(self.first.shape[1])
        return self.factor * self.function(units)


class BiasedReadout(NonLinearReadout):
    """Two hidden layers for every head, the second and the output with biases."""

    def __init__(self, channels: int, hidden: int, n_heads: int, function: str) -> None:
        """Create the layers; see [`NonLinearReadout`][]."""
        super().__init__(channels, hidden, n_heads, function)
        self.middle = nn.Parameter(torch.randn(n_heads, hidden, hidden))
        self.middle_bias = nn.Parameter(torch.zeros(n_heads, hidden))
        self.bias = nn.Parameter(torch.zeros(n_heads))

    def hidden_units(self, rows: Tensor, head: int) -> Tensor:
        """Return the active units of the second hidden layer."""
        first = super().hidden_units(rows, head)
        units = first @ self.middle[head].clone() / math.sqrt(self.middle.shape[1])
        return self.factor * self.function(units + self.middle_bias[head])

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
