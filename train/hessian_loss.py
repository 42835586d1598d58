"""Rows of the Hessian of a potential that can be trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from lamplighter.model import Potential
from lamplighter.train.data.hessian import HessianLabels


def predicted_rows(potential: Potential, labels: HessianLabels) -> Tensor:
    """Return the rows that `labels` name, ``[n_passes, n_atoms, 3]``, eV/Å^2.

    The gradient is differentiated once more along the direction of each pass, which
    gives ``d²E / dx_ia dx_jb`` of one row in every structure; the result can be
    differentiated by the weights.
    """
    graph, directions = labels.graph, labels.directions
    still = torch.zeros_like(directions[0], dtype=potential.dtype).requires_grad_()
    vectors = (
        graph.pair_vectors.to(potential.dtype)
        + still.index_select(0, graph.neighbors)
        - still.index_select(0, graph.centers)
    )
    with torch.enable_grad():
        energy = potential(graph.with_pair_vectors(vectors)).sum()
        (gradient,) = torch.autograd.grad(
            energy, still, create_graph=True, materialize_grads=True
        )
        if not gradient.requires_grad:  # no pairs: the energy is a constant
            return torch.zeros_like(directions)
        rows = [
            torch.autograd.grad(
                gradient, still, direction, create_graph=True, materialize_grads=True
            )[0]
            for direction in directions.to(potential.dtype)
        ]
    return torch.stack(rows)
