"""The straight line through the energies of slabs of several thicknesses.

The energy of a slab of N atoms is E(N) = 2 A gamma + N e. A straight line through
several thicknesses gives the surface energy gamma without an energy of the bulk, and
its slope e must be that of the bulk: where it is not, the slab has another lattice than
the crystal, and gamma would grow with thickness without bound.

Source: Fiorentini, Methfessel, J. Phys.: Condens. Matter 8, 6525 (1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThicknessFit:
    """A straight line through the energies of slabs.

    Attributes:
        gamma: surface energy per area of one face, eV/Å^2, from the intercept.
        slope: energy per atom of the added material, eV.
        slope_error: slope minus the crystal's energy per atom, eV.
        each: [n_thicknesses], eV/Å^2: the surface energy that each slab alone gives
            with the crystal's energy.
        residual: largest distance of an energy from the line, eV.
    """

    gamma: float
    slope: float
    slope_error: float
    each: FloatArray
    residual: float

    @property
    def change(self) -> float:
        """How much the two thickest slabs differ, as a fraction of the thickest."""
        last, before = float(self.each[-1]), float(self.each[-2])
        return abs(last - before) / max(abs(last), 1e-12)


def fit_thickness(
    n_atoms: Sequence[int], energies: Sequence[float], area: float, bulk_energy: float
) -> ThicknessFit:
    """Return the line E(N) = 2 A gamma + N e through slabs of growing thickness.

    Args:
        n_atoms: atoms of each slab, growing.
        energies: eV.
        area: of one face, Å^2.
        bulk_energy: of the crystal, eV/atom.
    """
    counts, total = np.asarray(n_atoms, dtype=float), np.asarray(energies, dtype=float)
    # Fitted as a difference to the bulk: energies of heavy atoms are large numbers.
    excess = total - counts * bulk_energy
    tilt, intercept = np.polyfit(counts, excess, 1)
    return ThicknessFit(
        gamma=float(intercept) / (2 * area),
        slope=bulk_energy + float(tilt),
        slope_error=float(tilt),
        each=excess / (2 * area),
        residual=float(np.abs(excess - intercept - tilt * counts).max()),
    )
