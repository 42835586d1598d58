"""How the features of a layer's input reach its output, equation (14)."""

from __future__ import annotations

from torch import Tensor, nn

from lamplighter.model.layers import LayerShape
from lamplighter.model.linear import ElementLinear, EquivariantLinear, by_degree


class NoSkip(nn.Module):
    """Nothing is added."""

    def forward(self, features: Tensor, species: Tensor) -> list[Tensor]:
        """Return what is added to the degrees 0, 1, ... of the output.

        Args:
            features: h of own atoms, ``[n_own, (l_in + 1)^2, channels]``.
            species: element index of own atoms.
        """
        return []


class SharedSkip(nn.Module):
    """``W h``, with degrees that the input and the output have in common."""

    def __init__(self, channels: int, n_degrees: int) -> None:
        """Create one matrix for each of the first `n_degrees` degrees."""
        super().__init__()
        self.linear = EquivariantLinear([(channels, channels)] * n_degrees)

    def forward(self, features: Tensor, species: Tensor) -> list[Tensor]:
        """Return ``W_l h_l``; see [`NoSkip.forward`][]."""
        kept = by_degree(features)[: len(self.linear.weights)]
        mapped: list[Tensor] = self.linear(kept)
        return mapped


class ElementSkip(nn.Module):
    """``W[z_i] h_i``: the same with matrices of the atom's element."""

    def __init__(self, channels: int, n_degrees: int, n_elements: int) -> None:
        """Create one matrix for each element and degree."""
        super().__init__()
        self.by_element = ElementLinear([(channels, channels)] * n_degrees, n_elements)

    def forward(self, features: Tensor, species: Tensor) -> list[Tensor]:
        """Return ``W[z]_l h_l``; see [`NoSkip.forward`][]."""
        kept = by_degree(features)[: len(self.by_element.weights)]
        mapped: list[Tensor] = self.by_element(kept, species)
        return mapped


def make_skip(channels: int, shape: LayerShape, n_elements: int) -> nn.Module:
    """Return the skip connection of a layer."""
    n_degrees = min(shape.l_in, shape.l_out) + 1
    if shape.interaction.skip == "none":
        return NoSkip()
    if shape.interaction.skip == "by_element":
        return ElementSkip(channels, n_degrees, n_elements)
    return SharedSkip(channels, n_degrees)
