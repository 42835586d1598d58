"""The Ziegler-Biersack-Littmark repulsion of bare cores."""

from __future__ import annotations

import torch
from torch import Tensor

from lamplighter.model.radial import polynomial_cutoff

_AMPLITUDES = (0.1818, 0.5099, 0.2802, 0.02817)
_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)


def zbl_pair_energy(
    distance: Tensor, charges: tuple[Tensor, Tensor], radii: Tensor, power: int
) -> Tensor:
    """Return half the ZBL energy of each directed pair, eV.

    Args:
        distance: ``[n_pairs]``, Å.
        charges: atomic numbers of neighbour and centre, floats, ``[n_pairs]`` each.
        radii: ``[n_pairs]``, sum of the covalent radii, Å; the energy vanishes beyond.
        power: p of the polynomial cutoff.

    Source: equation (16) of docs/potential.md.
    """
    z_j, z_i = charges
    length = 0.4543 * 0.529 / (z_i**0.3 + z_j**0.3)
    x = (distance / length)[:, None]
    exponents = x.new_tensor(_EXPONENTS)
    screening = (x.new_tensor(_AMPLITUDES) * torch.exp(-exponents * x)).sum(1)
    bare = 14.3996 * z_i * z_j / distance
    return 0.5 * bare * screening * polynomial_cutoff(distance, radii, power)
