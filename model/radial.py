"""Functions of the distance: cutoff, basis, and the radial networks."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

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


class RadialNetwork(nn.Module):
    """A network of (distance, source species, target species).

    Equation (5): three times (linear with bias, LayerNorm, SiLU), then linear. The
    first layer of the concatenation ``[b(r); S[z_j]; T[z_i]]`` is evaluated as its
    exact split ``W_b b(r) + (S W_S)[z_j] + (T W_T)[z_i]``: ten inputs per pair instead
    of ten plus twice the embedding width.
    """

    def __init__(
        self, n_radial: int, n_embedding: int, hidden: tuple[int, ...], n_out: int
    ) -> None:
        """Create the network; widths as in the configuration."""
        super().__init__()
        first = hidden[0]
        bound = 1.0 / math.sqrt(n_radial)
        self.radial = nn.Parameter(torch.empty(n_radial, first).uniform_(-bound, bound))
        self.source = nn.Parameter(torch.empty(n_embedding, first).uniform_(-1, 1))
        self.target = nn.Parameter(torch.empty(n_embedding, first).uniform_(-1, 1))
        self.bias = nn.Parameter(torch.empty(first).uniform_(-bound, bound))
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in hidden])
        widths = [*hidden, n_out]
        self.linears = nn.ModuleList(
            [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        )

    def forward(
        self,
        basis: Tensor,
        source: Tensor,
        target: Tensor,
        species: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Return ``[n_pairs, n_out]``.

        Args:
            basis: ``[n_pairs, n_radial]``.
            source: S, ``[n_elements, n_embedding]``.
            target: T, the same shape.
            species: of the neighbour (source) and of the centre (target) of each pair.
        """
        neighbor, center = species
        n_elements = len(source)
        table = (
            (source @ self.source)[:, None] + (target @ self.target)[None] + self.bias
        )
        pair_type = neighbor * n_elements + center
        x = basis @ self.radial + table.flatten(0, 1).index_select(0, pair_type)
        for norm, linear in zip(self.norms, self.linears, strict=True):
            x = linear(nn.functional.silu(norm(x)))
        return x
