"""Structures that are built in: the materials of a suite and the parity set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from ase.spacegroup import crystal as with_symmetry

from lamplighter.errors import ConfigError, DataError, explain


def brucite() -> Atoms:
    """Return Mg(OH)2, P-3m1, one formula unit."""
    return with_symmetry(
        ["Mg", "O", "H"],
        [(0, 0, 0), (1 / 3, 2 / 3, 0.22), (1 / 3, 2 / 3, 0.425)],
        spacegroup=164,
        cellpar=[3.15, 3.15, 4.77, 90, 90, 120],
    )


def ice() -> Atoms:
    """Return cubic ice with ordered protons, two molecules."""
    bonds = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) / 3**0.5
    a = 6.30
    second = np.full(3, a / 4)
    places = [np.zeros(3), second, bonds[0], bonds[1]]
    places += [second - bonds[2], second - bonds[3]]
    cell = (np.ones((3, 3)) - np.eye(3)) * a / 2
    return Atoms("O2H4", places, cell=cell, pbc=True)


def water_dimer() -> Atoms:
    """Return two water molecules with one hydrogen bond, near their minimum."""
    return Atoms(
        "OH2OH2",
        positions=[
            (-1.551, -0.115, 0.000),
            (-1.934, 0.763, 0.000),
            (-0.600, 0.041, 0.000),
            (1.351, 0.111, 0.000),
            (1.680, -0.374, -0.759),
            (1.680, -0.374, 0.759),
        ],
    )


def rocksalt_slab(name: str, a: float) -> Atoms:
    """Return four layers of a (100) surface of a rocksalt crystal, four atoms each."""
    cell = bulk(name, "rocksalt", a=a, cubic=True)
    slab: Atoms = cell.repeat((1, 1, 2))
    slab.center(vacuum=8.0, axis=2)
    slab.pbc = [True, True, False]
    return slab


BUILT_IN: Final[dict[str, Callable[[], Atoms]]] = {
    "MgO": lambda: bulk("MgO", "rocksalt", a=4.25, cubic=True),
    "NaCl": lambda: bulk("NaCl", "rocksalt", a=5.65, cubic=True),
    "Si": lambda: bulk("Si", "diamond", a=5.45, cubic=True),
    "Al": lambda: bulk("Al", "fcc", a=4.04, cubic=True),
    "Cu": lambda: bulk("Cu", "fcc", a=3.63, cubic=True),
    "Mg": lambda: bulk("Mg", "hcp", a=3.20, c=5.20),
    "brucite": brucite,
    "ice": ice,
    "MgO(100)": lambda: rocksalt_slab("MgO", 4.25),
    "water": lambda: molecule("H2O"),
    "water_dimer": water_dimer,
}
"""Name -> structure near its equilibrium; every suite relaxes it first."""


def structure_of(name: str, file: Path | None = None) -> Atoms:
    """Return the structure of a material: from `file`, or the built-in one.

    Raises:
        ConfigError: no file is given and the name is not built in.
        DataError: the file cannot be read, or a periodic structure has no cell.
    """
    if file is None:
        if name not in BUILT_IN:
            raise ConfigError(
                explain(
                    "unknown material",
                    got=name,
                    wanted=f"one of {', '.join(sorted(BUILT_IN))}, or a structure file",
                    fix=f"write {{name: {name}, structure: FILE}} in the suite",
                )
            )
        return BUILT_IN[name]()
    try:
        atoms = read(file)
    except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
        raise DataError(
            explain(
                f"cannot read the structure of {name}",
                got=f"{file}: {error}",
                wanted="a file that ASE reads, with one crystal",
            )
        ) from error
    if not isinstance(atoms, Atoms) or atoms.cell[atoms.pbc].any(axis=1).sum() < sum(
        atoms.pbc
    ):
        raise DataError(
            explain(
                f"the structure of {name} has no cell",
                got=file,
                wanted="one structure; a periodic one with its lattice vectors",
            )
        )
    return atoms


def parity_structures(structure: Atoms) -> dict[str, Atoms]:
    """Return six structures on which two engines must agree; of a molecule five.

    They cover what goes wrong in an interface: forces of a rattled crystal, tilted
    boxes of both signs, a cell smaller than the cutoff, vacuum, a free atom without
    neighbours, and element orders and atom counts that differ from the crystal's.

    Args:
        structure: the conventional cell of a crystal, a slab, or a molecule.

    Returns:
        Name -> structure; the same for the same one, always.
    """
    periodic = structure.pbc.all()
    return _of_crystal(structure) if periodic else _of_finite(structure)


def _of_finite(structure: Atoms) -> dict[str, Atoms]:
    """Return structures of a molecule or slab, free and in boxes."""
    rng = np.random.default_rng(21)
    rattled = structure.copy()
    rattled.positions += rng.normal(0, 0.05, rattled.positions.shape)

    boxed = rattled.copy()
    open_axes = np.flatnonzero(~structure.pbc)
    boxed.center(vacuum=7.0, axis=tuple(int(axis) for axis in open_axes))
    boxed.pbc = True
    if structure.pbc.any():
        rattled = boxed.copy()  # stresses want three periods; vacuum is as good

    tilted = boxed.copy()
    strain = np.array([[0.02, 0.11, -0.09], [0.0, -0.03, 0.13], [0.0, 0.0, 0.01]])
    tilted.set_cell(tilted.cell @ (np.eye(3) + strain), scale_atoms=True)
    tilted.rotate(37, (1, 2, 3), rotate_cell=True)

    reverse = rattled[::-1].copy()
    reverse.positions += rng.normal(0, 0.05, reverse.positions.shape)
    atom = Atoms(structure[-1].symbol, positions=[[5.1, 4.9, 5.3]])
    atom.set_cell([11, 12, 13])
    atom.pbc = True
    return {
        "rattled": rattled,
        "in a box": boxed,
        "in a box, tilted and rotated": tilted,
        "elements reversed": reverse,
        "isolated atom": atom,
    }


def _of_crystal(crystal: Atoms) -> dict[str, Atoms]:
    rng = np.random.default_rng(20)
    rattled = crystal.copy()
    rattled.positions += rng.normal(0, 0.06, rattled.positions.shape)

    tilted = crystal.repeat((2, 1, 1))
    strain = np.array([[0.02, 0.11, -0.09], [0.0, -0.03, 0.13], [0.0, 0.0, 0.01]])
    tilted.set_cell(tilted.cell @ (np.eye(3) + strain), scale_atoms=True)
    tilted.rotate(37, (1, 2, 3), rotate_cell=True)
    tilted.positions += rng.normal(0, 0.04, tilted.positions.shape)

    slab = crystal.repeat((1, 1, 2))
    slab.center(vacuum=8.0, axis=2)
    slab.positions += rng.normal(0, 0.05, slab.positions.shape)

    # One atom of each kind and no more: every neighbour is an image of one of them.
    kinds = list(dict.fromkeys(crystal.get_chemical_symbols()))
    symbols = crystal.get_chemical_symbols()
    small = crystal[[symbols.index(kind) for kind in kinds]]
    edge = (crystal.get_volume() * len(small) / len(crystal)) ** (1 / 3)
    small.set_cell(np.eye(3) * edge + 0.25 * np.eye(3, k=-1), scale_atoms=False)
    small.set_scaled_positions(
        np.linspace(0.03, 0.55, len(small))[:, None] * np.array([1.0, 0.95, 0.9])
    )

    cluster = crystal[::-1].copy()
    cluster.positions += rng.normal(0, 0.05, cluster.positions.shape)
    cluster.center(vacuum=9.0)

    atom = Atoms(kinds[-1], positions=[[5.1, 4.9, 5.3]], cell=[11, 12, 13], pbc=True)
    return {
        "rattled crystal": rattled,
        "triclinic, rotated": tilted,
        "slab with vacuum": slab,
        "cell smaller than the cutoff": small,
        "cluster, elements reversed": cluster,
        "isolated atom": atom,
    }
