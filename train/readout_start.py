"""Give a new head energies of the right size before the shared weights move.

A new head starts with the readout of an existing one. What remains is mostly a smooth
function of the species and of their bonds, the difference of two levels of theory. A
ridge regression of the first, linear readout on the new labels takes it off at once,
so that the first steps of the optimiser do not have to push it through the weights that
the old heads share.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lamplighter.model import Potential
from lamplighter.model.readout import LinearReadout
from lamplighter.train.data.dataset import Item, make_batch

ENERGY_NOISE = 0.005
"""Energy error that the regression need not remove, eV/atom."""
WEIGHT_CHANGE = 0.3
"""Expected change of a readout weight; weights are of order one."""


def fit_first_readout(potential: Potential, items: Sequence[Item], head: str) -> None:
    """Change the first readout of `head` so that the energies of `items` fit better.

    Minimises ``sum_f (x_f . dw - y_f)^2 / ENERGY_NOISE^2 + dw^2 / WEIGHT_CHANGE^2``,
    with ``y_f`` the energy error per atom and ``x_f`` its derivative by the weights of
    the head's first readout, in which the energy is linear. Nothing else is touched;
    nothing at all where the first layer has no linear readout.

    Args:
        potential: changed in place.
        items: labelled frames of the head; isolated atoms do not count, nor do
            energies that the head does not learn.
        head: name of the head.
    """
    column = potential.config.head_index(head)
    readout = potential.readouts[0]
    if not isinstance(readout, LinearReadout):
        return
    weight = readout.weight.requires_grad_()
    rows, errors = [], []
    for item in items:
        if item.frame.n_atoms > 1 and item.weights.energy > 0:
            row, error = _energy_and_slope(potential, item, weight)
            rows.append(row[column])
            errors.append(error)
    if not rows:
        return
    slopes = torch.stack(rows).double()
    target = torch.stack(errors).double()
    ridge = (ENERGY_NOISE / WEIGHT_CHANGE) ** 2
    kernel = slopes @ slopes.T
    kernel += ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    change = slopes.T @ torch.linalg.solve(kernel, target)
    with torch.no_grad():
        weight[column] += change.to(weight.dtype)


def _energy_and_slope(
    potential: Potential, item: Item, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Derivative of the energy per atom by `weight`, and the energy missing to it."""
    batch = make_batch([item])
    energy = potential(batch.graph).sum() / item.frame.n_atoms
    (slope,) = torch.autograd.grad(energy, weight)
    labelled = (batch.energy - batch.free_atoms)[0] / item.frame.n_atoms
    return slope, labelled - energy.detach()
