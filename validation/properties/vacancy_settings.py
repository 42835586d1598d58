"""How vacancies are computed."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain

MIN_SIZES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VacancySettings:
    """How vacancies are computed.

    Attributes:
        sizes: at least three edges of the cells, in units of the cube root of the
            conventional cell's volume.
        fmax: largest force on the relaxed cell, eV/Å.
        max_steps: of each relaxation.
        crystal_fmax: largest force of the relaxed crystal, eV/Å.
        chemical_potentials: energy of one atom of an element where it goes, eV, as in
            ``("Mg=-1.5", "O=-4.9")``; without it an element goes back to its crystal,
            and a compound's atom becomes a free atom.
        max_displacement: beyond which an atom's move counts as another defect, Å.
        max_extrapolation: how far the extrapolated energy may be from that of the
            largest cell, eV.
    """

    sizes: tuple[int, ...] = (2, 3, 4)
    fmax: float = 1e-3
    max_steps: int = 300
    crystal_fmax: float = 1e-4
    chemical_potentials: tuple[str, ...] = ()
    max_displacement: float = 1.0
    max_extrapolation: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings that give no extrapolation.

        Raises:
            ConfigError: too few sizes, or a chemical potential that cannot be read.
        """
        if len(set(self.sizes)) < MIN_SIZES or min(self.sizes) < 1:
            raise ConfigError(
                explain(
                    "cells of a vacancy",
                    got=self.sizes,
                    wanted=f"at least {MIN_SIZES} different sizes, each 1 or more",
                )
            )
        _ = self.potentials

    @property
    def potentials(self) -> dict[str, float]:
        """The chemical potentials by element, eV.

        Raises:
            ConfigError: an entry that is not ``element=energy``.
        """
        found = {}
        for item in self.chemical_potentials:
            name, _, text = item.partition("=")
            try:
                found[name.strip()] = float(text)
            except ValueError as error:
                raise ConfigError(
                    explain("chemical potential", got=repr(item), wanted="Mg=-1.5")
                ) from error
        wrong = [n for n in found if n not in atomic_numbers or not isfinite(found[n])]
        if wrong:
            given = ", ".join(f"{name}={found[name]}" for name in wrong)
            wanted = "symbols of elements and finite energies, eV"
            raise ConfigError(explain("chemical potential", got=given, wanted=wanted))
        return found
