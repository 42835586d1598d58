"""What sets of molecular energies have in common: S22, DBH24 and X23."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, DataError, EngineError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)

KJ_MOL_PER_EV: Final = 96.48533212331
"""One eV per molecule in kJ/mol: e times Avogadro's number (exact digits)."""

KCAL_MOL_PER_EV: Final = KJ_MOL_PER_EV / 4.184
"""One eV per molecule in kcal/mol, thermochemical calories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One energy difference of a set, and its reference.

    Attributes:
        name: of the system, as in the name of its value.
        terms: structures with the factor of their energy in the sum.
        reference: in the unit of the set.
        error: of the reference, in the same unit; ``None`` where the source has none.
        charged: whether a structure carries a charge.
    """

    name: str
    terms: tuple[tuple[float, Atoms], ...]
    reference: float
    error: float | None = None
    charged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MolecularSet:
    """A set of energy differences.

    Attributes:
        name: of the property, for example ``s22``.
        title: as it stands in texts and as the material of the result.
        value: name of one difference without its system, for example
            ``interaction_energy``.
        unit: of values and references.
        per_ev: how many of that unit are one eV.
        entries: the differences.
        source: of structures and references: texts by name.
        complete: whether these are all entries of the set; with a choice of them the
            mean errors are not those of the set.
        expected: entries of the whole set.
        max_error: difference from the reference that is worth a warning.
    """

    name: str
    title: str
    value: str
    unit: str
    per_ev: float
    entries: tuple[Entry, ...]
    source: Mapping[str, Any]
    expected: int
    max_error: float
    method: Mapping[str, Any] = field(default_factory=dict)


def with_state(atoms: Atoms, charge: float = 0.0, spin: int = 1) -> Atoms:
    """Return a structure that says its charge, e, and multiplicity 2S + 1.

    Models with these inputs read them from ``atoms.info``; others do not look.
    """
    result: Atoms = atoms.copy()
    result.info |= {"charge": charge, "spin": spin}
    return result


def boxed(atoms: Atoms, vacuum: float) -> Atoms:
    """Return a molecule in a box with empty space around, without periodicity."""
    result: Atoms = atoms.copy()
    result.pbc = False
    result.center(vacuum=vacuum)
    return result


def vacuum_for(engine: Engine) -> float:
    """Return the empty space around a molecule, Å."""
    return max(10.0, engine.info.cutoff + 2.0)


def chosen(names: Sequence[str], wanted: Sequence[str], title: str) -> list[str]:
    """Return the names of a set that are wanted, all of them if none is named.

    Raises:
        ConfigError: a name that the set does not have.
    """
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise ConfigError(
            explain(
                f"unknown systems of {title}",
                got=", ".join(unknown),
                wanted=f"some of {', '.join(names)}",
            )
        )
    return [name for name in names if name in wanted] if wanted else list(names)


def evaluate_set(
    group: MolecularSet, engine: Engine, *, allow_missing: bool = False
) -> PropertyResult:
    """Return all differences of a set and their mean errors.

    Values: each difference under the set's value name and its system, ``..._mae`` and
    ``..._mean_error`` (model minus reference) under the set's name. Arrays:
    ``systems``, ``values``, ``references``, ``reference_errors``.

    Args:
        group: the set.
        engine: what computes.
        allow_missing: whether systems that the engine cannot compute only warn.
    """
    found, failures = _energies(group.entries, engine, group.per_ev)
    done = [entry for entry in group.entries if entry.name in found]
    errors = np.array([found[entry.name] - entry.reference for entry in done])
    checks = _checks(group, done, errors, failures, allow_missing=allow_missing)
    checks += _ions(done, engine)
    values = {
        f"{group.value}_{entry.name}": Quantity(
            value=found[entry.name], unit=group.unit
        )
        for entry in done
    }
    if done:
        spread = [entry.error or 0.0 for entry in done]
        known = any(entry.error for entry in done)
        error = float(np.linalg.norm(spread)) / len(done) if known else None
        for name, number in (
            ("mae", float(np.abs(errors).mean())),
            ("mean_error", float(errors.mean())),
        ):
            values[f"{group.name}_{name}"] = Quantity(
                value=number, unit=group.unit, error=error
            )
    return PropertyResult.conclude(
        group.name,
        group.title,
        engine.info,
        method={
            **group.method,
            "source": group.source,
            "systems": [entry.name for entry in group.entries],
        },
        checks=checks,
        values=values,
        arrays={
            "systems": [entry.name for entry in done],
            "values": [found[entry.name] for entry in done],
            "references": [entry.reference for entry in done],
            "reference_errors": [entry.error for entry in done],
        },
    )


