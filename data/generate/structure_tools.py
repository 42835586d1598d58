"""Building blocks of the structures: overlap check, rattle, strain, tags."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.io import write
from ase.neighborlist import neighbor_list

RATTLE_TRIALS = 200
LONGEST_BOND = 2.5
"""Å: pairs beyond this never overlap."""


class OverlapError(RuntimeError):
    """No rattle without overlapping atoms was found."""


def no_overlap(atoms: Atoms, factor: float = 0.62) -> bool:
    """Whether every pair is at least `factor` times its covalent radii apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ase warns of cells that are all zero
        first, second, distances = neighbor_list("ijd", atoms, LONGEST_BOND)
    radii = factor * covalent_radii[atoms.numbers]
    return bool(np.all(distances >= radii[first] + radii[second]))


def rattled(
    atoms: Atoms,
    sigma: float,
    rng: np.random.Generator,
    *,
    longest: float = 0.3,
    factor: float = 0.62,
) -> Atoms:
    """A copy with normally distributed displacements and no overlap.

    Args:
        atoms: The structure.
        sigma: Standard deviation per component, Å.
        rng: Source of the displacements.
        longest: Displacements are cut to this length, Å.
        factor: Overlap factor of `no_overlap`.

    Raises:
        OverlapError: Every trial made atoms overlap.
    """
    for _ in range(RATTLE_TRIALS):
        copy = atoms.copy()
        steps = rng.normal(0, sigma, (len(copy), 3))
        lengths = np.linalg.norm(steps, axis=1, keepdims=True)
        copy.positions += steps * np.minimum(1, longest / np.maximum(lengths, 1e-9))
        if no_overlap(copy, factor):
            return copy
    message = (
        f"{RATTLE_TRIALS} rattles of {atoms.symbols} by {sigma} Å made atoms overlap; "
        "take a smaller sigma or factor"
    )
    raise OverlapError(message)


def random_strain(largest: float, rng: np.random.Generator) -> np.ndarray:
    """A symmetric strain [3, 3] with components up to `largest`."""
    strain = rng.uniform(-largest, largest, (3, 3))
    return (strain + strain.T) / 2


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """A copy whose cell rows are multiplied by 1 + strain, atoms moved along."""
    copy = atoms.copy()
    copy.set_cell(copy.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return copy


def boxed(atoms: Atoms, cell: Sequence[float]) -> Atoms:
    """A copy in the middle of a periodic box."""
    copy = atoms.copy()
    copy.set_cell(cell)
    copy.pbc = True
    copy.center()
    return copy


class Collection:
    """Structures in the making: gives uids, refuses overlaps, orders, writes."""

    def __init__(self, prefix: str, factor: float) -> None:
        self.prefix = prefix
        self.factor = factor
        self.structures: list[Atoms] = []

    def add(
        self,
        atoms: Atoms,
        config_type: str,
        domain: str,
        *,
        spin: int = 0,
        box: bool = False,
        **keys: float,
    ) -> None:
        """Add a structure with the next uid, unless atoms overlap."""
        if not no_overlap(atoms, self.factor):
            return
        copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        copy.info = {
            "uid": f"{self.prefix}{len(self.structures) + 1:04d}",
            "config_type": config_type,
            "domain": domain,
            "spin": spin,
            "box": int(box),
            **keys,
        }
        self.structures.append(copy)

    def ordered(
        self, first: Iterable[str], rng: np.random.Generator | np.ndarray
    ) -> list[Atoms]:
        """The named configuration types as they came, then the others shuffled.

        Any prefix of the result is a diverse set.

        Args:
            first: Configuration types that come first.
            rng: Source of the order, or the order itself.
        """
        types = set(first)
        head = [a for a in self.structures if a.info["config_type"] in types]
        rest = [a for a in self.structures if a.info["config_type"] not in types]
        order = rng if isinstance(rng, np.ndarray) else rng.permutation(len(rest))
        return head + [rest[index] for index in order]


def write_structures(path: Path, structures: Sequence[Atoms]) -> None:
    """Write unlabelled structures as extended XYZ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, structures, format="extxyz")
