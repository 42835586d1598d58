"""By what a neighbour sum is divided, equations (7) and (10) of docs/potential.md."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lamplighter.model.config import PotentialConfig
from lamplighter.model.layers import LayerShape
from lamplighter.model.radial_network import (
    DistanceNetwork,
    PairInput,
    SpeciesNetwork,
)


class ConstantNormalization(nn.Module):
    """A constant: the mean number of neighbours in the training data."""

    def __init__(self, neighbors: float) -> None:
        """Divide by `neighbors`."""
        super().__init__()
        self.density = None
        self.neighbors = neighbors

    def forward(self, rho: Tensor) -> Tensor:
        """Return the divisor of each own atom, ``[n_own]``.

        Args:
            rho: ``[n_own]``, sum of [`density_terms`][] over the neighbours.
        """
        return torch.full_like(rho, self.neighbors)


class DensityNormalization(nn.Module):
    """``1 + rho``, with ``rho_i = sum_j f_c tanh(g(e_ij)^2)`` of a network g."""

    def __init__(self, density: nn.Module) -> None:
        """Use the network `density`."""
        super().__init__()
        self.density = density

    def forward(self, rho: Tensor) -> Tensor:
        """Return ``[n_own]``; see [`ConstantNormalization.forward`][]."""
        return 1.0 + rho


class LearnedNormalization(nn.Module):
    """``alpha + beta rho`` with two learned numbers."""

    def __init__(self, density: nn.Module, alpha: float) -> None:
        """Use the network `density`; `alpha` is a start value, beta starts at 0."""
        super().__init__()
        self.density = density
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.beta = nn.Parameter(torch.tensor(0.0))

    def forward(self, rho: Tensor) -> Tensor:
        """Return ``[n_own]``; see [`ConstantNormalization.forward`][]."""
        return self.alpha + self.beta * rho


def density_terms(
    density: nn.Module | None, pair: PairInput, weight: Tensor
) -> Tensor | None:
    """Return what each pair adds to the density, equation (7): ``[n_slots]``.

    Args:
        density: the network g; None where no density is looked at.
        pair: input of the networks of the pairs.
        weight: ``[n_slots]``, factor of the networks' output.
    """
    if density is None:
        return None
    return weight * torch.tanh(density(pair)[:, 0] ** 2)


def make_normalization(config: PotentialConfig, shape: LayerShape) -> nn.Module:
    """Return the normalisation of a layer."""
    parts = shape.interaction
    if parts.normalization == "constant":
        return ConstantNormalization(config.mean_neighbors)
    if parts.radial == "species":
        widths = (config.n_radial, config.channels, config.density_hidden)
        density: nn.Module = SpeciesNetwork(*widths, 1)
    else:  # a single linear layer, as in mace-torch
        density = DistanceNetwork(config.n_radial, (), 1)
    if parts.normalization == "density":
        return DensityNormalization(density)
    return LearnedNormalization(density, config.density_alpha)
