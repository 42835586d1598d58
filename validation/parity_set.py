"""The structures of a full preflight: everything that an interface has to survive."""

from __future__ import annotations

from typing import Final

import numpy as np
from ase import Atoms

from lamplighter.validation.materials import parity_structures

LIQUID_ATOMS: Final = 300
_CLOSEST: Final = 0.8  # of the shortest distance of the crystal


def full_structures(crystal: Atoms) -> dict[str, Atoms]:
    """Return the twelve structures of a full preflight.

    To the six of [`parity_structures`][lamplighter.validation.materials] come the tilts
    of the other sign, a left-handed cell, a slab and a wire whose other directions are
    open, a molecule without a cell, and a disordered box of about 300 atoms.

    Args:
        crystal: the conventional cell of a compound or element.

    Returns:
        Name -> structure; the same for the same crystal, always.
    """
    found = parity_structures(crystal)
    rng = np.random.default_rng(21)

    strain = np.array([[-0.01, -0.12, 0.08], [0.0, 0.02, -0.14], [0.0, 0.0, 0.01]])
    tilted = crystal.repeat((1, 2, 1))
    tilted.set_cell(tilted.cell @ (np.eye(3) + strain), scale_atoms=True)
    found["triclinic, other sign"] = _shaken(tilted, 0.04, rng)

    mirror = _shaken(crystal, 0.05, rng)
    mirror.set_cell(mirror.cell.array[[1, 0, 2]])
    found["left-handed cell"] = mirror

    slab = crystal.repeat((1, 1, 2))
    slab.center(vacuum=4.0, axis=2)
    slab.pbc = (True, True, False)
    found["slab, open boundary"] = _shaken(slab, 0.05, rng)

    wire = crystal.copy()
    wire.center(vacuum=3.0, axis=(1, 2))
    wire.pbc = (True, False, False)
    found["wire, open boundaries"] = _shaken(wire, 0.05, rng)

    molecule = crystal[: max(2, min(5, len(crystal)))]
    molecule.pbc = False
    molecule.cell = None
    found["molecule without a cell"] = _shaken(molecule, 0.05, rng)

    found["liquid"] = _liquid(crystal, rng)
    return found


def _shaken(atoms: Atoms, size: float, rng: np.random.Generator) -> Atoms:
    moved: Atoms = atoms.copy()
    moved.positions += rng.normal(0, size, moved.positions.shape)
    return moved


def _liquid(crystal: Atoms, rng: np.random.Generator) -> Atoms:
    """Return a box without order in which no two atoms are close.

    Atoms are moved one shell at a time, as far as their neighbours allow: far enough
    that no two environments are alike, near enough that a potential knows them.
    """
    copies = max(1, round((LIQUID_ATOMS / len(crystal)) ** (1 / 3)))
    closest = _CLOSEST * _shortest(crystal.repeat((2, 2, 2)))
    box: Atoms = crystal.repeat((copies, copies, copies))
    cell, positions = box.cell.array, box.get_positions()
    fractions = np.linalg.inv(cell)
    for _ in range(4):
        for index in rng.permutation(len(box)):
            trial = positions[index] + rng.normal(0, 0.25, 3)
            away = (np.delete(positions, index, axis=0) - trial) @ fractions
            # The nearest image, for what is much closer than half the box.
            d = np.linalg.norm((away - np.round(away)) @ cell, axis=1)
            if d.min() > closest:
                positions[index] = trial
    box.set_positions(positions)
    return box


def _shortest(atoms: Atoms) -> float:
    distances = atoms.get_all_distances(mic=True)
    return float(distances[distances > 0].min())
