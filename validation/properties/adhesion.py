"""Work of adhesion of two crystals that meet along planes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from lamplighter.errors import ConfigError, explain
from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.materials import structure_of
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.cleave import Miller
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.matching import Match, best_match
from lamplighter.validation.properties.slabs import FloatArray, terminations
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    relax_crystal,
    relax_ions,
)

_WANT = ("energy", "forces")


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
    gaps: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
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


def run(
    structure: Atoms, engine: Engine, settings: AdhesionSettings | None = None
) -> PropertyResult:
    """Return the work that it takes to separate two crystals.

    Values in J/m^2, positive when they stick: ``work_of_adhesion_rigid`` of unrelaxed
    slabs at the best registry and distance, ``work_of_adhesion`` with all three
    relaxed, each in the cell that they share; ``interface_strain`` and
    ``interface_gap`` (Å). Errors are the change with slabs half as thick again.
    Arrays: ``gaps``, ``energies`` (J/m^2) at the best registry, ``shifts``,
    ``shift_energies``, ``strains``.

    Args:
        structure: the lower crystal; it is relaxed first, as is the upper one.
        engine: what computes.
        settings: see [`AdhesionSettings`][].

    Raises:
        ConfigError: the upper crystal is unknown.
        DataError: its file cannot be read.
        EngineError: the engine fails.
    """
    settings = settings or AdhesionSettings()
    limits = RelaxSettings(fmax=settings.crystal_fmax)
    crystals = [relax_crystal(structure, engine, limits)]
    crystals.append(
        relax_crystal(_other(settings), engine, limits)
        if settings.other or settings.structure
        else crystals[0]
    )
    different = crystals[:1] if crystals[0] is crystals[1] else crystals
    checks = [check for crystal in different for check in crystal.checks]
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    method: dict[str, Any] = asdict(settings)
    if all(crystal.ok for crystal in crystals):
        made = interface(crystals, engine, settings, settings.min_length)
        checks.append(_match_check(made, settings))
        if made is not None:
            more, values, arrays = _compute(made, crystals, engine, settings)
            checks += more
            method |= {"n_atoms": len(made.lower) + len(made.upper),
                       "area": made.match.area}  # fmt: skip
    return PropertyResult.conclude(
        "adhesion",
        f"{material_name(structure)}-{material_name(crystals[1].atoms)}",
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


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


def _other(settings: AdhesionSettings) -> Atoms:
    file = Path(settings.structure) if settings.structure else None
    return structure_of(settings.other or "upper crystal", file)


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


def _match_check(made: Interface | None, settings: AdhesionSettings) -> Check:
    return Check(
        name="common cell",
        ok=made is not None,
        value=None if made is None else made.match.largest,
        limit=settings.max_strain,
        text="largest principal strain of the upper crystal"
        if made is not None
        else f"none within {settings.max_area:g} Å^2: raise max_area or max_strain",
    )


def _compute(
    made: Interface, crystals: list[Relaxed], engine: Engine, settings: AdhesionSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    apart = [r.energy for r in engine.compute_many([made.lower, made.upper], _WANT)]
    shifts = [
        np.array(pair) / settings.n_shifts @ made.cell
        for pair in product(range(settings.n_shifts), repeat=2)
    ]
    gaps = np.array(sorted(settings.gaps)) * made.contact
    table = np.array([
        [r.energy for r in engine.compute_many(
            [made.joined(shift, float(gap)) for gap in gaps], _WANT)]
        for shift in shifts
    ])  # fmt: skip
    works = (sum(apart) - table) / made.match.area * J_M2_PER_EV_A2
    best, column = np.unravel_index(int(works.argmax()), works.shape)
    inside = 0 < column < len(gaps) - 1
    gap, rigid = _peak(gaps, works[best], int(column)) if inside else (gaps[column],
                       float(works[best, column]))  # fmt: skip
    relaxed, ok, force = _relaxed(made, shifts[best], gap, engine, settings)
    again: tuple[float | None, float | None] = (None, None)
    if settings.check_thickness:
        thick = interface(crystals, engine, settings, 1.5 * settings.min_length)
        if thick is not None:
            again = _thicker(thick, shifts[best], gap, engine, settings)
    checks = [
        Check(name="distance inside the scan", ok=bool(inside), value=float(gap),
              limit=float(gaps[-1]), text="best rigid distance, Å: widen gaps"),
        Check(name="relaxations", ok=ok, value=force, limit=settings.fmax,
              text="largest force on interface and slabs, eV/Å"),
        at_most("strain", made.match.largest, 0.02, "of the upper crystal: the work is "
                "that of the strained one", hard=False),
    ]  # fmt: skip
    values = {
        "work_of_adhesion": _with_error(relaxed, again[1]),
        "work_of_adhesion_rigid": _with_error(rigid, again[0]),
        "interface_strain": Quantity(value=made.match.largest, unit=""),
        "interface_gap": Quantity(value=float(gap), unit="Å"),
    }
    arrays = {
        "gaps": gaps,
        "energies": -works[best],
        "shifts": shifts,
        "shift_energies": -works.max(axis=1),
        "strains": list(made.match.strains),
    }
    return checks, values, arrays


def _peak(gaps: FloatArray, works: FloatArray, index: int) -> tuple[float, float]:
    """Return place and height of the parabola through the three best points."""
    near = slice(index - 1, index + 2)
    a, b, c = np.polyfit(gaps[near] - gaps[index], works[near], 2)
    place = -b / (2 * a)
    return float(gaps[index] + place), float(c - b * b / (4 * a))


def _relaxed(
    made: Interface,
    shift: FloatArray,
    gap: float,
    engine: Engine,
    settings: AdhesionSettings,
) -> tuple[float, bool, float]:
    """Return the work of relaxed slabs, whether all relaxed, and the largest force."""
    ends = [
        relax_ions(atoms, engine, fmax=settings.fmax, max_steps=settings.max_steps)
        for atoms in (made.joined(shift, gap), made.lower, made.upper)
    ]
    work = (ends[1].energy + ends[2].energy - ends[0].energy) / made.match.area
    force = max(float(np.linalg.norm(end.forces, axis=1).max()) for end in ends)
    return work * J_M2_PER_EV_A2, all(end.ok for end in ends), force


def _thicker(
    made: Interface,
    shift: FloatArray,
    gap: float,
    engine: Engine,
    settings: AdhesionSettings,
) -> tuple[float, float]:
    """Return rigid and relaxed work of thicker slabs at the same registry and gap."""
    both, low, high = (
        result.energy
        for result in engine.compute_many(
            [made.joined(shift, gap), made.lower, made.upper], _WANT
        )
    )
    rigid = (low + high - both) / made.match.area * J_M2_PER_EV_A2
    return rigid, _relaxed(made, shift, gap, engine, settings)[0]


def _with_error(value: float, again: float | None) -> Quantity:
    error = None if again is None else abs(again - value)
    return Quantity(value=value, unit="J/m^2", error=error)
