"""Benchmarks of energy differences: sums of single points beside reference values.

Their folder holds ``reactions.csv`` and the structures it names, in any format that ASE
reads. Columns: ``name``, ``reference`` (in the unit of the benchmark), ``terms`` as in
``1 complex.xyz -1 host.xyz -1 guest.xyz``, and, where a benchmark has them, ``group``,
``charge`` and ``multiplicity``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from ase.io import read

from lamplighter.errors import DataError, explain
from lamplighter.validation.benchmarks.protocol import Measure, Outcome
from lamplighter.validation.engines.base import Engine

TABLE: Final = "reactions.csv"
PER_EV: Final[Mapping[str, float]] = {
    "eV": 1.0,
    "meV": 1000.0,
    "kJ/mol": units.mol / units.kJ,
    "kcal/mol": units.mol / units.kcal,
}

WTMAD_SCALE: Final = 56.84
"""kcal/mol: mean reference energy of GMTKN55, by which its subsets are scaled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """A sum of energies with a reference value.

    Attributes:
        name: of the reaction.
        reference: in the unit of the benchmark.
        terms: factor and file of each structure.
        group: subset, or surface.
        charge: total charge of its parts.
        multiplicity: of its parts.
    """

    name: str
    reference: float
    terms: tuple[tuple[float, str], ...]
    group: str = ""
    charge: int = 0
    multiplicity: int = 1


def read_reactions(folder: Path) -> list[Reaction]:
    """Return the reactions of a folder; every structure that they name is there.

    Raises:
        DataError: the table or structures are missing, or a line cannot be read; the
            message names what is missing.
    """
    path = folder / TABLE
    if not path.is_file():
        raise DataError(
            explain(
                "the folder of data has no table",
                got=f"no {path}",
                wanted=f"{TABLE} with the columns name, reference, terms",
                fix="see the page of benchmarks in docs/",
            )
        )
    with path.open(encoding="utf-8", newline="") as stream:
        found = [
            _reaction(row, f"{TABLE}, line {number}")
            for number, row in enumerate(csv.DictReader(stream), start=2)
        ]
    files = dict.fromkeys(file for one in found for _, file in one.terms)
    check_files(folder, files)
    if not found:
        raise DataError(explain(f"{path} is empty", wanted="one reaction or more"))
    return found


def check_files(folder: Path, files: Iterable[str]) -> None:
    """Do nothing if all files are there.

    Raises:
        DataError: they are not; the message names every one that is missing.
    """
    files = list(files)
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise DataError(
            explain(
                f"{len(missing)} of {len(files)} files are missing in {folder}",
                got=", ".join(missing),
                fix="fetch them from where the benchmark is published",
            )
        )


def _reaction(row: Mapping[str, str | None], where: str) -> Reaction:
    try:
        words = str(row["terms"]).split()
        factors, files = words[::2], words[1::2]
        if not words or len(factors) != len(files):
            raise ValueError("terms")  # noqa: TRY301  (one message for all)
        return Reaction(
            name=str(row["name"]),
            reference=float(str(row["reference"])),
            terms=tuple(
                (float(factor), file)
                for factor, file in zip(factors, files, strict=True)
            ),
            group=row.get("group") or "",
            charge=int(row.get("charge") or 0),
            multiplicity=int(row.get("multiplicity") or 1),
        )
    except (KeyError, ValueError) as error:
        raise DataError(
            explain(
                f"{where} cannot be read",
                got=f"{error!r} in {dict(row)}",
                wanted="name, reference, and terms like: 1 a.xyz -2 b.xyz",
            )
        ) from error


