"""The matrices of one layer and its readout, as read_potential.h asks for them."""

from __future__ import annotations

import math
from typing import Any, Final, cast

import numpy as np
from torch import Tensor, nn

from lamplighter.arrays import Floats, Integers
from lamplighter.model.compiled.product_tables import product_tables
from lamplighter.model.compiled.tables import (
    Tables,
    flat,
    flat_integers,
    pad_blocks,
    pad_last,
    padded,
)
from lamplighter.model.coupling import clebsch_gordan
from lamplighter.model.interaction import Interaction
from lamplighter.model.layers import LayerShape
from lamplighter.model.linear import ElementLinear, EquivariantLinear
from lamplighter.model.message import ElementMessage, GatedMessage, LinearMessage
from lamplighter.model.normalization import (
    ConstantNormalization,
    DensityNormalization,
    LearnedNormalization,
)
from lamplighter.model.potential import Layer, Potential
from lamplighter.model.product import SymmetricProduct
from lamplighter.model.radial_network import (
    DistanceNetwork,
    NoTables,
    SpeciesNetwork,
    SpeciesTables,
)
from lamplighter.model.readout import (
    BiasedReadout,
    LinearReadout,
    NonLinearReadout,
    NoReadout,
)
from lamplighter.model.skip import ElementSkip, NoSkip, SharedSkip

_READOUTS: Final[dict[type[nn.Module], int]] = {
    NoReadout: 0,
    LinearReadout: 1,
    NonLinearReadout: 2,
    BiasedReadout: 3,
}
_ACTIVATIONS: Final = {"silu": 0, "tanh": 1, "abs": 2, "none": 3}

PARTS: Final[frozenset[type[nn.Module]]] = frozenset(
    {
        *_READOUTS,
        *(Layer, Interaction, SymmetricProduct, EquivariantLinear, ElementLinear),
        *(LinearMessage, ElementMessage, GatedMessage),
        *(ConstantNormalization, DensityNormalization, LearnedNormalization),
        *(NoSkip, SharedSkip, ElementSkip),
        *(NoTables, SpeciesTables, DistanceNetwork, SpeciesNetwork),
        *(nn.Linear, nn.LayerNorm),
        *(nn.ModuleList, nn.ParameterList, nn.ParameterDict),
    }
)
"""Modules that are understood; a layer that holds another one is refused."""


def layer_tables(potential: Potential, t: int) -> Tables:
    """Return the tables of layer `t` but those of the distance; names without prefix.

    Args:
        potential: as in [`lower_maps`][lamplighter.model.compiled.lower.lower_maps].
        t: number of the layer.
    """
    return _LayerTables(potential, t).tables()


