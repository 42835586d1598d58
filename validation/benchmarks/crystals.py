"""Benchmarks of crystals: lattice constants, elastic moduli, phonons.

Their folder holds ``crystals.csv`` with the columns ``name`` and ``file``, those of the
references, and the files it names.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.io import read

from lamplighter.errors import DataError, EngineError, explain
from lamplighter.validation.benchmarks.protocol import Outcome
from lamplighter.validation.benchmarks.reactions import check_files
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.crystal import conventional
from lamplighter.validation.properties.elastic import ElasticSettings
from lamplighter.validation.properties.elastic import run as run_elastic
from lamplighter.validation.relax import RelaxSettings, relax_crystal

TABLE: Final = "crystals.csv"

# Gases under pressure and layered near-voids have moduli of another kind.
_MODULI: Final = (0.0, 500.0)


def read_crystals(folder: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of the table; every file that it names is there.

    Args:
        folder: of the data.
        columns: that the table needs besides ``name`` and ``file``.

    Raises:
        DataError: table, columns or files are missing; the message names them.
    """
    path = folder / TABLE
    needed = ["name", "file", *columns]
    if not path.is_file():
        raise DataError(
            explain(
                "the folder of data has no table",
                got=f"no {path}",
                wanted=f"{TABLE} with the columns {', '.join(needed)}",
                fix="see the page of benchmarks in docs/",
            )
        )
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        absent = [name for name in needed if name not in (reader.fieldnames or ())]
        if absent:
            raise DataError(
                explain(
                    f"{path} lacks columns",
                    got=", ".join(reader.fieldnames or ()),
                    wanted=", ".join(needed),
                )
            )
        rows = list(reader)
    check_files(folder, [row["file"] for row in rows])
    return rows


def measured(
    rows: Sequence[Mapping[str, str]],
    expected: int,
    one: Callable[[Mapping[str, str]], dict[str, Any] | None],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what came of every row, and deviations; what fails is counted.

    Args:
        rows: of the table.
        expected: number of rows of the published set.
        one: gives the row of a table of results, None where the model lacks elements.
    """
    deviations = []
    if len(rows) != expected:
        deviations.append(f"{len(rows)} crystals, the published set has {expected}")
    found, unknown, failed = [], 0, []
    for row in rows:
        try:
            result = one(row)
        except (EngineError, DataError) as error:
            failed.append(f"{row['name']}: {str(error)[:120]}")
            continue
        unknown += result is None
        if result is not None:
            found.append(result)
    if unknown:
        deviations.append(f"{unknown} crystals left out: elements that are not known")
    if failed:
        deviations.append(f"{len(failed)} crystals failed: {'; '.join(failed[:5])}")
    return found, deviations


def structure(path: Path, elements: Sequence[str]) -> Atoms | None:
    """Return the crystal of a file, None if it has an element that is not known.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        atoms = read(path)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(
            explain(f"cannot read {path}", got=error, wanted="a file that ASE reads")
        ) from error
    if not isinstance(atoms, Atoms) or not atoms.pbc.all():
        raise DataError(explain(f"{path} holds no crystal", wanted="one crystal"))
    return atoms if set(atoms.get_chemical_symbols()) <= set(elements) else None


def number(row: Mapping[str, str], column: str) -> float:
    """Return a number of a table.

    Raises:
        DataError: it is none.
    """
    try:
        return float(row[column])
    except ValueError as error:
        raise DataError(
            explain(
                f"{TABLE}: {column} of {row['name']}",
                got=row[column],
                wanted="a number",
            )
        ) from error


def lattice_constants(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
    """Return the mean absolute error of lattice constants a, Å, cell relaxed."""

    def one(row: Mapping[str, str]) -> dict[str, Any] | None:
        atoms = structure(data / row["file"], elements)
        if atoms is None:
            return None
        settings = RelaxSettings(fmax=0.003, max_stress=0.02)
        relaxed = relax_crystal(atoms, engine, settings)
        if not relaxed.ok:
            raise DataError(explain("does not relax", got=row["name"]))
        a = float(conventional(relaxed.atoms).cell.lengths()[0])
        reference = number(row, "lattice_constant")
        return {"name": row["name"], "value": a, "reference": reference}

    rows, deviations = measured(read_crystals(data, ["lattice_constant"]), 23, one)
    errors = [abs(row["value"] - row["reference"]) for row in rows]
    values = {"mae": float(np.mean(errors))} if errors else {}
    return Outcome(values=values, rows=rows, deviations=deviations)


def elasticity(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
    """Return the mean absolute errors of bulk and shear modulus, GPa, ions relaxed."""

    def one(row: Mapping[str, str]) -> dict[str, Any] | None:
        references = [number(row, "bulk_modulus"), number(row, "shear_modulus")]
        if not all(_MODULI[0] < value <= _MODULI[1] for value in references):
            return None
        atoms = structure(data / row["file"], elements)
        if atoms is None:
            return None
        relaxed = relax_crystal(
            atoms, engine, RelaxSettings(fmax=2e-5, max_stress=2e-4)
        )
        result = run_elastic(relaxed.atoms, engine, ElasticSettings())
        if result.status == "invalid":
            raise DataError("; ".join(c.text or c.name for c in result.failed()))
        found = {
            "name": row["name"],
            "bulk_reference": references[0],
            "shear_reference": references[1],
        }
        for name, key in (("bulk", "bulk_modulus_VRH"), ("shear", "shear_modulus")):
            found[name] = result.values[key].value
        return found

    table = read_crystals(data, ["bulk_modulus", "shear_modulus"])
    rows, deviations = measured(table, 12122, one)
    values = {
        f"{name}_mae": float(
            np.mean([abs(row[name] - row[f"{name}_reference"]) for row in rows])
        )
        for name in ("bulk", "shear")
        if rows
    }
    return Outcome(values=values, rows=rows, deviations=deviations)
