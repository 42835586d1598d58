"""Two slabs that share a cell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.cleave import Miller
from lamplighter.validation.properties.matching import Match, best_match
from lamplighter.validation.properties.slabs import FloatArray, terminations
from lamplighter.validation.relax import Relaxed


@dataclass(frozen=True, slots=True, kw_only=True)
class AdhesionSettings:
    """Which crystals meet, and how the interface is made.

    Attributes:
        other: the upper crystal, a built-in material; empty is the lower one again.
        structure: file of the upper crystal, if it is not built in.
        miller: plane of the lower crystal.
        other_miller: plane of the upper crystal.
        min_length: thickness of each slab, Å.
        vacuum: Å.
        max_area: of the common cell, Å^2.
        max_strain: largest principal strain of the upper crystal.
        n_shifts: registries that are tried along each vector of the smaller cell.
        gaps: distances that are tried, as fractions of the sum of the covalent radii of
            the atoms that meet.
        check_thickness: whether thicker slabs give the error bars.
        fmax: largest force after relaxation, eV/Å.
        max_steps: of each relaxation.
        crystal_fmax: largest force of the relaxed crystals, eV/Å.
    """

    other: str = ""
    structure: str = ""
    miller: Miller = (1, 1, 1)
    other_miller: Miller = (1, 1, 1)
    min_length: float = 8.0
    vacuum: float = 15.0
    max_area: float = 150.0
    max_strain: float = 0.05
    n_shifts: int = 3
    gaps: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
    check_thickness: bool = True
    fmax: float = 0.01
    max_steps: int = 300
    crystal_fmax: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse interfaces without distance or registry.

        Raises:
            ConfigError: too few gaps or shifts, or a limit that is not positive.
        """
        if len(self.gaps) < 3 or min(self.gaps) <= 0 or self.n_shifts < 1:
            raise ConfigError(
                explain(
                    "registries of an interface",
                    got=f"{self.n_shifts} shifts, gaps {self.gaps}",
                    wanted="1 shift or more, three positive gaps or more",
                )
            )
        if not self.max_strain > 0 or not self.max_area > 0:
            raise ConfigError(
                explain(
                    "common cell of an interface",
                    got=f"strain {self.max_strain}, area {self.max_area}",
                    wanted="positive limits",
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Two slabs in one cell.

    Attributes:
        lower: slab at the bottom, in the common cell with vacuum.
        upper: strained slab, in the same cell, with its lowest atom at height 0.
        cell: [2, 2], Å, of the upper slab's smallest cell: shifts within it repeat.
        match: of the two lattices.
        contact: sum of the covalent radii of the atoms that meet, Å.
    """

    lower: Atoms
    upper: Atoms
    cell: FloatArray
    match: Match
    contact: float

    def joined(self, shift: FloatArray, gap: float) -> Atoms:
        """Return both, the upper one shifted and a gap apart."""
        above = self.upper.copy()
        above.positions[:, :2] += shift
        above.positions[:, 2] += self.lower.positions[:, 2].max() + gap
        whole: Atoms = self.lower + above
        return whole


def interface(
    crystals: list[Relaxed], engine: Engine, settings: AdhesionSettings, length: float
) -> Interface | None:
    """Return two slabs in a common cell; None if no cell is small enough.

    Args:
        crystals: the lower and the upper one, relaxed.
        engine: for its cutoff.
        settings: see [`AdhesionSettings`][].
        length: thickness of each slab, Å.
    """
    vacuum = max(settings.vacuum, engine.info.cutoff + 5.0)
    planes = (settings.miller, settings.other_miller)
    slabs = [
        min(terminations(c.atoms, plane, [length], vacuum), key=lambda t: t.polar)
        .slabs[0]
        for c, plane in zip(crystals, planes, strict=True)
    ]  # fmt: skip
    low, high = (slab.cell.array[:2, :2] for slab in slabs)
    match = best_match(low, high, settings.max_area, settings.max_strain)
    if match is None:
        return None
    lower = _supercell(slabs[0], match.lower)
    upper = _supercell(slabs[1], match.upper)
    plane = lower.cell.array[:2, :2]
    deform = np.linalg.solve(upper.cell.array[:2, :2], plane)
    upper.positions[:, :2] = upper.positions[:, :2] @ deform
    upper.positions[:, 2] -= upper.positions[:, 2].min()
    lower.positions[:, 2] -= lower.positions[:, 2].min() - 1.0
    thickness = np.ptp(lower.positions[:, 2]) + np.ptp(upper.positions[:, 2])
    contact = float(
        covalent_radii[lower.numbers[lower.positions[:, 2].argmax()]]
        + covalent_radii[upper.numbers[upper.positions[:, 2].argmin()]]
    )
    cell = np.zeros((3, 3))
    cell[:2, :2] = plane
    cell[2, 2] = thickness + contact * max(settings.gaps) + vacuum
    for slab in (lower, upper):
        slab.set_cell(cell, scale_atoms=False)
    return Interface(
        lower=lower, upper=upper, cell=high @ deform, match=match, contact=contact
    )


def _supercell(slab: Atoms, numbers: Any) -> Atoms:
    """Return a slab repeated to a supercell of its plane, rotated to that cell."""
    matrix = np.eye(3, dtype=int)
    matrix[:2, :2] = numbers
    n_repeats = abs(round(float(np.linalg.det(numbers))))
    reach = int(np.abs(numbers).sum()) + 1
    many, inverse = [], np.linalg.inv(matrix @ slab.cell.array)
    for shift in product(range(-reach, reach + 1), repeat=2):
        corner = np.array([*shift, 0]) @ slab.cell.array
        scaled = corner @ inverse
        if np.all(scaled[:2] > -1e-6) and np.all(scaled[:2] < 1 - 1e-6):
            many.append(corner)
    assert len(many) == n_repeats
    return Atoms(
        numbers=np.tile(slab.numbers, n_repeats),
        positions=np.concatenate([slab.positions + corner for corner in many]),
        cell=matrix @ slab.cell.array,
        pbc=True,
    )
