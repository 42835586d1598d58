"""A trainable correction of E0 by head and element, held by a prior.

During training only: [`fold_reference_bias`][lamplighter.model.head_rows] adds it to
E0, which is what is saved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NoReferenceBias(nn.Module):
    """E0 stays as it is."""

    def forward(self, energies: Tensor, species: Tensor, heads: Tensor) -> Tensor:
        """Return `energies`; see [`ReferenceBias.forward`][]."""
        del species, heads
        return energies

    def prior(self) -> Tensor:
        """Return 0; see [`ReferenceBias.prior`][]."""
        return torch.zeros(())


class ReferenceBias(nn.Module):
    """One energy per head and element, in units of its prior's width.

    Attributes:
        weight: ``[n_heads, n_elements]``, the bias divided by its width; starts at 0.
    """

    width: Tensor
    strength: Tensor

    def __init__(self, width: Tensor, strength: Tensor) -> None:
        """Create a bias of zero.

        Args:
            width: ``[n_heads, n_elements]``, how far E0 is expected to be off, eV; 0
                where it is not trained.
            strength: ``[n_heads]``, factor on the prior of each head.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.zeros_like(width))
        self.register_buffer("width", width, persistent=False)
        self.register_buffer("strength", strength, persistent=False)

    def energies(self) -> Tensor:
        """Return the bias, ``[n_heads, n_elements]``, eV."""
        return self.weight * self.width

    def forward(self, energies: Tensor, species: Tensor, heads: Tensor) -> Tensor:
        """Return the energies of atoms with their bias, ``[n_own]``, eV.

        Args:
            energies: ``[n_own]``, eV.
            species: ``[n_own]``, index into the elements of the configuration.
            heads: ``[n_own]``, head of each atom's structure.
        """
        return energies + self.energies()[heads, species]

    def prior(self) -> Tensor:
        """Return what the bias costs, a number.

        ``sum_h strength_h sum_z (bias_hz / width_hz)^2 / 2`` over the trained elements
        of each head.
        """
        squares = torch.where(self.width > 0, self.weight.square(), 0.0).sum(dim=1)
        return 0.5 * (self.strength * squares).sum()
