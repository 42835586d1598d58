"""From the normalised neighbour sum to the input of the product."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lamplighter.model.config import PotentialConfig
from lamplighter.model.layers import LayerShape
from lamplighter.model.linear import (
    ElementLinear,
    EquivariantLinear,
    by_degree,
    gate,
)


class LinearMessage(nn.Module):
    """``B = W A``."""

    def __init__(self, widths: Sequence[tuple[int, int]]) -> None:
        """Create the map; ``widths[l]`` is (channels in, channels out)."""
        super().__init__()
        self.linear_sum = EquivariantLinear(widths)

    def forward(
        self, sums: list[Tensor], own: Tensor, species: Tensor
    ) -> Sequence[Tensor]:
        """Return B per degree, ``[n_own, 2 l + 1, channels]``.

        Args:
            sums: A per degree, normalised, ``[n_own, 2 l + 1, n_paths * edge]``.
            own: u of own atoms, ``[n_own, (l_edge + 1)^2, edge_channels]``.
            species: element index of own atoms.
        """
        mapped: list[Tensor] = self.linear_sum(sums)
        return mapped


class ElementMessage(nn.Module):
    """``B_i = W[z_i] W A_i``: one more map for each element."""

    def __init__(self, widths: Sequence[tuple[int, int]], n_elements: int) -> None:
        """Create the maps; see [`LinearMessage`][]."""
        super().__init__()
        self.linear_sum = EquivariantLinear(widths)
        self.by_element = ElementLinear([(b, b) for _, b in widths], n_elements)

    def forward(
        self, sums: list[Tensor], own: Tensor, species: Tensor
    ) -> Sequence[Tensor]:
        """Return B per degree; see [`LinearMessage.forward`][]."""
        mapped: list[Tensor] = self.by_element(self.linear_sum(sums), species)
        return mapped


class GatedMessage(nn.Module):
    """``B = W_2 gate(W_1 A + W_res u)``: the non-linear block of MACE-MH-1."""

    def __init__(
        self, widths: Sequence[tuple[int, int]], residual: Sequence[int]
    ) -> None:
        """Create the maps.

        Args:
            widths: (channels in, channels out) of each degree of the sum.
            residual: channels of each degree of u; higher ones than those of the sum
                take no part.
        """
        super().__init__()
        channels = widths[0][1]
        # one gate scalar for each channel of each higher degree
        gated = [channels * len(widths)] + [channels] * (len(widths) - 1)
        self.channels = channels
        self.linear_sum = EquivariantLinear(
            [(a, m) for (a, _), m in zip(widths, gated, strict=True)]
        )
        self.linear_residual = EquivariantLinear(
            [(n, m) for n, m in zip(residual, gated, strict=False)]
        )
        self.linear_mix = EquivariantLinear([(channels, channels)] * len(widths))

    def forward(
        self, sums: list[Tensor], own: Tensor, species: Tensor
    ) -> Sequence[Tensor]:
        """Return B per degree; see [`LinearMessage.forward`][]."""
        message: list[Tensor] = self.linear_sum(sums)
        kept = by_degree(own)[: len(self.linear_residual.weights)]
        for l, part in enumerate(self.linear_residual(kept)):
            message[l] = message[l] + part
        mixed: list[Tensor] = self.linear_mix(gate(message, self.channels))
        return mixed


def make_message(
    config: PotentialConfig, shape: LayerShape, sum_widths: Sequence[int]
) -> nn.Module:
    """Return the message of a layer whose sums have `sum_widths` channels."""
    widths = [(n, config.channels) for n in sum_widths]
    if shape.interaction.message == "gated":
        return GatedMessage(widths, [shape.edge_channels] * (shape.l_edge + 1))
    if shape.interaction.message == "by_element":
        return ElementMessage(widths, len(config.elements))
    return LinearMessage(widths)
