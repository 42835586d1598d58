"""Make molecules, radicals and clusters of Mg, O, H, C: the origin of `mol.xyz`.

    python make_molecule_structures.py FOLDER

Kept for the record: `structures/mol.xyz` is the source of truth. Dynamics with GFN2-xTB
(needs `tblite`) need not repeat bit for bit elsewhere, and some frames were dropped
afterwards.
"""

import logging
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from make_crystal_structures import ATOMS, DIMERS, steps
from structure_tools import Collection, no_overlap, rattled, write_structures
from tight_binding import FAILURES, dynamics, relax, tight_binding

log = logging.getLogger(__name__)

MOLECULES = [
    "H2O",
    "CO2",
    "CH4",
    "CH3OH",
    "H2CO",
    "HCOOH",
    "C2H2",
    "C2H4",
    "C2H6",
    "CH3CH2OH",
    "CH3CHO",
    "CH3OCH3",
    "H2O2",
    "H2CCO",
    "OCHCHO",
]
RADICALS = (("CH3", 1), ("OH", 1), ("HCO", 1), ("CH3O", 1), ("CH2_s3B1d", 2))
PAIRS = (
    ("H2O", "H2O", 8),
    ("H2O", "CO", 3),
    ("H2O", "CH4", 3),
    ("H2O", "H2CO", 3),
    ("H2O", "CO2", 3),
    ("CH4", "CH4", 3),
    ("H2O", "CH3OH", 3),
)
"""Two molecules and the number of their arrangements."""

MAGNESIUM_MOLECULES = {
    "MgH2": Atoms("MgH2", [(0, 0, 0), (0, 0, 1.72), (0, 0.2, -1.72)]),
    "HMgOH": Atoms("HMgOH", [(0, 0, -1.72), (0, 0, 0), (0, 0.1, 1.8), (0, 0.4, 2.7)]),
    "MgO2H2": Atoms(
        "MgO2H2",
        [(0, 0, 0), (0, 0, 1.8), (0, 0.1, -1.8), (0, 0.6, 2.55), (0.5, 0, -2.6)],
    ),
    "Mg2O2": Atoms("Mg2O2", [(1.25, 0, 0), (-1.25, 0, 0), (0, 1.35, 0), (0, -1.35, 0)]),
    "MgO_H2O": Atoms(
        "MgO2H2",
        [(0, 0, 0), (0, 0, 1.76), (0, 0, -2.05), (0, 0.77, -2.64), (0, -0.77, -2.64)],
    ),
    "Mg_H2O": Atoms(
        "MgOH2", [(0, 0, 0), (0, 0, -2.3), (0, 0.77, -2.9), (0, -0.77, -2.9)]
    ),
}
OVERLAP = 0.55
"""Fraction of the covalent radii below which two atoms overlap."""

FIRST = ("IsolatedAtom", "dimer")
SEED = 7
TIMESTEP_FS = 0.5


