"""The symmetric product as lists of monomials, and of those of its derivative."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lamplighter.arrays import Floats, Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Monomials:
    """Sums of products, by what they are added to.

    ``result[out] = sum over its terms of value * weights[path] * product of factors``

    Attributes:
        first: ``[n_results + 1]``, int32, first term of each result.
        path: ``[n_terms]``, int32, row of the weights.
        source: ``[n_terms]``, int32, row of a second input, -1 for none.
        factors: ``[n_terms, power]``, int32, rows of the first input, -1 for none.
        values: ``[n_terms]``.
    """

    first: Tensor
    path: Tensor
    source: Tensor
    factors: Tensor
    values: Tensor

    @property
    def n_results(self) -> int:
        """Return the number of results."""
        return len(self.first) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class _Term:
    out: int
    path: int
    source: int
    factors: tuple[int, ...]
    value: float


@dataclasses.dataclass(frozen=True, slots=True)
class ProductTerms:
    """Equation (13) of docs/potential.md and its derivative.

    Attributes:
        there: from B, ``[n_in]``, to the product, ``[n_out]``.
        back: from B and dE/dproduct, which is the second input, to dE/dB.
        weights: ``[1 or n_species, n_paths, channels]``.
    """

    there: Monomials
    back: Monomials
    weights: Tensor

    @classmethod
    def of(
        cls,
        nodes: Integers,
        terms: Integers,
        rows: Integers,
        values: Floats,
        weights: Tensor,
        sizes: tuple[int, int, int],
    ) -> ProductTerms:
        """Return the terms of a program.

        Args:
            nodes: ``[n, 2]``; see product_tables.py.
            terms: node of each term.
            rows: ``[n, 4]``: result, path, first term, one after the last.
            values: of the terms.
            weights: in one dimension.
            sizes: components of B and of the product, channels.
        """
        n_in, n_out, channels = sizes
        factors = [(k,) for k in range(n_in)]
        for left, right in nodes.tolist():
            factors.append((*factors[left], *factors[right]))
        there = [
            _Term(out, path, -1, factors[int(terms[k])], float(values[k]))
            for out, path, begin, end in rows.tolist()
            for k in range(begin, end)
        ]
        back = [
            _Term(f, term.path, term.out, _without(term.factors, k), term.value)
            for term in there
            for k, f in enumerate(term.factors)
        ]
        n_paths = 1 + max((term.path for term in there), default=0)
        return cls(
            _monomials(there, n_out, weights),
            _monomials(back, n_in, weights),
            weights.view(-1, n_paths, channels),
        )


def _without(factors: tuple[int, ...], k: int) -> tuple[int, ...]:
    return factors[:k] + factors[k + 1 :]


def _monomials(terms: Sequence[_Term], n_results: int, like: Tensor) -> Monomials:
    """Return terms in the order of their results; equal ones are added up."""
    sums: dict[tuple[int, int, int, tuple[int, ...]], float] = {}
    for term in terms:
        key = (term.out, term.path, term.source, tuple(sorted(term.factors)))
        sums[key] = sums.get(key, 0.0) + term.value
    keys = sorted(sums)
    power = max([1, *(len(key[3]) for key in keys)])
    factors = np.full((len(keys), power), -1)
    for k, key in enumerate(keys):
        factors[k, : len(key[3])] = key[3]
    first = np.searchsorted([key[0] for key in keys], np.arange(n_results + 1))

    def integers(numbers: object) -> Tensor:
        found = np.asarray(numbers, dtype=np.int32)
        return torch.as_tensor(found, device=like.device)

    return Monomials(
        integers(first),
        integers([key[1] for key in keys]),
        integers([key[2] for key in keys]),
        integers(factors),
        torch.tensor([sums[k] for k in keys], dtype=like.dtype, device=like.device),
    )
