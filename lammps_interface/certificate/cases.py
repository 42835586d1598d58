"""A structure, how LAMMPS is to hold it, and the cases that a user's own makes.

All boxes are in LAMMPS' axes: the cell is lower triangular and begins at the origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.lammps_interface.placement import place

Comm = Literal["brick", "tiled"]

SKIN: Final = 0.5
"""Neighbour skin of all cases in Å: small, so that moving atoms rebuild lists often."""

NOBODY: Final = "X"
"""Symbol of an atom that the potential does not see: its type is NULL."""


_MOVE: Final = (
    "velocity all create 600 4928 loop all",
    "velocity all set {vx} {vy} {vz} sum yes",
    "fix lc_move all nve",
    "timestep 0.0005",
)
STEPS: Final = 12
"""Steps of the cases that move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One structure, and how LAMMPS is to hold it.

    Attributes:
        name: short, unique within a certificate.
        shows: what could go wrong here.
        atoms: the structure; `NOBODY` stands for an atom without an element.
        types: the element of each LAMMPS type.
        kinds: the type of each atom, from 1.
        wall: what directions that are not periodic end in: fixed, or shrink-wrapped.
        grid: processors along x, y, z where the layout is brick.
        steps: how many steps to take before anything is compared.
        dynamics: script lines that make it move.
        balance: for each layout the fix that moves borders between ranks, if any.
    """

    name: str
    shows: str
    atoms: Atoms
    types: tuple[str, ...]
    kinds: tuple[int, ...]
    wall: Literal["f", "s"] = "f"
    grid: str = "* * *"
    steps: int = 0
    dynamics: tuple[str, ...] = ()
    balance: dict[Comm, str] = field(default_factory=dict)

    @property
    def boundary(self) -> str:
        """Return the arguments of LAMMPS' command boundary."""
        return " ".join("p" if periodic else self.wall for periodic in self.atoms.pbc)

    def obstacle(self, comm: Comm, reach: float) -> str:
        """Return why LAMMPS cannot hold this case in a layout; empty if it can.

        Args:
            comm: the layout.
            reach: how far ghosts are collected, Å.
        """
        widths = heights(self.atoms.cell.array)[self.atoms.pbc]
        if comm == "tiled" and len(widths) and widths.min() < reach:
            return (
                "comm_style tiled needs a box at least as wide as the communication "
                f"cutoff: {widths.min():.2f} Å against {reach:.2f} Å"
            )
        return ""


def heights(cell: Floats) -> Floats:
    """Return the distances between opposite faces of a cell ``[3, 3]``, Å."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))


def make_case(
    name: str,
    shows: str,
    atoms: Atoms,
    *,
    types: Sequence[str] = (),
    **settings: object,
) -> Case:
    """Return a case whose types are the elements of its atoms, unless they are given.

    Raises:
        ConfigError: an atom's element is none of the types.
    """
    symbols = atoms.get_chemical_symbols()
    chosen = tuple(types) or tuple(dict.fromkeys(symbols))
    missing = sorted(set(symbols) - set(chosen))
    if missing:
        raise ConfigError(
            explain(
                "atoms of an element without a type",
                got=" ".join(missing),
                wanted=f"some of {' '.join(chosen)}",
            )
        )
    kinds = tuple(chosen.index(symbol) + 1 for symbol in symbols)
    settings.setdefault("kinds", kinds)
    return Case(name=name, shows=shows, atoms=atoms, types=chosen, **settings)  # type: ignore[arg-type]


def structure_cases(atoms: Atoms, elements: Sequence[str]) -> list[Case]:
    """Return the cases that a user's structure makes: as it is, and moving.

    Raises:
        DataError: an element that the file lacks, no atoms, or a cell that is flat.
    """
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(elements))
    if unknown or len(atoms) == 0:
        raise DataError(
            explain(
                "the potential does not know this structure",
                got=f"elements {' '.join(unknown)}" if unknown else "no atoms",
                wanted=f"atoms of {' '.join(elements)}",
                fix="lamplighter convert with all elements of the structure",
            )
        )
    spot = place(atoms)
    placed = Atoms(
        atoms.get_chemical_symbols(), spot.positions, cell=spot.box, pbc=spot.periodic
    )
    cases = [make_case("structure", "the structure that was given", placed)]
    if len(placed) > 2:  # fewer have no temperature
        cases.append(
            make_case(
                "structure, moving",
                "its atoms move from rank to rank",
                placed,
                steps=STEPS,
                dynamics=moving(1.0, 0.7, 0.4, travel(placed, fraction=0.25)),
                wall="s",  # moving atoms leave a box with fixed walls
            )
        )
    return cases


def mass_of(symbol: str) -> float:
    """Return the mass of a type in amu; that of a hidden atom is 1."""
    return 1.0 if symbol == NOBODY else float(atomic_masses[atomic_numbers[symbol]])


def travel(atoms: Atoms, *, fraction: float) -> float:
    """Return the velocity in Å/ps that crosses part of a box within the steps.

    In large boxes less: an atom that moves by more than the skin in one step is lost.
    """
    length = float(heights(atoms.cell.array).min())
    return min(fraction * length / STEPS, 0.8 * SKIN) / 0.0005


def moving(x: float, y: float, z: float, velocity: float) -> tuple[str, ...]:
    """Return script lines for dynamics in which all atoms drift along a direction."""
    words = {"vx": x * velocity, "vy": y * velocity, "vz": z * velocity}
    values = {name: f"{value:.6f}" for name, value in words.items()}
    return tuple(line.format(**values) for line in _MOVE)
