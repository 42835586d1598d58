"""The potential: from a graph to the energy of each atom, for one of its heads."""

from __future__ import annotations

from typing import cast

import torch
from ase.data import covalent_radii
from torch import Tensor, nn

from lamplighter.model.angular import spherical_harmonics
from lamplighter.model.config import PotentialConfig
from lamplighter.model.exchange import NO_EXCHANGE, GhostExchange
from lamplighter.model.graph import Graph
from lamplighter.model.interaction import Interaction, PairFeatures, sum_slots
from lamplighter.model.linear import EquivariantLinear, by_degree
from lamplighter.model.product import SymmetricProduct
from lamplighter.model.radial import agnesi, bessel_basis, polynomial_cutoff
from lamplighter.model.readout import LinearReadout, NonLinearReadout
from lamplighter.model.repulsion import zbl_pair_energy


class Layer(nn.Module):
    """Projection, interaction, product and update: equations (8) to (14)."""

    def __init__(self, config: PotentialConfig, l_in: int, l_out: int) -> None:
        """Create a layer from features of degree `l_in` to degree `l_out`."""
        super().__init__()
        self.l_in, self.l_out = l_in, l_out
        self.edge_channels = config.edge_channels
        c, e = config.channels, config.edge_channels
        self.linear_up = EquivariantLinear([(c, e)] * (l_in + 1))
        self.interaction = Interaction(config, l_in)
        self.product = SymmetricProduct(c, config.l_max, l_out, config.correlation)
        self.linear_product = EquivariantLinear([(c, c)] * (l_out + 1))
        self.linear_skip = EquivariantLinear([(c, c)] * (min(l_in, l_out) + 1))

    def project(self, features: Tensor) -> Tensor:
        """Return u = W_up h: ``[n, (l_in + 1)^2, edge_channels]``."""
        return torch.cat(self.linear_up(by_degree(features)), dim=1)

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
        mixed = self.interaction(projected, pairs, graph)
        update: list[Tensor] = self.linear_product(self.product(mixed))
        skipped = by_degree(features)[: min(self.l_in, self.l_out) + 1]
        for l, part in enumerate(self.linear_skip(skipped)):
            update[l] = update[l] + part
        return torch.cat(update, dim=1)


class Potential(nn.Module):
    """A multi-head potential of the MACE-MH-1 architecture.

    Equations (1) to (17) of docs/potential.md (arXiv 2510.25380).

    Attributes:
        config: heads and hyperparameters.
    """

    def __init__(self, config: PotentialConfig) -> None:
        """Create an untrained potential; seed torch before for reproducibility."""
        super().__init__()
        self.config = config
        n_elements, n_heads = len(config.elements), len(config.heads)
        self.embedding = nn.Parameter(torch.randn(n_elements, config.channels))
        self.layers = nn.ModuleList()
        self.readouts = nn.ModuleList()
        for t in range(config.n_layers):
            last = t == config.n_layers - 1
            l_in = 0 if t == 0 else config.hidden_l_max
            self.layers.append(Layer(config, l_in, 0 if last else config.hidden_l_max))
            self.readouts.append(
                NonLinearReadout(config.channels, config.readout_hidden, n_heads)
                if last
                else LinearReadout(config.channels, n_heads)
            )
        self._register_tables()

    def _register_tables(self) -> None:
        """Store what follows from the configuration alone."""
        config = self.config
        numbers = torch.tensor(config.atomic_numbers)
        radii = torch.tensor([covalent_radii[z] for z in config.atomic_numbers])
        scale = torch.tensor([h.scale for h in config.heads], dtype=torch.float64)
        shift = torch.tensor([h.shift for h in config.heads], dtype=torch.float64)
        tables = {
            "charges": numbers.to(torch.float64),
            "radii": radii.to(torch.float64),
            "scale": scale,
            "shift": shift,
        }
        for name, table in tables.items():
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
        pairs, energy = self._pairs(graph)
        features = self.embedding.index_select(0, graph.species)[:, None, :]  # (1)
        for t, (layer, readout) in enumerate(
            zip(self.layers, self.readouts, strict=True)
        ):
            projected = cast("Layer", layer).project(features)  # (8)
            if t == 0:  # species are known everywhere
                features = features[: graph.n_own]
            else:
                projected = _exchange(projected, graph, exchange)
            features = layer(features, projected, pairs, graph)
            energy = energy + readout(features[:, 0], heads)  # (15)
        scale = self._table("scale").index_select(0, heads)
        shift = self._table("shift").index_select(0, heads)
        return scale * energy + shift  # (17)

    def reference_energies(self, graph: Graph) -> Tensor:
        """Return E0 of each own atom in its head, ``[n_own]``, eV, float64."""
        rows = [
            [head.reference_energies.get(e, float("nan")) for e in self.config.elements]
            for head in self.config.heads
        ]
        table = torch.tensor(rows, dtype=torch.float64, device=graph.heads.device)
        heads = graph.heads.index_select(0, graph.frames)
        return table[heads, graph.species[: graph.n_own]]

    def _table(self, name: str) -> Tensor:
        return cast("Tensor", getattr(self, name))

    def _pairs(self, graph: Graph) -> tuple[PairFeatures, Tensor]:
        """Return the geometry of the slots and the ZBL energy of each own atom."""
        config = self.config
        vectors, neighbor, center = _slot_pairs(graph, 2.0 * config.cutoff)
        distance = torch.linalg.vector_norm(vectors, dim=1)
        species = (
            graph.species.index_select(0, neighbor),
            graph.species.index_select(0, center),
        )
        radii = self._table("radii")
        contact = radii.index_select(0, species[0]) + radii.index_select(0, species[1])
        if config.distance_transform == "agnesi":
            argument = agnesi(distance, 0.5 * contact)  # (2)
        else:
            argument = distance
        pairs = PairFeatures(
            basis=bessel_basis(argument, config.n_radial, config.cutoff),  # (3)
            cutoff=polynomial_cutoff(distance, config.cutoff, config.cutoff_power),
            harmonics=spherical_harmonics(vectors / distance[:, None], config.l_max),
            neighbor=neighbor,
            species=species,
        )
        if not config.zbl:
            return pairs, distance.new_zeros(graph.n_own)
        numbers = self._table("charges")
        charges = (
            numbers.index_select(0, species[0]),
            numbers.index_select(0, species[1]),
        )
        repulsion = zbl_pair_energy(distance, charges, contact, config.cutoff_power)
        return pairs, sum_slots(repulsion, graph)


def _slot_pairs(graph: Graph, far: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return vector, neighbour and centre of each slot.

    Empty slots point at atom 0 from a distance `far`, beyond every cutoff.
    """
    pad = graph.pair_vectors.new_tensor([[far, 0.0, 0.0]])
    vectors = torch.cat([graph.pair_vectors, pad]).index_select(0, graph.slots.pair)
    zero = graph.centers.new_zeros(1)
    neighbor = torch.cat([graph.neighbors, zero]).index_select(0, graph.slots.pair)
    center = torch.cat([graph.centers, zero]).index_select(0, graph.slots.pair)
    return vectors, neighbor, center


def _exchange(projected: Tensor, graph: Graph, exchange: GhostExchange) -> Tensor:
    """Return features of all atoms, given those of own atoms."""
    n_own, *shape = projected.shape
    rows = projected.reshape(n_own, shape[0] * shape[1])
    ghosts = rows.new_zeros(graph.n_atoms - n_own, rows.shape[1])
    filled = exchange.forward(torch.cat([rows, ghosts]))
    return filled.reshape(graph.n_atoms, *shape)
