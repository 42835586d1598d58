"""What adsorbs where, and against which gas."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms
from ase.build import molecule
from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.properties.cleave import Miller, check_miller
from lamplighter.validation.properties.sites import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class AdsorptionSettings:
    """What adsorbs where, and against which gas.

    Attributes:
        adsorbate: an element, or a molecule that ASE knows, such as ``CO``.
        references: what the energy is held against: molecules or atoms with factors, as
            ``("H2=0.5",)``; none takes the adsorbate itself, free.
        binding_atom: index of the adsorbate's atom that goes to the site.
        upside_down: whether the other atoms of the molecule point to the slab.
        sites: kinds of sites, of ``top``, ``bridge``, ``hollow``.
        given_slab: whether the structure is a slab, with the normal along the third
            cell vector, and not a crystal to cut.
        miller: plane of the crystal.
        repeat: in-plane repeats of the smallest cell.
        min_length: thickness of the slab, Å.
        vacuum: Å, above the adsorbate.
        fixed_share: lowest part of the slab that does not move.
        check_thickness: whether a thicker slab gives the error bars.
        fmax: largest force on a free atom, eV/Å.
        max_steps: of each relaxation.
        crystal_fmax: largest force of the relaxed crystal, eV/Å.
    """

    adsorbate: str = "O"
    references: tuple[str, ...] = ()
    binding_atom: int = 0
    upside_down: bool = False
    sites: tuple[str, ...] = KINDS
    given_slab: bool = False
    miller: Miller = (1, 1, 1)
    repeat: tuple[int, int] = (2, 2)
    min_length: float = 7.0
    vacuum: float = 12.0
    fixed_share: float = 0.5
    check_thickness: bool = True
    fmax: float = 0.01
    max_steps: int = 300
    crystal_fmax: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse adsorbates and sites that do not exist.

        Raises:
            ConfigError: an unknown molecule, site or reference, references of other
                atoms than the adsorbate's, or a share above 1.
        """
        if not self.sites or not set(self.sites) <= set(KINDS):
            raise ConfigError(
                explain("sites of adsorption", got=self.sites, wanted=KINDS)
            )
        check_miller(self.miller)
        if not 0 <= self.fixed_share <= 1 or min(self.repeat) < 1:
            raise ConfigError(
                explain(
                    "slab of adsorption",
                    got=f"fixed share {self.fixed_share}, repeat {self.repeat}",
                    wanted="a share from 0 to 1, repeats of 1 or more",
                )
            )
        self._check_references()
        if not 0 <= self.binding_atom < len(free_molecule(self.adsorbate)):
            problem = f"binding atom of {self.adsorbate}"
            raise ConfigError(explain(problem, got=self.binding_atom))

    def _check_references(self) -> None:
        """Refuse references that are not the atoms of the adsorbate."""
        counts: dict[str, float] = {}
        for name, factor in self.terms():
            for symbol in free_molecule(name).get_chemical_symbols():
                counts[symbol] = counts.get(symbol, 0.0) + factor
        for symbol in free_molecule(self.adsorbate).get_chemical_symbols():
            counts[symbol] = counts.get(symbol, 0.0) - 1.0
        if not all(abs(number) < 1e-6 for number in counts.values()):
            left = {s: round(n, 6) for s, n in counts.items() if not abs(n) < 1e-6}
            raise ConfigError(
                explain(
                    f"the references do not add up to {self.adsorbate}",
                    got=f"{', '.join(self.references)}: {left} too many",
                    wanted="the same atoms, as H2O=1 and H2=-0.5 for OH",
                )
            )

    def terms(self) -> list[tuple[str, float]]:
        """Return the references with their factors.

        Raises:
            ConfigError: a reference that is not ``molecule=factor``.
        """
        found = []
        for item in self.references or (f"{self.adsorbate}=1",):
            name, _, text = item.partition("=")
            try:
                found.append((name.strip(), float(text)))
            except ValueError as error:
                raise ConfigError(
                    explain("reference", got=repr(item), wanted="H2=0.5")
                ) from error
        return found


def free_molecule(name: str) -> Atoms:
    """Return an atom or a molecule of ASE's list.

    Raises:
        ConfigError: neither of the two.
    """
    if name in atomic_numbers and name != "X":
        return Atoms([name], positions=[[0.0, 0.0, 0.0]])
    try:
        found: Atoms = molecule(name)
    except (KeyError, NotImplementedError) as error:
        raise ConfigError(
            explain(
                "unknown adsorbate or reference",
                got=name,
                wanted="an element, or a molecule of ase.build.molecule, as H2O",
            )
        ) from error
    return found
