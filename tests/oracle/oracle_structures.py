"""Seven structures of at most eight atoms, the same at every call.

Elements are placed in three slots (a cation, an anion, a light atom), so that one set
of geometries serves models with different elements.
"""

from dataclasses import dataclass

import numpy as np

CATION, ANION, LIGHT = 0, 1, 2
ROCKSALT = [(0, 0, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Slots in place of elements; lengths in Å, rows of `cell` are lattice vectors."""

    slots: list[int]
    positions: np.ndarray
    cell: np.ndarray
    pbc: tuple[bool, bool, bool]

    def record(self, elements: tuple[int, int, int]) -> dict:
        """What JSON keeps, with the slots filled by atomic numbers."""
        return {
            "numbers": [elements[slot] for slot in self.slots],
            "positions": self.positions.tolist(),
            "cell": self.cell.tolist(),
            "pbc": list(self.pbc),
        }


def _rattled() -> Geometry:
    """Eight atoms of rocksalt, one anion replaced, each moved by about 0.1 Å."""
    rng = np.random.default_rng(11)
    cations = np.array(ROCKSALT) * 1.05
    positions = np.concatenate([cations, cations + np.array([2.1, 0.0, 0.0])])
    return Geometry(
        slots=[CATION] * 4 + [ANION] * 3 + [LIGHT],
        positions=positions + 0.1 * rng.standard_normal((8, 3)),
        cell=np.eye(3) * 4.2,
        pbc=(True, True, True),
    )


def _triclinic() -> Geometry:
    """Five atoms in a cell without a right angle, one of them outside the cell."""
    cell = np.array([[4.3, 0.2, -0.1], [1.1, 3.9, 0.3], [-0.7, 0.9, 4.6]])
    fractions = np.array(
        [
            (0.02, 0.05, 0.01),
            (0.47, 0.08, 0.03),
            (0.05, 0.52, 0.49),
            (0.55, 0.46, 0.53),
            (1.30, -0.24, 0.78),
        ]
    )
    return Geometry(
        slots=[CATION, ANION, ANION, CATION, LIGHT],
        positions=fractions @ cell,
        cell=cell,
        pbc=(True, True, True),
    )


def _slab() -> Geometry:
    """Two layers of a (001) surface with a light atom on top, open along z."""
    rng = np.random.default_rng(13)
    side = 2.97
    layers = [(0, 0, 0), (side / 2, side / 2, 0), (side / 2, side / 2, 2.1)]
    positions = np.array([*layers, (0, 0, 2.15), (0.2, 0.1, 3.1)])
    return Geometry(
        slots=[CATION, ANION, CATION, ANION, LIGHT],
        positions=positions + 0.05 * rng.standard_normal((5, 3)),
        cell=np.diag([side, side, 25.0]),
        pbc=(True, True, False),
    )


def _molecule() -> Geometry:
    """A bent three-atom molecule next to a pair, without a cell."""
    positions = [
        (0.00, 0.00, 0.12),
        (0.71, 0.09, -0.40),
        (-0.80, 0.02, -0.51),
        (0.35, -0.20, 2.20),
        (1.90, 0.40, 2.85),
    ]
    return Geometry(
        slots=[ANION, LIGHT, LIGHT, CATION, ANION],
        positions=np.array(positions),
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
    )


def _atom() -> Geometry:
    """One atom without a neighbour."""
    return Geometry(
        slots=[ANION],
        positions=np.array([[0.3, -0.2, 0.1]]),
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
    )


def _primitive() -> Geometry:
    """Two atoms in a strained primitive cell: every vector is below the cutoff."""
    cell = np.array([[0.05, 2.10, 2.15], [2.05, -0.04, 2.12], [2.11, 2.08, 0.02]])
    return Geometry(
        slots=[CATION, ANION],
        positions=np.array([[0.0, 0.0, 0.0], [2.02, 2.15, 2.21]]),
        cell=cell,
        pbc=(True, True, True),
    )


def _single() -> Geometry:
    """One atom whose neighbours are all its own images."""
    return Geometry(
        slots=[CATION],
        positions=np.array([[0.4, 0.1, -0.3]]),
        cell=np.array([[2.6, 0.1, 0.0], [0.3, 2.5, -0.2], [0.2, 0.4, 2.7]]),
        pbc=(True, True, True),
    )


GEOMETRIES = {
    "rattled": _rattled(),
    "triclinic": _triclinic(),
    "slab": _slab(),
    "molecule": _molecule(),
    "atom": _atom(),
    "primitive": _primitive(),
    "single": _single(),
}
