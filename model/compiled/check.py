"""How far a compiled potential is from the reference, on random geometries.

Dimers of all pairs of elements from half the contact distance to just inside of the
cutoff, and clusters without symmetry.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Final, Protocol

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from torch import Tensor

from lamplighter.arrays import Floats
from lamplighter.model.config import PotentialConfig
from lamplighter.model.derivatives import pair_gradients
from lamplighter.model.graph import Graph, collate
from lamplighter.model.neighbors import graph_from_atoms
from lamplighter.model.potential import Potential

_DISTANCES: Final = 24
_CLUSTERS: Final = 3
_SEED: Final = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """The largest deviations over all atoms of the geometries.

    Attributes:
        energy: of an atom's energy without E0, relative where that exceeds 1 eV.
        forces: of a component of the force on an atom, eV/Å; relative to the largest
            force of the structure where that exceeds 1 eV/Å.
    """

    energy: float
    forces: float

    def within(self, other: Deviation) -> bool:
        """Return whether both numbers are at most those of `other`."""
        return self.energy <= other.energy and self.forces <= other.forces

    def ratio(self, other: Deviation) -> float:
        """Return how many times as large the worse of the two numbers is."""
        return max(self.energy / other.energy, self.forces / other.forces)


class Evaluates(Protocol):
    """What is compared with the reference."""

    def evaluate(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return energies with E0 and pair gradients."""
        ...


class Reference:
    """Random geometries and what the reference says about them, in float64."""

    def __init__(self, potential: Potential) -> None:
        """Evaluate `potential`, which has one head."""
        self.graphs = [
            collate(_dimers(potential.config)),
            *(_cluster(potential.config, seed) for seed in range(_CLUSTERS)),
        ]
        self._values = [pair_gradients(potential, graph) for graph in self.graphs]
        self._baselines = [potential.reference_energies(g) for g in self.graphs]

    def deviation(self, other: Evaluates) -> Deviation:
        """Return how far `other` is from the reference."""
        energies, forces = [0.0], [0.0]
        parts = zip(self.graphs, self._values, self._baselines, strict=True)
        for graph, (energy, gradient), baseline in parts:
            found, found_gradient = other.evaluate(graph)
            scale = (energy - baseline).abs().clamp(min=1.0)
            energies.append(float(((found - energy) / scale).abs().max()))
            # of each structure: of dimers, every one has a largest force of its own
            wanted, size = _forces(graph, gradient)
            apart = (_forces(graph, found_gradient)[0] - wanted).abs().amax(dim=1)
            forces.append(float((apart / size.clamp(min=1.0)).max()))
        # of numpy, because of Python a maximum may leave out what is not a number
        return Deviation(energy=float(np.max(energies)), forces=float(np.max(forces)))


def _forces(graph: Graph, gradients: Tensor) -> tuple[Tensor, Tensor]:
    """Return forces, and for each atom the largest component in its structure."""
    forces = torch.zeros(graph.n_atoms, 3, dtype=torch.float64)
    forces.index_add_(0, graph.centers, gradients.double())
    forces.index_add_(0, graph.neighbors, -gradients.double())
    largest = torch.zeros(graph.n_frames, dtype=torch.float64)
    size = forces.abs().amax(dim=1)
    largest = largest.scatter_reduce(0, graph.frames, size, "amax")
    return forces, largest[graph.frames]


def _dimers(config: PotentialConfig) -> list[Graph]:
    """Return a pair of each two elements at many distances."""
    random = np.random.default_rng(_SEED)
    radii = dict(zip(config.elements, _radii(config), strict=True))
    graphs = []
    for a, b in itertools.combinations_with_replacement(config.elements, 2):
        low = min(0.5 * (radii[a] + radii[b]), 0.5 * config.cutoff)
        places = np.linspace(low, config.cutoff * (1.0 - 1e-4), _DISTANCES)
        for distance in places:
            direction = random.normal(size=3)
            vector = distance * direction / np.linalg.norm(direction)
            atoms = Atoms([a, b], [np.zeros(3), vector])
            graphs.append(graph_from_atoms(atoms, config, None))
    return graphs


def _cluster(config: PotentialConfig, seed: int) -> Graph:
    """Return atoms at random places, none closer than two thirds of contact."""
    random = np.random.default_rng(_SEED + 1 + seed)
    count = max(8, len(config.elements))
    symbols = [config.elements[k % len(config.elements)] for k in range(count)]
    table = dict(zip(config.elements, _radii(config), strict=True))
    radii = np.array([table[symbol] for symbol in symbols])
    edge = 1.6 * float(radii.mean()) * count ** (1.0 / 3.0)
    places: list[Floats] = []
    while len(places) < count:
        place = random.uniform(0.0, edge, size=3)
        k = len(places)
        apart = np.linalg.norm(np.array(places).reshape(-1, 3) - place, axis=1)
        if np.all(apart > 0.66 * (radii[:k] + radii[k])):
            places.append(place)
        else:
            edge *= 1.002
    return graph_from_atoms(Atoms(symbols, np.array(places)), config, None)


def _radii(config: PotentialConfig) -> list[float]:
    return [float(covalent_radii[z]) for z in config.atomic_numbers]
