"""One labelled structure: geometry, what is known about it, and where it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lamplighter.arrays import Floats, Integers
from lamplighter.train.data.hessian import HessianRows

ISOLATED_ATOM = "IsolatedAtom"
"""The `config_type` of a single atom whose energy is a head's reference energy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A labelled structure of one head.

    A property that the source does not give is None, never zero.

    Attributes:
        numbers: atomic numbers, [n_atoms].
        positions: [n_atoms, 3], Å.
        cell: lattice vectors as rows, [3, 3], Å; zero for a molecule.
        pbc: periodic along each lattice vector.
        energy: total energy of the code, eV.
        forces: [n_atoms, 3], eV/Å, or None.
        stress: [3, 3], eV/Å^3, tension positive, or None.
        head: the head that this frame trains.
        level: level of theory as the source names it ("" when it does not).
        config_type: what kind of structure it is ("" when the source does not say).
        uid: name of the geometry; frames of several heads may share it.
        source: file and frame number for messages.
        domain: what part of chemistry it belongs to, "crystal", "surface", as the
            source names it ("" when it does not).
        weight: factor on every loss term of this frame.
        hessian: some rows of the Hessian, or None.
        group: the trajectory or system that it is a part of ("" when the source does
            not say).
    """

    numbers: Integers
    positions: Floats
    cell: Floats
    pbc: tuple[bool, bool, bool]
    energy: float
    forces: Floats | None
    stress: Floats | None
    head: str
    level: str
    config_type: str
    uid: str
    source: str
    domain: str = ""
    weight: float = 1.0
    hessian: HessianRows | None = None
    group: str = ""

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def is_isolated_atom(self) -> bool:
        """Whether the frame is a single atom that defines a reference energy."""
        return self.config_type == ISOLATED_ATOM and self.n_atoms == 1

    @property
    def volume(self) -> float:
        """Volume of the cell, Å^3; 0 for a frame that is not periodic in three ways."""
        return float(abs(np.linalg.det(self.cell))) if all(self.pbc) else 0.0

    def atoms(self) -> Atoms:
        """Return the geometry as ASE atoms, without labels."""
        return Atoms(
            numbers=self.numbers,
            positions=self.positions,
            cell=self.cell,
            pbc=self.pbc,
        )


def geometry_digest(numbers: Integers, positions: Floats, cell: Floats) -> str:
    """Return 16 hexadecimal digits that name a geometry, to 1e-6 Å.

    Used as `uid` where a source names none, so that splits do not depend on the order
    of a file.
    """
    rounded = [np.round(np.asarray(a, dtype=float), 6) + 0.0 for a in (positions, cell)]
    content = b"".join(
        [np.asarray(numbers, dtype=np.int64).tobytes(), *(a.tobytes() for a in rounded)]
    )
    return hashlib.sha256(content).hexdigest()[:16]
