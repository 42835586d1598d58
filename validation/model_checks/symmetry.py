"""What must not matter: orientation, place, order, and the choice of the cell."""

from __future__ import annotations

import dataclasses

import numpy as np
from ase import Atoms
from ase.build import make_supercell, niggli_reduce

from lamplighter.arrays import Floats
from lamplighter.validation.model_checks import structures
from lamplighter.validation.model_checks.batched import Evaluation
from lamplighter.validation.model_checks.deviation import (
    Deviation,
    deviations,
    worst_records,
)
from lamplighter.validation.model_checks.record import CheckRecord
from lamplighter.validation.model_checks.subject import Subject

# Equivalent lattice vectors, rows in units of the old ones: determinant 1, 1 and -1.
_SHEARED = np.array([[1, 2, 0], [0, 1, 0], [-1, 0, 1]])
_STEEP = np.array([[1, 0, 0], [3, 1, 0], [1, -2, 1]])
_LEFT_HANDED = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])


def samples(subject: Subject) -> dict[str, Atoms]:
    """Return the two structures on which most identities are tried."""
    return {
        "crystal": structures.crystal(subject.sample, subject.cutoff),
        "molecule": structures.cluster(subject.sample, subject.cutoff),
    }


def check_rotation(subject: Subject) -> list[CheckRecord]:
    """Turn a crystal and a molecule by two rotations."""
    turns = [structures.rotation(seed) for seed in (0, 1)]
    return worst_records("rotation", subject, _turned(subject, turns))


def check_inversion(subject: Subject) -> list[CheckRecord]:
    """Turn a crystal and a molecule inside out, and mirror them."""
    mirror = np.diag([1.0, 1.0, -1.0])
    return worst_records("inversion", subject, _turned(subject, [-np.eye(3), mirror]))


def _turned(subject: Subject, turns: list[Floats]) -> list[Deviation]:
    found = []
    for name, atoms in samples(subject).items():
        plain = subject.evaluate(atoms)
        for turn in turns:
            expected = dataclasses.replace(
                plain,
                forces=plain.forces @ turn.T,
                stress=None if plain.stress is None else turn @ plain.stress @ turn.T,
            )
            got = subject.evaluate(structures.turned(atoms, turn))
            found += deviations(subject, expected, got, name)
    return found


def check_translation(subject: Subject) -> list[CheckRecord]:
    """Move a crystal and a molecule."""
    found = []
    for name, atoms in samples(subject).items():
        moved = atoms.copy()
        moved.positions += [13.7, -8.2, 5.9]
        got = subject.evaluate(moved)
        found += deviations(subject, subject.evaluate(atoms), got, name)
    return worst_records("translation", subject, found)


def check_permutation(subject: Subject) -> list[CheckRecord]:
    """List the atoms in another order."""
    found = []
    for name, atoms in samples(subject).items():
        for seed in (0, 1):
            order = np.random.default_rng(seed).permutation(len(atoms))
            plain, got = subject.evaluate(atoms), subject.evaluate(atoms[order])
            expected = dataclasses.replace(plain, forces=plain.forces[order])
            found += deviations(subject, expected, got, name)
    return worst_records("permutation", subject, found)


def check_wrapping(subject: Subject) -> list[CheckRecord]:
    """Move atoms by lattice vectors of their own, and back into the cell."""
    atoms = structures.crystal(subject.sample, subject.cutoff)
    expected = subject.evaluate(atoms)
    wrapped, spread = atoms.copy(), atoms.copy()
    wrapped.wrap()
    shifts = np.random.default_rng(5).integers(-2, 3, (len(atoms), 3))
    spread.positions += shifts @ atoms.cell.array
    found = deviations(subject, expected, subject.evaluate(wrapped), "wrapped")
    found += deviations(subject, expected, subject.evaluate(spread), "other images")
    return worst_records("wrapping", subject, found)


def check_cells(subject: Subject) -> list[CheckRecord]:
    """Describe a crystal by other cells, and put a molecule into a box."""
    found: list[Deviation] = []
    atoms = structures.crystal(subject.sample, subject.cutoff)
    expected = subject.evaluate(atoms)
    for note, change in (
        ("sheared vectors", _SHEARED),
        ("steep vectors", _STEEP),
        ("left-handed vectors", _LEFT_HANDED),
    ):
        other = atoms.copy()
        other.set_cell(change @ atoms.cell.array)
        found += deviations(subject, expected, subject.evaluate(other), note)
    small = structures.small_cell(subject.sample, subject.cutoff)
    found += _reduced(subject, small)
    found += _repeated(subject, small)
    found += _boxed(subject)
    return worst_records("cells", subject, found)


def _reduced(subject: Subject, small: Atoms) -> list[Deviation]:
    """Compare a steep cell with its Niggli reduction, which is turned as well."""
    steep = small.copy()
    steep.set_cell(_STEEP @ small.cell.array)
    reduced = steep.copy()
    niggli_reduce(reduced)
    expected, got = subject.evaluate(steep), subject.evaluate(reduced)
    found = deviations(subject, expected, got, "Niggli-reduced cell")
    return [d for d in found if d.quantity == "energy"]


def _repeated(subject: Subject, small: Atoms) -> list[Deviation]:
    """Compare a small cell with a supercell of it, oblique to its vectors."""
    supercell = make_supercell(small, [[2, 0, 0], [1, 2, 0], [0, 0, 2]])
    one, many = subject.evaluate(small), subject.evaluate(supercell)
    # which atom of the small cell each atom of the supercell is an image of
    fractions = np.linalg.solve(small.cell.array.T, supercell.positions.T).T
    origin = [
        int(np.argmin([_off_lattice(f - s) for s in small.get_scaled_positions()]))
        for f in fractions
    ]
    times = len(origin) / len(small)
    expected = Evaluation(
        energy=one.energy * times,
        forces=one.forces[origin],
        stress=one.stress,
        interaction=one.interaction * times,
    )
    return deviations(subject, expected, many, "supercell of a small cell")


def _off_lattice(fraction: Floats) -> float:
    return float(np.abs(fraction - np.round(fraction)).max())


def _boxed(subject: Subject) -> list[Deviation]:
    """Compare a free molecule with one in a large periodic box."""
    free = structures.cluster(subject.sample, subject.cutoff)
    boxed = free.copy()
    reach = 4.0 * (subject.receptive_field or 10.0)
    boxed.set_cell(np.ptp(free.positions, axis=0) + reach)
    boxed.pbc = True
    boxed.positions += reach / 2
    note = "molecule in a box"
    return deviations(subject, subject.evaluate(free), subject.evaluate(boxed), note)
