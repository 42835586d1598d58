"""One message-passing layer: the non-linear residual block of MACE-MH-1."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lamplighter.model.config import PotentialConfig
from lamplighter.model.coupling import as_tensor, clebsch_gordan, natural_paths
from lamplighter.model.graph import Graph
from lamplighter.model.linear import EquivariantLinear, by_degree, gate
from lamplighter.model.radial import RadialNetwork


class PairFeatures(NamedTuple):
    """What every layer knows about the pairs, one row per slot of the graph.

    Attributes:
        basis: ``[n_slots, n_radial]``, radial basis.
        cutoff: ``[n_slots]``, f_c(r); 0 for empty slots.
        harmonics: ``[n_slots, (l_max + 1)^2]``.
        neighbor: ``[n_slots]``, atom index of the neighbour (own or ghost).
        species: element indices of neighbour and centre, ``[n_slots]`` each.
    """

    basis: Tensor
    cutoff: Tensor
    harmonics: Tensor
    neighbor: Tensor
    species: tuple[Tensor, Tensor]


class Interaction(nn.Module):
    """Neighbour sum, normalisation, residual, gate and mixing.

    Equations (4) to (12) of docs/potential.md. The layer's input features have been
    projected to the edge channels (8) and exchanged before they come here.
    """

    def __init__(self, config: PotentialConfig, l_in: int) -> None:
        """Create the layer; `l_in` is the highest degree of its input features."""
        super().__init__()
        self.paths = natural_paths(l_in, config.l_max)
        self.l_in, self.l_max = l_in, config.l_max
        self.edge_channels, self.channels = config.edge_channels, config.channels
        n_elements, width = len(config.elements), config.channels
        self.source = nn.Parameter(torch.empty(n_elements, width).uniform_(-1e-3, 1e-3))
        self.target = nn.Parameter(torch.empty(n_elements, width).uniform_(-1e-3, 1e-3))
        radial = (config.n_radial, width, config.radial_hidden)
        self.radial = RadialNetwork(*radial, len(self.paths) * config.edge_channels)
        self.density = RadialNetwork(*radial, 1)
        self.alpha = nn.Parameter(torch.tensor(float(config.density_alpha)))
        self.beta = nn.Parameter(torch.tensor(0.0))
        gated = [config.channels * (1 + config.l_max)] + [
            config.channels
        ] * config.l_max
        counts = [sum(p[2] == l for p in self.paths) for l in range(config.l_max + 1)]
        self.linear_sum = EquivariantLinear(
            [(n * config.edge_channels, m) for n, m in zip(counts, gated, strict=True)]
        )
        self.linear_residual = EquivariantLinear(
            [(config.edge_channels, gated[l]) for l in range(l_in + 1)]
        )
        self.linear_mix = EquivariantLinear(
            [(config.channels, config.channels)] * (config.l_max + 1)
        )
        for l1, l2, l3 in self.paths:
            if l1 > 0:
                table = as_tensor(clebsch_gordan(l1, l2, l3))
                self.register_buffer(_name(l1, l2, l3), table, persistent=False)

    def forward(self, features: Tensor, pairs: PairFeatures, graph: Graph) -> Tensor:
        """Return B ``[n_own, (l_max + 1)^2, channels]``, the input of the product.

        Args:
            features: u ``[n_atoms, (l_in + 1)^2, edge_channels]``, ghosts included.
            pairs: geometry of the pairs.
            graph: gives the arrangement of the pairs.
        """
        inputs = (pairs.basis, self.source, self.target, pairs.species)
        weights = pairs.cutoff[:, None] * self.radial(*inputs)
        density = pairs.cutoff * torch.tanh(self.density(*inputs)[:, 0] ** 2)
        sums = self._neighbor_sums(features, weights, pairs, graph)
        norm = self.alpha + self.beta * sum_slots(density, graph)
        own = features[: graph.n_own]
        residual = self.linear_residual(by_degree(own))
        message = self.linear_sum([a / norm[:, None, None] for a in sums])
        for l, part in enumerate(residual):
            message[l] = message[l] + part
        return torch.cat(self.linear_mix(gate(message, self.channels)), dim=1)

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
    return _in_atom_order(rows, graph, (n_out, n_channels), source)


def sum_slots(values: Tensor, graph: Graph) -> Tensor:
    """Return the sum of ``values [n_slots]`` over the neighbours: ``[n_own]``."""
    rows, begin = [], 0
    for n, width in graph.slots.shapes:
        rows.append(values[begin : begin + n * width].reshape(n, width).sum(1))
        begin += n * width
    return _in_atom_order(rows, graph, (), values)


def _in_atom_order(
    rows: list[Tensor], graph: Graph, shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Return stacked table rows in the order of the atoms.

    Without atoms the result is empty but still depends on the pairs, so that a process
    without atoms takes part in the exchange of gradients like every other.
    """
    if not rows:
        return like.new_zeros((0, *shape)) + like.sum()
    if len(rows) == 1:
        return rows[0]  # a single table keeps the atoms in order
    return torch.cat(rows).index_select(0, graph.slots.position)
