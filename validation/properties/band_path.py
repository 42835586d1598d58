"""Paths through the Brillouin zone, in the basis of whatever primitive cell is there.

Corners go by name, and names by the shape of the crystal; their fractions go by the
choice of the lattice vectors. A table made for one primitive cell is wrong for another,
without any sign of it in the bands.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from lamplighter.errors import DataError, explain
from lamplighter.validation.structures import CUBIC, symmetry

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Corner = tuple[str, tuple[float, float, float]]

GAMMA: Final = "Γ"

# Corners in the basis of phonopy's primitive cells "F", "I" and "P", whose lattice
# vectors are those of Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010).
_G: Final[Corner] = (GAMMA, (0.0, 0.0, 0.0))
_FCC: Final = (
    (_G, ("X", (0.5, 0.0, 0.5)), ("U", (0.625, 0.25, 0.625))),
    (("K", (0.375, 0.375, 0.75)), _G, ("L", (0.5, 0.5, 0.5)), ("W", (0.5, 0.25, 0.75))),
)
_BCC: Final = (
    (
        _G,
        ("H", (0.5, -0.5, 0.5)),
        ("N", (0.0, 0.0, 0.5)),
        _G,
        ("P", (0.25, 0.25, 0.25)),
    ),
)
_CUBIC: Final = (
    (_G, ("X", (0.0, 0.5, 0.0)), ("M", (0.5, 0.5, 0.0)), _G, ("R", (0.5, 0.5, 0.5))),
)
# Relative to the longest vector squared, and in Å: two cells of one crystal agree far
# better, two cells of different shape far worse.
_SHAPE: Final = 1e-3
_NEAR: Final = 0.02
_VECTORS: Final = {
    "F": np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]),
    "I": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPath:
    """A path through the Brillouin zone.

    Attributes:
        segments: continuous pieces, each a sequence of labelled corners in fractions of
            the reciprocal vectors of the primitive cell.
    """

    segments: tuple[tuple[Corner, ...], ...]

    def corners(self) -> dict[str, tuple[float, float, float]]:
        """Return each label once, with its wave vector."""
        return {label: q for segment in self.segments for label, q in segment}


def default_path(phonons: Phonopy) -> BandPath:
    """Return the usual path for the primitive cell of `phonons`.

    Cubic crystals have tabulated paths; for the others pymatgen's, carried over into
    the basis of this primitive cell, whatever its choice of vectors and orientation.

    Raises:
        DataError: spglib finds no symmetry, or the primitive cell spans another lattice
            than the standard one.
    """
    cell = phonons.primitive
    atoms = Atoms(
        numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions
    )
    spacegroup = symmetry(atoms, 1e-4)
    if spacegroup.number < CUBIC:
        return general_path(atoms)
    letter = spacegroup.international[0]
    path = BandPath(segments={"F": _FCC, "I": _BCC}.get(letter, _CUBIC))
    vectors = _VECTORS.get(letter, np.eye(3))
    length = abs(np.linalg.det(cell.cell) / np.linalg.det(vectors)) ** (1 / 3)
    standard = Atoms(cell=length * vectors)
    if np.allclose(_metric(standard), _metric(atoms), rtol=1e-3, atol=1e-2):
        return path  # its own basis is the table's
    return _in_basis(path, basis_of(standard, atoms))


def general_path(atoms: Atoms) -> BandPath:
    """Return pymatgen's path for a primitive cell, in its own basis.

    Raises:
        DataError: the cell is not primitive.

    Source: Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010).
    """
    from pymatgen.core.structure import Structure  # noqa: PLC0415 - half a second of import
    from pymatgen.symmetry.bandstructure import HighSymmKpath  # noqa: PLC0415

    structure = Structure(
        atoms.cell.array, atoms.get_chemical_symbols(), atoms.get_scaled_positions()
    )
    with warnings.catch_warnings():
        # It says that the cell differs: the path is carried over.
        warnings.filterwarnings("ignore", "The input structure does not match")
        found = HighSymmKpath(structure, symprec=1e-4)
    standard = Atoms(
        numbers=found.prim.atomic_numbers,
        cell=found.prim.lattice.matrix,
        scaled_positions=found.prim.frac_coords,
    )
    points = {
        _name(label): tuple(map(float, q))
        for label, q in found.kpath["kpoints"].items()
    }
    segments = [[_name(label) for label in part] for part in found.kpath["path"]]
    path = BandPath(
        segments=tuple(tuple((n, _three(points[n])) for n in s) for s in segments)
    )
    return _in_basis(path, basis_of(standard, atoms))


def basis_of(standard: Atoms, atoms: Atoms) -> IntArray:
    """Return whole numbers ``N`` so that ``N @ atoms.cell`` is a turned `standard`.

    A lattice has more symmetry than its crystal, so that of all such matrices one is
    taken that also brings the atoms onto each other.

    Args:
        standard: primitive cell, any orientation; without atoms only lattices count.
        atoms: primitive cell of the same crystal.

    Raises:
        DataError: there is none: the two are not one crystal.
    """
    for matrix in _same_lattice(standard, atoms):
        if len(standard) == 0 or _same_atoms(standard, atoms, matrix):
            return matrix
    raise DataError(
        explain(
            "no band path for this primitive cell",
            got=f"{len(atoms)} atoms, {np.round(atoms.cell.cellpar(), 4).tolist()}",
            wanted=f"the crystal of {len(standard)} atoms, "
            f"{np.round(standard.cell.cellpar(), 4).tolist()}",
            fix="give the primitive cell, symmetrised",
        )
    )


def _metric(atoms: Atoms) -> FloatArray:
    return np.asarray(atoms.cell.array @ atoms.cell.array.T)


def _same_lattice(standard: Atoms, atoms: Atoms) -> Iterator[IntArray]:
    """Yield the bases of the lattice of `atoms` that have the shape of `standard`."""
    cell, wanted = atoms.cell.array, _metric(standard)
    if abs(standard.get_volume() / atoms.get_volume() - 1.0) > 1e-2:
        return
    longest = float(np.sqrt(np.diag(wanted).max()))
    ends = np.ceil(1.01 * longest * np.linalg.norm(np.linalg.inv(cell), axis=0))
    grid = np.array(
        list(itertools.product(*(range(-int(n), int(n) + 1) for n in ends)))
    )
    vectors = grid @ cell
    squares = (vectors**2).sum(axis=1)
    limit = _SHAPE * longest**2
    first, second, third = (
        np.flatnonzero(np.abs(squares - wanted[i, i]) < limit) for i in range(3)
    )

    def apart(one: np.intp, two: np.intp, product: float) -> bool:
        return bool(abs(vectors[one] @ vectors[two] - product) > limit)

    for a, b in itertools.product(first, second):
        if apart(a, b, wanted[0, 1]):
            continue
        for c in third:
            if not (apart(a, c, wanted[0, 2]) or apart(b, c, wanted[1, 2])):
                yield grid[[a, b, c]]


def _same_atoms(standard: Atoms, atoms: Atoms, matrix: IntArray) -> bool:
    """Return whether the atoms agree in the new basis, up to a common shift."""
    if len(standard) != len(atoms):
        return False
    theirs = standard.get_scaled_positions()
    mine = atoms.get_scaled_positions() @ np.linalg.inv(matrix)
    lengths = standard.cell.lengths()
    alike = standard.numbers[:, None] == atoms.numbers[None]
    # The rarest element leaves the fewest shifts to try.
    counts = {number: int((atoms.numbers == number).sum()) for number in atoms.numbers}
    start = min(range(len(standard)), key=lambda i: counts.get(standard.numbers[i], 0))
    for other in np.flatnonzero(alike[start]):
        moved = mine - mine[other] + theirs[start]
        apart = theirs[:, None] - moved[None]
        near = np.abs((apart - np.rint(apart)) * lengths).max(axis=2) < _NEAR
        if np.all((near & alike).any(axis=1)):
            return True
    return False


def _in_basis(path: BandPath, matrix: IntArray) -> BandPath:
    """Return a path of the basis ``matrix @ cell`` in that of the cell itself."""
    # q_cart = q . inv(A)^T for rows A of lattice vectors, here of N . A.
    turn = np.linalg.inv(matrix).T
    segments = tuple(
        tuple((label, _three(np.asarray(q) @ turn)) for label, q in segment)
        for segment in path.segments
    )
    return BandPath(segments=segments)


def _three(values: Sequence[float] | FloatArray) -> tuple[float, float, float]:
    one, two, three = map(float, values)
    return (one, two, three)


def _name(label: str) -> str:
    """Return the name of a corner without the signs of TeX."""
    for tex, letter in (("\\Gamma", GAMMA), ("\\Sigma", "Σ"), ("\\Delta", "Δ")):
        label = label.replace(tex, letter)
    return label
