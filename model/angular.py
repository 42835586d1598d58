"""Real spherical harmonics up to l = 3 as explicit polynomials.

Component normalisation: the squares of the 2l+1 components sum to 2l+1 on the unit
sphere. Order of m and signs are those of e3nn, for which l = 1 is (x, y, z). The tests
compare with ``e3nn.o3.spherical_harmonics``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_S3, _S5, _S7, _S15 = math.sqrt(3), math.sqrt(5), math.sqrt(7), math.sqrt(15)
_S70, _S168, _S105 = math.sqrt(70), math.sqrt(168), math.sqrt(105)


def spherical_harmonics(directions: Tensor, l_max: int) -> Tensor:
    """Return Y of unit vectors.

    Args:
        directions: ``[n_pairs, 3]``, unit vectors.
        l_max: 0 to 3.

    Returns:
        ``[n_pairs, (l_max + 1)^2]``, l ascending, m from -l to l.
    """
    x, y, z = directions.unbind(-1)
    out = [torch.ones_like(x)]
    if l_max >= 1:
        out += [_S3 * x, _S3 * y, _S3 * z]
    if l_max >= 2:
        xz, x2z2 = x * z, z * z - x * x
        radial = x * x + z * z
        out += [
            _S15 * xz,
            _S15 * x * y,
            _S5 * (y * y - 0.5 * radial),
            _S15 * y * z,
            0.5 * _S15 * x2z2,
        ]
    if l_max >= 3:
        axial = 4.0 * y * y - radial
        out += [
            _S70 / 4 * x * (2.0 * z * z + x2z2),
            _S105 * xz * y,
            _S168 / 8 * x * axial,
            0.5 * _S7 * y * (2.0 * y * y - 3.0 * radial),
            _S168 / 8 * z * axial,
            0.5 * _S105 * y * x2z2,
            _S70 / 4 * z * (x2z2 - 2.0 * x * x),
        ]
    return torch.stack(out, dim=-1)
