"""What the stages do with whole rows: degrees, gates, readouts, ordered sums."""

from __future__ import annotations

import torch
from torch import Tensor

from lamplighter.model.activation import (
    SIGMOID_SECOND_MOMENT,
    SILU_SECOND_MOMENT,
    TANH_SECOND_MOMENT,
)
from lamplighter.model.compiled.kernels.unpacked import LayerTensors


def add_rows(out: Tensor, rows: Tensor, values: Tensor, *, deterministic: bool) -> None:
    """Add ``values[k]`` to ``out[rows[k]]``, in place.

    Args:
        out: ``[n, ...]``.
        rows: ``[m]``, int64, in any order, with repetitions.
        values: ``[m, ...]``.
        deterministic: whether the order of additions is fixed. `index_add_` adds
            atomically on a GPU, in any order; here a row is added to once.
    """
    if not deterministic or len(rows) == 0:
        out.index_add_(0, rows, values)
        return
    rows, order = rows.sort(stable=True)
    own, counts = torch.unique_consecutive(rows, return_counts=True)
    sums = torch.segment_reduce(values[order], "sum", lengths=counts, axis=0)
    out[own] = out[own] + sums


def degree(rows: Tensor, l: int) -> Tensor:
    """Return the components of a degree, ``[n, 2 l + 1, channels]``."""
    return rows[:, l * l : (l + 1) ** 2]


def gathered(sums: Tensor, layer: LayerTensors, l: int) -> Tensor:
    """Return the sums of degree `l`, ``[n, 2 l + 1, n_paths * edge]``."""
    row, n_paths = layer.rows_of(l)
    own = sums[:, row : row + n_paths * (2 * l + 1)]
    found: Tensor = own.unflatten(1, (n_paths, 2 * l + 1)).transpose(1, 2).flatten(2)
    return found


def scatter(dsums: Tensor, layer: LayerTensors, l: int, given: Tensor) -> None:
    """Put what `gathered` would take."""
    row, n_paths = layer.rows_of(l)
    rows = given.unflatten(2, (n_paths, layer.edge)).transpose(1, 2).flatten(1, 2)
    dsums[:, row : row + n_paths * (2 * l + 1)] = rows


def gate(message: list[Tensor]) -> list[Tensor]:
    """Equation (11)."""
    scalars, *gates = _chunks(message)
    out = [SILU_SECOND_MOMENT * torch.nn.functional.silu(scalars)]
    for gate, higher in zip(gates, message[1:], strict=True):
        out.append(SIGMOID_SECOND_MOMENT * gate.sigmoid() * higher)
    return out


def gate_back(message: list[Tensor], dgated: list[Tensor]) -> list[Tensor]:
    """Return dE/d message."""
    scalars, *gates = _chunks(message)
    s = scalars.sigmoid()
    first = [SILU_SECOND_MOMENT * s * (1.0 + scalars * (1.0 - s)) * dgated[0]]
    others = []
    for gate, higher, back in zip(gates, message[1:], dgated[1:], strict=True):
        s = SIGMOID_SECOND_MOMENT * gate.sigmoid()
        slope = s * (1.0 - gate.sigmoid())
        first.append(slope * (back * higher).sum(1, keepdim=True))
        others.append(s * back)
    return [torch.cat(first, dim=2), *others]


def _chunks(message: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the scalars and the gates of each higher degree."""
    return message[0].chunk(len(message), dim=2)


def read_out(layer: LayerTensors, scalars: Tensor) -> tuple[Tensor, Tensor]:
    """Return equation (15), ``[n]`` in float64, and its derivative."""
    if layer.readout == 0:
        return scalars.new_zeros(len(scalars)).double(), torch.zeros_like(scalars)
    head = layer.head
    x = scalars @ head["first"]
    if layer.readout == 1:
        return x[:, 0].double(), head["first"][:, 0].expand_as(scalars)
    value, slope = _active(layer.activation, x)
    if layer.readout == 2:
        energy = (value * head["second"]).double().sum(1)
        return energy, (head["second"] * slope) @ head["first"].T
    deep, deep_slope = _active(
        layer.activation, value @ head["middle"] + head["middle_bias"]
    )
    energy = (deep * head["second"]).double().sum(1) + float(head["bias"][0])
    inner = (head["second"] * deep_slope) @ head["middle"].T
    return energy, (inner * slope) @ head["first"].T


def _active(kind: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return an activation of unit second moment and its derivative."""
    if kind == 0:
        s = x.sigmoid()
        return SILU_SECOND_MOMENT * x * s, SILU_SECOND_MOMENT * s * (1 + x * (1 - s))
    if kind == 1:
        y = x.tanh()
        return TANH_SECOND_MOMENT * y, TANH_SECOND_MOMENT * (1.0 - y * y)
    return (x.abs(), x.sign()) if kind == 2 else (x, torch.ones_like(x))
