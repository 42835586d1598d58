"""The crystal at its minimum: lattice, energy, what is left of forces and stress."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import (
    conventional,
    material_name,
    space_group_symbol,
)
from lamplighter.validation.properties.sound import density
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    largest_force,
    largest_stress,
    relax_crystal,
)

_EDGES = ("a", "b", "c")
# Largest length of a bond over the sum of covalent radii.
_BOND = 1.25
_ANGLES = ("alpha", "beta", "gamma")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationSettings(RelaxSettings):
    """How a crystal is relaxed; the error bars come from relaxing it more loosely.

    Attributes:
        loose: factor by which the second relaxation's thresholds are wider.
        max_lattice_error: largest relative difference of an edge from the two.
    """

    loose: float = 10.0
    max_lattice_error: float = 1e-3


def run(
    start: Atoms, engine: Engine, settings: RelaxationSettings | None = None
) -> PropertyResult:
    """Return lattice constants, volume and energy of the relaxed crystal.

    Values: ``lattice_constant`` Å of the conventional cell and, where they differ,
    ``lattice_constant_b`` and ``_c``, ``c_over_a``, ``angle_beta`` and others in
    degrees that are neither 90 nor 120; ``volume_per_atom`` Å^3, ``density`` kg/m^3,
    ``energy_per_atom`` eV; of bonds of hydrogen ``bond_length_H_O`` Å, the mean over
    them; ``residual_force`` eV/Å, ``residual_stress`` GPa. Arrays:
    the relaxed conventional cell as ``symbols``, ``cell``, ``scaled_positions``.

    Args:
        start: any cell of the crystal.
        engine: what computes.
        settings: thresholds.

    Raises:
        EngineError: an evaluation fails.
        DataError: the structure is no crystal.
    """
    settings = settings or RelaxationSettings()
    tight = relax_crystal(start, engine, settings)
    looser = dataclasses.replace(
        settings,
        fmax=settings.loose * settings.fmax,
        max_stress=settings.loose * settings.max_stress,
    )
    rough = relax_crystal(start, engine, looser)
    method: dict[str, Any] = dataclasses.asdict(settings)
    checks = list(tight.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if tight.ok:
        cell, other = conventional(tight.atoms), conventional(rough.atoms)
        checks.append(_two_thresholds(cell, other, settings))
        values = _values(tight, cell, other)
        method["space_group"] = space_group_symbol(tight.atoms)
        method["evaluations"] = tight.evaluations + rough.evaluations
        method["pressure_GPa"] = _pressure(tight)
        arrays = {
            "symbols": cell.get_chemical_symbols(),
            "cell": cell.cell.array,
            "scaled_positions": cell.get_scaled_positions(),
        }
    return PropertyResult.conclude(
        "relaxation",
        material_name(start),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _two_thresholds(cell: Atoms, other: Atoms, settings: RelaxationSettings) -> Check:
    apart = np.abs(other.cell.lengths() / cell.cell.lengths() - 1.0)
    return at_most(
        "lattice from two thresholds",
        float(apart.max()),
        settings.max_lattice_error,
        "relative difference of an edge from thresholds that are"
        f" {settings.loose:g} times wider",
    )


def _pressure(relaxed: Relaxed) -> float:
    largest_stress(relaxed.stress)  # raises where the engine has no stress
    return -float(np.trace(np.asarray(relaxed.stress))) / 3.0 * GPA_PER_EV_A3


def _values(relaxed: Relaxed, cell: Atoms, other: Atoms) -> dict[str, Quantity]:
    lengths, rougher = cell.cell.lengths(), other.cell.lengths()
    n_atoms = len(relaxed.atoms)
    values: dict[str, Quantity] = {}
    for index, edge in enumerate(_EDGES):
        if index and abs(lengths[index] / lengths[0] - 1.0) < 1e-6:
            continue
        name = "lattice_constant" if edge == "a" else f"lattice_constant_{edge}"
        values[name] = _quantity(lengths[index], rougher[index], "Å")
    if "lattice_constant_c" in values:
        values["c_over_a"] = _quantity(
            lengths[2] / lengths[0], rougher[2] / rougher[0], ""
        )
    angles, rougher = cell.cell.angles(), other.cell.angles()
    for name, angle, second in zip(_ANGLES, angles, rougher, strict=True):
        if min(abs(angle - 90.0), abs(angle - 120.0)) > 1e-6:
            values[f"angle_{name}"] = _quantity(angle, second, "°")
    values["volume_per_atom"] = _quantity(
        cell.get_volume() / len(cell), other.get_volume() / len(other), "Å^3"
    )
    values["density"] = _quantity(density(cell), density(other), "kg/m^3")
    values["energy_per_atom"] = Quantity(value=relaxed.energy / n_atoms, unit="eV/atom")
    values |= _hydrogen_bonds(cell, other)
    values["residual_force"] = Quantity(
        value=largest_force(relaxed.forces), unit="eV/Å"
    )
    values["residual_stress"] = Quantity(
        value=largest_stress(relaxed.stress), unit="GPa"
    )
    return values


def _hydrogen_bonds(cell: Atoms, other: Atoms) -> dict[str, Quantity]:
    """Return the mean distance of hydrogen atoms to the atoms that they are bonded to.

    Those are the nearest ones of each hydrogen, if they are as near as a bond is.
    """
    tables = []
    for atoms in (cell, other):
        found: dict[str, list[float]] = {}
        distances = atoms.get_all_distances(mic=True)
        for index in np.flatnonzero(atoms.numbers == 1) if len(atoms) > 1 else ():
            row = np.where(np.arange(len(atoms)) == index, np.inf, distances[index])
            near = int(row.argmin())
            reach = covalent_radii[1] + covalent_radii[atoms.numbers[near]]
            if row[near] < _BOND * reach:
                found.setdefault(str(atoms.symbols[near]), []).append(row[near])
        tables.append({symbol: float(np.mean(all_)) for symbol, all_ in found.items()})
    mine, rougher = tables
    return {
        f"bond_length_{'_'.join(sorted(('H', symbol)))}": _quantity(
            length, rougher.get(symbol, length), "Å"
        )
        for symbol, length in sorted(mine.items())
    }


def _quantity(value: float, other: float, unit: str) -> Quantity:
    return Quantity(value=float(value), unit=unit, error=abs(float(value - other)))