class Molecules(Collection):
    """The molecules in the making, with the random numbers that they draw."""

    def __init__(self) -> None:
        super().__init__("mol", factor=OVERLAP)
        self.rng = np.random.default_rng(SEED)

    def put(self, atoms: Atoms, config_type: str, spin: int = 0) -> None:
        """Add a structure of this domain."""
        self.add(atoms, config_type, "molecule", spin=spin)

    def sample(
        self,
        atoms: Atoms,
        config_type: str,
        *,
        spin: int = 0,
        temperatures: tuple[int, ...] = (300, 1000, 2000),
        each: int = 3,
        n_steps: int = 60,
    ) -> None:
        """Add the relaxed molecule and frames of its dynamics; rattles if xTB fails."""
        try:
            self._sample(atoms, config_type, spin, temperatures, each, n_steps)
        except FAILURES as error:
            log.warning("%s: xTB failed: %s", config_type, error)
            for sigma in (0.03, 0.07, 0.12, 0.2):
                shaken = rattled(atoms, sigma, self.rng, factor=OVERLAP)
                self.put(shaken, f"{config_type}_rattle", spin)

    def _sample(
        self,
        atoms: Atoms,
        config_type: str,
        spin: int,
        temperatures: tuple[int, ...],
        each: int,
        n_steps: int,
    ) -> None:
        """The sampling itself; fails where xTB does."""
        start = Atoms(atoms.symbols, atoms.positions)
        start.calc = tight_binding("GFN2-xTB", spin)
        relax(start, force=0.05, n_steps=60)
        self.put(start, config_type, spin)
        for temperature in temperatures:
            walker = start.copy()
            walker.calc = start.calc
            md = dynamics(
                walker,
                timestep_fs=TIMESTEP_FS,
                temperature_K=temperature,
                start_K=2 * temperature,
                rng=self.rng,
            )
            for _ in range(each):
                md.run(n_steps)
                self.put(walker, f"{config_type}_T{temperature}", spin)


def add_small(molecules: Molecules) -> None:
    """Isolated atoms and dimers."""
    for element, spin in ATOMS:
        molecules.put(Atoms(element), "IsolatedAtom", spin)
    for symbols, lengths, spin in DIMERS:
        for length in lengths:
            pair = Atoms(symbols, [(0, 0, 0), (0, 0, length)])
            molecules.put(pair, "dimer", spin)


def pair_of(molecules: Molecules, first: str, second: str) -> Atoms:
    """Two molecules, randomly turned, at a random distance without contact."""
    for _ in range(50):
        distance = molecules.rng.uniform(2.7, 4.6)
        angles = molecules.rng.uniform(0, 360, 3)
        one, other = molecule(first), molecule(second)
        one.rotate(angles[0], "y")
        other.rotate(angles[1], "x")
        other.rotate(angles[2], "z")
        shift = one.get_center_of_mass() - other.get_center_of_mass()
        other.positions += shift + np.array([distance, 0, 0])
        pair = one + other
        if no_overlap(pair, 0.95):
            break
    return pair


def water_ring() -> Atoms:
    """Three water molecules in a ring."""
    ring = Atoms()
    for index in range(3):
        water = molecule("H2O")
        water.translate(-water.get_center_of_mass())
        water.rotate(100, "y")
        water.rotate(120 * index + 30, "z")
        angle = 2 * np.pi * index / 3
        water.translate((1.65 * np.cos(angle), 1.65 * np.sin(angle), 0))
        ring += water
    return ring


def add_clusters(molecules: Molecules) -> None:
    """Pairs of molecules, a water trimer, small molecules with Mg."""
    for first, second, n in PAIRS:
        for _ in range(n):
            pair = pair_of(molecules, first, second)
            shaken = rattled(pair, 0.05, molecules.rng, factor=OVERLAP)
            molecules.put(shaken, f"cluster_{first}_{second}")
    molecules.sample(
        water_ring(), "cluster_3H2O", temperatures=(200, 500), each=5, n_steps=150
    )
    for name, atoms in MAGNESIUM_MOLECULES.items():
        for sigma in steps(0.03, 0.03, 6):
            shaken = rattled(atoms, sigma, molecules.rng, factor=OVERLAP)
            molecules.put(shaken, f"mg_{name}")


def molecule_structures() -> list[Atoms]:
    """All molecules: atoms and dimers, then the others shuffled."""
    molecules = Molecules()
    add_small(molecules)
    for name in MOLECULES:
        molecules.sample(molecule(name), f"mol_{name}")
    for name, spin in RADICALS:
        molecules.sample(molecule(name), f"rad_{name}", spin=spin, each=2)
    add_clusters(molecules)
    return molecules.ordered(FIRST, molecules.rng)


if __name__ == "__main__":
    write_structures(Path(sys.argv[1]) / "mol.xyz", molecule_structures())
