"""Make the cells of the reference values: the origin of `reference.xyz`.

    python make_reference_structures.py FOLDER

Symmetric cells around the PBE minimum of magnesium, brucite, ice and the water
molecule, a few with one broken symmetry; `check_references.py` fits them. The k mesh is
the same for all cells of a material (the rule would jump in between) and stands in
`kpts`. Nothing is drawn at random: the file repeats exactly.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from structure_tools import Collection, write_structures

MAGNESIUM = (3.2, 5.2)
"""Å: a and c; `crystal_pbe` has this very cell (cry0077)."""

BRUCITE = (3.185, 4.765, 1.040, 0.969)
"""Å: a, c, height of O above the plane of Mg, O-H bond."""

BRUCITE_RELAXED = (3.1917, 4.833, 1.0403, 0.9704)
"""Å: where the first cells have their minimum; the layers are far apart without
dispersion."""

ICE = (6.28, 6.28, 0.600, 0.562)
"""Å: the cube's edge along and across the polar axis, H from O along and across."""

ICE_RELAXED = (6.2817, 6.2477, 0.6040, 0.5666)
"""Å: where the first cells have their minimum; its ratio of the edges is soft."""

WATER = (0.766, 0.592)
"""Å: H from O across and along the axis of the molecule."""

MAGNESIUM_STEPS = (0.05, 0.08)
BRUCITE_STEPS = (0.03, 0.12, 0.02, 0.012)
ICE_STEPS = (0.09, 0.09, 0.012, 0.012)
WATER_STEPS = (0.012, 0.012)

BOX = (7.5, 7.8, 8.2)
"""Å: the box of the gas molecules of the data set."""

LARGE_BOX = (11.0, 11.3, 11.7)
SHEAR = 0.012
"""Engineering strain."""

SHIFT_METAL = 0.05
SHIFT_HYDROXIDE = 0.02
"""Å: displacements for the modes at Gamma."""


def magnesium(a: float, c: float) -> Atoms:
    """The hexagonal cell of magnesium; the second atom lies along y and z."""
    cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]]
    places = [(0, 0, 0), (0, a / 3**0.5, c / 2)]
    return Atoms("Mg2", places, cell=cell, pbc=True)


def brucite(a: float, c: float, height: float, bond: float) -> Atoms:
    """Brucite with Mg in the plane z = 0."""
    cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]]
    y = a / 3**0.5
    other = (a / 2, y / 2)
    places = [
        (0, 0, 0),
        (0, y, height),
        (*other, c - height),
        (0, y, height + bond),
        (*other, c - height - bond),
    ]
    return Atoms("MgO2H2", places, cell=cell, pbc=True)


def ice(along: float, across: float, bond_along: float, bond_across: float) -> Atoms:
    """Cubic ice of the data set, two molecules whose dipoles point along x."""
    edges = np.array([along, across, across])
    first, second = np.zeros(3), edges / 4
    x, w = bond_along, bond_across
    places = [
        first,
        second,
        np.add(first, (x, w, w)),
        np.add(first, (x, -w, -w)),
        np.add(second, (x, -w, w)),
        np.add(second, (x, w, -w)),
    ]
    cell = (np.ones((3, 3)) - np.eye(3)) / 2 * edges
    return Atoms("O2H4", places, cell=cell, pbc=True)


def water(across: float, along: float, box: tuple[float, float, float]) -> Atoms:
    """A water molecule in a box, its axis along z."""
    places = [(0, 0, 0), (0, across, along), (0, -across, along)]
    atoms = Atoms("OH2", places, cell=box, pbc=True)
    atoms.positions += np.array(box) / 2
    return atoms


def star(
    centre: tuple[float, ...], steps: tuple[float, ...]
) -> list[tuple[float, ...]]:
    """The centre, then a step to both sides along each coordinate."""
    moves = np.diag(steps)
    ends = [tuple(np.add(centre, sign * move)) for move in moves for sign in (1, -1)]
    return [centre, *ends]


def sheared(atoms: Atoms, first: int, second: int) -> Atoms:
    """A copy under the engineering strain `SHEAR`, atoms moved along."""
    strain = np.eye(3)
    strain[first, second] = strain[second, first] = SHEAR / 2
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    return copy


def shifted(atoms: Atoms, indices: list[int], axis: int, length: float) -> Atoms:
    """A copy with some atoms moved along a Cartesian axis."""
    copy = atoms.copy()
    copy.positions[indices, axis] += length
    return copy


def reference_structures() -> list[Atoms]:
    """All structures, in the order in which they are worth a label."""
    found = Collection("ref", factor=0.6)

    def put(atoms: Atoms, kind: str, mesh: str, *, box: bool = False) -> None:
        found.add(atoms, f"reference_{kind}", "crystal", box=box)
        found.structures[-1].info["kpts"] = mesh

    for point in star(WATER, WATER_STEPS):
        put(water(*point, BOX), "water", "1x1x1", box=True)
    for point in star(BRUCITE, BRUCITE_STEPS):
        put(brucite(*point), "brucite", "5x5x3")
    for point in star(ICE, ICE_STEPS):
        put(ice(*point), "ice", "4x4x4")
    for point in star(MAGNESIUM, MAGNESIUM_STEPS)[1:]:
        put(magnesium(*point), "mg", "11x11x6")
    again = star(BRUCITE_RELAXED, BRUCITE_STEPS)
    for point in again[:4]:
        put(brucite(*point), "brucite", "5x5x3")
    hydroxide = brucite(*BRUCITE_RELAXED)
    for pair in ([3, 4], [1, 2]):
        moved = shifted(hydroxide, pair, 2, SHIFT_HYDROXIDE)
        put(moved, "brucite_gamma", "5x5x3")
    along, across, *bond = ICE_RELAXED
    for stretch in (0.0, 0.08, -0.08):
        put(ice(along + stretch, across - stretch / 2, *bond), "ice", "4x4x4")
    metal = magnesium(*MAGNESIUM)
    put(shifted(metal, [1], 0, SHIFT_METAL), "mg_gamma", "11x11x6")
    put(sheared(metal, 1, 2), "mg_shear", "11x11x6")
    put(sheared(metal, 0, 1), "mg_shear", "11x11x6")
    for point in star(MAGNESIUM, MAGNESIUM_STEPS)[3:]:
        put(magnesium(*point), "mg_mesh", "16x16x9")
    put(water(*WATER, LARGE_BOX), "water_large", "1x1x1", box=True)
    return found.structures


if __name__ == "__main__":
    write_structures(Path(sys.argv[1]) / "reference.xyz", reference_structures())
