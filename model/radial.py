"""Functions of the distance: cutoff, transforms and bases."""

from __future__ import annotations

import math

import torch
from torch import Tensor

AGNESI_A, AGNESI_Q, AGNESI_P = 1.0805, 0.9183, 4.5791


def polynomial_cutoff(distance: Tensor, radius: Tensor | float, power: int) -> Tensor:
    """Return f_c(r): 1 at 0, 0 from `radius` on, with two continuous derivatives.

    Args:
        distance: any shape, Å.
        radius: where it vanishes, Å; broadcasts against `distance`.
        power: p.

    Source: equation (6) of docs/potential.md; Klicpera et al., arXiv 2003.03123.
    """
    p = float(power)
    u = distance / radius
    f = 1.0 - u**power * (
        0.5 * (p + 1) * (p + 2) - p * (p + 2) * u + 0.5 * p * (p + 1) * u * u
    )
    return torch.where(u < 1.0, f, torch.zeros_like(f))


def agnesi(distance: Tensor, contact: Tensor) -> Tensor:
    """Return the transformed distance s in (0, 1], 1 at contact zero.

    Args:
        distance: ``[n_pairs]``, Å.
        contact: ``[n_pairs]``, mean covalent radius of the pair, Å.

    Source: equation (2) of docs/potential.md; Witt et al., J. Chem. Phys. 159,
    164101 (2023).
    Written as ``1 + a x^p / (1 + x^(p-q))``, which has no pole at x = 0.
    """
    x = distance / contact
    return 1.0 / (1.0 + AGNESI_A * x**AGNESI_P / (1.0 + x ** (AGNESI_P - AGNESI_Q)))


def bessel_basis(argument: Tensor, n_radial: int, cutoff: float) -> Tensor:
    """Return ``sqrt(2/r_c) sin(n pi s / r_c) / s`` for n = 1 ... `n_radial`.

    Args:
        argument: ``[n_pairs]``, transformed distance s.
        n_radial: number of functions.
        cutoff: r_c, Å.

    Returns:
        ``[n_pairs, n_radial]``. Source: equation (3) of docs/potential.md.
    """
    n = torch.arange(1, n_radial + 1, dtype=argument.dtype, device=argument.device)
    s = argument[:, None]
    return math.sqrt(2.0 / cutoff) * torch.sin(n * (math.pi / cutoff) * s) / s


def soft(distance: Tensor, contact: Tensor) -> Tensor:
    """Return a distance that stays at about 3/4 of contact below it.

    ``p + (r - p) (1 + tanh(4 (r - m) / (q - p))) / 2`` with p = 3/4 and q = 4/3 of the
    contact distance and m their mean.

    Args:
        distance: ``[n_pairs]``, Å.
        contact: ``[n_pairs]``, sum of the covalent radii of the pair, Å.

    Source: the "Soft" transform of mace-torch 0.3.
    """
    low, high = 0.75 * contact, 4.0 / 3.0 * contact
    step = torch.tanh(4.0 * (distance - 0.5 * (low + high)) / (high - low))
    return low + (distance - low) * 0.5 * (1.0 + step)


def gaussian_basis(argument: Tensor, n_radial: int, cutoff: float) -> Tensor:
    """Return Gaussians around `n_radial` points from 0 to `cutoff`.

    Args:
        argument: ``[n_pairs]``, transformed distance s.
        n_radial: number of functions, at least 2.
        cutoff: r_c, Å.

    Returns:
        ``[n_pairs, n_radial]``, ``exp(-(s - c_n)^2 / (2 d^2))``, d the distance of two
        centres.
    """
    centers = torch.linspace(0.0, cutoff, n_radial, dtype=torch.float64)
    width = cutoff / (n_radial - 1)
    x = (argument[:, None] - centers.to(argument)) / width
    return torch.exp(-0.5 * x * x)


def chebyshev_basis(argument: Tensor, n_radial: int) -> Tensor:
    """Return the Chebyshev polynomials T_1 ... T_n of `argument`, which is not scaled.

    Args:
        argument: ``[n_pairs]``, transformed distance s; outside of [-1, 1] the
            polynomials grow with the power n.
        n_radial: number of functions.

    Returns:
        ``[n_pairs, n_radial]``.
    """
    values = [torch.ones_like(argument), argument]
    for _ in range(1, n_radial):
        values.append(2.0 * argument * values[-1] - values[-2])
    return torch.stack(values[1 : n_radial + 1], dim=-1)
