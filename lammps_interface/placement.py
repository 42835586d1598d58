"""Any cell in LAMMPS' axes, and forces and stresses back in the axes of the input.

LAMMPS wants the lattice vectors as the rows of a lower-triangular matrix with a
positive diagonal (a along x, b in the xy plane, right-handed) and tilt factors of at
most half a box length. This is the only module that knows.

Rows are vectors throughout: ``v_lammps = v_input @ rotation``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.errors import DataError, explain

# Å between the outermost atoms and the wall of a direction that is not periodic. The
# wall has no physics; it must only leave no atom outside, whatever the rounding.
MARGIN = 1.0

# A cell is refused as flat when its volume falls below this fraction of |a||b||c|.
FLAT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """A structure in LAMMPS' axes.

    Attributes:
        box: ``[3, 3]`` Å, lower triangular, rows are lattice vectors; the origin is 0.
        rotation: ``[3, 3]`` proper rotation with ``v_lammps = v_input @ rotation``.
        positions: ``[n_atoms, 3]`` Å, inside the box, in the order of the input.
        periodic: Periodicity along the three box vectors.
        volume: Volume of the input cell in Å^3, ``None`` when it has none.
    """

    box: Floats
    rotation: Floats
    positions: Floats
    periodic: tuple[bool, bool, bool]
    volume: float | None

    def forces_back(self, forces: Floats) -> Floats:
        """Return forces ``[n_atoms, 3]`` of LAMMPS in the axes of the input."""
        return np.asarray(forces @ self.rotation.T)

    def stress_back(self, stress: Floats) -> Floats | None:
        """Return the stress ``[3, 3]`` of the input from the stress of the box.

        Both in eV/Å^3. The two volumes differ when a direction is not periodic (the
        box is then fitted to the atoms): what is conserved is stress times volume.
        ``None`` when the input has no volume.
        """
        if self.volume is None:
            return None
        turned = self.rotation @ stress @ self.rotation.T
        return np.asarray(turned * (float(np.prod(np.diag(self.box))) / self.volume))


def place(atoms: Atoms) -> Placement:
    """Return ``atoms`` rotated, tilt-reduced and wrapped for LAMMPS.

    A left-handed cell is made right-handed by reversing its third vector, which spans
    the same lattice, so that the rotation stays proper and no structure is mirrored.
    Directions that are not periodic get a vector normal to the others that encloses
    the atoms.

    Raises:
        DataError: If a periodic direction has no lattice vector, or if the periodic
            vectors are linearly dependent, or if a position is not finite.
    """
    positions = np.asarray(atoms.get_positions(), dtype=np.float64)
    if not np.all(np.isfinite(positions)):
        raise DataError(
            explain(
                "positions must be finite",
                got=f"NaN or infinity in {len(atoms)} atoms",
                wanted="finite numbers in Å",
                fix="look at the structure before it is sent to LAMMPS",
            )
        )
    periodic = tuple(bool(flag) for flag in atoms.pbc)
    basis = _complete(np.asarray(atoms.cell.array, dtype=np.float64), periodic)
    rotation, box = _lower_triangular(basis)
    turned = positions @ rotation
    for axis in range(3):
        if not periodic[axis]:
            low, high = turned[:, axis].min(), turned[:, axis].max()
            box[axis] = 0.0
            box[axis, axis] = high - low + 2 * MARGIN
            turned[:, axis] += MARGIN - low
    box = _reduce_tilts(box)
    volume = abs(float(np.linalg.det(atoms.cell.array)))
    return Placement(
        box=box,
        rotation=rotation,
        positions=_wrap(turned, box, periodic),
        periodic=(periodic[0], periodic[1], periodic[2]),
        volume=volume if atoms.cell.rank == 3 else None,
    )


def dump_text(placement: Placement, types: list[int]) -> str:
    """Return a native LAMMPS dump of one snapshot, with every digit of a double.

    Args:
        placement: The structure in LAMMPS' axes.
        types: LAMMPS type of each atom, from 1.
    """
    box = placement.box
    xy, xz, yz = box[1, 0], box[2, 0], box[2, 1]
    # LAMMPS writes and reads the bounding box of a tilted box, not its corner.
    bounds = (
        (min(0.0, xy, xz, xy + xz), box[0, 0] + max(0.0, xy, xz, xy + xz), xy),
        (min(0.0, yz), box[1, 1] + max(0.0, yz), xz),
        (0.0, box[2, 2], yz),
    )
    kinds = " ".join("pp" if flag else "ff" for flag in placement.periodic)
    lines = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", str(len(types))]
    lines.append(f"ITEM: BOX BOUNDS xy xz yz {kinds}")
    lines += [f"{low:.17g} {high:.17g} {tilt:.17g}" for low, high, tilt in bounds]
    lines.append("ITEM: ATOMS id type x y z")
    lines += [
        f"{index} {kind} {x:.17g} {y:.17g} {z:.17g}"
        for index, (kind, (x, y, z)) in enumerate(
            zip(types, placement.positions, strict=True), start=1
        )
    ]
    return "\n".join(lines) + "\n"


def _complete(cell: Floats, periodic: tuple[bool, ...]) -> Floats:
    """Return a right-handed basis: periodic vectors kept, the others unit normals."""
    kept = [axis for axis in range(3) if periodic[axis]]
    lengths = np.linalg.norm(cell[kept], axis=1)
    volume = float(np.sqrt(max(0.0, np.linalg.det(cell[kept] @ cell[kept].T))))
    if kept and (lengths.min() == 0.0 or volume < FLAT * float(np.prod(lengths))):
        raise DataError(
            explain(
                "the periodic lattice vectors are missing or linearly dependent",
                got=f"cell {cell.tolist()}, periodic {list(periodic)}",
                wanted="one independent lattice vector for each periodic direction",
                fix="set atoms.cell, or atoms.pbc = False where there is no period",
            )
        )
    basis = cell.copy()
    if len(kept) < 3:
        # The last rows of V^T span the space normal to the periodic vectors.
        normals = np.linalg.svd(cell[kept])[2][len(kept) :] if kept else np.eye(3)
        basis[[axis for axis in range(3) if not periodic[axis]]] = normals
    if np.linalg.det(basis) < 0.0:
        basis[2] *= -1.0
    return basis


def _lower_triangular(basis: Floats) -> tuple[Floats, Floats]:
    """Return ``rotation, box`` with ``box = basis @ rotation`` lower triangular."""
    rotation, upper = np.linalg.qr(basis.T)
    signs = np.where(np.diag(upper) < 0.0, -1.0, 1.0)
    return rotation * signs, np.tril((upper * signs[:, None]).T)


def _reduce_tilts(box: Floats) -> Floats:
    """Return a box of the same lattice with tilts of at most half a length.

    Tilts couple periodic directions only: a direction that is not periodic is normal
    to the others, so that its tilt is zero and nothing is subtracted.
    """
    reduced = box.copy()
    reduced[2] -= np.round(reduced[2, 1] / reduced[1, 1]) * reduced[1]
    reduced[2] -= np.round(reduced[2, 0] / reduced[0, 0]) * reduced[0]
    reduced[1] -= np.round(reduced[1, 0] / reduced[0, 0]) * reduced[0]
    return reduced


def _wrap(positions: Floats, box: Floats, periodic: tuple[bool, ...]) -> Floats:
    """Return positions moved by lattice vectors into the box."""
    shifts = np.floor(np.linalg.solve(box.T, positions.T).T)
    shifts[:, [axis for axis in range(3) if not periodic[axis]]] = 0.0
    return np.asarray(positions - shifts @ box)
