"""One message-passing layer: from the features of the neighbours to a message."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lamplighter.model.config import PotentialConfig
from lamplighter.model.coupling import as_tensor, clebsch_gordan, natural_paths
from lamplighter.model.graph import Graph
from lamplighter.model.layers import LayerShape
from lamplighter.model.linear import by_degree
from lamplighter.model.message import make_message
from lamplighter.model.normalization import make_normalization
from lamplighter.model.pair_geometry import PairFeatures
from lamplighter.model.radial_network import (
    DistanceNetwork,
    NoTables,
    SpeciesNetwork,
    SpeciesTables,
)
from lamplighter.model.slots import in_atom_order


class Interaction(nn.Module):
    """Radial weights, neighbour sum, normalisation and message.

    Equations (4) to (12) of docs/potential.md. The layer's input features have been
    projected to the edge channels (8) and exchanged before they come here.
    """

    def __init__(self, config: PotentialConfig, shape: LayerShape) -> None:
        """Create the interaction of one layer."""
        super().__init__()
        self.paths = natural_paths(shape.l_edge, config.l_max)
        self.l_max, self.edge_channels = config.l_max, shape.edge_channels
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
        self.message = make_message(
            config, shape, [n * shape.edge_channels for n in counts]
        )
        for path in self.paths:
            if path[0] > 0:
                table = as_tensor(clebsch_gordan(*path))
                self.register_buffer(_name(*path), table, persistent=False)

    def forward(self, features: Tensor, pairs: PairFeatures, graph: Graph) -> Tensor:
        """Return B ``[n_own, (l_max + 1)^2, channels]``, the input of the product.

        Args:
            features: u ``[n_atoms, (l_edge + 1)^2, edge_channels]``, ghosts included.
            pairs: geometry of the pairs.
            graph: gives the arrangement of the pairs.
        """
        seen = self.tables(pairs.basis, pairs.species)  # (4)
        weights = pairs.weight[:, None] * self.radial(seen)  # (5), (6)
        norm = self.normalization(seen, pairs.weight, graph)  # (7)
        sums = self._neighbor_sums(features, weights, pairs, graph)  # (9)
        scaled = [a / norm[:, None, None] for a in sums]
        own, species = features[: graph.n_own], graph.species[: graph.n_own]
        return torch.cat(self.message(scaled, own, species), dim=1)  # (10) to (12)

    def _neighbor_sums(
        self, features: Tensor, weights: Tensor, pairs: PairFeatures, graph: Graph
    ) -> list[Tensor]:
        """Return A per degree: ``[n_own, 2 l + 1, n_paths(l) * edge_channels]``."""
        sums: list[list[Tensor]] = [[] for _ in range(self.l_max + 1)]
        neighbor = by_degree(features.index_select(0, pairs.neighbor))
        harmonics = by_degree(pairs.harmonics[:, :, None])
        radial = weights.reshape(
            len(weights), len(self.paths), self.edge_channels
        ).split(1, dim=1)
        for (l1, l2, l3), weight in zip(self.paths, radial, strict=True):
            # [s, m1, c], the features of the neighbour with their radial weight
            source = weight * neighbor[l1]
            angular = self._angular(harmonics[l2][:, :, 0], (l1, l2, l3))
            sums[l3].append(_contract(angular, source, graph))
        return [torch.cat(parts, dim=-1) for parts in sums]

    def _angular(self, harmonics: Tensor, path: tuple[int, int, int]) -> Tensor:
        """Return ``[n_slots, 2 l1 + 1, 2 l3 + 1]``: Y coupled, before the features."""
        if path[0] == 0:
            return harmonics[:, None, :]
        # [s, m2] x [m1, m2, m3] -> [s, m1, m3]
        return torch.einsum("sb,abc->sac", harmonics, getattr(self, _name(*path)))


def _name(l1: int, l2: int, l3: int) -> str:
    return f"coupling_{l1}{l2}{l3}"


def _contract(angular: Tensor, source: Tensor, graph: Graph) -> Tensor:
    """Return ``sum over slots and m1`` of angular times source: [n_own, m3, c]."""
    (_, inner, n_out), n_channels = angular.shape, source.shape[2]
    rows, begin = [], 0
    for n, width in graph.slots.shapes:
        end = begin + n * width
        left = angular[begin:end].reshape(n, width * inner, n_out)
        right = source[begin:end].reshape(n, width * inner, n_channels)
        rows.append(torch.bmm(left.transpose(1, 2), right))
        begin = end
    return in_atom_order(rows, graph, (n_out, n_channels), source)
