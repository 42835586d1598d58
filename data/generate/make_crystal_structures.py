"""Make crystals, dimers and atoms of Mg, O, H, C: the origin of `crystal.xyz`.

    python make_crystal_structures.py FOLDER

Kept for the record: `structures/crystal.xyz` is the source of truth. It holds the same
structures; some costly ones were moved to its end afterwards.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.spacegroup import crystal
from structure_tools import (
    Collection,
    boxed,
    random_strain,
    rattled,
    strained,
    write_structures,
)

ATOM_BOX = (8.0, 8.3, 8.6)
DIMER_BOX = (7.5, 7.7, 8.2)
MOLECULE_BOX = (7.5, 7.8, 8.2)
ATOMS = (("H", 1), ("O", 2), ("Mg", 0), ("C", 2))
"""Elements with their number of unpaired electrons."""

DIMERS = (
    ("MgO", (1.6, 1.75, 2.1), 0),
    ("MgH", (1.5, 1.75, 2.2), 1),
    ("OH", (0.85, 0.98, 1.3), 1),
    ("HH", (0.6, 0.75, 1.1), 0),
    ("OO", (1.05, 1.22, 1.6), 2),
    ("CO", (1.0, 1.13, 1.4), 0),
    ("CH", (1.0, 1.3), 1),
    ("MgMg", (2.6, 3.2, 4.0), 0),
)
"""Symbols, bond lengths (Å) and number of unpaired electrons."""

MAGNESIA = 4.26
"""Å: lattice constant that strained and rattled rocksalt MgO starts from."""

FIRST = ("IsolatedAtom", "mgo_b1_eos", "mgo_b1_elastic")
SEED = 2024
ORDER_SEED = 0


class Crystals(Collection):
    """The crystals in the making, with the random numbers that they draw."""

    def __init__(self) -> None:
        super().__init__("cry", factor=0.6)
        self.rng = np.random.default_rng(SEED)

    def put(
        self, atoms: Atoms, config_type: str, *, spin: int = 0, box: bool = False
    ) -> None:
        """Add a structure of this domain."""
        self.add(atoms, config_type, "crystal", spin=spin, box=box)

    def scaled(
        self, atoms: Atoms, factors: tuple[float, ...], config_type: str
    ) -> None:
        """Add copies whose lengths are multiplied by the factors."""
        for factor in factors:
            self.put(strained(atoms, (factor - 1) * np.eye(3)), config_type)

    def shaken(
        self, atoms: Atoms, strain: float, sigmas: list[float], config_type: str
    ) -> None:
        """Add copies with a random strain and a rattle of each sigma (Å)."""
        for sigma in sigmas:
            cell = strained(atoms, random_strain(strain, self.rng))
            self.put(rattled(cell, sigma, self.rng), config_type)


def steps(first: float, step: float, n: int) -> list[float]:
    """The numbers first, first + step, ... (n of them)."""
    return [first + step * index for index in range(n)]


def add_atoms(crystals: Crystals) -> None:
    """Isolated atoms in boxes."""
    for element, spin in ATOMS:
        atom = boxed(Atoms(element), ATOM_BOX)
        crystals.put(atom, "IsolatedAtom", spin=spin, box=True)


def add_rocksalt(crystals: Crystals) -> None:
    """Rocksalt MgO: equation of state, elastic strains, strained rattles."""
    for a in np.arange(3.90, 4.71, 0.08):
        crystals.put(bulk("MgO", "rocksalt", a=a), "mgo_b1_eos")
    primitive = bulk("MgO", "rocksalt", a=MAGNESIA)
    for stretch in (-0.03, -0.01, 0.01, 0.03):
        crystals.put(strained(primitive, np.diag([stretch, 0, 0])), "mgo_b1_elastic")
    for shear in (0.02, 0.05):
        strain = np.zeros((3, 3))
        strain[0, 1] = strain[1, 0] = shear / 2
        crystals.put(strained(primitive, strain), "mgo_b1_elastic")
    cubic = bulk("MgO", "rocksalt", a=MAGNESIA, cubic=True)
    for sigma in np.repeat((0.03, 0.06, 0.1, 0.15, 0.2), 6):
        cell = strained(cubic, random_strain(0.035, crystals.rng))
        cell = strained(cell, np.eye(3) * crystals.rng.uniform(-0.04, 0.05))
        crystals.put(rattled(cell, sigma, crystals.rng), "mgo_b1_rattle")


def add_other_magnesia(crystals: Crystals) -> None:
    """MgO in three other structures, with vacancies, and in a 16-atom cell."""
    for a in (2.45, 2.55, 2.65, 2.8):
        crystals.put(bulk("MgO", "cesiumchloride", a=a), "mgo_b2")
    for a in (4.35, 4.6, 4.85):
        crystals.put(bulk("MgO", "zincblende", a=a), "mgo_zb")
    wurtzite = bulk("MgO", "wurtzite", a=3.33, c=5.1)
    crystals.shaken(wurtzite, 0.04, steps(0.02, 0.03, 5), "mgo_wz")
    cubic = bulk("MgO", "rocksalt", a=MAGNESIA, cubic=True)
    for index, sigma in enumerate(steps(0.05, 0.05, 3)):
        vacancy = cubic.copy()
        del vacancy[vacancy.get_chemical_symbols().index("O")]
        crystals.shaken(vacancy, 0.02, [sigma], "mgo_vac_O")
        divacancy = cubic.copy()
        del divacancy[[0, 1] if index else [0, 7]]
        crystals.shaken(divacancy, 0.02, [sigma], "mgo_vac_MgO")
    large = make_supercell(
        bulk("MgO", "rocksalt", a=MAGNESIA), 2 * np.eye(3, dtype=int)
    )
    crystals.shaken(large, 0.025, steps(0.04, 0.04, 5), "mgo_b1_16")


def add_magnesium(crystals: Crystals) -> None:
    """Magnesium: hcp, fcc, bcc."""
    hcp = bulk("Mg", "hcp", a=3.20, c=5.20)
    crystals.scaled(hcp, (0.92, 0.96, 1.0, 1.04, 1.09), "mg_hcp_eos")
    crystals.shaken(hcp, 0.05, steps(0.05, 0.05, 6), "mg_hcp_rattle")
    for a in (4.3, 4.52, 4.75):
        crystals.put(bulk("Mg", "fcc", a=a), "mg_fcc")
    for a in (3.4, 3.57, 3.75):
        crystals.put(bulk("Mg", "bcc", a=a), "mg_bcc")


def add_minerals(crystals: Crystals) -> None:
    """Brucite Mg(OH)2, magnesium hydride, magnesite MgCO3."""
    brucite = crystal(
        ["Mg", "O", "H"],
        [(0, 0, 0), (1 / 3, 2 / 3, 0.22), (1 / 3, 2 / 3, 0.425)],
        spacegroup=164,
        cellpar=[3.15, 3.15, 4.77, 90, 90, 120],
    )
    crystals.scaled(brucite, (0.95, 1.0, 1.06), "brucite_eos")
    crystals.shaken(brucite, 0.04, steps(0.02, 0.015, 10), "brucite_rattle")
    hydride = crystal(
        ["Mg", "H"],
        [(0, 0, 0), (0.304, 0.304, 0)],
        spacegroup=136,
        cellpar=[4.51, 4.51, 3.02, 90, 90, 90],
    )
    crystals.shaken(hydride, 0.04, steps(0.01, 0.025, 8), "mgh2")
    magnesite = crystal(
        ["Mg", "C", "O"],
        [(0, 0, 0), (0, 0, 0.25), (0.2778, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.66, 4.66, 15.1, 90, 90, 120],
        primitive_cell=True,
    )
    crystals.shaken(magnesite, 0.025, steps(0.01, 0.02, 6), "magnesite")


def ice(scale: float) -> Atoms:
    """Cubic ice of two molecules; the cell scales, the O-H bonds of 1 Å do not."""
    bonds = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) / 3**0.5
    a = 6.30
    second = np.full(3, a / 4) * scale
    places = [
        np.zeros(3),
        second,
        bonds[0],
        bonds[1],
        second - bonds[2],
        second - bonds[3],
    ]
    cell = (np.ones((3, 3)) - np.eye(3)) * a / 2 * scale
    return Atoms("O2H4", places, cell=cell, pbc=True)


def add_molecular_solids(crystals: Crystals) -> None:
    """Ice, diamond and solid CO2."""
    for scale in (0.92, 0.96, 1.0, 1.06):
        crystals.put(ice(scale), "ice_eos")
    crystals.shaken(ice(1.0), 0.04, steps(0.03, 0.02, 7), "ice_rattle")
    for a in (3.4, 3.57, 3.8):
        crystals.put(bulk("C", "diamond", a=a), "diamond")
    carbon_dioxide = crystal(
        ["C", "O"],
        [(0, 0, 0), (0.118, 0.118, 0.118)],
        spacegroup=205,
        cellpar=[5.6] * 3 + [90] * 3,
    )
    crystals.shaken(carbon_dioxide, 0.03, steps(0.03, 0.05, 2), "co2_solid")


def add_boxed_molecules(crystals: Crystals) -> None:
    """Dimers and gas molecules in boxes."""
    for symbols, lengths, spin in DIMERS:
        for length in lengths:
            pair = boxed(Atoms(symbols, [(0, 0, 0), (0, 0, length)]), DIMER_BOX)
            crystals.put(pair, "dimer", spin=spin, box=True)
    for name in ("H2O", "CO2", "CH4"):
        gas = rattled(boxed(molecule(name), MOLECULE_BOX), 0.05, crystals.rng)
        crystals.put(gas, "gas_molecule", box=True)


def crystal_structures() -> list[Atoms]:
    """All crystal structures: atoms, equation of state, then the others shuffled."""
    crystals = Crystals()
    add_atoms(crystals)
    add_rocksalt(crystals)
    add_other_magnesia(crystals)
    add_magnesium(crystals)
    add_minerals(crystals)
    add_molecular_solids(crystals)
    add_boxed_molecules(crystals)
    return crystals.ordered(FIRST, np.random.default_rng(ORDER_SEED))


if __name__ == "__main__":
    write_structures(Path(sys.argv[1]) / "crystal.xyz", crystal_structures())
