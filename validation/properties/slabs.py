"""Slabs of several thicknesses, cut from one crystal along one plane.

Source: Tasker, J. Phys. C 12, 4977 (1979) for the three types of ionic surfaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.analysis.bond_valence import BVAnalyzer
from pymatgen.core.periodic_table import Element
from pymatgen.io.ase import AseAtomsAdaptor

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.cleave import Miller, cleaver
from lamplighter.validation.properties.crystal import (
    SYMPREC,
    conventional,
    spglib_cell,
)
from lamplighter.validation.properties.extensivity import nearest_distance
from lamplighter.validation.structures import symmetry

FloatArray = NDArray[np.float64]

LAYER_WIDTH: Final = 0.3
"""Atoms within this height, Å, count as one atomic layer."""

LEAST_STEP: Final = 3.5
"""Difference of two thicknesses, Å, that is worth another slab."""

POLAR_LIMIT: Final = 1e-3
"""Dipole per area, e/Å, above which the nominal charges make a slab polar."""

_GROUP_14: Final = {"Si", "Ge", "Sn", "Pb"}
_ANIONS: Final = {"N", "O", "F", "S", "Cl", "Se", "Br", "I"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """One way to cut a crystal along a plane, at several thicknesses.

    Attributes:
        slabs: from thin to thick, unrelaxed; the third cell vector is the normal.
        n_layers: atomic layers of each slab.
        area: of one face, Å^2.
        dipole: largest dipole of a slab per area from nominal charges, e/Å; ``None`` if
            no charges can be assigned, as in an element.
        ionic: whether the crystal should have charges: a compound with an anion.
        equal_faces: whether a symmetry of the slab exchanges its two faces.
    """

    slabs: tuple[Atoms, ...]
    n_layers: tuple[int, ...]
    area: float
    dipole: float | None
    equal_faces: bool
    ionic: bool = False

    @property
    def polar(self) -> bool:
        """Whether nominal charges give the slab a dipole that grows with thickness."""
        return self.dipole is not None and self.dipole > POLAR_LIMIT


def terminations(
    crystal: Atoms, miller: Miller, lengths: Sequence[float], vacuum: float
) -> tuple[Termination, ...]:
    """Return all inequivalent cuts of a crystal along a plane.

    Args:
        crystal: relaxed; its standard conventional cell defines the Miller indices.
        miller: indices of the plane.
        lengths: least thicknesses, Å; a slab holds whole repeats of the crystal, and
            equal results are pushed apart by one step of at least `LEAST_STEP`.
        vacuum: empty space along the normal, Å, kept exactly.

    Raises:
        DataError: the slab generator gives a slab that is not part of the crystal.
    """
    cell = conventional(crystal)
    knife = cleaver(crystal, miller)
    charges = nominal_charges(knife.primitive)
    repeats = _apart(lengths, knife.spacing)
    found = []
    for cut in knife.cuts():
        slabs = [upright(knife.slab(cut, n, vacuum), vacuum) for n in repeats]
        for slab in slabs:
            _check_slab(slab, cell, miller)
        found.append(
            Termination(
                slabs=tuple(slabs),
                n_layers=tuple(count_layers(slab) for slab in slabs),
                area=face_area(slabs[0]),
                dipole=_largest_dipole(slabs, charges),
                equal_faces=all(faces_equal(slab) for slab in slabs),
                ionic=_is_ionic(cell),
            )
        )
    return tuple(found)


def lowest_cut(cuts: Sequence[Termination], engine: Engine) -> Termination:
    """Return the termination of the lowest bare energy, polar ones last.

    All of them hold the same atoms at the same number of repeats.

    Args:
        cuts: of one plane, one at least.
        engine: what computes; it is not asked where there is no choice.

    Raises:
        EngineError: the engine fails.
    """
    good = [cut for cut in cuts if not cut.polar] or list(cuts)
    if len(good) == 1:
        return good[0]
    found = engine.compute_many([cut.slabs[0] for cut in good], ("energy", "forces"))
    energies = [result.energy for result in found]
    return good[energies.index(min(energies))]


def _apart(lengths: Sequence[float], spacing: float) -> list[int]:
    """Return growing numbers of repeats, each a multiple of the least step.

    A step is at least `LEAST_STEP` thick: thinner ones would leave the slope of the
    energy to the noise of the relaxations.
    """
    step = int(np.ceil(LEAST_STEP / spacing - 1e-6))
    result: list[int] = []
    for length in sorted(lengths):
        steps = int(np.ceil(length / (step * spacing) - 1e-6))
        result.append(max(steps, 1, result[-1] + 1 if result else 1))
    return [step * number for number in result]


def upright(atoms: Atoms, vacuum: float) -> Atoms:
    """Return a slab in an upright cell with the given vacuum, its atoms in the middle.

    The plane of the first two cell vectors becomes the xy plane, its lattice is spanned
    by its two shortest vectors, and the third vector becomes the normal.
    """
    first, second = shortest_vectors(*atoms.cell.array[:2])
    normal = np.cross(first, second)
    normal /= np.linalg.norm(normal)
    x_axis = first / np.linalg.norm(first)
    frame = np.array([x_axis, np.cross(normal, x_axis), normal])
    plane = np.array([first, second]) @ frame.T
    positions = atoms.positions @ frame.T
    heights = _unbroken(positions[:, 2], float(atoms.cell.array[2] @ normal))
    # A step of one cell along the normal also steps sideways if the cell leans.
    steps = np.rint((heights - positions[:, 2]) / float(atoms.cell.array[2] @ normal))
    positions = positions + np.outer(steps, atoms.cell.array[2] @ frame.T)
    low, high = positions[:, 2].min(), positions[:, 2].max()
    positions[:, 2] += vacuum / 2 - low
    cell = np.array([*plane, [0.0, 0.0, high - low + vacuum]])
    cell[np.abs(cell) < 1e-12] = 0.0
    result = Atoms(numbers=atoms.numbers, positions=positions, cell=cell, pbc=True)
    result.wrap(pbc=(True, True, False))
    return result


def shortest_vectors(
    first: FloatArray, second: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the two shortest vectors of a plane lattice.

    Source: Lagrange's reduction. The orientation of the pair is kept.
    """
    up = np.cross(first, second)
    a, b = sorted((first, second), key=np.linalg.norm)
    while True:
        b = b - np.rint(a @ b / (a @ a)) * a
        if np.linalg.norm(b) >= np.linalg.norm(a) * (1 - 1e-9):
            break
        a, b = b, a
    if a @ b < -1e-9:
        b = b + a if np.linalg.norm(b + a) <= np.linalg.norm(b) * (1 + 1e-9) else b
    return (a, b) if np.cross(a, b) @ up > 0 else (b, a)


