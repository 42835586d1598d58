"""Second derivatives of the energy by the positions, without finite differences.

With displacements u, every pair vector is ``r_ij + u_j - u_i``; an atom that is its own
neighbour stays at its distance. The gradient is differentiated once more along given
directions, several at a time.
"""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, explain
from lamplighter.model.dispersion import D3
from lamplighter.model.evaluate import structure_graph
from lamplighter.model.potential import Potential


class Curvature:
    """The Hessian of one structure as a linear map; for Lanczos, dimer and the like.

    The energy and its gradient are computed once.
    """

    def __init__(
        self,
        potential: Potential,
        atoms: Atoms,
        head: str | None = None,
        *,
        d3: D3 | None = None,
    ) -> None:
        """Prepare the gradient.

        Args:
            potential: any dtype and device.
            atoms: the structure; charge and spin from ``atoms.info``.
            head: name of the head; needed when the potential has several.
            d3: a dispersion energy that is added.

        Raises:
            ConfigError: an unknown head, or an element that the head lacks.
            DataError: a structure that has no neighbour list.
        """
        graph = structure_graph(potential, atoms, head)
        self.n_atoms = len(atoms)
        self._u = torch.zeros(
            (self.n_atoms, 3), dtype=potential.dtype, device=graph.centers.device
        ).requires_grad_()
        with torch.enable_grad():
            vectors = _displaced(
                graph.pair_vectors, self._u, graph.centers, graph.neighbors
            )
            energy = potential(graph.with_pair_vectors(vectors)).sum()
            if d3 is not None and self.n_atoms:
                numbers, i, j, far = d3.pairs(atoms)
                moved = _displaced(far, self._u, i, j)
                energy = energy + d3.atomic_energies(numbers, i, j, moved).sum()
            (self._gradient,) = torch.autograd.grad(
                energy, self._u, create_graph=True, materialize_grads=True
            )

    def times(self, directions: Floats) -> Floats:
        """Return the Hessian times vectors.

        Args:
            directions: ``[n_atoms, 3]``, or several of these ``[k, n_atoms, 3]``.

        Returns:
            the same shape, eV/Å^2 times the unit of `directions`.

        Raises:
            ConfigError: another shape.
        """
        given = np.asarray(directions, dtype=np.float64)
        if given.ndim not in (2, 3) or given.shape[-2:] != (self.n_atoms, 3):
            raise ConfigError(
                explain(
                    "directions of another shape",
                    got=given.shape,
                    wanted=f"[{self.n_atoms}, 3] or [k, {self.n_atoms}, 3]",
                )
            )
        rows = torch.from_numpy(given.reshape(-1, self.n_atoms, 3)).to(self._u)
        found = self._times(rows).double().cpu().numpy()
        product: Floats = found.reshape(given.shape)
        return product

    def _times(self, rows: Tensor) -> Tensor:
        """Return the Hessian times ``rows [k, n_atoms, 3]``."""
        if not self._gradient.requires_grad or 0 in rows.shape:
            return torch.zeros_like(rows)  # no pairs: the energy is a constant
        (found,) = torch.autograd.grad(
            self._gradient,
            self._u,
            rows,
            retain_graph=True,
            is_grads_batched=True,
            materialize_grads=True,
        )
        return found


def hessian(
    potential: Potential,
    atoms: Atoms,
    head: str | None = None,
    *,
    chunk: int = 16,
    d3: D3 | None = None,
) -> Floats:
    """Return the Hessian of the energy, ``[n_atoms, 3, n_atoms, 3]``, eV/Å^2.

    ``H[i, a, j, b] = d²E / dx_ia dx_jb = -dF_ia / dx_jb``, symmetric to rounding; all
    images of an atom move together, as in a phonon at Gamma.

    Args:
        potential: any dtype and device; float64 for phonons.
        atoms: the structure.
        head: name of the head; needed when the potential has several.
        chunk: rows that are computed at a time; memory grows with it.
        d3: a dispersion energy that is added.

    Raises:
        ConfigError: an unknown head, an element that the head lacks, or a bad chunk.
        DataError: a structure that has no neighbour list.
    """
    if chunk < 1:
        raise ConfigError(explain("bad chunk", got=chunk, wanted="1 or more"))
    curvature = Curvature(potential, atoms, head, d3=d3)
    n = len(atoms)
    rows = np.zeros((3 * n, n, 3))
    unit = np.eye(3 * n).reshape(3 * n, n, 3)
    for begin in range(0, 3 * n, chunk):
        part = slice(begin, begin + chunk)
        rows[part] = curvature.times(unit[part])
    return rows.reshape(n, 3, n, 3)


def hessian_vector_product(
    potential: Potential,
    atoms: Atoms,
    vector: Floats,
    head: str | None = None,
) -> Floats:
    """Return the Hessian times one or several vectors, without the Hessian.

    Args:
        potential: any dtype and device.
        atoms: the structure.
        vector: ``[n_atoms, 3]`` or ``[k, n_atoms, 3]``.
        head: name of the head; needed when the potential has several.

    Returns:
        the shape of `vector`, eV/Å^2 times its unit. [`Curvature`][] does the same for
        many vectors one after the other.
    """
    return Curvature(potential, atoms, head).times(vector)


def _displaced(
    vectors: Tensor, u: Tensor, centers: Tensor, neighbors: Tensor
) -> Tensor:
    """Return pair vectors after displacements `u` of the atoms."""
    return vectors + u.index_select(0, neighbors) - u.index_select(0, centers)
