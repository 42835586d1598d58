"""Make MgO(100) slabs, bare and with molecules: the origin of `surface.xyz`.

    python make_surface_structures.py FOLDER

Kept for the record: `structures/surface.xyz` is the source of truth. The last frames
come from GFN1-xTB dynamics (needs `tblite`), which need not repeat bit for bit
elsewhere.
"""

import logging
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from make_crystal_structures import ATOM_BOX, ATOMS, MOLECULE_BOX, steps
from structure_tools import Collection, boxed, rattled, strained, write_structures
from tight_binding import FAILURES, dynamics, tight_binding

log = logging.getLogger(__name__)

LATTICE_CONSTANT = 4.30
"""Å: about that of RPBE."""

VACUUM = 9.0
"""Å above the uppermost layer of the bare slab."""

LATERAL_STRAIN = 0.025
OVERLAP = 0.55
SEED = 5
ORDER_SEED = 2


class Surfaces(Collection):
    """The slabs in the making, with the random numbers that they draw."""

    def __init__(self) -> None:
        super().__init__("sur", factor=OVERLAP)
        self.rng = np.random.default_rng(SEED)
        self.base = slab(2)

    def put(self, atoms: Atoms, config_type: str) -> None:
        """Add a slab."""
        self.add(atoms, config_type, "surface")

    def put_gas(self, atoms: Atoms, config_type: str, spin: int = 0) -> None:
        """Add an atom or molecule in a box."""
        self.add(atoms, config_type, "surface_gas", spin=spin, box=True)

    def put_shaken(self, atoms: Atoms, sigma: float, config_type: str) -> None:
        """Add a slab with a random lateral strain and a rattle (Å)."""
        lateral = self.rng.uniform(-LATERAL_STRAIN, LATERAL_STRAIN, 2)
        cell = strained(atoms, np.diag([*lateral, 0]))
        self.put(rattled(cell, sigma, self.rng, factor=OVERLAP), config_type)

    def turn(self, largest: float = 360) -> float:
        """A random angle about the surface normal, degrees."""
        return self.rng.uniform(0, largest)


def slab(n_layers: int, a: float = LATTICE_CONSTANT) -> Atoms:
    """A bare slab, [001] along z, four atoms a layer; a is the lattice constant, Å."""
    places = (("Mg", 0, 0), ("Mg", a / 2, a / 2), ("O", a / 2, 0), ("O", 0, a / 2))
    symbols, positions = [], []
    for layer in range(n_layers):
        shift = a / 2 * (layer % 2)
        for symbol, x, y in places:
            symbols.append(symbol)
            positions.append(((x + shift) % a, y, layer * a / 2))
    height = (n_layers - 1) * a / 2 + VACUUM
    return Atoms(symbols, positions, cell=[a, a, height], pbc=True)


def top_site(base: Atoms, symbol: str, which: int = 0) -> np.ndarray:
    """Position of an atom of the uppermost layer."""
    top = base.positions[:, 2].max() - 0.3
    of_symbol = [
        p for s, p in zip(base.symbols, base.positions, strict=True) if s == symbol
    ]
    return [place for place in of_symbol if place[2] > top][which]


def adsorbed(
    base: Atoms,
    adsorbate: Atoms,
    site: str,
    height: float,
    *,
    turn: float = 0.0,
    atom: int = 0,
) -> Atoms:
    """The slab with a molecule above a site.

    Args:
        base: The slab.
        adsorbate: The molecule.
        site: Mg, O, or bridge (halfway between them).
        height: Å of the molecule's atom above the uppermost layer.
        turn: Degrees about the surface normal.
        atom: The atom of the molecule that stands above the site.
    """
    magnesium, oxygen = top_site(base, "Mg"), top_site(base, "O")
    lateral = {"Mg": magnesium, "O": oxygen, "bridge": (magnesium + oxygen) / 2}[site]
    top = base.positions[:, 2].max()
    copy = adsorbate.copy()
    copy.rotate(turn, "z")
    copy.positions += np.array([*lateral[:2], top + height]) - copy.positions[atom]
    return base + copy


def flat_water() -> Atoms:
    """Water lying flat."""
    water = molecule("H2O")
    water.rotate(85, "y")
    return water


def upside_down_water() -> Atoms:
    """Water with its hydrogens towards the surface, in `adsorbed`'s orientation."""
    water = molecule("H2O")
    water.rotate(180, "x")
    return water


HYDROXYL = Atoms("OH", [(0, 0, 0), (0.3, 0.2, 0.9)])
CARBON_DOWN = Atoms("CO", [(0, 0, 0), (0, 0, 1.14)])
OXYGEN_DOWN = Atoms("CO", [(0, 0, 1.14), (0, 0, 0)])
BENT_CO2 = Atoms("CO2", [(0, 0, 0), (1.1, 0, 0.45), (-1.1, 0, 0.45)])
FLAT_CO2 = Atoms("CO2", [(0, 0, 0), (1.17, 0, 0), (-1.17, 0, 0)])


def add_gas(surfaces: Surfaces) -> None:
    """Isolated atoms and gas molecules in boxes."""
    for element, spin in ATOMS:
        surfaces.put_gas(boxed(Atoms(element), ATOM_BOX), "IsolatedAtom", spin)
    for name in ("H2O", "CO", "CO2", "H2", "CH4"):
        gas = boxed(molecule(name), MOLECULE_BOX)
        surfaces.put_gas(gas, "gas_molecule")
        surfaces.put_gas(rattled(gas, 0.06, surfaces.rng), "gas_molecule")


