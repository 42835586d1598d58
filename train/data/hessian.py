"""Rows of Hessians as labels, and several of them as one batch.

A row ``(i, a)`` of a structure is ``d²E / dx_ia dx_jb = -dF_ia / dx_jb`` for all atoms
j and components b; all images of an atom move together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lamplighter.arrays import Floats, Integers
from lamplighter.errors import DataError, explain
from lamplighter.model import Graph, collate

SUM_TOLERANCE = 0.2
"""Largest sum of a row over the atoms, as a fraction of its largest entry.

Moving all atoms together changes nothing, so that the sum is zero up to the noise of
the labels; rows whose atoms are in another order are far from that.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HessianRows:
    """Some rows of the Hessian of one structure.

    Attributes:
        atoms: atom i of each row, [n_rows].
        components: component a of each row, 0 to 2, [n_rows].
        values: [n_rows, n_atoms, 3], eV/Å^2.
    """

    atoms: Integers
    components: Integers
    values: Floats

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.atoms)

    def check(self, where: str) -> None:
        """Refuse rows that belong to no atom or do not sum to zero over the atoms.

        Raises:
            DataError: the message starts with `where`.
        """
        n = self.values.shape[1]
        pairs = np.stack([self.atoms, self.components], axis=1)
        inside = (pairs >= 0).all() and (pairs < [n, 3]).all()
        if not inside or len(np.unique(pairs, axis=0)) != len(pairs):
            raise DataError(
                explain(
                    f"{where}: REF_hessian_index names rows that do not exist, or one "
                    "twice",
                    got=pairs.ravel().tolist(),
                    wanted=f"atom (0 to {n - 1}) and component (0 to 2) of each row",
                )
            )
        sums = np.abs(self.values.sum(axis=1)).max(axis=1)
        largest = np.abs(self.values).max(axis=(1, 2))
        bad = np.flatnonzero(sums > SUM_TOLERANCE * largest)
        if n > 1 and bad.size:
            k = int(bad[0])
            raise DataError(
                explain(
                    f"{where}: REF_hessian does not sum to zero over the atoms",
                    got=f"{sums[k]:.4g} eV/Å^2 in row {pairs[k].tolist()}, whose "
                    f"largest entry is {largest[k]:.4g}",
                    wanted="d2E/dx dx' in eV/Å^2, atoms in the order of the frame",
                )
            )


@dataclass(frozen=True, slots=True)
class HessianLabels:
    """The rows of several structures, as few derivatives as possible.

    Structures do not interact, so that one derivative gives a row of each of them.

    Attributes:
        graph: the structures with rows, as one graph.
        directions: [n_passes, n_atoms, 3], the unit vectors ``(i, a)`` of a pass, at
            most one in each structure.
        targets: [n_passes, n_atoms, 3], the labelled rows, eV/Å^2.
        factors: [n_passes, n_atoms], the weight of the structure over three times its
            rows and atoms: the weighted sum of all components is then the sum over the
            structures of weight times mean; 0 where a structure has no row left.
    """

    graph: Graph
    directions: Tensor
    targets: Tensor
    factors: Tensor


def collate_rows(
    labelled: Sequence[tuple[Graph, HessianRows, float]], dtype: torch.dtype
) -> HessianLabels | None:
    """Return the rows of several structures with the weight of each; None for none."""
    if not labelled:
        return None
    n_passes = max(len(rows) for _, rows, _ in labelled)
    counts = [graph.n_own for graph, _, _ in labelled]
    shape = (n_passes, sum(counts), 3)
    directions, targets = np.zeros(shape), np.zeros(shape)
    factors = np.zeros(shape[:2])
    starts = np.cumsum([0, *counts])
    for (_, rows, weight), first, last in zip(
        labelled, starts, starts[1:], strict=False
    ):
        every = np.arange(len(rows))
        directions[every, first + rows.atoms, rows.components] = 1.0
        targets[every, first:last] = rows.values
        factors[every, first:last] = weight / (3 * len(rows) * (last - first))
    graph = collate([graph for graph, _, _ in labelled])
    device = graph.centers.device
    return HessianLabels(
        graph,
        *(
            torch.tensor(a, dtype=dtype, device=device)
            for a in (directions, targets, factors)
        ),
    )
