"""The potential: from a graph to the energy of each atom, for one of its heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from lamplighter.model.condition import make_conditions
from lamplighter.model.config import PotentialConfig
from lamplighter.model.exchange import NO_EXCHANGE, GhostExchange
from lamplighter.model.graph import Graph
from lamplighter.model.interaction import Interaction
from lamplighter.model.layers import LayerShape
from lamplighter.model.linear import EquivariantLinear, by_degree
from lamplighter.model.pair_geometry import PairFeatures, PairGeometry
from lamplighter.model.product import SymmetricProduct, products
from lamplighter.model.readout import LinearReadout, NoReadout, make_readout
from lamplighter.model.reference_bias import NoReferenceBias, ReferenceBias
from lamplighter.model.skip import make_skip


class Layer(nn.Module):
    """Projection, interaction, product and update: equations (8) to (14)."""

    def __init__(self, config: PotentialConfig, shape: LayerShape) -> None:
        """Create one layer."""
        super().__init__()
        self.l_edge = shape.l_edge
        c, n_elements = config.channels, len(config.elements)
        self.linear_up = EquivariantLinear(
            [(c, shape.edge_channels)] * (shape.l_edge + 1)
        )
        self.interaction = Interaction(config, shape)
        self.product = SymmetricProduct(
            c,
            config.l_max,
            shape.l_out,
            shape.correlation,
            n_elements if config.product_weights == "by_element" else None,
        )
        self.linear_product = EquivariantLinear([(c, c)] * (shape.l_out + 1))
        self.skip = make_skip(c, shape, n_elements)

    def project(self, features: Tensor) -> Tensor:
        """Return u = W_up h: ``[n, (l_edge + 1)^2, edge_channels]``."""
        kept = by_degree(features)[: self.l_edge + 1]
        return torch.cat(self.linear_up(kept), dim=1)

    def forward(
        self, features: Tensor, projected: Tensor, pairs: PairFeatures, graph: Graph
    ) -> Tensor:
        """Return the updated features of own atoms, ``[n_own, (l_out + 1)^2, c]``.

        Args:
            features: h of own atoms, ``[n_own, (l_in + 1)^2, channels]``.
            projected: u of all atoms, ghosts included.
            pairs: geometry of the pairs.
            graph: gives the arrangement of the pairs.
        """
        species = graph.species[: graph.n_own]
        mixed = self.interaction(projected, pairs, graph)
        powers = products(self.product, mixed, species, graph.chunks)  # (13)
        update: list[Tensor] = self.linear_product(powers)
        for l, part in enumerate(self.skip(features, species)):
            update[l] = update[l] + part
        return torch.cat(update, dim=1)


class Potential(nn.Module):
    """A multi-head potential of the MACE family.

    Equations (1) to (17) of docs/potential.md (arXiv 2510.25380).

    Attributes:
        config: heads and hyperparameters.
        reference_bias: a correction of E0 while it is trained.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, config: PotentialConfig) -> None:
        """Create an untrained potential; seed torch before for reproducibility."""
        super().__init__()
        self.config = config
        c, n_heads = config.channels, len(config.heads)
        self.embedding = nn.Parameter(torch.randn(len(config.elements), c))
        self.conditions = make_conditions(config.conditions, c)
        self.condition_readout = (
            LinearReadout(c, n_heads) if config.condition_readout else NoReadout()
        )
        self.layers = nn.ModuleList([Layer(config, shape) for shape in config.layers])
        self.readouts = nn.ModuleList([make_readout(config, s) for s in config.layers])
        self.geometry = PairGeometry(config)
        self.reference_bias: NoReferenceBias | ReferenceBias = NoReferenceBias()
        for name in ("scale", "shift"):
            values = [getattr(head, name) for head in config.heads]
            table = torch.tensor(values, dtype=torch.float64)
            self.register_buffer(name, table, persistent=False)

    def head_index(self, name: str | None) -> int:
        """Return the column of head `name`; an unknown name lists the heads."""
        return self.config.head_index(name)

    @property
    def dtype(self) -> torch.dtype:
        """Return the floating-point type of the weights."""
        return self.embedding.dtype

    @property
    def n_exchanges(self) -> int:
        """Return how often features of ghosts are fetched in one evaluation."""
        return self.config.n_layers - 1

    def forward(self, graph: Graph, exchange: GhostExchange = NO_EXCHANGE) -> Tensor:
        """Return the learned energy of each own atom, E0 not included.

        Args:
            graph: pair vectors in the dtype of the potential.
            exchange: fetches the features of ghosts, once per layer but the first.

        Returns:
            ``[n_own]``, eV: ``scale (readouts + ZBL) + shift`` of the atom's head.
        """
        heads = graph.heads.index_select(0, graph.frames)
        geometry: tuple[PairFeatures, Tensor] = self.geometry(graph)
        pairs, energy = geometry  # (2), (3), (6), (16)
        start = self._start(graph)
        layers = self._layer_features(start, pairs, graph, exchange)
        for features, readout in zip(layers, self.readouts, strict=True):
            energy = energy + readout(features[:, 0], heads)  # (15)
        scale = self.scale.index_select(0, heads)
        shift = self.shift.index_select(0, heads)
        conditioned: Tensor = self.condition_readout(start[: graph.n_own, 0], heads)
        learned = scale * energy + shift + conditioned  # (17)
        corrected: Tensor = self.reference_bias(
            learned, graph.species[: graph.n_own], heads
        )
        return corrected

    def node_features(
        self, graph: Graph, exchange: GhostExchange = NO_EXCHANGE
    ) -> list[Tensor]:
        """Return the features of own atoms after each layer.

        Returns:
            per layer ``[n_own, (l_out + 1)^2, channels]``; component 0 is invariant.
        """
        pairs, _ = self.geometry(graph)
        return list(self._layer_features(self._start(graph), pairs, graph, exchange))

    def reference_energies(self, graph: Graph) -> Tensor:
        """Return E0 of each own atom in its head, ``[n_own]``, eV, float64."""
        rows = [
            [head.reference_energies.get(e, float("nan")) for e in self.config.elements]
            for head in self.config.heads
        ]
        table = torch.tensor(rows, dtype=torch.float64, device=graph.heads.device)
        heads = graph.heads.index_select(0, graph.frames)
        return table[heads, graph.species[: graph.n_own]]

    def repulsion(self, graph: Graph) -> Tensor:
        """Return the part of `forward` that is the repulsion of cores, [n_own], eV."""
        heads = graph.heads.index_select(0, graph.frames)
        repulsion: Tensor = self.geometry(graph)[1]
        return self.scale.index_select(0, heads) * repulsion

    def _start(self, graph: Graph) -> Tensor:
        """Return the features before the first layer, ghosts included: equation (1)."""
        added: Tensor = self.conditions(graph.conditions.to(self.dtype))
        # ghosts exist only in a graph of one structure, the first
        n_ghosts = graph.n_atoms - graph.n_own
        frames = torch.cat([graph.frames, graph.frames.new_zeros(n_ghosts)])
        features = self.embedding.index_select(0, graph.species)
        return (features + added.index_select(0, frames))[:, None, :]

    def _layer_features(
        self, start: Tensor, pairs: PairFeatures, graph: Graph, exchange: GhostExchange
    ) -> Iterator[Tensor]:
        """Yield the features of own atoms after each layer."""
        features = start
        for t, module in enumerate(self.layers):
            layer = cast("Layer", module)
            projected = layer.project(features)  # (8)
            if t == 0:  # species are known everywhere
                features = features[: graph.n_own]
            else:
                projected = _exchange(projected, graph, exchange)
            features = layer(features, projected, pairs, graph)
            yield features


def _exchange(projected: Tensor, graph: Graph, exchange: GhostExchange) -> Tensor:
    """Return features of all atoms, given those of own atoms."""
    n_own, *shape = projected.shape
    rows = projected.reshape(n_own, shape[0] * shape[1])
    ghosts = rows.new_zeros(graph.n_atoms - n_own, rows.shape[1])
    filled = exchange.forward(torch.cat([rows, ghosts]))
    return filled.reshape(graph.n_atoms, *shape)
