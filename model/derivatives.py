"""Forces, virial and stress; the only place of the model with sign conventions.

With ``g = dE/d r_ij`` for every directed pair, ``r_ij = x_j - x_i``:
``F_i = sum_{pairs starting at i} g - sum_{pairs ending at i} g``;
virial ``W = -sum r_ij (x) g`` (the sign of LAMMPS); stress ``-W / volume`` (the sign of
ASE: tension positive). See ``docs/conventions.md``.
"""

from __future__ import annotations

import contextlib
import dataclasses

import torch
from torch import Tensor

from lamplighter.model.exchange import NO_EXCHANGE, GhostExchange
from lamplighter.model.graph import Graph
from lamplighter.model.potential import Potential


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """What a potential says about the structures of a graph.

    Attributes:
        energy: ``[n_frames]``, total energy with E0, eV, float64.
        interaction_energy: ``[n_frames]``, without E0, eV, dtype of the potential.
        atomic_energies: ``[n_own]``, with E0, eV, float64.
        forces: ``[n_own, 3]``, eV/Å.
        virial: ``[n_frames, 3, 3]``, eV; stress is ``-virial / volume``.
        pair_gradients: ``[n_pairs, 3]``, dE/d r_ij of every directed pair, eV/Å.
    """

    energy: Tensor
    interaction_energy: Tensor
    atomic_energies: Tensor
    forces: Tensor
    virial: Tensor
    pair_gradients: Tensor


def predict(
    potential: Potential,
    graph: Graph,
    *,
    training: bool = False,
    exchange: GhostExchange = NO_EXCHANGE,
    edge_chunk: int = 0,
) -> Prediction:
    """Return energies, forces and virials of a graph without ghosts.

    Args:
        potential: any dtype; the pair vectors are converted to it.
        graph: one or several structures.
        training: keep what is needed to differentiate forces and virial once more.
        exchange: as in [`Potential.forward`][].
        edge_chunk: 0, or how many pairs a layer looks at together; see
            [`Graph.in_chunks`][].
    """
    graph = graph.in_chunks(edge_chunk) if edge_chunk else graph
    atomic, gradient = _energies_and_gradient(potential, graph, exchange, training)
    vectors = graph.pair_vectors.to(atomic.dtype)
    interaction = atomic.new_zeros(graph.n_frames).index_add(0, graph.frames, atomic)
    forces = gradient.new_zeros(graph.n_atoms, 3)
    forces = forces.index_add(0, graph.centers, gradient)
    forces = forces.index_add(0, graph.neighbors, -gradient)
    outer = -vectors[:, :, None] * gradient[:, None, :]
    frame = graph.frames.index_select(0, graph.centers)
    virial = outer.new_zeros(graph.n_frames, 3, 3).index_add(0, frame, outer)
    total = atomic.detach().to(torch.float64) + potential.reference_energies(graph)
    energy = total.new_zeros(graph.n_frames).index_add(0, graph.frames, total)
    return Prediction(
        energy, interaction, total, forces[: graph.n_own], virial, gradient
    )


def predict_energies(potential: Potential, graph: Graph) -> Tensor:
    """Return the energy of each own atom with E0, ``[n_own]``, eV, float64.

    Nothing is differentiated, which takes half the time of [`predict`][].
    """
    with torch.no_grad():
        vectors = graph.pair_vectors.to(potential.dtype)
        atomic: Tensor = potential(graph.with_pair_vectors(vectors))
    return atomic.to(torch.float64) + potential.reference_energies(graph)


def atomic_virials(graph: Graph, gradients: Tensor) -> Tensor:
    """Return the share of each atom in the virial, ``[n_atoms, 3, 3]``, eV.

    Half of each pair's ``-r (x) g`` goes to either end, and the tensor is made
    symmetric. The sum over atoms is the virial; the share of a single atom is a
    convention, here that of LAMMPS and of mace-torch.

    Args:
        graph: gives the pairs.
        gradients: ``[n_pairs, 3]``, dE/d r_ij, as in [`Prediction`][].
    """
    vectors = graph.pair_vectors.to(gradients.dtype)
    outer = -0.25 * vectors[:, :, None] * gradients[:, None, :]
    outer = outer + outer.transpose(1, 2)
    shares = outer.new_zeros(graph.n_atoms, 3, 3).index_add(0, graph.centers, outer)
    return shares.index_add(0, graph.neighbors, outer)


def pair_gradients(
    potential: Potential, graph: Graph, exchange: GhostExchange = NO_EXCHANGE
) -> tuple[Tensor, Tensor]:
    """Return what an engine with ghosts needs to tally forces itself.

    Returns:
        atomic energies ``[n_own]`` with E0 (eV, float64), and ``g = dE/d r_ij``
        ``[n_pairs, 3]`` in eV/Å, where E is the energy of all processes together: the
        exchange carries the gradients of ghosts back to their owners.
    """
    atomic, gradient = _energies_and_gradient(potential, graph, exchange, False)
    total = atomic.detach().to(torch.float64) + potential.reference_energies(graph)
    return total, gradient


def _energies_and_gradient(
    potential: Potential, graph: Graph, exchange: GhostExchange, training: bool
) -> tuple[Tensor, Tensor]:
    """Return atomic interaction energies and dE/d pair_vectors."""
    vectors = graph.pair_vectors.detach().to(potential.dtype).requires_grad_()
    by_vectors_alone = (
        graph.chunks.without_weights() if graph.chunks else contextlib.nullcontext()
    )
    with torch.enable_grad(), by_vectors_alone:
        atomic = potential(graph.with_pair_vectors(vectors), exchange)
        (gradient,) = torch.autograd.grad(
            atomic.sum(), vectors, create_graph=training, materialize_grads=True
        )
    return atomic, gradient
