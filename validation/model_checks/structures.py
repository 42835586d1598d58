"""Structures for any elements: always the same ones, without symmetry.

Distances come from covalent radii and stay below the cutoff, so that every atom has
neighbours. Nothing here is a good structure: identities hold everywhere, and forces
that are not zero make them visible.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from lamplighter.arrays import Floats

_SHEAR = np.array([[1.0, 0.0, 0.0], [0.15, 1.05, 0.0], [-0.1, 0.2, 0.97]])


def contact(a: str, b: str) -> float:
    """Return the sum of the covalent radii of two elements, Å."""
    radii = covalent_radii[[atomic_numbers[a], atomic_numbers[b]]]
    return float(radii.sum())


def spacing(elements: Sequence[str], cutoff: float | None) -> float:
    """Return a distance of neighbours that suits all of the elements, Å."""
    largest = max(contact(e, e) for e in elements)
    return min(0.95 * largest, 0.75 * cutoff if cutoff else np.inf)


def crystal(elements: Sequence[str], cutoff: float | None) -> Atoms:
    """Return a triclinic, rattled cell with eight atoms or one of each element."""
    shape = (2, 2, max(2, -(-len(elements) // 4)))
    distance = spacing(elements, cutoff)
    grid = np.array(list(itertools.product(*map(range, shape))), dtype=float)
    cell = distance * np.array(shape)[:, None] * _SHEAR
    atoms = Atoms(
        symbols=_cycled(elements, len(grid)),
        cell=cell,
        scaled_positions=grid / shape,
        pbc=True,
    )
    return _rattled(atoms, 0.08 * distance, seed=1)


def small_cell(elements: Sequence[str], cutoff: float | None) -> Atoms:
    """Return a triclinic cell of two atoms, smaller than most cutoffs."""
    distance = spacing(elements, cutoff)
    cell = distance * np.array([[1.0, 1.1, 0.05], [1.0, 0.0, 1.05], [-0.1, 1.0, 1.0]])
    return Atoms(
        symbols=_cycled((elements[0], elements[-1]), 2),
        cell=cell,
        scaled_positions=[[0.02, 0.0, 0.0], [0.5, 0.53, 0.48]],
        pbc=True,
    )


def cluster(elements: Sequence[str], cutoff: float | None, seed: int = 2) -> Atoms:
    """Return a molecule without symmetry: six atoms or one of each element."""
    distance = spacing(elements, cutoff)
    n_atoms = max(6, len(elements))
    width = range(-(-n_atoms // 3) + 1)
    grid = np.array(list(itertools.product(width, width, width)), dtype=float)
    order = np.argsort((grid**2).sum(1), kind="stable")[:n_atoms]
    atoms = Atoms(
        symbols=_cycled(elements, n_atoms), positions=distance * grid[order] @ _SHEAR
    )
    return _rattled(atoms, 0.08 * distance, seed)


def chain(elements: Sequence[str], cutoff: float, length: float) -> Atoms:
    """Return a zigzag of at least `length` Å along x; the first atom is an end."""
    step = min(spacing(elements, cutoff), 0.6 * cutoff)
    n_atoms = int(np.ceil(length / step)) + 2
    x = step * np.arange(n_atoms)
    y = 0.15 * step * (-1.0) ** np.arange(n_atoms)
    positions = np.stack([x, y, np.zeros(n_atoms)], axis=1)
    atoms = Atoms(symbols=_cycled(elements, n_atoms), positions=positions)
    return _rattled(atoms, 0.03 * step, seed=4)


def pair(a: str, b: str, distance: float) -> Atoms:
    """Return two atoms `distance` Å apart, along no axis in particular."""
    direction = np.array([2.0, -3.0, 6.0]) / 7.0
    return Atoms([a, b], [[0.1, 0.2, 0.3], direction * distance + [0.1, 0.2, 0.3]])


def rotation(seed: int) -> Floats:
    """Return a proper rotation ``[3, 3]``, acting on columns."""
    draw = np.random.default_rng(seed).normal(size=(3, 3))
    q, r = np.linalg.qr(draw)
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def turned(atoms: Atoms, turn: Floats) -> Atoms:
    """Return the structure with cell and positions turned by ``[3, 3]`` `turn`."""
    other: Atoms = atoms.copy()
    other.set_cell(atoms.cell.array @ turn.T)
    other.positions = atoms.positions @ turn.T
    return other


def joined(first: Atoms, second: Atoms, offset: Floats) -> Atoms:
    """Return both structures in one, the second moved by `offset`, Å."""
    moved: Atoms = second.copy()
    moved.positions += offset
    both: Atoms = first + moved
    return both


def _cycled(elements: Sequence[str], n_atoms: int) -> list[str]:
    return list(itertools.islice(itertools.cycle(elements), n_atoms))


def _rattled(atoms: Atoms, size: float, seed: int) -> Atoms:
    """Move every atom by at most `size` in each direction."""
    draw = np.random.default_rng(seed).uniform(-size, size, (len(atoms), 3))
    atoms.positions += draw
    return atoms
