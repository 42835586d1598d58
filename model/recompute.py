"""Functions whose intermediate values are computed again instead of kept.

A potential is differentiated twice in training. What a function of the pairs computes
on its way would otherwise be kept until the end, for all pairs at once. Here only its
arguments and results are kept; each of the two differentiations evaluates it anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lamplighter.errors import ConfigError, explain

Tensors = tuple[Tensor, ...]


@dataclasses.dataclass(slots=True)
class EdgeChunks:
    """How an evaluation walks over the pairs.

    Attributes:
        size: slots of pairs that are looked at together.
        weights: whether derivatives by weights are computed.
    """

    size: int
    weights: bool = True

    @contextlib.contextmanager
    def without_weights(self) -> Iterator[None]:
        """Leave the derivatives by weights out; for derivatives by pair vectors."""
        before, self.weights = self.weights, False
        try:
            yield
        finally:
            self.weights = before


@dataclasses.dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[..., Tensors]
    chunks: EdgeChunks
    n_weights: int

    def run(self, arguments: Sequence[Tensor | None]) -> Tensors:
        return self.function(*arguments)


def recomputed(
    function: Callable[..., Tensors],
    weights: Sequence[Tensor],
    arguments: Sequence[Tensor],
    chunks: EdgeChunks,
) -> Tensors:
    """Return ``function(*weights, *arguments)`` without keeping intermediate values.

    May be differentiated twice.

    Args:
        function: without side effects; returns a tuple of tensors.
        weights: those that need no derivative while ``chunks.weights`` is False.
        arguments: everything else that the result is differentiated by.
        chunks: says whether derivatives by weights are computed.

    Raises:
        ConfigError: when the second derivative is made to be differentiated again.
    """
    call = _Call(function, chunks, len(weights))
    found: Tensors = _Values.apply(call, *weights, *arguments)  # type: ignore[no-untyped-call]
    return found


def _wanted_gradients(
    values: Tensors,
    inputs: Sequence[Tensor],
    wanted: Sequence[bool],
    cotangents: Sequence[Tensor],
    *,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """Return the gradient by each wanted input; None by the others."""
    pairs = [(v, g) for v, g in zip(values, cotangents, strict=True) if v.requires_grad]
    targets = [x for x, w in zip(inputs, wanted, strict=True) if w]
    if not pairs or not targets:
        return [None] * len(inputs)
    found = iter(
        torch.autograd.grad(
            [v for v, _ in pairs],
            targets,
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return [next(found) if w else None for w in wanted]


def _fresh(tensors: Sequence[Tensor], needed: Sequence[bool]) -> list[Tensor]:
    """Return copies that a new differentiation may begin at."""
    return [t.detach().requires_grad_(n) for t, n in zip(tensors, needed, strict=True)]


class _Values(torch.autograd.Function):
    """The function itself."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *inputs: Tensor) -> Tensors:
        ctx.call = call
        ctx.save_for_backward(*inputs)
        return call.run(inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        call = ctx.call
        wanted = [
            needed and (call.chunks.weights or k >= call.n_weights)
            for k, needed in enumerate(ctx.needs_input_grad[1:])
        ]
        found = _Gradients.apply(  # type: ignore[no-untyped-call]
            call, wanted, len(cotangents), *cotangents, *ctx.saved_tensors
        )
        return (None, *found)


class _Gradients(torch.autograd.Function):
    """The derivatives of the function, contracted with `cotangents`."""

    @staticmethod
    def forward(
        ctx: Any, call: _Call, wanted: list[bool], n_out: int, *tensors: Tensor
    ) -> tuple[Tensor | None, ...]:
        ctx.call, ctx.wanted, ctx.n_out = call, wanted, n_out
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        inputs = _fresh(tensors[n_out:], wanted)
        with torch.enable_grad():
            values = call.run(inputs)
        return tuple(_wanted_gradients(values, inputs, wanted, tensors[:n_out]))

    @staticmethod
    def backward(ctx: Any, *seconds: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # the result would count as a constant
            raise ConfigError(
                explain(
                    "a third derivative is asked for, which edge_chunk rules out",
                    fix="set edge_chunk: 0 for losses of second derivatives",
                )
            )
        needed = ctx.needs_input_grad[3:]
        both = _fresh(ctx.saved_tensors, needed)
        cotangents, inputs = both[: ctx.n_out], both[ctx.n_out :]
        with torch.enable_grad():
            # inputs whose gradient is looked at take part, whether needed or not
            inputs = [
                x.requires_grad_(x.requires_grad or w)
                for x, w in zip(inputs, ctx.wanted, strict=True)
            ]
            first = _wanted_gradients(
                ctx.call.run(inputs), inputs, ctx.wanted, cotangents, create_graph=True
            )
        used = [
            (g, v)
            for g, v in zip(first, seconds, strict=True)
            if g is not None and v is not None
        ]
        found = _wanted_gradients(
            tuple(g for g, _ in used),
            [*cotangents, *inputs],
            needed,
            [v for _, v in used],
        )
        return (None, None, None, *found)