def _unbroken(heights: FloatArray, period: float) -> FloatArray:
    """Return heights shifted by whole periods so that the widest gap is outside."""
    folded = np.mod(heights, period)
    order = np.sort(folded)
    gaps = np.diff(np.append(order, order[0] + period))
    start = order[(int(np.argmax(gaps)) + 1) % len(order)]
    return np.asarray(np.mod(folded - start + 1e-9, period) + start - 1e-9)


def _check_slab(slab: Atoms, crystal: Atoms, miller: Miller) -> None:
    """Refuse a slab with another composition, or atoms nearer than in the crystal."""
    formula = slab.get_chemical_formula("metal", empirical=True)
    wanted = crystal.get_chemical_formula("metal", empirical=True)
    nearest, expected = nearest_distance(slab), nearest_distance(crystal)
    if formula == wanted and abs(nearest - expected) < 1e-3:
        return
    raise DataError(
        explain(
            f"the slab generator gave no part of the crystal for {miller}",
            got=f"{formula}, nearest atoms {nearest:.3f} Å",
            wanted=f"{wanted}, {expected:.3f} Å",
            fix="give the structure in its standard conventional cell",
        )
    )


def count_layers(slab: Atoms) -> int:
    """Return the number of atomic layers of an upright slab."""
    heights = np.sort(slab.positions[:, 2])
    return int(1 + np.count_nonzero(np.diff(heights) > LAYER_WIDTH))


def face_area(slab: Atoms) -> float:
    """Return the area of one face in Å^2."""
    return float(np.linalg.norm(np.cross(*slab.cell.array[:2])))


def nominal_charges(crystal: Atoms) -> FloatArray | None:
    """Return the nominal charge of each atom, in e, or None.

    Bond valences are tried first: they tell sites of one element apart. Then the
    composition, which gives an element in two states their mean. ``None`` where neither
    gives an answer: elements, alloys, and compounds of metals with silicon and its like
    that are no salts.
    """
    structure = AseAtomsAdaptor.get_structure(crystal)
    if len(structure.composition.elements) == 1:
        return None
    try:
        found = np.array(BVAnalyzer().get_valences(structure), dtype=float)
    except ValueError:
        guesses = structure.composition.oxi_state_guesses()
        if not guesses:
            return None
        found = np.array([guesses[0][symbol] for symbol in crystal.symbols])
    return None if _is_alloy(crystal, found) else _symmetric(crystal, found)


def _symmetric(crystal: Atoms, charges: FloatArray) -> FloatArray:
    """Return charges that are equal on equivalent sites: else they make a dipole."""
    sites = symmetry(crystal, SYMPREC).equivalent_atoms
    return np.array([charges[sites == site].mean() for site in sites])


def _is_alloy(crystal: Atoms, charges: FloatArray) -> bool:
    """Return whether the anion is of group 14 and hardly draws electrons: Ni3Si, SiGe.

    Nominal charges would make such metals and semiconductors polar.
    """
    weights = [
        np.mean([Element(s).X for s in crystal.symbols[side]])
        for side in (charges < 0, charges > 0)
        if side.any()
    ]
    anions = set(crystal.symbols[charges < 0])
    if len(weights) < 2 or not anions <= _GROUP_14:
        return False
    return bool(weights[0] - weights[1] < 0.3)


def _is_ionic(crystal: Atoms) -> bool:
    found = set(crystal.symbols)
    return len(found) > 1 and bool(found & _ANIONS)


def dipole_per_area(slab: Atoms, charges: FloatArray) -> float:
    """Return the dipole along the normal per area, e/Å, of nominal charges.

    Args:
        slab: repeats of a primitive cell, one after the other.
        charges: of the atoms of that cell, e.
    """
    weights = np.tile(charges, len(slab) // len(charges))
    return float(abs(weights @ slab.positions[:, 2]) / face_area(slab))


def _largest_dipole(slabs: Sequence[Atoms], charges: FloatArray | None) -> float | None:
    if charges is None:
        return None
    return max(dipole_per_area(slab, charges) for slab in slabs)


def faces_equal(slab: Atoms) -> bool:
    """Return whether a symmetry operation of the slab turns it upside down.

    Inversion, a mirror, a two-fold axis or a screw axis in the plane all do.
    """
    found = spglib.get_symmetry(spglib_cell(slab), symprec=1e-2)
    if found is None:
        return False
    return any(rotation[2][2] == -1 for rotation in found["rotations"])
