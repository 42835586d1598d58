r"""The many-body virial of each atom, from which the heat flux follows.

For an energy that is a sum over atoms, :math:`U = \sum_i U_i`, LAMMPS' ``compute
heat/flux`` needs for every atom j

.. math:: W_j^{\alpha\beta} = \sum_i (r_i - r_j)^\alpha\,
          \frac{\partial U_i}{\partial r_j^\beta}

which a pair-wise split of the virial gets wrong for every potential that is more than
a sum over pairs (Fan et al., Phys. Rev. B 92, 094301 (2015), eq. 24). In a
message-passing potential U_i depends on atoms several cutoffs away, in part through
ranks that this one has no atoms of. Four backward passes give it all the same: one for
:math:`\sum_i U_i` and one for each component of :math:`\sum_i r_i U_i`, r_i held fixed;
see `LammpsExchange.weigh` for what crosses ranks. The idea is the "barycentre" of
Langer et al., Phys. Rev. B 108, L100302 (2023), with exchanges in place of an unfolded
cell.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lamplighter.lammps_interface.exchange import LammpsExchange
from lamplighter.model import Graph, Potential


def centroid_virials(
    potential: Potential,
    graph: Graph,
    positions: Tensor,
    exchange: LammpsExchange,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return energies, pair gradients and this rank's share of every row's W.

    Args:
        potential: of one head.
        graph: rows and pairs of this rank.
        positions: of all rows, ghosts included, [n_rows, 3] in Å.
        exchange: new, for this step.

    Returns:
        interaction energies [n_own] in eV; dE/d rij [n_pairs, 3] in eV/Å; and W
        [n_rows, 3, 3] in eV, first index that of the position. What belongs to an atom
        is the sum over its row and all its ghosts' rows, on all ranks.
    """
    vectors = graph.pair_vectors.detach().requires_grad_()
    x = positions.to(vectors.dtype)
    exchange.remember()
    with torch.enable_grad():
        energies = potential(graph.with_pair_vectors(vectors), exchange)

    def gradient(total: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(
            total, vectors, retain_graph=True, materialize_grads=True
        )
        exchange.finish()
        return found

    plain = gradient(energies.sum())
    virials = x.new_zeros((len(x), 3, 3), dtype=torch.float64)
    for axis in range(3):
        exchange.weigh(x[:, axis])
        moment = gradient((x[: graph.n_own, axis] * energies).sum())
        _collect(virials[:, axis], moment, plain, x[:, axis], graph)
    return energies.detach(), plain, virials


def _collect(
    virials: Tensor, moment: Tensor, plain: Tensor, x: Tensor, graph: Graph
) -> None:
    """Add one row of W: pairs move their neighbour forth and their centre back.

    Args:
        virials: W for one component of the position, [n_rows, 3]; added to.
        moment: sum_i x_i dU_i/d rij, [n_pairs, 3].
        plain: sum_i dU_i/d rij, [n_pairs, 3].
        x: component of the positions, [n_rows].
        graph: gives centre and neighbour of each pair.
    """
    for rows, sign in ((graph.neighbors, 1.0), (graph.centers, -1.0)):
        relative = sign * (moment - x[rows][:, None] * plain)
        virials.index_add_(0, rows, relative.to(torch.float64))