class _LayerTables:
    """Collects the tables of a layer."""

    def __init__(self, potential: Potential, t: int) -> None:
        self._potential, self._config, self._t = potential, potential.config, t
        self._shape: LayerShape = potential.config.layers[t]
        self._layer = cast("Layer", potential.layers[t])
        self._readout = potential.readouts[t]
        self._numbers: dict[str, Floats] = {}
        self._integers: dict[str, Integers] = {}

    def tables(self) -> Tables:
        self._put_shape()
        self._put_couplings()
        self._put_norm()
        self._put_message()
        self._put_update()
        if self._t == 0:
            self._put_start()
        else:
            self._put_projection()
        numbers, integers = product_tables(self._layer.product, self._config.channels)
        self._numbers |= numbers
        self._integers |= integers
        self._put_readout()
        return Tables(self._numbers, self._integers)

    def _put_shape(self) -> None:
        shape, config = self._shape, self._config
        has_density = self._layer.interaction.normalization.density is not None
        self._integers["shape"] = flat_integers(
            [
                shape.l_edge,
                shape.l_out,
                padded(shape.edge_channels),
                int(self._gated),
                int(has_density),
                _READOUTS[type(self._readout)],
                config.readout_hidden,
                _ACTIVATIONS[config.readout_activation],
            ]
        )

    @property
    def _gated(self) -> bool:
        return isinstance(self._layer.interaction.message, GatedMessage)

    def _put_couplings(self) -> None:
        where: list[tuple[int, ...]] = []
        values: list[float] = []
        paths = self._layer.interaction.paths
        for number, path in enumerate(paths):
            if path[0] == 0:  # the harmonics themselves
                continue
            table = clebsch_gordan(*path)
            for place in np.argwhere(np.abs(table) > 1e-14):
                where.append((number, *place.tolist()))
                values.append(float(table[tuple(place)]))
        self._integers["paths"] = flat_integers(paths)
        self._integers["couplings"] = flat_integers(where)
        self._numbers["coupling_values"] = flat(values)

    def _put_norm(self) -> None:
        norm: Any = self._layer.interaction.normalization
        if isinstance(norm, ConstantNormalization):
            values = [norm.neighbors, 0.0]
        elif isinstance(norm, DensityNormalization):
            values = [1.0, 1.0]
        else:
            values = [float(x.detach()) for x in (norm.alpha, norm.beta)]
        self._numbers["norm"] = flat(values)

    def _put_message(self) -> None:
        """Put equations (10) and (12)."""
        message: Any = self._layer.interaction.message
        c, edge = self._config.channels, self._shape.edge_channels
        for l in range(self._config.l_max + 1):
            n_paths = sum(path[2] == l for path in self._layer.interaction.paths)
            n_out = self._config.l_max + 1 if self._gated and l == 0 else 1
            matrix = _matrix(message.linear_sum, l)
            if isinstance(message, ElementMessage):
                matrix = matrix @ _matrix(message.by_element, l)
            self._numbers[f"sum.{l}"] = flat(
                pad_blocks(matrix, (n_paths, edge), (n_out, c))
            )
            if self._gated:
                self._square(f"mix.{l}", message.linear_mix, l)
            if self._gated and l < len(message.linear_residual.weights):
                residual = _matrix(message.linear_residual, l)
                whole = pad_blocks(residual, (1, edge), (n_out, c))
                if self._t > 0:
                    self._numbers[f"residual.{l}"] = flat(whole)
                else:
                    start = pad_last(self._projected_start(), padded(edge))
                    self._numbers["offset"] = flat(start @ whole)

    def _put_update(self) -> None:
        """Put equation (14)."""
        for l in range(self._shape.l_out + 1):
            self._square(f"update.{l}", self._layer.linear_product, l)
        maps = self._skip_maps()
        if maps is None or self._t == 0:
            return
        for l in range(len(maps.weights)):
            self._square(f"skip.{l}", maps, l)

    def _put_start(self) -> None:
        """Put what the skip of the first layer makes of the elements' embedding."""
        maps = self._skip_maps()
        embedding = self._potential.embedding.detach().numpy()
        start = np.zeros_like(embedding)
        if maps is not None:
            matrix = _matrix(maps, 0)
            by_element = matrix.ndim == 3
            start = np.stack(
                [
                    row @ (matrix[k] if by_element else matrix)
                    for k, row in enumerate(embedding)
                ]
            )
        self._numbers["start"] = flat(pad_last(start, padded(self._config.channels)))

    def _put_projection(self) -> None:
        """Put equation (8)."""
        c, edge = self._config.channels, self._shape.edge_channels
        for l in range(self._shape.l_edge + 1):
            matrix = _matrix(self._layer.linear_up, l)
            self._numbers[f"up.{l}"] = flat(pad_blocks(matrix, (1, c), (1, edge)))

    def _put_readout(self) -> None:
        """Put equation (15)."""
        readout: Any = self._readout
        if isinstance(readout, NoReadout):
            return
        wide = padded(self._config.channels)
        root = math.sqrt(self._config.channels)
        if isinstance(readout, LinearReadout):
            self._numbers["first"] = (
                flat(pad_last(_array(readout.weight[0]), wide)) / root
            )
            return
        first = pad_last(_array(readout.first[0]).T, wide).T
        self._numbers["first"] = flat(first) / root
        inner = math.sqrt(self._config.readout_hidden)
        self._numbers["second"] = flat(_array(readout.second[0])) / inner
        if isinstance(readout, BiasedReadout):
            self._numbers["middle"] = flat(_array(readout.middle[0])) / inner
            self._numbers["middle_bias"] = flat(_array(readout.middle_bias[0]))
            self._numbers["bias"] = flat(_array(readout.bias[:1]))

    def _skip_maps(self) -> EquivariantLinear | ElementLinear | None:
        skip = self._layer.skip
        if isinstance(skip, SharedSkip):
            return skip.linear
        return skip.by_element if isinstance(skip, ElementSkip) else None

    def _square(
        self, name: str, maps: EquivariantLinear | ElementLinear, l: int
    ) -> None:
        """Put a matrix from channels to channels."""
        c = self._config.channels
        self._numbers[name] = flat(pad_blocks(_matrix(maps, l), (1, c), (1, c)))

    def _projected_start(self) -> Floats:
        """Return u of each element before the first layer."""
        embedding = self._potential.embedding.detach()
        return _array(self._layer.project(embedding[:, None])[:, 0])


def _matrix(maps: EquivariantLinear | ElementLinear, l: int) -> Floats:
    """Return the matrices of degree `l` with the root of the fan-in."""
    weight = _array(maps.weights[l])
    return weight / math.sqrt(max(weight.shape[-2], 1))


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().double().numpy()
    return array
