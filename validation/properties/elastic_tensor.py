"""Algebra of elastic tensors: projection, stability, averages.

Tensors are ``[6, 6]`` Voigt matrices in GPa, order xx yy zz yz xz xy, engineering shear
strains: ``stress_i = C_ij strain_j``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.structures import VOIGT

# Weights that turn a Voigt matrix into a tensor of R^6 whose eigenvalues do not depend
# on the axes (Mandel's notation).
_MANDEL = np.sqrt(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """Moduli of an isotropic polycrystal, GPa; ratios without unit.

    Attributes:
        bulk: Hill's average of the bulk modulus.
        bulk_voigt: Upper bound.
        bulk_reuss: Lower bound.
        shear: Hill's average of the shear modulus.
        shear_voigt: Upper bound.
        shear_reuss: Lower bound.
        young: Young's modulus from the Hill averages.
        poisson: Poisson's ratio from the Hill averages.
        universal_anisotropy: ``5 G_V/G_R + K_V/K_R - 6``, 0 for an isotropic crystal.
    """

    bulk: float
    bulk_voigt: float
    bulk_reuss: float
    shear: float
    shear_voigt: float
    shear_reuss: float
    young: float
    poisson: float
    universal_anisotropy: float


def to_tensor(matrix: FloatArray) -> FloatArray:
    """Return the ``[3, 3, 3, 3]`` tensor of a Voigt matrix of stiffnesses."""
    tensor = np.zeros((3, 3, 3, 3))
    for a, (i, j) in enumerate(VOIGT):
        for b, (k, l) in enumerate(VOIGT):
            for p, q in ((i, j), (j, i)):
                tensor[p, q, k, l] = tensor[p, q, l, k] = matrix[a, b]
    return tensor


def to_matrix(tensor: FloatArray) -> FloatArray:
    """Return the Voigt matrix of a ``[3, 3, 3, 3]`` tensor of stiffnesses."""
    return np.array([[tensor[i, j, k, l] for k, l in VOIGT] for i, j in VOIGT])


def rotate(matrix: FloatArray, rotation: FloatArray) -> FloatArray:
    """Return the stiffness of the crystal turned by ``rotation`` (``R @ v``)."""
    turned = np.einsum(
        "ia,jb,kc,ld,abcd->ijkl",
        *[rotation] * 4,
        to_tensor(matrix),
        optimize=True,
    )
    return to_matrix(turned)


def project(matrix: FloatArray, rotations: FloatArray) -> FloatArray:
    """Return the average over a point group, symmetrised: the closest tensor it allows.

    Args:
        matrix: ``[6, 6]``.
        rotations: ``[n, 3, 3]`` Cartesian.
    """
    turned = to_tensor((matrix + matrix.T) / 2.0)[None]
    # One index after another: it is put last, and the next one comes first.
    for _ in range(4):
        turned = np.einsum("nia,nabcd->nbcdi", rotations, turned)
    return to_matrix(turned.mean(axis=0))


def natural_scale(matrix: FloatArray) -> FloatArray:
    """Return ``sqrt(C_ii C_jj)``, what a deviation of ``C_ij`` is measured against.

    A floor of 2 % of the largest stiffness keeps a vanishing shear modulus from making
    every deviation infinite.
    """
    diagonal = np.maximum(np.abs(np.diag(matrix)), 0.02 * np.abs(matrix).max())
    return np.asarray(np.sqrt(np.outer(diagonal, diagonal)))


def deviation(a: FloatArray, b: FloatArray) -> float:
    """Return the largest relative deviation between two tensors."""
    return float(np.max(np.abs(a - b) / natural_scale(b)))


def born_eigenvalues(matrix: FloatArray) -> FloatArray:
    """Return the six eigenvalues in GPa, ascending; a stable crystal has none below 0.

    Source: M. Born, Proc. Camb. Phil. Soc. 36, 160 (1940); Mouhat and Coudert, Phys.
    Rev. B 90, 224104 (2014).
    """
    symmetric = (matrix + matrix.T) / 2.0
    values = np.linalg.eigvalsh(symmetric * np.outer(_MANDEL, _MANDEL))
    return np.asarray(values)


def lowest_stiffness(matrix: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Return the lowest eigenvalue of a stiffness and its uncertainty, GPa.

    The uncertainty is that of first-order perturbation by the errors, whatever their
    signs, and no less than a millionth of the largest eigenvalue: a stiffness that
    vanishes by symmetry or by the range of the forces is zero up to rounding.

    Args:
        matrix: ``[6, 6]``.
        error: ``[6, 6]``, sizes of the errors.
    """
    weights = np.outer(_MANDEL, _MANDEL)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0 * weights)
    mode = np.abs(vectors[:, 0])
    doubt = float(mode @ (np.abs(error) * weights) @ mode)
    return float(values[0]), max(doubt, 1e-6 * float(np.abs(values).max()))


def averages(matrix: FloatArray) -> Averages:
    """Return the Voigt, Reuss and Hill averages of a stable crystal.

    Source: R. Hill, Proc. Phys. Soc. A 65, 349 (1952); universal anisotropy:
    Ranganathan and Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008).
    """
    s = np.linalg.inv(matrix)
    bulk_voigt = float(matrix[:3, :3].sum()) / 9.0
    bulk_reuss = 1.0 / float(s[:3, :3].sum())
    off = matrix[0, 1] + matrix[0, 2] + matrix[1, 2]
    shear_voigt = float(
        (np.trace(matrix[:3, :3]) - off + 3.0 * np.trace(matrix[3:, 3:])) / 15.0
    )
    off = s[0, 1] + s[0, 2] + s[1, 2]
    inverse = 4.0 * (np.trace(s[:3, :3]) - off) + 3.0 * np.trace(s[3:, 3:])
    shear_reuss = 15.0 / float(inverse)
    bulk, shear = (bulk_voigt + bulk_reuss) / 2.0, (shear_voigt + shear_reuss) / 2.0
    return Averages(
        bulk=bulk,
        bulk_voigt=bulk_voigt,
        bulk_reuss=bulk_reuss,
        shear=shear,
        shear_voigt=shear_voigt,
        shear_reuss=shear_reuss,
        young=9.0 * bulk * shear / (3.0 * bulk + shear),
        poisson=(3.0 * bulk - 2.0 * shear) / (2.0 * (3.0 * bulk + shear)),
        universal_anisotropy=5.0 * shear_voigt / shear_reuss
        + bulk_voigt / bulk_reuss
        - 6.0,
    )
