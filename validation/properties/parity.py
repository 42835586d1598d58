"""Parity: the deployed engine gives the model's numbers, sign, unit and order included.

Two families of tests on each structure. *Between* the engines: energy, per-atom
energies, forces, stress. *Within* the deployed engine: forces and stress are the
derivatives of its energy (finite differences along random directions, which mix every
component with its own weight), per-atom energies add up, and nothing changes under
translation, rotation and a new order of the atoms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, DataError, EngineError, explain
from lamplighter.validation.engines.base import WANT_ALL, Engine, check_finite
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.parity_failures import Failures
from lamplighter.validation.properties.parity_measures import OF_LIMITS
from lamplighter.validation.properties.parity_points import Level, Point, points
from lamplighter.validation.properties.parity_terms import (
    COMPILED,
    FLOAT32,
    FLOAT64,
    Tolerances,
    derivatives,
    differences,
    invariances,
)

__all__ = [
    "FLOAT32",
    "FLOAT64",
    "Column",
    "ParitySettings",
    "Tolerances",
    "columns",
    "run",
    "tolerances_for",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParitySettings:
    """What is compared, and how tightly.

    Attributes:
        tolerances: ``None`` takes those of the less precise engine's dtype.
        directions: Random directions of the finite differences per structure; 0 skips
            them.
        invariances: Whether translation, rotation and permutation are tried.
        points: Which points beyond single points are tried: ``none``, ``quick`` (every
            kind once) or ``full`` (4 ranks and processor grids as well).
        points_on: Material of the same suite on which they are tried instead, as its
            elements are these or more; empty: here. A suite fills it in.
        failures: Folder that receives each failing structure as extended XYZ, with the
            forces of both engines, and as LAMMPS input where the deployed engine is
            LAMMPS; ``None`` saves nothing.
        seed: Of directions, rotations and permutations.
    """

    tolerances: Tolerances | None = None
    directions: int = 1
    invariances: bool = True
    points: Level = "quick"
    points_on: str = ""
    failures: Path | None = None
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse a negative count."""
        if self.directions < 0:
            raise ConfigError(
                explain(
                    "parity setting 'directions'",
                    got=self.directions,
                    wanted="0 or more",
                    fix="0 skips finite differences",
                )
            )
        if self.points not in get_args(Level):
            raise ConfigError(
                explain(
                    "parity setting 'points'",
                    got=repr(self.points),
                    wanted=" or ".join(get_args(Level)),
                    fix="quick is what a suite runs",
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One quantity of the parity table.

    Attributes:
        key: Name in records.
        label: Name for people.
        unit: Of value and limit.
        limit: Largest value that passes.
    """

    key: str
    label: str
    unit: str
    limit: float


def tolerances_for(*engines: Engine) -> Tolerances:
    """Return the tolerances of the least precise of some engines, tables included.

    Raises:
        ConfigError: If an engine names another dtype than float32 and float64.
    """
    kinds = {engine.info.dtype for engine in engines}
    if not kinds <= {"float32", "float64"}:
        raise ConfigError(
            explain(
                "no tolerances for this precision",
                got=", ".join(sorted(kinds)),
                wanted="float32 or float64",
                fix="pass ParitySettings(tolerances=...)",
            )
        )
    if "float32" in kinds:
        return FLOAT32
    backends = {engine.info.extra.get("backend") for engine in engines}
    return COMPILED if "compiled" in backends else FLOAT64


def columns(t: Tolerances, settings: ParitySettings) -> list[Column]:
    """Return the columns of the table, in order."""
    found = [
        Column(key="energy", label="ΔE", unit="eV/atom", limit=t.energy),
        Column(key="energies", label="Δe per atom", unit="eV", limit=t.energy),
        Column(key="forces", label="ΔF", unit="eV/Å", limit=t.forces),
        Column(key="stress", label="Δσ", unit="GPa", limit=t.stress),
        Column(key="sum", label="Σe − E", unit="eV/atom", limit=t.energy),
    ]
    if settings.directions:
        found += [
            Column(key="slope", label="F + dE/dx", unit="eV/Å", limit=t.slope),
            Column(key="strain", label="σ − dE/Vdε", unit="GPa", limit=t.strain_slope),
        ]
    if settings.invariances:
        found += [
            Column(key=key, label=key, unit=OF_LIMITS, limit=1.0)
            for key in ("translation", "rotation", "permutation")
        ]
    return found


def run(
    structures: Mapping[str, Atoms],
    engine_a: Engine,
    engine_b: Engine,
    settings: ParitySettings | None = None,
) -> PropertyResult:
    """Compare two engines on structures.

    Values: the largest deviation of each column over all structures, of what at least
    one structure has (an engine without per-atom energies has no ``energies``). Arrays:
    ``columns`` (``key``, ``label``, ``unit``, ``limit``) and ``rows`` (``structure``,
    ``n_atoms``, ``values`` by key with ``None`` where a quantity does not exist,
    ``kinks``: the derivatives that stand beside one, ``verdict`` ``"pass"`` or
    ``"fail"``), and ``points`` (the fields of
    [`Point`][lamplighter.validation.properties.parity_points.Point]: number, key,
    label, structure, value, limit, unit, verdict, text). A failed column or point makes
    the result invalid; a point that does not apply says why.

    Args:
        structures: Name -> structure.
        engine_a: The reference, for example the model through ASE.
        engine_b: The deployed engine; it is tested for consistency as well.
        settings: What is compared.

    Raises:
        ConfigError: If there are no structures.
    """
    settings = settings or ParitySettings()
    if not structures:
        raise ConfigError(
            explain(
                "nothing to compare",
                got="no structures",
                wanted="one structure or more",
                fix="use parity_structures of a crystal",
            )
        )
    limits = settings.tolerances or tolerances_for(engine_a, engine_b)
    table = columns(limits, settings)
    rows: list[dict[str, Any]] = []
    checks: list[Check] = []
    failures = Failures(settings.failures, structures)
    for name, atoms in structures.items():
        row, problem = _row(
            name, atoms, (engine_a, engine_b), settings, limits, failures
        )
        bad = problem is not None or any(_exceeds(row["values"], c) for c in table)
        row["verdict"] = "fail" if bad else "pass"
        rows.append(row)
        if problem is not None:
            checks.append(Check(name=f"evaluation of {name}", ok=False, text=problem))
    worst = {column: _worst(column, rows) for column in table}
    checks += [check for check in worst.values() if check is not None]
    level = "none" if settings.points_on else settings.points
    tried = points(structures, (engine_a, engine_b), limits, level)
    checks += [_check(point) for point in tried if point.verdict != "not applicable"]
    for name in {point.structure for point in tried if point.verdict == "fail"}:
        failures.save(structures[name], name, engine_b, suffix="-points")
    return PropertyResult.conclude(
        "parity",
        material_name(next(iter(structures.values()))),
        engine_b.info,
        method={
            **_method(settings),
            "tolerances": dataclasses.asdict(limits),
            "against": engine_a.info.to_dict(),
        },
        checks=checks,
        values={
            column.key: Quantity(value=check.value, unit=column.unit)
            for column, check in worst.items()
            if check is not None and check.value is not None and check.ok
        },
        arrays={
            "columns": [dataclasses.asdict(c) for c in table],
            "rows": rows,
            "points": [dataclasses.asdict(point) for point in tried],
        },
    )


def _method(settings: ParitySettings) -> dict[str, Any]:
    record = dataclasses.asdict(settings)
    record["failures"] = None if settings.failures is None else str(settings.failures)
    return record


def _check(point: Point) -> Check:
    """Return the check of a point."""
    text = f"{point.number}. {point.label} in {point.unit}, '{point.structure}'"
    return Check(
        name=f"parity: {point.key}",
        ok=point.verdict == "pass",
        value=point.value,
        limit=point.limit,
        text=f"{text}: {point.text}" if point.text else text,
    )


def _exceeds(values: Mapping[str, float | None], column: Column) -> bool:
    value = values.get(column.key)
    # Written so that a NaN fails.
    return value is not None and not value <= column.limit


def _worst(column: Column, rows: Sequence[Mapping[str, Any]]) -> Check | None:
    """Return the check of one column, ``None`` where no structure has the quantity."""
    found = {
        row["structure"]: row["values"][column.key]
        for row in rows
        if row["values"].get(column.key) is not None
    }
    if not found:
        return None
    # argmax stops at a NaN, which max would pass over.
    where = list(found)[int(np.argmax(list(found.values())))]
    text = f"{column.label} in {column.unit}, largest in '{where}'"
    kinks = [row["structure"] for row in rows if column.key in row.get("kinks", ())]
    if kinks:
        text += f"; a shorter step, as the whole one crosses a kink, in {kinks}"
    return at_most(f"parity of {column.key}", found[where], column.limit, text)


def _row(
    name: str,
    atoms: Atoms,
    engines: tuple[Engine, Engine],
    settings: ParitySettings,
    limits: Tolerances,
    failures: Failures,
) -> tuple[dict[str, Any], str | None]:
    """Return one row of the table, and what went wrong if an engine failed."""
    row: dict[str, Any] = {"structure": name, "n_atoms": len(atoms), "values": {}}
    rng = np.random.default_rng(settings.seed)
    try:
        # Engines of others may not look at their numbers.
        a, b = (check_finite(e.compute(atoms, WANT_ALL), atoms) for e in engines)
        values = differences(a, b)
        values["sum"] = (
            None
            if b.energies is None
            else abs(b.energies.sum() - b.energy) / len(atoms)
        )
        if settings.directions:
            found, row["kinks"] = derivatives(
                atoms, b, engines[1], settings.directions, limits, rng
            )
            values |= found
        if settings.invariances:
            values |= invariances(atoms, b, engines[1], limits, rng)
    except (EngineError, DataError) as error:
        failures.save(atoms, name, engines[1])
        return row, str(error)
    row["values"] = values
    if any(_exceeds(values, column) for column in columns(limits, settings)):
        forces = {"forces_reference": a.forces, "forces_deployed": b.forces}
        failures.save(atoms, name, engines[1], forces)
    return row, None
