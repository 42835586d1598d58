"""The symmetric product as a short program of multiplications."""

from __future__ import annotations

import numpy as np
import torch

from lamplighter.arrays import Floats, Integers
from lamplighter.model.compiled.tables import flat, flat_integers, pad_last, padded
from lamplighter.model.coupling import symmetric_basis
from lamplighter.model.product import SymmetricProduct


class _Program:
    """Products of components, each made once from a shorter one."""

    def __init__(self, n_inputs: int) -> None:
        self._n_inputs = n_inputs
        self._known: dict[tuple[int, ...], int] = {}
        self.nodes: list[tuple[int, int]] = []
        self.terms: list[int] = []
        self.values: list[float] = []
        self.rows: list[tuple[int, int, int, int]] = []

    def node(self, factors: tuple[int, ...]) -> int:
        """Return the node of a product of components."""
        if len(factors) == 1:
            return factors[0]
        if factors not in self._known:
            shorter = self.node(factors[:-1])
            self.nodes.append((shorter, factors[-1]))
            self._known[factors] = self._n_inputs + len(self.nodes) - 1
        return self._known[factors]

    def row(self, out: int, path: int, factors: Integers, values: Floats) -> None:
        """Add one component of one path: a sum of products."""
        begin = len(self.terms)
        for k in np.flatnonzero(values):
            self.terms.append(self.node(tuple(int(x) for x in factors[k])))
            self.values.append(float(values[k]))
        self.rows.append((out, path, begin, len(self.terms)))


def product_tables(
    product: SymmetricProduct, channels: int
) -> tuple[dict[str, Floats], dict[str, Integers]]:
    """Return the program of equation (13) and its weights.

    Args:
        product: float64.
        channels: of the potential, before padding.

    Returns:
        numbers and integers by name; see product.h.
    """
    program = _Program((product.l_max + 1) ** 2)
    path, weights = 0, []
    for l in range(product.l_out + 1):
        for power in range(1, product.correlation + 1):
            basis = symmetric_basis(product.l_max, l, power)
            for matrix in basis.matrix:
                for m, values in enumerate(matrix):
                    program.row(l * l + m, path, basis.monomials, values)
                path += 1
            weights.append(product.weights[f"{l}_{power}"].detach())
    numbers = {
        "term_values": flat(program.values),
        "product": flat(pad_last(torch.cat(weights, dim=1), padded(channels))),
    }
    integers = {
        "nodes": flat_integers(program.nodes),
        "terms": flat_integers(program.terms),
        "rows": flat_integers(program.rows),
    }
    return numbers, integers
