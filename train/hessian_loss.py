"""Rows of the Hessian of a potential that can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

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
    with torch.enable_grad(), _ThriceDifferentiable():
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


class _ThriceDifferentiable(TorchFunctionMode):
    """Replaces LayerNorm by its definition.

    torch differentiates its own LayerNorm twice. In the third derivative it takes the
    mean and the variance for constants, without a word, and the gradient of a loss on
    Hessians by every weight in front of a LayerNorm comes out wrong by several percent
    (torch 2.13).
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or what stands for it."""
        del types
        if func is functional.layer_norm:
            func = _layer_norm
        return func(*args, **(kwargs or {}))


def _layer_norm(
    values: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return what `torch.nn.functional.layer_norm` does."""
    last = tuple(range(-len(normalized_shape), 0))
    centred = values - values.mean(last, keepdim=True)
    result = centred * torch.rsqrt(centred.square().mean(last, keepdim=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias
