"""What the potentials of one ML-IAP file say about a step: each, and their mean.

A file holds one potential or a committee. All members see the same rows and pairs, and
make their exchanges one after the other, in the same order on every rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from lamplighter.lammps_interface.centroid import centroid_virials
from lamplighter.lammps_interface.exchange import LammpsExchange
from lamplighter.lammps_interface.rows import Rows
from lamplighter.model import (
    Graph,
    Potential,
    Prediction,
    pair_gradients,
    predict,
)
from lamplighter.model.compiled import CompiledPotential, DevicePotential


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one member, or the mean of all, says about this rank's part of a step.

    In host memory, wherever it was computed.

    Attributes:
        energies: [n_owned] with E0, eV, float64.
        gradients: dE/d rij [n_pairs, 3], eV/Å, float64.
        virials: this rank's share of every row's many-body virial [n_rows, 3, 3], eV;
            None on steps that do not need it.
        widths: of each forward exchange made.
    """

    energies: Tensor
    gradients: Tensor
    virials: Tensor | None = None
    widths: list[int] = field(default_factory=list)


def answer_of(
    potential: Potential,
    data: Any,
    rows: Rows,
    graph: Graph,
    *,
    wide: bool,
    compiled: CompiledPotential | DevicePotential | None = None,
    exact: Graph | None = None,
) -> Answer:
    """Evaluate one member.

    Args:
        potential: of one head.
        data: what LAMMPS hands over; see `pair_data.PairData`.
        rows: which of its rows the graph has.
        graph: rows and pairs of this rank.
        wide: ghosts are evaluated here, nothing is exchanged.
        compiled: evaluates in place of `potential`, except for ghosts that are
            evaluated here and for many-body virials.
        exact: `graph` in host memory with float64 vectors, for the processor's
            compiled potential, which takes distances in float64.
    """
    if wide:
        return _without_exchange(potential, graph, rows.n_owned)
    exchange = LammpsExchange(data, rows.kept)
    if getattr(data, "centroid", None) is not None:
        return _with_virials(potential, data, rows, graph, exchange)
    if compiled is not None:
        on_host = isinstance(compiled, CompiledPotential)
        seen = exact if exact is not None and on_host else graph
        energies, gradients = compiled.evaluate(seen, exchange)
        return Answer(energies=energies, gradients=gradients, widths=exchange.widths)
    energies, gradients = pair_gradients(potential, graph, exchange)
    exchange.finish()
    return Answer(
        energies=energies.detach().cpu(),
        gradients=gradients.detach().to("cpu", torch.float64),
        widths=exchange.widths,
    )


def mean_of(answers: Sequence[Answer]) -> Answer:
    """Return the mean of the members' answers, with the exchanges of all of them."""
    if len(answers) == 1:
        return answers[0]
    virials = [one.virials for one in answers if one.virials is not None]
    return Answer(
        energies=torch.stack([one.energies for one in answers]).mean(dim=0),
        gradients=torch.stack([one.gradients for one in answers]).mean(dim=0),
        virials=torch.stack(virials).mean(dim=0) if virials else None,
        widths=[width for one in answers for width in one.widths],
    )


def force_deviations(
    answers: Sequence[Answer], data: Any, rows: Rows, graph: Graph
) -> Tensor:
    """Return how far the members disagree about the force on each owned atom.

    Collective: what ghosts contribute to the forces comes home in one exchange.

    Args:
        answers: of two members or more.
        data: what LAMMPS hands over; it has to be able to exchange.
        rows: which of its rows the graph has.
        graph: gives centre and neighbour of each pair.

    Returns:
        The root of the sum of the variances of the three components (divisor n - 1) in
        eV/Å, [n_owned]: ``forces_norm_std`` of
        [`CommitteeCalculator`][lamplighter.model.CommitteeCalculator].
    """
    n = len(answers)
    # Relative to the first member: members that agree differ by zero, not by rounding.
    apart = [one.gradients - answers[0].gradients for one in answers]
    pairs = torch.stack(apart, dim=1).reshape(-1, 3 * n)
    forces = pairs.new_zeros((len(graph.species), 3 * n))
    forces.index_add_(0, graph.centers.cpu(), pairs)
    forces.index_add_(0, graph.neighbors.cpu(), -pairs)
    if rows.kept is not None:
        everywhere = forces.new_zeros((data.ntotal, 3 * n))
        everywhere[rows.kept] = forces
        forces = everywhere
    home = torch.empty_like(forces)
    data.reverse_exchange(forces, home, 3 * n)
    if rows.kept is not None:
        home = home[rows.kept]
    deviations = home[: rows.n_owned].reshape(-1, n, 3)
    deviations = deviations - deviations.mean(dim=1, keepdim=True)
    return (deviations.square().sum(dim=(1, 2)) / (n - 1)).sqrt()


def mean_prediction(potentials: Sequence[Potential], graph: Graph) -> Prediction:
    """Return the mean of what potentials of the same dtype predict for a graph.

    Without ghosts and exchange: what the evaluation through LAMMPS is compared with.
    """
    found = [predict(potential, graph) for potential in potentials]
    if len(found) == 1:
        return found[0]

    def mean(name: str) -> Tensor:
        values = [getattr(one, name).detach() for one in found]
        return torch.stack(values).mean(dim=0)

    return Prediction(**{one.name: mean(one.name) for one in fields(Prediction)})


def _without_exchange(potential: Potential, graph: Graph, n_owned: int) -> Answer:
    """Differentiate the energy of the owned atoms, ghosts evaluated on this rank."""
    vectors = graph.pair_vectors.detach().requires_grad_()
    with torch.enable_grad():
        energies = potential(graph.with_pair_vectors(vectors))[:n_owned]
        (gradients,) = torch.autograd.grad(
            energies.sum(), vectors, materialize_grads=True
        )
    reference = potential.reference_energies(graph)[:n_owned]
    return Answer(
        energies=(energies.detach().to(torch.float64) + reference).cpu(),
        gradients=gradients.to("cpu", torch.float64),
    )


def _with_virials(
    potential: Potential, data: Any, rows: Rows, graph: Graph, exchange: LammpsExchange
) -> Answer:
    positions = torch.from_numpy(data.x).to(graph.pair_vectors.device)
    if rows.kept is not None:
        positions = positions[rows.kept]
    energies, gradients, virials = centroid_virials(
        potential, graph, positions, exchange
    )
    reference = potential.reference_energies(graph)
    return Answer(
        energies=(energies.to(torch.float64) + reference).cpu(),
        gradients=gradients.to("cpu", torch.float64),
        virials=virials.cpu(),
        widths=exchange.widths,
    )
