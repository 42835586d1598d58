"""Force constants from the covariance of displacements, and its symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import spglib
from ase import Atoms

from lamplighter.validation.dynamics.base import BOLTZMANN, FloatArray
from lamplighter.validation.properties.crystal import SYMPREC, spglib_cell


def effective_constants(covariance: FloatArray, temperature: float) -> FloatArray:
    """Return the force constants [N, N, 3, 3], eV/Å^2, that give a covariance.

    Args:
        covariance: [3 N, 3 N], Å^2, of moves without their plain mean.
        temperature: K.
    """
    n_atoms = len(covariance) // 3
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    # The three translations have no variance.
    stiffness = np.zeros_like(values)
    stiffness[3:] = BOLTZMANN * temperature / np.maximum(values[3:], 1e-300)
    matrix = (vectors * stiffness) @ vectors.T
    blocks = matrix.reshape(n_atoms, 3, n_atoms, 3).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks)


def symmetrised(
    matrix: FloatArray, operations: Sequence[tuple[FloatArray, Any]]
) -> FloatArray:
    """Return the average of a matrix [3 N, 3 N] over the space group of a supercell.

    Args:
        matrix: between displacements of atoms.
        operations: of [`supercell_operations`][].
    """
    n_atoms = len(matrix) // 3
    blocks = matrix.reshape(n_atoms, 3, n_atoms, 3).transpose(0, 2, 1, 3)
    # Translations first, then one operation of each rotation: together the whole group.
    shifts = [o for rotation, o in operations if np.allclose(rotation, np.eye(3))]
    blocks = np.mean([blocks[np.ix_(o, o)] for o in shifts], axis=0)
    chosen: dict[bytes, tuple[FloatArray, Any]] = {}
    for rotation, order in operations:
        chosen.setdefault(np.rint(rotation * 1e6).tobytes(), (rotation, order))
    turned = sum(
        # Atom i goes to order[i]: what was at i stands at order[i], turned.
        np.einsum("ab,ijbc,dc->ijad", r, blocks[np.ix_(_back(o), _back(o))], r)
        for r, o in chosen.values()
    )
    mean = np.asarray(turned) / len(chosen)
    return np.asarray(mean.transpose(0, 2, 1, 3).reshape(matrix.shape))


def supercell_operations(crystal: Atoms) -> list[tuple[FloatArray, Any]]:
    """Return Cartesian rotations of a supercell, each with where it takes the atoms."""
    found: Any = spglib.get_symmetry(spglib_cell(crystal), symprec=SYMPREC)
    columns = crystal.cell.array.T
    scaled = crystal.get_scaled_positions()
    operations = []
    for rotation, shift in zip(found["rotations"], found["translations"], strict=True):
        images = scaled @ rotation.T + shift
        apart = images[:, None] - scaled[None]
        distance = np.abs(apart - np.rint(apart)).max(axis=2)
        operations.append(
            (columns @ rotation @ np.linalg.inv(columns), distance.argmin(axis=1))
        )
    return operations


def _back(order: Any) -> Any:
    return np.argsort(order)
