"""Crystals and potentials that both sides evaluate; needs ASE and numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.neighborlist import primitive_neighbor_list
from scipy.special import erfc

COULOMB = 14.399645
"""eV Å, of two elementary charges."""


class PairPotential(Calculator):
    """Central forces between pairs, cut so that energy and force end at zero.

    Args:
        pairs: two sorted symbols -> function of distances that returns energy and its
            derivative.
        cutoff: Å.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(
        self, pairs: Mapping[tuple[str, str], Callable[[Any], Any]], cutoff: float
    ) -> None:
        super().__init__()
        self.pairs, self.cutoff = pairs, cutoff

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill ``results``."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        i, j, r, vectors = primitive_neighbor_list(
            "ijdD", atoms.pbc, atoms.cell, atoms.positions, self.cutoff
        )
        symbols = np.array(atoms.get_chemical_symbols())
        energy, slope = np.zeros_like(r), np.zeros_like(r)
        for (one, two), function in self.pairs.items():
            chosen = (symbols[i] == one) & (symbols[j] == two)
            chosen |= (symbols[i] == two) & (symbols[j] == one)
            e, s = function(r[chosen])
            at_end, slope_at_end = function(np.array([self.cutoff]))
            energy[chosen] = e - at_end - slope_at_end * (r[chosen] - self.cutoff)
            slope[chosen] = s - slope_at_end
        pull = (slope / r)[:, None] * vectors
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pull)
        virial = 0.5 * np.einsum("pa,pb->ab", pull, vectors)
        stress = virial / atoms.get_volume()
        self.results = {
            "energy": 0.5 * energy.sum(),
            "free_energy": 0.5 * energy.sum(),
            "forces": forces,
            "stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


def morse(depth: float, steepness: float, distance: float) -> Callable[[Any], Any]:
    """Return the Morse energy and its derivative."""

    def function(r: Any) -> Any:
        e = np.exp(-steepness * (r - distance))
        return depth * (e**2 - 2 * e), 2 * depth * steepness * (e - e**2)

    return function


def ions(
    charges: float, repulsion: float, length: float, dispersion: float
) -> Callable[[Any], Any]:
    """Return a Buckingham term and a damped Coulomb term.

    Source: Wolf et al., J. Chem. Phys. 110, 8254 (1999), for the damping.
    """
    damping, q = 0.2, COULOMB * charges

    def function(r: Any) -> Any:
        born = repulsion * np.exp(-r / length) if repulsion else np.zeros_like(r)
        screened = q * erfc(damping * r) / r
        gauss = 2 * damping / np.sqrt(np.pi) * np.exp(-((damping * r) ** 2))
        energy = born - dispersion / r**6 + screened
        derivative = -born / length + 6 * dispersion / r**7 - (screened + q * gauss) / r
        return energy, derivative

    return function


def silicon() -> Calculator:
    """Return silicon of J. Tersoff, Phys. Rev. B 37, 6991 (1988)."""
    return Tersoff(
        {
            ("Si", "Si", "Si"): TersoffParameters(
                m=3.0,
                gamma=1.0,
                lambda3=1.3258,
                c=4.8381,
                d=2.0417,
                h=0.0,
                n=22.956,
                beta=0.33675,
                lambda2=1.3258,
                B=95.373,
                R=3.0,
                D=0.2,
                lambda1=3.2394,
                A=3264.7,
            )
        }
    )


def magnesia() -> Calculator:
    """Return a rigid-ion model, G. V. Lewis, C. R. A. Catlow, J. Phys. C 18, 1149.

    The Coulomb sum is damped and cut: a potential for tests, no model of MgO.
    """
    return PairPotential(
        {
            ("Mg", "O"): ions(-4.0, 1428.5, 0.2945, 0.0),
            ("O", "O"): ions(4.0, 22764.3, 0.149, 27.88),
            ("Mg", "Mg"): ions(4.0, 0.0, 1.0, 0.0),
        },
        cutoff=9.0,
    )


def magnesium() -> Calculator:
    """Return a Morse potential whose hcp crystal is stable: no model of Mg."""
    return PairPotential({("Mg", "Mg"): morse(0.3, 1.3, 3.3)}, cutoff=9.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One crystal with its potential.

    Attributes:
        start: a cell near the minimum.
        calculator: makes the potential.
        supercell: repeats of the conventional cell for phonons.
    """

    start: Atoms
    calculator: Callable[[], Calculator]
    supercell: tuple[int, int, int]


CASES = {
    "Si": Case(
        start=bulk("Si", a=5.43, cubic=True),
        calculator=silicon,
        supercell=(2, 2, 2),
    ),
    "Cu": Case(
        start=bulk("Cu", a=3.6, cubic=True), calculator=EMT, supercell=(3, 3, 3)
    ),
    "MgO": Case(
        start=bulk("MgO", "rocksalt", a=4.2, cubic=True),
        calculator=magnesia,
        supercell=(2, 2, 2),
    ),
    "Mg": Case(
        start=bulk("Mg", a=3.1, c=5.1), calculator=magnesium, supercell=(4, 4, 3)
    ),
}
STRAINS = (0.0025, 0.005)
DISPLACEMENT = 0.02
FMAX = 1e-5
