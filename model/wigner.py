"""Wigner 3j symbols in the real basis, with the signs of e3nn 0.6.

They are a page of algebra; importing e3nn for them costs every process that starts,
`lmp` among them, two seconds (it brings torch's compiler). The tests compare the two.

Source: Racah's formula for SU(2); the change of basis is that of e3nn 0.6.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

from lamplighter.arrays import AnyArray, Floats


@functools.cache
def wigner_3j(l1: int, l2: int, l3: int) -> Floats:
    """Return the invariant ``[2 l1 + 1, 2 l2 + 1, 2 l3 + 1]`` of norm 1.

    Args:
        l1: first degree.
        l2: second degree.
        l3: third degree, ``|l1 - l2| <= l3 <= l1 + l2``.
    """
    complex_basis = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            value = _coupling((l1, m1), (l2, m2), l3)
            complex_basis[l1 + m1, l2 + m2, l3 + m1 + m2] = value
    q1, q2, q3 = (_real_to_complex(l) for l in (l1, l2, l3))
    real: Floats = np.einsum(
        "ij,kl,mn,ikm->jln", q1, q2, np.conj(q3), complex_basis
    ).real
    return real / np.linalg.norm(real)


def _coupling(first: tuple[int, int], second: tuple[int, int], j: int) -> float:
    """Return the Clebsch-Gordan coefficient <j1 m1 j2 m2 | j m1+m2>."""
    (j1, m1), (j2, m2), f = first, second, math.factorial
    m = m1 + m2
    total = Fraction(0)
    for k in range(
        max(0, j2 - j - m1, j1 - j + m2), min(j1 + j2 - j, j1 - m1, j2 + m2) + 1
    ):
        parts = (k, j1 + j2 - j - k, j1 - m1 - k, j2 + m2 - k, j - j2 + m1 + k)
        denominator = f(j - j1 - m2 + k)
        for part in parts:
            denominator *= f(part)
        total += Fraction((-1) ** k, denominator)
    triangle = Fraction(
        (2 * j + 1) * f(j + j1 - j2) * f(j - j1 + j2) * f(j1 + j2 - j),
        f(j1 + j2 + j + 1),
    )
    spread = f(j + m) * f(j - m) * f(j1 - m1) * f(j1 + m1) * f(j2 - m2) * f(j2 + m2)
    return float(total) * math.sqrt(triangle * spread)


def _real_to_complex(l: int) -> AnyArray:
    """Return the unitary matrix from real to complex spherical harmonics."""
    q = np.zeros((2 * l + 1, 2 * l + 1), dtype=np.complex128)
    q[l, l] = 1.0
    for m in range(1, l + 1):
        q[l - m, l + m], q[l - m, l - m] = 0.5**0.5, -1j * 0.5**0.5
        q[l + m, l + m], q[l + m, l - m] = (
            (-1) ** m * 0.5**0.5,
            1j * (-1) ** m * 0.5**0.5,
        )
    return (-1j) ** l * q
