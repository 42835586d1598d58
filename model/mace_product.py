"""Trained weights of a full coupling basis, collapsed onto the symmetric one.

mace-torch couples copies of one tensor along every coupling tree. Only the totally
symmetric part counts, so its many trained weights act like few: the collapse is exact.
The coupling tensors stand in the file, so the signs are those of the file.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lamplighter.arrays import Floats
from lamplighter.errors import UnsupportedModelError
from lamplighter.model.coupling import symmetric_basis
from lamplighter.model.mace_source import Source, unsupported


def collapse(couplings: Tensor, l_max: int, l_out: int, power: int) -> Floats:
    """Return the matrix from weights of `couplings` to those of the symmetric basis.

    Args:
        couplings: U ``[2 l_out + 1, (l_max + 1)^2 (power times), n_paths]``.
        l_max: highest degree of the tensor that is coupled with itself.
        l_out: degree of the result.
        power: how often it is coupled.

    Returns:
        ``[n_symmetric, n_paths]``; the product with weights w equals the product of
        the symmetric basis with the result times w, for every input.

    Raises:
        UnsupportedModelError: the couplings are not equivariant, or in another basis.
    """
    size, n_out = (l_max + 1) ** 2, 2 * l_out + 1
    basis = symmetric_basis(l_max, l_out, power)
    table = couplings.double().numpy().reshape(n_out, size**power, -1)
    collected, monomials = _collect(table, size, power)
    weight = np.array([_orderings(row) for row in monomials]) / n_out
    lookup = {tuple(row): k for k, row in enumerate(monomials.tolist())}
    dense = np.zeros((len(basis.matrix), n_out, len(monomials)))
    columns = [lookup[tuple(row)] for row in basis.monomials.tolist()]
    dense[:, :, columns] = basis.matrix
    matrix: Floats = np.einsum("a,pma,mak->pk", weight, dense, collected)
    rest = collected - np.einsum("pk,pma->mak", matrix, dense)
    if np.abs(rest).max(initial=0.0) > 1e-5 * max(np.abs(table).max(initial=0.0), 1.0):
        raise UnsupportedModelError(
            unsupported(
                f"couplings of power {power} to degree {l_out}",
                "is not spanned by symmetric couplings",
            )
        )
    return matrix


def _collect(table: Floats, size: int, power: int) -> tuple[Floats, np.ndarray]:
    """Return the coefficients of each monomial, ``[n_out, n_monomials, n_paths]``."""
    index = np.stack(np.unravel_index(np.arange(size**power), (size,) * power), axis=1)
    monomials, which = np.unique(np.sort(index, axis=1), axis=0, return_inverse=True)
    collected = np.zeros((len(table), len(monomials), table.shape[2]))
    rows = which.reshape(-1)
    for m, values in enumerate(table):
        np.add.at(collected[m], rows, values)
    return collected, monomials


def _orderings(row: np.ndarray) -> int:
    """Return ``a!`` of a monomial given by its component indices."""
    counts = np.unique(row, return_counts=True)[1]
    return int(np.prod([np.prod(np.arange(1, n + 1)) for n in counts]))


def product_weights(
    source: Source, t: int, l_max: int, l_out: int, channels: int
) -> dict[str, Tensor]:
    """Return the weights of layer `t`'s product, by degree and power.

    Returns:
        ``"{l}_{power}"`` to ``[n_sets, n_paths, channels]``.
    """
    weights = {}
    for l in range(l_out + 1):
        path = f"products.{t}.symmetric_contractions.contractions.{l}"
        names = [n for n in source.tensors if n.startswith(f"{path}.U_matrix_")]
        for power in range(1, len(names) + 1):
            # mace-torch counts the lower powers down from the highest
            suffix = (
                "weights_max"
                if power == len(names)
                else f"weights.{len(names) - 1 - power}"
            )
            couplings = source.tensors[f"{path}.U_matrix_{power}"]
            n_sets, n_paths = source.tensors[f"{path}.{suffix}"].shape[:2]
            trained = source.take(f"{path}.{suffix}", n_sets, n_paths, channels)
            matrix = torch.from_numpy(collapse(couplings, l_max, l, power))
            weights[f"{l}_{power}"] = torch.einsum("pk,ekc->epc", matrix, trained)
    return weights
