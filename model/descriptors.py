"""Node features as descriptors of the surroundings of each atom."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, explain
from lamplighter.model.graph import Graph
from lamplighter.model.linear import by_degree
from lamplighter.model.potential import Potential


def descriptors(
    potential: Potential,
    graph: Graph,
    *,
    invariants_only: bool = True,
    layers: Sequence[int] | None = None,
) -> Floats:
    """Return the features of each atom after the layers, side by side.

    Args:
        potential: any dtype.
        graph: one or several structures, pair vectors in the dtype of the potential.
        invariants_only: only the scalars, which do not change under rotation. All
            components otherwise: per layer and degree l, per channel, m = -l ... l.
        layers: numbers of layers, from 0, in this order; all when left out.

    Returns:
        ``[n_own, n]``, float64; n is the number of channels times that of the layers
        for invariants. The order is that of mace-torch's ``get_descriptors``, and of an
        imported model the invariants are the same numbers; components of degree l > 0
        may have the other sign, for all channels of a degree together.

    Raises:
        ConfigError: there is no such layer.
    """
    n_layers = potential.config.n_layers
    chosen = range(n_layers) if layers is None else layers
    bad = [t for t in chosen if not 0 <= t < n_layers]
    if bad or not chosen:
        raise ConfigError(
            explain("no such layer", got=bad, wanted=f"some of 0 to {n_layers - 1}")
        )
    with torch.no_grad():
        features = potential.node_features(graph)
    parts = [
        features[t][:, 0] if invariants_only else _channels_first(features[t])
        for t in chosen
    ]
    array: Floats = torch.cat(parts, dim=1).double().cpu().numpy()
    return array


def _channels_first(features: Tensor) -> Tensor:
    """Return ``[n_own, channels * components]``, one degree after the other."""
    return torch.cat(
        [part.transpose(1, 2).flatten(1) for part in by_degree(features)], dim=1
    )
