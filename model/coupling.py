"""Coupling coefficients and the basis of the symmetric product.

Coefficients have the signs of e3nn's 0.6 line. The symmetric product
``P_m = sum_k w_k C_k,m(x, ..., x)`` couples copies of *one* tensor, so only the totally
symmetric part of a coupling counts. The linearly independent ones are found here once
per shape, as polynomials: for every power a matrix from monomials to values.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lamplighter.arrays import Floats, Integers
from lamplighter.model.wigner import wigner_3j


@functools.cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Floats:
    """Return C ``[2 l1 + 1, 2 l2 + 1, 2 l3 + 1]``, component-normalised.

    ``sqrt(2 l3 + 1)`` times the Wigner 3j symbol in the real basis of
    [`spherical_harmonics`][lamplighter.model.angular.spherical_harmonics].
    """
    return wigner_3j(l1, l2, l3) * math.sqrt(2 * l3 + 1)


def natural_paths(l1_max: int, l_max: int) -> list[tuple[int, int, int]]:
    """Return the (l1, l2, l3) of a neighbour sum, all of parity ``(-1)^l``.

    Args:
        l1_max: highest degree of the features.
        l_max: highest degree of the spherical harmonics (l2) and of the result (l3).
    """
    return [
        (l1, l2, l3)
        for l1 in range(l1_max + 1)
        for l2 in range(l_max + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, l_max) + 1)
        if (l1 + l2 + l3) % 2 == 0
    ]


class SymmetricBasis(NamedTuple):
    """All independent symmetric couplings of one power to one degree.

    Attributes:
        monomials: ``[n_monomials, power]``, component indices, ascending in each row.
        matrix: ``[n_paths, 2 l_out + 1, n_monomials]``, from monomials to values.
    """

    monomials: Integers
    matrix: Floats


@functools.cache
def symmetric_basis(l_max: int, l_out: int, power: int) -> SymmetricBasis:
    """Return the symmetric couplings of ``x^power`` to degree `l_out`.

    x holds degrees 0 ... `l_max` with parity ``(-1)^l``; so does the result. Coupling
    trees are visited in a fixed order; one that adds nothing new is dropped, the others
    are made orthonormal in the inner product ``<p, q> = sum_a a! p_a q_a`` divided by
    the number of components, in which products of independent unit Gaussians (after
    subtraction of lower powers) have unit variance.

    The path numbers of docs/potential.md (13 and 16 for l_max 3) are tested.
    """
    size = (l_max + 1) ** 2
    monomials = np.array(
        list(itertools.combinations_with_replacement(range(size), power))
    )
    weight = np.array([_multiplicity(row) for row in monomials]) / (2 * l_out + 1)
    kept: list[Floats] = []
    for degrees, tree in _trees(l_max, l_out, power):
        path = _as_polynomial(degrees, tree, monomials, size)
        for _ in range(2):  # the second pass removes what rounding left
            for other in kept:
                path = path - np.sum(weight * path * other) * other
        norm = math.sqrt(np.sum(weight * path**2))
        if norm > 1e-6:
            kept.append(path / norm)
    matrix = np.stack(kept) if kept else np.zeros((0, 2 * l_out + 1, len(monomials)))
    matrix[np.abs(matrix) < 1e-12] = 0.0
    used = np.any(matrix != 0.0, axis=(0, 1))
    return SymmetricBasis(monomials[used], matrix[:, :, used])


def _as_polynomial(
    degrees: tuple[int, ...], tree: Floats, monomials: Integers, size: int
) -> Floats:
    """Return ``[2 l_out + 1, n_monomials]``: `tree` with equal products collected."""
    components = [range(l * l, (l + 1) ** 2) for l in degrees]
    products = np.sort(np.array(list(itertools.product(*components))), axis=1)
    base = size ** np.arange(monomials.shape[1])[::-1]
    index = np.searchsorted(monomials @ base, products @ base)
    flat = tree.reshape(len(products), -1)
    return np.stack([np.bincount(index, column, len(monomials)) for column in flat.T])


def _multiplicity(row: Integers) -> int:
    """Return ``a!`` of a monomial given by its component indices."""
    return math.prod(math.factorial(n) for n in np.unique(row, return_counts=True)[1])


def _trees(
    l_max: int, l_out: int, power: int
) -> Iterator[tuple[tuple[int, ...], Floats]]:
    """Yield degrees and coupling tensors ``[2 l + 1 of each, 2 l_out + 1]``."""
    for degrees in itertools.combinations_with_replacement(range(l_max + 1), power):
        if (sum(degrees) + l_out) % 2 == 0:
            for tensor in _left_trees(degrees, l_out):
                yield degrees, tensor


def _left_trees(degrees: tuple[int, ...], l_out: int) -> list[Floats]:
    """Return the tensors of ((l_a l_b) l_c) -> l_out for all intermediate degrees."""
    partial = [(degrees[0], np.eye(2 * degrees[0] + 1))]
    for degree in degrees[1:]:
        partial = [
            (l, np.tensordot(tensor, clebsch_gordan(left, degree, l), axes=1))
            for left, tensor in partial
            for l in range(abs(left - degree), left + degree + 1)
        ]
    return [tensor for degree, tensor in partial if degree == l_out]


def fingerprint(l_max: int, l_out_max: int, correlation: int) -> list[float]:
    """Return numbers that change when signs or order of the couplings change.

    Stored in a model file and compared at load, so that weights are never applied to
    another basis than the one they were trained in.
    """
    values: list[float] = []
    for l1, l2, l3 in natural_paths(l_out_max, l_max):
        values.append(float(np.sum(_probe(clebsch_gordan(l1, l2, l3)))))
    for l_out in range(l_out_max + 1):
        for power in range(1, correlation + 1):
            matrix = symmetric_basis(l_max, l_out, power).matrix
            values += [float(np.sum(_probe(path))) for path in matrix]
    return values


def _probe(tensor: Floats) -> Floats:
    """Return `tensor` times a fixed sequence without symmetry."""
    phase = np.arange(1, tensor.size + 1, dtype=np.float64).reshape(tensor.shape)
    return tensor * np.cos(math.sqrt(2.0) * phase)


def as_tensor(values: Floats) -> Tensor:
    """Return a float64 tensor of a coupling table."""
    return torch.from_numpy(np.ascontiguousarray(values))