def _energies(
    entries: Sequence[Entry], engine: Engine, per_ev: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the differences that could be computed, and why others could not."""
    found: dict[str, float] = {}
    failures: dict[str, str] = {}
    known: dict[bytes, float] = {}
    for entry in entries:
        try:
            total = sum(
                factor * _energy(atoms, engine, known) for factor, atoms in entry.terms
            )
        except (EngineError, DataError) as error:
            failures[entry.name] = str(error)
        else:
            found[entry.name] = total * per_ev
    return found, failures


def _energy(atoms: Atoms, engine: Engine, known: dict[bytes, float]) -> float:
    """Return an energy, eV; a structure that came before is not computed again."""
    state = (atoms.info.get("charge", 0.0), atoms.info.get("spin", 1))
    key = b"".join([
        atoms.numbers.tobytes(), atoms.positions.tobytes(), atoms.cell.array.tobytes(),
        repr(state).encode(),
    ])  # fmt: skip
    if key not in known:
        known[key] = engine.compute(atoms, ("energy", "forces")).energy
    return known[key]


def _checks(
    group: MolecularSet,
    done: Sequence[Entry],
    errors: np.ndarray[Any, np.dtype[np.float64]],
    failures: Mapping[str, str],
    *,
    allow_missing: bool,
) -> list[Check]:
    missing = "; ".join(f"{name}: {text}" for name, text in failures.items())
    checks = [
        Check(
            name="systems computed",
            ok=not failures and bool(done),
            value=float(len(done)),
            limit=float(len(group.entries)),
            text=missing or "all that were asked for",
            hard=not allow_missing or not done,
        ),
        Check(
            name="complete set",
            ok=len(done) == group.expected,
            value=float(len(done)),
            limit=float(group.expected),
            text=f"the mean errors are those of {group.title} only if it is complete",
            hard=False,
        ),
    ]
    if len(errors):
        worst = int(np.argmax(np.abs(errors)))
        checks.append(
            at_most(
                "largest error",
                float(abs(errors[worst])),
                group.max_error,
                f"{group.unit}, {done[worst].name}; against {group.source['level']}",
                hard=False,
            )
        )
    return checks


def _ions(done: Sequence[Entry], engine: Engine) -> list[Check]:
    """Return whether the engine tells an ion from the neutral molecule, by asking."""
    ions = [entry for entry in done if entry.charged]
    if not ions:
        return []
    one = next(a for _, a in ions[0].terms if a.info["charge"])
    neutral = with_state(one, 0.0, int(one.info["spin"]))
    want = ("energy", "forces")
    try:
        change = engine.compute(one, want).energy - engine.compute(neutral, want).energy
    except EngineError:
        change = float("inf")  # it reads the charge, and this one it cannot do
    names = ", ".join(entry.name for entry in ions)
    knows = abs(change) > 1e-6
    return [
        Check(
            name="ions",
            ok=knows,
            text=f"the engine reads the charge: {names}"
            if knows
            else f"the engine gives {one.get_chemical_formula()} the same energy with "
            f"and without its charge: these are not energies of ions: {names}",
            hard=False,
        )
    ]
