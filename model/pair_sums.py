"""What a layer computes of its pairs, up to the sums over neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lamplighter.model.graph import Graph, SlotPart
from lamplighter.model.linear import by_degree
from lamplighter.model.normalization import density_terms
from lamplighter.model.pair_geometry import PairFeatures
from lamplighter.model.recompute import EdgeChunks, recomputed
from lamplighter.model.slots import in_atom_order, stack_rows, sum_rows

Path = tuple[int, int, int]


class PairNetworks(NamedTuple):
    """The networks of a layer's pairs: tables (4), radial (5), density (7) or None."""

    tables: nn.Module
    radial: nn.Module
    density: nn.Module | None


class PairSums(nn.Module):
    """Equations (4) to (7) and (9) for the pairs of some atoms."""

    def __init__(
        self, networks: PairNetworks, couplings: Mapping[Path, Tensor]
    ) -> None:
        """Use networks that belong to a layer, and the coupling of each path."""
        super().__init__()
        self.tables, self.radial, self.density = networks
        self.couplings = couplings

    def forward(
        self, features: Tensor, pairs: PairFeatures, shapes: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Return A and rho of the rows of some tables.

        Args:
            features: u ``[n_atoms, (l_edge + 1)^2, edge_channels]``.
            pairs: geometry of the pairs in the tables.
            shapes: rows and slots of each table.

        Returns:
            A ``[n_rows, sum over l of (2 l + 1) n_paths edge_channels]``, degree after
            degree, not normalised; and rho ``[n_rows]``, 0 without density.
        """
        seen = self.tables(pairs.basis, pairs.species)  # (4)
        weights = pairs.weight[:, None] * self.radial(seen)  # (5), (6)
        sums = self._neighbor_sums(features, weights, pairs, shapes)  # (9)
        terms = density_terms(self.density, seen, pairs.weight)  # (7)
        if terms is None:
            return sums, sums.new_zeros(len(sums))
        return sums, sum_rows(terms, shapes)

    def _neighbor_sums(
        self,
        features: Tensor,
        weights: Tensor,
        pairs: PairFeatures,
        shapes: Sequence[tuple[int, int]],
    ) -> Tensor:
        neighbor = by_degree(features.index_select(0, pairs.neighbor))
        harmonics = by_degree(pairs.harmonics[:, :, None])
        sums: list[list[Tensor]] = [[] for _ in harmonics]
        radial = weights.reshape(
            len(weights), len(self.couplings), features.shape[2]
        ).split(1, dim=1)
        for ((l1, l2, l3), table), weight in zip(
            self.couplings.items(), radial, strict=True
        ):
            # [s, m1, c], the features of the neighbour with their radial weight
            source = weight * neighbor[l1]
            angular = _angular(harmonics[l2][:, :, 0], l1, table)
            sums[l3].append(_contract(angular, source, shapes))
        degrees = [torch.cat(parts, dim=-1).flatten(1) for parts in sums]
        return torch.cat(degrees, dim=1)


def sum_over_pairs(
    module: PairSums, features: Tensor, pairs: PairFeatures, graph: Graph
) -> tuple[Tensor, Tensor]:
    """Return A and rho of own atoms; see [`PairSums.forward`][].

    All pairs at once, or as ``graph.chunks`` says: then a part after the other, and
    nothing that is computed of a single pair is kept.
    """
    size = graph.chunks.size if graph.chunks else 0
    found = [
        _part(module, features, _cut(pairs, part), part, graph.chunks)
        for part in graph.slots.parts(size)
    ]
    sums, rho = (torch.cat(t) if len(t) > 1 else t[0] for t in zip(*found, strict=True))
    return in_atom_order(sums, graph), in_atom_order(rho, graph)


def _cut(pairs: PairFeatures, part: SlotPart) -> PairFeatures:
    """Return the geometry of the slots of a part."""

    def rows(x: Tensor) -> Tensor:
        return x[part.begin : part.end]

    source, target = pairs.species
    return PairFeatures(
        basis=rows(pairs.basis),
        weight=rows(pairs.weight),
        harmonics=rows(pairs.harmonics),
        neighbor=rows(pairs.neighbor),
        species=(rows(source), rows(target)),
    )


def _part(
    module: PairSums,
    features: Tensor,
    pairs: PairFeatures,
    part: SlotPart,
    chunks: EdgeChunks | None,
) -> tuple[Tensor, Tensor]:
    """Return A and rho of a part, keeping what lies between only without `chunks`."""
    if chunks is None:
        both: tuple[Tensor, Tensor] = module(features, pairs, part.shapes)
        return both
    names, weights = zip(*module.named_parameters(), strict=True)
    function = _with_weights(module, names, pairs, part.shapes)
    inputs = (features, pairs.basis, pairs.weight, pairs.harmonics)
    sums, rho = recomputed(function, weights, inputs, chunks)
    return sums, rho


def _with_weights(
    module: PairSums,
    names: Sequence[str],
    pairs: PairFeatures,
    shapes: Sequence[tuple[int, int]],
) -> Callable[..., tuple[Tensor, ...]]:
    """Return `module` as a function of its weights, u, basis, weight and harmonics."""

    def function(*inputs: Tensor) -> tuple[Tensor, ...]:
        weights, (features, basis, weight, harmonics) = inputs[:-4], inputs[-4:]
        geometry = pairs._replace(basis=basis, weight=weight, harmonics=harmonics)
        named = dict(zip(names, weights, strict=True))
        found = functional_call(module, named, (features, geometry, shapes))
        return cast("tuple[Tensor, ...]", found)

    return function


def _angular(harmonics: Tensor, l1: int, table: Tensor) -> Tensor:
    """Return ``[n_slots, 2 l1 + 1, 2 l3 + 1]``: Y coupled, before the features."""
    if l1 == 0:
        return harmonics[:, None, :]
    # [s, m2] x [m1, m2, m3] -> [s, m1, m3]
    return torch.einsum("sb,abc->sac", harmonics, table)


def _contract(
    angular: Tensor, source: Tensor, shapes: Sequence[tuple[int, int]]
) -> Tensor:
    """Return ``sum over slots and m1`` of angular times source: [n_rows, m3, c]."""
    (_, inner, n_out), n_channels = angular.shape, source.shape[2]
    rows, begin = [], 0
    for n, width in shapes:
        end = begin + n * width
        left = angular[begin:end].reshape(n, width * inner, n_out)
        right = source[begin:end].reshape(n, width * inner, n_channels)
        rows.append(torch.bmm(left.transpose(1, 2), right))
        begin = end
    return stack_rows(rows, (n_out, n_channels), source)