def add_bare(surfaces: Surfaces) -> None:
    """Bare slabs of two and three layers."""
    for n_layers, n_rattles in ((2, 6), (3, 3)):
        for a in (4.22, 4.30, 4.36):
            surfaces.put(slab(n_layers, a), f"slab{n_layers}_bare")
        for sigma in steps(0.04, 0.035, n_rattles):
            surfaces.put_shaken(slab(n_layers), sigma, f"slab{n_layers}_bare_rattle")


def add_water(surfaces: Surfaces) -> None:
    """Water over Mg and over O."""
    base = surfaces.base
    down, plain = upside_down_water(), molecule("H2O")
    for height in (1.9, 2.15, 2.4, 2.8, 3.4):
        x = adsorbed(base, flat_water(), "Mg", height, turn=surfaces.turn())
        surfaces.put_shaken(x, 0.04, "ads_H2O")
    for height in (2.1, 2.4, 3.0):
        water = down if height > 2.2 else plain
        x = adsorbed(base, water, "Mg", height, turn=surfaces.turn())
        surfaces.put_shaken(x, 0.06, "ads_H2O")
    for height in (2.6, 3.0):
        x = adsorbed(base, down, "O", height, turn=surfaces.turn())
        surfaces.put_shaken(x, 0.06, "ads_H2O")


def add_carbon_oxides(surfaces: Surfaces) -> None:
    """CO and CO2, physisorbed and as the beginning of a carbonate."""
    base = surfaces.base
    for height in (2.1, 2.35, 2.6, 3.0, 3.6):
        x = adsorbed(base, CARBON_DOWN, "Mg", height)
        surfaces.put_shaken(x, 0.04, "ads_CO")
    for site, height, gas, atom in (
        ("Mg", 2.5, OXYGEN_DOWN, 1),
        ("O", 2.6, CARBON_DOWN, 0),
        ("bridge", 2.7, CARBON_DOWN, 0),
    ):
        surfaces.put_shaken(
            adsorbed(base, gas, site, height, atom=atom), 0.05, "ads_CO"
        )
    for height in (1.35, 1.5, 2.0):
        surfaces.put_shaken(adsorbed(base, CARBON_DOWN, "O", height), 0.04, "ads_CO")
    for height in (1.4, 1.6, 2.2):
        x = adsorbed(base, BENT_CO2, "O", height, turn=surfaces.turn(90))
        surfaces.put_shaken(x, 0.04, "ads_CO2")
    for height in (2.6, 3.1):
        x = adsorbed(base, FLAT_CO2, "bridge", height, turn=surfaces.turn(90))
        surfaces.put_shaken(x, 0.05, "ads_CO2")


def add_dissociated(surfaces: Surfaces) -> None:
    """Split water and hydrogen, H2, CH4, two waters, an O vacancy."""
    base = surfaces.base
    for index, height in enumerate((1.95, 2.05, 2.2)):
        x = adsorbed(base, HYDROXYL, "Mg", height, turn=surfaces.turn())
        x += Atoms("H", [np.add(top_site(base, "O", index % 2), (0, 0, 0.97))])
        surfaces.put_shaken(x, 0.04, "ads_OH+H")
    for height in (2.3, 2.8):
        surfaces.put_shaken(adsorbed(base, molecule("H2"), "O", height), 0.05, "ads_H2")
    for index in range(2):
        over_o = adsorbed(base, Atoms("H"), "O", 0.97 + 0.05 * index)
        over_mg = adsorbed(base, Atoms("H"), "Mg", 1.75 + 0.1 * index)
        surfaces.put_shaken(base + over_o[-1:] + over_mg[-1:], 0.04, "ads_2H")
    surfaces.put_shaken(adsorbed(base, molecule("CH4"), "Mg", 3.2), 0.06, "ads_CH4")
    one = adsorbed(base, flat_water(), "Mg", 2.2, turn=20)
    other = adsorbed(base, upside_down_water(), "O", 2.9, turn=70)
    surfaces.put_shaken(one + other[-3:], 0.04, "ads_2H2O")
    vacancy = base.copy()
    upper = (vacancy.symbols == "O") & (vacancy.positions[:, 2] > 1)
    del vacancy[np.flatnonzero(upper)[0]]
    for sigma in steps(0.03, 0.05, 3):
        surfaces.put_shaken(vacancy, sigma, "slab2_vacO")


def add_dynamics(surfaces: Surfaces) -> None:
    """Frames of GFN1-xTB dynamics at 600 K; none where xTB fails."""
    split = next(a for a in surfaces.structures if a.info["config_type"] == "ads_OH+H")
    starts = {
        "H2O": adsorbed(surfaces.base, flat_water(), "Mg", 2.2),
        "CO": adsorbed(surfaces.base, CARBON_DOWN, "Mg", 2.45),
        "OH+H": split,
    }
    try:
        for name, start in starts.items():
            walker = start.copy()
            walker.calc = tight_binding("GFN1-xTB")
            md = dynamics(
                walker,
                timestep_fs=1.0,
                temperature_K=600,
                start_K=900,
                rng=surfaces.rng,
            )
            for _ in range(4):
                md.run(25)
                surfaces.put(walker, f"md_{name}")
    except FAILURES as error:
        log.warning("xTB failed: %s", error)


def surface_structures() -> list[Atoms]:
    """All surface structures: atoms first, then the others shuffled."""
    surfaces = Surfaces()
    add_gas(surfaces)
    add_bare(surfaces)
    add_water(surfaces)
    add_carbon_oxides(surfaces)
    add_dissociated(surfaces)
    add_dynamics(surfaces)
    return surfaces.ordered(("IsolatedAtom",), np.random.default_rng(ORDER_SEED))


if __name__ == "__main__":
    write_structures(Path(sys.argv[1]) / "surface.xyz", surface_structures())
