"""What every layer knows about the pairs, and the repulsion of bare cores."""

from __future__ import annotations

from typing import NamedTuple

import torch
from ase.data import covalent_radii
from torch import Tensor, nn

from lamplighter.model.angular import spherical_harmonics
from lamplighter.model.config import PotentialConfig
from lamplighter.model.graph import Graph
from lamplighter.model.radial import (
    agnesi,
    bessel_basis,
    chebyshev_basis,
    gaussian_basis,
    polynomial_cutoff,
    soft,
)
from lamplighter.model.repulsion import zbl_pair_energy
from lamplighter.model.slots import slot_pairs, sum_slots


class PairFeatures(NamedTuple):
    """What every layer knows about the pairs, one row per slot of the graph.

    Attributes:
        basis: ``[n_slots, n_radial]``, radial basis.
        weight: ``[n_slots]``, factor of what the networks give: f_c(r), or 1 where the
            cutoff stands inside the networks; 0 for empty slots.
        harmonics: ``[n_slots, (l_max + 1)^2]``.
        neighbor: ``[n_slots]``, atom index of the neighbour (own or ghost).
        species: element indices of neighbour and centre, ``[n_slots]`` each.
    """

    basis: Tensor
    weight: Tensor
    harmonics: Tensor
    neighbor: Tensor
    species: tuple[Tensor, Tensor]


class PairGeometry(nn.Module):
    """Distances, radial basis, spherical harmonics and ZBL; nothing is learned."""

    radii: Tensor
    charges: Tensor

    def __init__(self, config: PotentialConfig) -> None:
        """Store radii and charges of the elements."""
        super().__init__()
        self.config = config
        radii = [covalent_radii[z] for z in config.atomic_numbers]
        for name, table in (("radii", radii), ("charges", config.atomic_numbers)):
            values = torch.tensor(table, dtype=torch.float64)
            self.register_buffer(name, values, persistent=False)

    def forward(self, graph: Graph) -> tuple[PairFeatures, Tensor]:
        """Return the geometry of the slots and the ZBL energy of each own atom.

        The energy is ``[n_own]``, eV before the scale; zeros without ZBL.
        """
        config = self.config
        vectors, neighbor, center = slot_pairs(graph, 2.0 * config.cutoff)
        distance = torch.linalg.vector_norm(vectors, dim=1)
        species = (
            graph.species.index_select(0, neighbor),
            graph.species.index_select(0, center),
        )
        basis, weight = self.of_distances(distance, species)
        pairs = PairFeatures(
            basis=basis,
            weight=weight,
            harmonics=spherical_harmonics(vectors / distance[:, None], config.l_max),
            neighbor=neighbor,
            species=species,
        )
        if not config.zbl:
            return pairs, distance.new_zeros(graph.n_own)
        charges = self._of_pairs(self.charges, species)
        contact = self._of_pairs(self.radii, species)
        repulsion = zbl_pair_energy(
            distance, charges, contact[0] + contact[1], config.cutoff_power
        )
        return pairs, sum_slots(repulsion, graph)  # (16)

    def of_distances(
        self, distance: Tensor, species: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return ``basis`` and ``weight`` of [`PairFeatures`][] for some distances.

        Args:
            distance: ``[n_slots]``, Å.
            species: element indices of neighbour and centre, ``[n_slots]`` each.
        """
        config = self.config
        contact = self._of_pairs(self.radii, species)
        cutoff = polynomial_cutoff(distance, config.cutoff, config.cutoff_power)  # (6)
        basis = self._basis(self._transformed(distance, contact[0] + contact[1]))
        if config.cutoff_inside:
            basis = basis * cutoff[:, None]
            cutoff = (distance < config.cutoff).to(cutoff.dtype)
        return basis, cutoff

    def _transformed(self, distance: Tensor, contact: Tensor) -> Tensor:
        """Return the argument of the radial basis, equation (2)."""
        if self.config.distance_transform == "agnesi":
            return agnesi(distance, 0.5 * contact)
        if self.config.distance_transform == "soft":
            return soft(distance, contact)
        return distance

    def _basis(self, argument: Tensor) -> Tensor:
        """Return the radial basis, equation (3)."""
        n_radial, cutoff = self.config.n_radial, self.config.cutoff
        if self.config.radial_basis == "gaussian":
            return gaussian_basis(argument, n_radial, cutoff)
        if self.config.radial_basis == "chebyshev":
            return chebyshev_basis(argument, n_radial)
        return bessel_basis(argument, n_radial, cutoff)

    def _of_pairs(
        self, table: Tensor, species: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the entries of neighbour and centre."""
        source, target = species
        return table.index_select(0, source), table.index_select(0, target)