def differences(
    engine: Engine,
    folder: Path,
    unit: str,
    elements: Sequence[str],
    expected: int,
    *,
    neutral_singlets: bool = False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return computed and reference values of all reactions, and deviations.

    Args:
        engine: what computes.
        folder: of the data.
        unit: of the references.
        elements: that the engine knows; reactions with others are left out.
        expected: number of reactions of the published set.
        neutral_singlets: leave charged and open-shell reactions out.

    Raises:
        DataError: see [`read_reactions`][]; or no reaction is left.
    """
    reactions = read_reactions(folder)
    deviations = []
    if len(reactions) != expected:
        deviations.append(
            f"{len(reactions)} reactions, the published set has {expected}"
        )
    if neutral_singlets:
        reactions = [r for r in reactions if r.charge == 0 and r.multiplicity == 1]
    structures = {
        file: _structure(folder / file) for r in reactions for _, file in r.terms
    }
    known = {
        file
        for file, atoms in structures.items()
        if set(atoms.get_chemical_symbols()) <= set(elements)
    }
    usable = [r for r in reactions if {file for _, file in r.terms} <= known]
    if len(usable) < len(reactions):
        count = len(reactions) - len(usable)
        deviations.append(f"{count} reactions left out: elements that are not known")
    if not usable:
        raise DataError(
            explain(
                "no reaction can be computed",
                got=f"elements {', '.join(elements)}",
                wanted="the elements of the benchmark",
                fix="name more with --elements, or take another head",
            )
        )
    files = sorted({file for r in usable for _, file in r.terms})
    results = engine.compute_many([structures[file] for file in files], ("energy",))
    energies = {f: result.energy for f, result in zip(files, results, strict=True)}
    return [_row(r, energies, unit) for r in usable], deviations


def _row(
    reaction: Reaction, energies: Mapping[str, float], unit: str
) -> dict[str, Any]:
    total = sum(factor * energies[file] for factor, file in reaction.terms)
    value = total * PER_EV[unit]
    return {
        "name": reaction.name,
        "group": reaction.group,
        "value": value,
        "reference": reaction.reference,
        "error": value - reaction.reference,
    }


def _structure(path: Path) -> Atoms:
    try:
        atoms = read(path)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(
            explain(f"cannot read {path}", got=error, wanted="a file that ASE reads")
        ) from error
    if not isinstance(atoms, Atoms):
        raise DataError(explain(f"{path} holds no structure", got=type(atoms)))
    return atoms


def mean_error(unit: str, expected: int) -> Measure:
    """Return the measure of a benchmark that is one mean absolute error.

    Args:
        unit: of the references.
        expected: number of reactions of the published set; another is a deviation.
    """

    def measure(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
        rows, deviations = differences(engine, data, unit, elements, expected)
        errors = [abs(row["error"]) for row in rows]
        return Outcome(
            values={"mae": float(np.mean(errors))}, rows=rows, deviations=deviations
        )

    return measure


x23 = mean_error("kJ/mol", 23)
dmc_ice13 = mean_error("meV", 13)
wiggle150 = mean_error("kcal/mol", 150)
s30l = mean_error("kcal/mol", 30)
plf547 = mean_error("kcal/mol", 547)
s24 = mean_error("eV", 24)


def gmtkn55(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
    """Return the weighted mean error of the subsets (``group``), kcal/mol.

    Each subset's mean absolute error is scaled to the mean size of all references, so
    that subsets of small energies count. Only neutral singlets take part.
    """
    rows, deviations = differences(
        engine, data, "kcal/mol", elements, 1505, neutral_singlets=True
    )
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    total = 0.0
    for mine in groups.values():
        size = float(np.mean([abs(row["reference"]) for row in mine]))
        error = float(np.mean([abs(row["error"]) for row in mine]))
        total += len(mine) * WTMAD_SCALE / size * error
    return Outcome(
        values={"wtmad": total / len(rows)}, rows=rows, deviations=deviations
    )


def oc157(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
    """Return the error of energies between configurations, and of their order.

    Every row is the energy between two configurations of one surface (``group``), eV; a
    pair is ordered wrongly when the sign is not that of the reference.
    """
    rows, deviations = differences(engine, data, "eV", elements, 471)
    wrong = [np.sign(row["value"]) != np.sign(row["reference"]) for row in rows]
    errors = [abs(row["error"]) for row in rows]
    return Outcome(
        values={"mae": float(np.mean(errors)), "ranking": float(np.mean(wrong))},
        rows=rows,
        deviations=deviations,
    )
