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
from lamplighter.validation.properties.cleave import Miller, check_miller
from lamplighter.validation.properties.matching import Match, best_match
from lamplighter.validation.properties.slabs import (
    FloatArray,
    Termination,
    lowest_cut,
    terminations,
)
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
        gaps: distances that are tried: atoms that meet are that far apart, as a
            fraction of the sum of their covalent radii.
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
            ConfigError: no plane, too few gaps or shifts, or a number not positive.
        """
        check_miller(self.miller)
        check_miller(self.other_miller)
        if len(self.gaps) < 3 or min(self.gaps) <= 0 or self.n_shifts < 1:
            raise ConfigError(
                explain(
                    "registries of an interface",
                    got=f"{self.n_shifts} shifts, gaps {self.gaps}",
                    wanted="1 shift or more, three positive gaps or more",
                )
            )
        for name in ("max_strain", "max_area", "min_length", "vacuum", "fmax"):
            if not getattr(self, name) > 0:
                problem = f"common cell of an interface: {name}"
                raise ConfigError(
                    explain(problem, got=getattr(self, name), wanted="> 0")
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

    def touching(self, shift: FloatArray, fraction: float) -> float:
        """Return the gap, Å, at which the first two atoms meet; faces may interlock.

        Args:
            shift: [2], Å, of the upper slab.
            fraction: of the sum of two covalent radii that counts as meeting.
        """
        plane = self.lower.cell.array[:2, :2]
        low, high = self.lower, self.upper
        reach = fraction * (
            covalent_radii[low.numbers][:, None] + covalent_radii[high.numbers]
        )
        depth = low.positions[:, 2].max() - low.positions[:, 2]
        apart = high.positions[None, :, :2] + shift - low.positions[:, None, :2]
        scaled = apart @ np.linalg.inv(plane)
        scaled -= np.rint(scaled)
        best = -np.inf
        for image in product((-1, 0, 1), repeat=2):
            sideways = np.linalg.norm((scaled + image) @ plane, axis=2)
            rise = np.sqrt(np.maximum(reach**2 - sideways**2, 0.0))
            rise -= depth[:, None] + high.positions[None, :, 2]
            best = max(best, float(rise[sideways < reach].max(initial=-np.inf)))
        # Narrow atoms may pass each other: then the faces meet as planes.
        return best if np.isfinite(best) else fraction * self.contact


def cuts(
    crystals: list[Relaxed], engine: Engine, settings: AdhesionSettings, length: float
) -> list[tuple[Termination, ...]]:
    """Return the terminations of the lower and of the upper crystal.

    Args:
        crystals: the lower and the upper one, relaxed.
        engine: for its cutoff.
        settings: see [`AdhesionSettings`][].
        length: thickness of each slab, Å.
    """
    vacuum = max(settings.vacuum, engine.info.cutoff + 5.0)
    planes = (settings.miller, settings.other_miller)
    return [
        terminations(crystal.atoms, plane, [length], vacuum)
        for crystal, plane in zip(crystals, planes, strict=True)
    ]


def interface(
    crystals: list[Relaxed], engine: Engine, settings: AdhesionSettings, length: float
) -> Interface | None:
    """Return two slabs in a common cell; None if no cell is small enough.

    Of several terminations without dipole the one with the lowest energy is taken.

    Args:
        crystals: the lower and the upper one, relaxed.
        engine: for its cutoff, and for the energy of terminations.
        settings: see [`AdhesionSettings`][].
        length: thickness of each slab, Å.
    """
    vacuum = max(settings.vacuum, engine.info.cutoff + 5.0)
    slabs = [
        lowest_cut(found, engine).slabs[0]
        for found in cuts(crystals, engine, settings, length)
    ]
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
