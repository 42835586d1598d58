"""What is known about one structure after its evaluation."""

from __future__ import annotations

import dataclasses

from lamplighter.arrays import Floats


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Energy and derivatives of one structure.

    Attributes:
        energies: ``[n_atoms]``, energy of each atom with E0, eV.
        forces: ``[n_atoms, 3]``, eV/Å; None if they were not asked for.
        stress: ``[3, 3]``, eV/Å^3, tension positive; None as above, or for a structure
            that is not periodic in three directions.
        stresses: ``[n_atoms, 3, 3]``, the share of each atom in the stress, eV/Å^3:
            half of every pair's contribution goes to either end. They are divided by
            the volume of the cell, so that their sum is the stress.
    """

    energies: Floats
    forces: Floats | None = None
    stress: Floats | None = None
    stresses: Floats | None = None

    @property
    def energy(self) -> float:
        """Return the energy of the structure with E0, eV."""
        return float(self.energies.sum())

    @classmethod
    def of(
        cls,
        energies: Floats,
        forces: Floats | None = None,
        virial: Floats | None = None,
        virials: Floats | None = None,
        volume: float | None = None,
    ) -> Evaluation:
        """Return an evaluation, given virials instead of stresses.

        Args:
            energies: ``[n_atoms]``, eV.
            forces: ``[n_atoms, 3]``, eV/Å.
            virial: ``[3, 3]``, eV.
            virials: ``[n_atoms, 3, 3]``, eV.
            volume: Å^3; without it there are no stresses.
        """
        if virial is None or virials is None or volume is None:
            return cls(energies=energies, forces=forces)
        return cls(
            energies=energies,
            forces=forces,
            stress=-virial / volume,
            stresses=-virials / volume,
        )

    def plus(self, other: Evaluation) -> Evaluation:
        """Return the sum; what one of the two lacks, the sum lacks."""
        return Evaluation(
            energies=self.energies + other.energies,
            forces=_sum(self.forces, other.forces),
            stress=_sum(self.stress, other.stress),
            stresses=_sum(self.stresses, other.stresses),
        )


def _sum(a: Floats | None, b: Floats | None) -> Floats | None:
    return None if a is None or b is None else a + b
