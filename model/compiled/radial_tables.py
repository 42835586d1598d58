"""Everything that depends on the distance alone, as numbers at knots.

Between two knots the native library interpolates: a cubic through values and slopes, or
a quintic through values, slopes and curvatures; see spline.h.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from lamplighter.arrays import Floats
from lamplighter.model.compiled.tables import padded
from lamplighter.model.normalization import density_terms
from lamplighter.model.potential import Layer, Potential

FIRST_KNOT: Final = 0.02
"""Å: pairs that are closer are refused."""

# First and second derivative of eighth order: the weight of the place itself, and those
# of the next four on its right.
_DIFFERENCES: Final = (
    (0.0, (4 / 5, -1 / 5, 4 / 105, -1 / 280)),
    (-205 / 72, (8 / 5, -1 / 5, 8 / 315, -1 / 560)),
)

# Just inside of the cutoff, where the weight of a pair is not yet that of no pair.
_INSIDE: Final = 1.0 - 1e-12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Knots:
    """Where functions of the distance are tabulated.

    Attributes:
        count: number of equidistant knots, the last one at the cutoff.
        order: numbers per knot: 2, value and slope, or 3, the curvature too.
        cutoff: Å.
    """

    count: int
    order: int
    cutoff: float

    @property
    def spacing(self) -> float:
        """Return the distance of two knots, Å."""
        return (self.cutoff - FIRST_KNOT) / (self.count - 1)

    @property
    def distances(self) -> Tensor:
        """Return where the knots are, ``[count]``, Å."""
        steps = torch.arange(self.count, dtype=torch.float64)
        return (FIRST_KNOT + self.spacing * steps).clamp(max=self.cutoff * _INSIDE)


def radial_tables(
    potential: Potential, t: int, knots: Knots
) -> tuple[Floats, Floats | None]:
    """Return radial weights and density of layer `t` at the knots.

    The features of the neighbour in the first layer, which depend on its species alone,
    are part of the weights.

    Args:
        potential: float64, on the CPU.
        t: number of the layer.
        knots: where.

    Returns:
        ``[centre, neighbour, knot, order, path, edge channel]``, channels padded; and
        ``[centre, neighbour, knot, order]``, or None where no density is looked at.
        Number k of a knot is the k-th derivative times the k-th power of the spacing.
    """
    layer = cast("Layer", potential.layers[t])
    n = len(potential.config.elements)
    edge, n_paths = layer.interaction.edge_channels, len(layer.interaction.paths)
    sizes = (n, n, knots.count, knots.order)
    radial = np.zeros((*sizes, n_paths, padded(edge)))
    has_density = layer.interaction.normalization.density is not None
    density = np.zeros(sizes)
    factors = knots.spacing ** np.arange(knots.order)
    for center, neighbor in itertools.product(range(n), repeat=2):
        function = _pair_function(potential, layer, center, neighbor)
        values = _derivatives(function, knots) * factors[:, None]
        shape = (knots.count, knots.order, n_paths, edge)
        weights = values[:, :, : n_paths * edge].reshape(shape)
        if t == 0:
            weights = weights * _projected_start(potential, layer)[neighbor]
        radial[center, neighbor, ..., :edge] = weights
        density[center, neighbor] = values[:, :, -1]
    return radial, density if has_density else None


def _projected_start(potential: Potential, layer: Layer) -> Floats:
    """Return u of each element before the first layer, ``[n_elements, edge]``."""
    with torch.no_grad():
        projected: Floats = layer.project(potential.embedding[:, None])[:, 0].numpy()
    return projected


def _pair_function(
    potential: Potential, layer: Layer, center: int, neighbor: int
) -> Callable[[Tensor], Tensor]:
    """Return radial weights and density (the last column) of a pair of elements."""
    geometry = potential.geometry
    interaction = layer.interaction
    network = cast("nn.Module | None", interaction.normalization.density)

    def function(distance: Tensor) -> Tensor:
        species = (
            torch.full((len(distance),), neighbor),
            torch.full((len(distance),), center),
        )
        basis, weight = geometry.of_distances(distance, species)
        seen = interaction.tables(basis, species)
        radial = weight[:, None] * interaction.radial(seen)
        density = density_terms(network, seen, weight)
        if density is None:
            density = torch.zeros_like(weight)
        return torch.cat([radial, density[:, None]], dim=1)

    return function


def _derivatives(function: Callable[[Tensor], Tensor], knots: Knots) -> Floats:
    """Return ``[knot, order, column]``.

    Derivatives are central differences of eighth order, exact to about 1e-12 and 1e-9:
    forward differentiation would load torch's compiler, which takes longer than all
    else. They never reach beyond the cutoff, where all functions end with slope and
    curvature zero.
    """
    h = min(1e-3, knots.spacing / 8.0)
    steps = h * torch.arange(-4, 5, dtype=torch.float64)
    places = knots.distances[:, None] + steps
    with torch.no_grad():
        values = function(places.reshape(-1)).reshape(knots.count, len(steps), -1)
    weights = torch.zeros(knots.order, len(steps), dtype=torch.float64)
    weights[0, 4] = 1.0
    for order, (middle, sides) in enumerate(_DIFFERENCES[: knots.order - 1], 1):
        sign = 1.0 if order == 2 else -1.0
        left = [sign * one for one in reversed(sides)]
        row = torch.tensor([*left, middle, *sides], dtype=torch.float64)
        weights[order] = row / h**order
    found = torch.einsum("os,ksc->koc", weights, values)
    found[-1, 1:] = 0.0
    stacked: Floats = found.numpy()
    return stacked
