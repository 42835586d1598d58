"""One message-passing layer: from the features of the neighbours to a message."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lamplighter.model.config import PotentialConfig
from lamplighter.model.coupling import as_tensor, clebsch_gordan, natural_paths
from lamplighter.model.graph import Graph
from lamplighter.model.layers import LayerShape
from lamplighter.model.message import make_message
from lamplighter.model.normalization import make_normalization
from lamplighter.model.pair_geometry import PairFeatures
from lamplighter.model.pair_sums import PairNetworks, PairSums, sum_over_pairs
from lamplighter.model.radial_network import (
    DistanceNetwork,
    NoTables,
    SpeciesNetwork,
    SpeciesTables,
)


class Interaction(nn.Module):
    """Radial weights, neighbour sum, normalisation and message.

    Equations (4) to (12) of docs/potential.md. The layer's input features have been
    projected to the edge channels (8) and exchanged before they come here.
    """

    def __init__(self, config: PotentialConfig, shape: LayerShape) -> None:
        """Create the interaction of one layer."""
        super().__init__()
        self.paths = natural_paths(shape.l_edge, config.l_max)
        self.edge_channels = shape.edge_channels
        n_weights = len(self.paths) * shape.edge_channels
        if shape.interaction.radial == "species":
            self.tables: nn.Module = SpeciesTables(
                len(config.elements), config.channels
            )
            sizes = (config.n_radial, config.channels, config.radial_hidden, n_weights)
            self.radial: nn.Module = SpeciesNetwork(*sizes)
        else:
            self.tables = NoTables()
            self.radial = DistanceNetwork(
                config.n_radial, config.radial_hidden, n_weights
            )
        self.normalization = make_normalization(config, shape)
        counts = [sum(p[2] == l for p in self.paths) for l in range(config.l_max + 1)]
        self.widths = [n * shape.edge_channels for n in counts]
        self.message = make_message(config, shape, self.widths)
        for path in self.paths:
            table = as_tensor(clebsch_gordan(*path))
            self.register_buffer(_name(*path), table, persistent=False)

    def forward(self, features: Tensor, pairs: PairFeatures, graph: Graph) -> Tensor:
        """Return B ``[n_own, (l_max + 1)^2, channels]``, the input of the product.

        Args:
            features: u ``[n_atoms, (l_edge + 1)^2, edge_channels]``, ghosts included.
            pairs: geometry of the pairs.
            graph: gives the arrangement of the pairs.
        """
        sums, rho = sum_over_pairs(self._pair_sums(), features, pairs, graph)  # (9)
        scaled = sums / self.normalization(rho)[:, None]  # (7)
        own, species = features[: graph.n_own], graph.species[: graph.n_own]
        message = self.message(self._by_degree(scaled), own, species)  # (10) to (12)
        return torch.cat(message, dim=1)

    def _pair_sums(self) -> PairSums:
        """Return equations (4) to (9) with the networks of this layer."""
        density = cast("nn.Module | None", self.normalization.density)
        networks = PairNetworks(self.tables, self.radial, density)
        tables = {path: getattr(self, _name(*path)) for path in self.paths}
        return PairSums(networks, tables)

    def _by_degree(self, sums: Tensor) -> list[Tensor]:
        """Return A per degree: ``[n_own, 2 l + 1, n_paths(l) * edge_channels]``."""
        parts = sums.split(
            [(2 * l + 1) * width for l, width in enumerate(self.widths)], dim=1
        )
        return [
            part.reshape(len(part), 2 * l + 1, width)
            for l, (part, width) in enumerate(zip(parts, self.widths, strict=True))
        ]


def _name(l1: int, l2: int, l3: int) -> str:
    return f"coupling_{l1}{l2}{l3}"
