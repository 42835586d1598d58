"""Tables as tensors: what read_potential.h does for the native library."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from lamplighter.model.compiled.kernels.program import ProductTerms
from lamplighter.model.compiled.tables import Tables

_DEGREES: Final = 4  # 0 to 3


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """One coupling (l1, l2) -> l3 of neighbour features and harmonics.

    Attributes:
        l1: degree of the features.
        l2: degree of the harmonics.
        l3: degree of the sum.
        weights: column of its first channel among the radial weights.
        row: its first row among the rows (path, m3) of the sums, which are ordered by
            l3 so that those of a degree are together.
        turn: its first column among the turned harmonics.
        coupling: ``[2 l2 + 1, (2 l1 + 1)(2 l3 + 1)]``.
    """

    l1: int
    l2: int
    l3: int
    weights: int
    row: int
    turn: int
    coupling: Tensor

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the components of features and sums."""
        return 2 * self.l1 + 1, 2 * self.l3 + 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LayerTensors:
    """A layer; matrices ``[1 or n_species, in, out]`` by degree.

    Attributes:
        l_edge: highest degree of what the neighbours send.
        l_out: highest degree of the features.
        edge: channels on the pairs.
        gated: whether the message passes a gate.
        readout: 0 none, 1 linear, 2 one hidden layer, 3 two.
        activation: of the readout: 0 silu, 1 tanh, 2 abs, 3 none.
        paths: couplings, in the order of the radial weights.
        radial: ``[type * knot * order, n_weights]``; the rows of two neighbouring knots
            lie behind each other.
        density: ``[type * knot * order]``, float64, or None.
        alpha: constant part of the norm.
        beta: what the density adds to it.
        maps: matrices by name: sum, residual, mix, update, skip, up.
        start: ``[n_species, channels]``, skip of the first layer, or None.
        offset: ``[n_species, width]``, residual of the first layer, or None.
        product: the symmetric product.
        head: weights of the readout by name.
    """

    l_edge: int
    l_out: int
    edge: int
    gated: bool
    readout: int
    activation: int
    paths: tuple[Path, ...]
    radial: Tensor
    density: Tensor | None
    alpha: float
    beta: float
    maps: dict[str, dict[int, Tensor]]
    start: Tensor | None
    offset: Tensor | None
    product: ProductTerms
    head: dict[str, Tensor]

    @property
    def n_rows(self) -> int:
        """Return the rows (path, m3) of the sums."""
        return sum(path.sizes[1] for path in self.paths)

    @property
    def n_turns(self) -> int:
        """Return the columns of the turned harmonics."""
        return sum(path.sizes[0] * path.sizes[1] for path in self.paths)

    def rows_of(self, l: int) -> tuple[int, int]:
        """Return the first row of the paths to degree `l`, and how many paths."""
        own = [path.row for path in self.paths if path.l3 == l]
        return (min(own), len(own)) if own else (0, 0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PotentialTensors:
    """All layers, and what they share.

    Attributes:
        n_species: elements.
        l_max: highest degree of harmonics and sums.
        channels: of the features, padded.
        cutoff: Å.
        scale: of energies without shift and E0.
        shift: eV per atom.
        first_knot: Å.
        spacing: of the knots, Å.
        count: of the knots.
        order: numbers at a knot.
        zbl: whether bare cores repel.
        cutoff_power: of the polynomial cutoff.
        charges: ``[n_species]``, float64.
        radii: ``[n_species]``, Å, float64.
        layers: from the first.
    """

    n_species: int
    l_max: int
    channels: int
    cutoff: float
    scale: float
    shift: float
    first_knot: float
    spacing: float
    count: int
    order: int
    zbl: bool
    cutoff_power: int
    charges: Tensor
    radii: Tensor
    layers: tuple[LayerTensors, ...]


def unpack(
    tables: Tables, dtype: torch.dtype, device: torch.device
) -> PotentialTensors:
    """Return the tables as tensors; geometry and densities stay in float64."""
    n_species, n_layers, l_max, channels, zbl, power, count, order = (
        int(x) for x in tables.integers["shape"]
    )
    cutoff, scale, shift, first, spacing = tables.numbers["numbers"].tolist()
    reader = _Reader(tables, dtype, device, n_species, l_max, channels)
    return PotentialTensors(
        n_species=n_species,
        l_max=l_max,
        channels=channels,
        cutoff=cutoff,
        scale=scale,
        shift=shift,
        first_knot=first,
        spacing=spacing,
        count=count,
        order=order,
        zbl=bool(zbl),
        cutoff_power=power,
        charges=torch.as_tensor(tables.numbers["charges"], device=device),
        radii=torch.as_tensor(tables.numbers["radii"], device=device),
        layers=tuple(reader.layer(t) for t in range(n_layers)),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Reader:
    tables: Tables
    dtype: torch.dtype
    device: torch.device
    n_species: int
    l_max: int
    channels: int

    def layer(self, t: int) -> LayerTensors:
        name = f"layer{t}."
        integers, numbers = self.tables.integers, self.tables.numbers
        l_edge, l_out, edge, gated, has_density, readout, hidden, activation = (
            int(x) for x in integers[name + "shape"]
        )
        paths = self._paths(name, edge)
        n_weights = edge * len(paths)
        alpha, beta = numbers[name + "norm"].tolist()
        wide = self.channels * (self.l_max + 1 if gated else 1)
        density = numbers[name + "density"] if has_density else None
        return LayerTensors(
            l_edge=l_edge,
            l_out=l_out,
            edge=edge,
            gated=bool(gated),
            readout=readout,
            activation=activation,
            paths=paths,
            radial=self._put(numbers[name + "radial"]).view(-1, n_weights),
            density=None
            if density is None
            else torch.as_tensor(density, device=self.device),
            alpha=alpha,
            beta=beta,
            maps=self._maps(name, paths, edge, wide),
            start=self._rows(name + "start", self.channels),
            offset=self._rows(name + "offset", wide),
            product=ProductTerms.of(
                integers[name + "nodes"].reshape(-1, 2),
                integers[name + "terms"],
                integers[name + "rows"].reshape(-1, 4),
                numbers[name + "term_values"],
                self._put(numbers[name + "product"]),
                ((self.l_max + 1) ** 2, (l_out + 1) ** 2, self.channels),
            ),
            head=self._head(name, readout, hidden),
        )

    def _paths(self, name: str, edge: int) -> tuple[Path, ...]:
        shapes = self.tables.integers[name + "paths"].reshape(-1, 3).tolist()
        where = self.tables.integers[name + "couplings"].reshape(-1, 4)
        values = self.tables.numbers[name + "coupling_values"]
        order = sorted(range(len(shapes)), key=lambda k: shapes[k][2])
        rows = np.zeros(len(shapes), dtype=int)
        rows[order] = np.cumsum([0, *(2 * shapes[k][2] + 1 for k in order)])[:-1]
        found, turn = [], 0
        for k, (l1, l2, l3) in enumerate(shapes):
            n1, n2, n3 = 2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1
            coupling = np.zeros((n2, n1, n3))
            if l1 == 0:  # the harmonics themselves
                coupling[:, 0] = np.eye(n2)
            own = where[:, 0] == k
            _, m1, m2, m3 = where[own].T
            coupling[m2, m1, m3] = values[own]
            table = self._put(coupling.reshape(n2, n1 * n3))
            found.append(Path(l1, l2, l3, k * edge, int(rows[k]), turn, table))
            turn += n1 * n3
        return tuple(found)

    def _maps(
        self, name: str, paths: tuple[Path, ...], edge: int, wide: int
    ) -> dict[str, dict[int, Tensor]]:
        c = self.channels
        found: dict[str, dict[int, Tensor]] = {}
        for l in range(_DEGREES):
            out = wide if l == 0 else c
            n_in = edge * sum(path.l3 == l for path in paths)
            sizes = {
                "sum": (n_in, out),
                "residual": (edge, out),
                "mix": (c, c),
                "update": (c, c),
                "skip": (c, c),
                "up": (c, edge),
            }
            for key, (rows, columns) in sizes.items():
                values = self.tables.numbers.get(f"{name}{key}.{l}")
                if values is not None:
                    matrix = self._put(values).view(-1, rows, columns)
                    found.setdefault(key, {})[l] = matrix
        return found

    def _head(self, name: str, readout: int, hidden: int) -> dict[str, Tensor]:
        keys = ("first", "second", "middle", "middle_bias", "bias")
        found = {
            key: self._put(self.tables.numbers[name + key])
            for key in keys
            if readout and name + key in self.tables.numbers
        }
        if readout:
            found["first"] = found["first"].view(self.channels, -1)
        if "middle" in found:
            found["middle"] = found["middle"].view(hidden, hidden)
        return found

    def _rows(self, name: str, width: int) -> Tensor | None:
        values = self.tables.numbers.get(name)
        return None if values is None else self._put(values).view(-1, width)

    def _put(self, values: Any) -> Tensor:
        return torch.as_tensor(
            np.ascontiguousarray(values), dtype=self.dtype, device=self.device
        )
