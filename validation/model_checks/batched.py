"""Many structures in one evaluation of a Lamplighter potential."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.model import Graph, Potential, collate, graph_from_atoms, predict

# Pairs in one evaluation: enough to fill a processor, little enough for the memory of a
# laptop at the width of the published models.
_MOST_PAIRS = 2000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model says about one structure.

    Attributes:
        energy: eV.
        forces: ``[n_atoms, 3]``, eV/Å.
        stress: ``[3, 3]``, eV/Å^3, tension positive; None where there is none.
        energies: ``[n_atoms]``, eV; None for calculators without them.
        interaction: the part of the energy that is not E0, eV; 0 when unknown.
    """

    energy: float
    forces: Floats
    stress: Floats | None = None
    energies: Floats | None = None
    interaction: float = 0.0

    @property
    def n_atoms(self) -> int:
        """Return the number of atoms."""
        return len(self.forces)

    @property
    def scale(self) -> float:
        """Return the size of what was summed, at least 1: eV/Å, or eV per atom.

        The largest force component or the interaction energy per atom: rounding errors
        grow with the terms of a sum, not with what is left of them.
        """
        force = float(np.abs(self.forces).max(initial=0.0))
        return max(1.0, force, abs(self.interaction) / max(1, self.n_atoms))


def undefined(n_atoms: int) -> Evaluation:
    """Return the evaluation of a structure for which a model has no numbers."""
    nothing = np.full(n_atoms, np.nan)
    return Evaluation(np.nan, np.full((n_atoms, 3), np.nan), None, nothing)


def evaluate_together(
    potential: Potential, tasks: Sequence[tuple[Atoms, str]]
) -> list[Evaluation]:
    """Return the evaluation of each pair of a structure and a head, from one batch."""
    graphs = [_graph(potential, atoms, head) for atoms, head in tasks]
    return _evaluated(potential, [atoms for atoms, _ in tasks], graphs)


def evaluate_stream(
    potential: Potential, head: str, structures: Iterable[Atoms]
) -> Iterator[Evaluation]:
    """Yield the evaluation of each structure, from batches of a bounded size."""
    batch: list[Atoms] = []
    graphs: list[Graph] = []
    for atoms in structures:
        graph = _graph(potential, atoms, head)
        if sum(g.n_pairs for g in graphs) + graph.n_pairs > _MOST_PAIRS and batch:
            yield from _evaluated(potential, batch, graphs)
            batch, graphs = [], []
        batch.append(atoms)
        graphs.append(graph)
    if batch:
        yield from _evaluated(potential, batch, graphs)


def _graph(potential: Potential, atoms: Atoms, head: str) -> Graph:
    device = next(potential.parameters()).device
    graph = graph_from_atoms(atoms, potential.config, head)
    return graph.to(dtype=potential.dtype, device=device)


def _evaluated(
    potential: Potential, structures: Sequence[Atoms], graphs: Sequence[Graph]
) -> list[Evaluation]:
    """Return the evaluation of each structure from one batch of their graphs."""
    prediction = predict(potential, collate(graphs))
    energy = prediction.energy.cpu().tolist()
    forces = prediction.forces.cpu().double().numpy()
    interaction = prediction.interaction_energy.detach().cpu().tolist()
    energies = prediction.atomic_energies.cpu().double().numpy()
    virial = prediction.virial.cpu().double().numpy()
    found: list[Evaluation] = []
    first = 0
    for k, atoms in enumerate(structures):
        rows = slice(first, first + len(atoms))
        stress = -virial[k] / atoms.get_volume() if atoms.pbc.all() else None
        found.append(
            Evaluation(energy[k], forces[rows], stress, energies[rows], interaction[k])
        )
        first += len(atoms)
    return found
