"""The hot operators: sums over neighbours, and the symmetric product."""

from __future__ import annotations

from typing import Final, Protocol

import torch
from torch import Tensor

from lamplighter.model.compiled.kernels.dense import add_rows
from lamplighter.model.compiled.kernels.pairs import PairBlock
from lamplighter.model.compiled.kernels.program import Monomials, ProductTerms
from lamplighter.model.compiled.kernels.unpacked import LayerTensors, Path

_MOST: Final = 2**24
"""Numbers that one step of the torch operators holds beside its arguments."""


class Operators(Protocol):
    """What costs time; everything else is matrices and single components.

    Attributes:
        deterministic: whether sums are made in the same order every time.
    """

    deterministic: bool

    def sums(
        self, layer: LayerTensors, block: PairBlock, turned: Tensor, u: Tensor | None
    ) -> Tensor:
        """Return equation (9) without its norm, ``[n_atoms, n_rows, edge]``.

        Args:
            layer: paths and radial tables.
            block: the pairs of the atoms.
            turned: ``[n_pairs, n_turns]``.
            u: ``[n_all, (l_edge + 1)^2, edge]``, features of all atoms; None in the
                first layer, where they are part of the radial tables.
        """
        ...

    def sums_back(
        self,
        layer: LayerTensors,
        block: PairBlock,
        turned: Tensor,
        u: Tensor | None,
        g: Tensor,
        du: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return dE/d turned ``[n_pairs, n_turns]`` and dE/dr ``[n_pairs]``, float64.

        Args:
            layer: as in `sums`.
            block: likewise.
            turned: likewise.
            u: likewise.
            g: dE/d sums.
            du: dE/du is added to it.
        """
        ...

    def product(self, terms: ProductTerms, b: Tensor, species: Tensor) -> Tensor:
        """Return equation (13), ``[n_atoms, n_out, channels]``, from B."""
        ...

    def product_back(
        self, terms: ProductTerms, b: Tensor, species: Tensor, g: Tensor
    ) -> Tensor:
        """Return dE/dB from dE/d product."""
        ...


class TorchOperators:
    """The readable twins, on any device.

    Attributes:
        deterministic: see [`Operators`][].
    """

    def __init__(self, *, deterministic: bool = False) -> None:
        """Make them; on a GPU `deterministic` ones are slower."""
        self.deterministic = deterministic

    def sums(
        self, layer: LayerTensors, block: PairBlock, turned: Tensor, u: Tensor | None
    ) -> Tensor:
        """Return the sums over neighbours; see [`Operators`][]."""
        n_atoms = block.atoms[1] - block.atoms[0]
        out = turned.new_zeros(n_atoms, layer.n_rows, layer.edge)
        for pairs in _slices(len(turned), layer):
            center = block.centers[pairs].long()
            radial = _interpolated(layer, block.knots[pairs], block.values[pairs])
            for path in layer.paths:
                t, sent = _turned(turned[pairs], path), _sent(u, block, pairs, path)
                weighted = radial[:, None, path.weights : path.weights + layer.edge]
                if sent is not None:
                    weighted = weighted * sent
                message = torch.einsum("pij,pic->pjc", t, weighted)
                rows = slice(path.row, path.row + path.sizes[1])
                self._add(out[:, rows], center, message)
        return out

    def sums_back(
        self,
        layer: LayerTensors,
        block: PairBlock,
        turned: Tensor,
        u: Tensor | None,
        g: Tensor,
        du: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return what the sums give back; see [`Operators`][]."""
        dturned = torch.zeros_like(turned)
        dr = torch.zeros_like(block.distances)
        for pairs in _slices(len(turned), layer):
            center = block.centers[pairs].long()
            knots = block.knots[pairs]
            radial = _interpolated(layer, knots, block.values[pairs])
            slope = _interpolated(layer, knots, block.slopes[pairs])
            for path in layer.paths:
                own = slice(path.weights, path.weights + layer.edge)
                rows = slice(path.row, path.row + path.sizes[1])
                t, sent = _turned(turned[pairs], path), _sent(u, block, pairs, path)
                taken = g[center][:, rows]
                back = torch.einsum("pij,pjc->pic", t, taken)
                if sent is None:
                    sent = torch.ones_like(back)
                dr[pairs] += (slope[:, None, own] * sent * back).sum((1, 2)).double()
                weighted = radial[:, None, own] * sent
                dt = torch.einsum("pic,pjc->pij", weighted, taken)
                size = path.sizes[0] * path.sizes[1]
                dturned[pairs, path.turn : path.turn + size] = dt.flatten(1)
                if du is not None:
                    features = slice(path.l1**2, (path.l1 + 1) ** 2)
                    neighbor = block.neighbors[pairs].long()
                    self._add(du[:, features], neighbor, radial[:, None, own] * back)
        return dturned, dr

    def product(self, terms: ProductTerms, b: Tensor, species: Tensor) -> Tensor:
        """Return the symmetric product; see [`Operators`][]."""
        return self._added(terms.there, terms.weights, b, species, None)

    def product_back(
        self, terms: ProductTerms, b: Tensor, species: Tensor, g: Tensor
    ) -> Tensor:
        """Return what the product gives back; see [`Operators`][]."""
        return self._added(terms.back, terms.weights, b, species, g)

    def _add(self, out: Tensor, rows: Tensor, values: Tensor) -> None:
        add_rows(out, rows, values, deterministic=self.deterministic)

    def _added(
        self,
        terms: Monomials,
        weights: Tensor,
        b: Tensor,
        species: Tensor,
        other: Tensor | None,
    ) -> Tensor:
        """Return all sums of monomials, ``[n_atoms, n_results, channels]``."""
        n_atoms, _, channels = b.shape
        counts = terms.first.diff().long()
        result = torch.repeat_interleave(
            torch.arange(terms.n_results, device=b.device), counts
        )
        found = b.new_zeros(n_atoms, terms.n_results, channels)
        step = max(1, _MOST // max(len(terms.values) * channels, 1))
        for begin in range(0, n_atoms, step):
            own = slice(begin, min(begin + step, n_atoms))
            # Row -1, which stands for no factor, is one.
            ones = b.new_ones(own.stop - own.start, 1, channels)
            rows = torch.cat([b[own], ones], dim=1)
            kind = species[own] if len(weights) > 1 else torch.zeros_like(species[own])
            value = terms.values[:, None] * weights[kind][:, terms.path.long()]
            for k in range(terms.factors.shape[1]):
                value = value * rows[:, terms.factors[:, k].long()]
            if other is not None:
                value = value * other[own][:, terms.source.long()]
            self._add(found[own].transpose(0, 1), result, value.transpose(0, 1))
        return found


def _slices(n_pairs: int, layer: LayerTensors) -> list[slice]:
    """Return parts of the pairs that the memory of a step has room for."""
    size = max(1, _MOST // max(8 * layer.radial.shape[1], 1))
    return [slice(k, min(k + size, n_pairs)) for k in range(0, n_pairs, size)]


def _interpolated(layer: LayerTensors, knots: Tensor, weights: Tensor) -> Tensor:
    """Return functions of the distance, ``[n, n_weights]``."""
    found = torch.zeros(0)
    for k in range(weights.shape[1]):
        one = weights[:, k, None].to(layer.radial.dtype) * layer.radial[knots + k]
        found = one if k == 0 else found + one
    return found


def _turned(turned: Tensor, path: Path) -> Tensor:
    n1, n3 = path.sizes
    return turned[:, path.turn : path.turn + n1 * n3].view(-1, n1, n3)


def _sent(
    u: Tensor | None, block: PairBlock, pairs: slice, path: Path
) -> Tensor | None:
    """Return the features that the neighbours send, ``[n, 2 l1 + 1, edge]``."""
    if u is None:
        return None
    return u[block.neighbors[pairs].long(), path.l1**2 : (path.l1 + 1) ** 2]
