"""The benchmark of thermal conductivities: errors mode by mode.

The folder holds ``crystals.csv`` (``name``, ``file``, ``modes``, ``supercell``,
``phonon_supercell``) and the files it names: a structure, and a JSON file with the
reference's modes (see `record_of`). Supercells are repeats of the conventional cell,
``2 2 2``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lamplighter.errors import DataError, explain
from lamplighter.validation.benchmarks.crystals import (
    measured,
    read_crystals,
    structure,
)
from lamplighter.validation.benchmarks.protocol import Outcome
from lamplighter.validation.benchmarks.reactions import check_files
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.conductivity import (
    ConductivitySettings,
    phono3py_class,
)
from lamplighter.validation.properties.conductivity import run as run_conductivity

COLUMNS: Final = ("modes", "supercell", "phonon_supercell")
KEYS: Final = ("mesh", "temperature", "isotopes", "qpoints", "mode_conductivity")
PUBLISHED: Final = 103
WORST: Final = 2.0
"""Error of a crystal that has no conductivity: imaginary modes, or no minimum."""


def conductivity(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
    """Return the mean symmetric relative error of modes' conductivities.

    Cell and atoms relax within the space group; mesh, temperature and isotopes are the
    reference's. A crystal whose result is invalid counts with 2, the worst there is.
    """
    phono3py_class()  # before any work

    def one(row: Mapping[str, str]) -> dict[str, Any] | None:
        atoms = structure(data / row["file"], elements)
        if atoms is None:
            return None
        reference = read_modes(data / row["modes"])
        result = run_conductivity(atoms, engine, _settings(row, reference))
        found: dict[str, Any] = {
            "name": row["name"],
            "reference": float(np.sum(reference["mode_conductivity"])),
        }
        if result.status == "invalid":
            reason = "; ".join(check.name for check in result.failed())
            return {**found, "srme": WORST, "value": None, "failed": reason}
        modes = np.array(result.arrays["mode_conductivity"])
        theirs = _in_order(reference, np.array(result.arrays["qpoints"]), row["name"])
        return {
            **found,
            "srme": relative_mean_error(modes, theirs),
            "value": float(modes.sum()),
            "failed": "",
        }

    table = read_crystals(data, COLUMNS)
    check_files(data, [row["modes"] for row in table])
    rows, deviations = measured(table, PUBLISHED, one)
    values = {"srme": float(np.mean([row["srme"] for row in rows]))} if rows else {}
    return Outcome(values=values, rows=rows, deviations=deviations)


def relative_mean_error(mine: FloatArray, theirs: FloatArray) -> float:
    """Return the symmetric relative mean error of modes' conductivities, 0 to 2.

    ``2 sum |a - b| / (sum a + sum b)``: errors of modes do not cancel, as they do in
    the conductivity. 2 where one of the two conducts nothing.

    >>> relative_mean_error(np.array([3.0, 1.0]), np.array([1.0, 3.0]))
    1.0

    Args:
        mine: [n_q, n_branches], weights included.
        theirs: the same modes.

    Raises:
        DataError: they are not the same modes, or conduct nothing at all.

    Source: B. Póta, P. Ahlawat, G. Csányi, M. Simoncelli, arXiv:2408.00755 (2024).
    """
    if mine.shape != theirs.shape:
        raise DataError(
            explain("modes of two crystals", got=mine.shape, wanted=theirs.shape)
        )
    whole = float(mine.sum() + theirs.sum())
    if not whole > 0.0:
        raise DataError(explain("modes conduct no heat", got=whole, wanted="> 0"))
    return min(2.0, 2.0 * float(np.abs(mine - theirs).sum()) / whole)


def record_of(result: PropertyResult) -> dict[str, Any]:
    """Return what a file of modes holds, of a result of the property.

    ``mesh``, ``temperature`` K, ``isotopes``, ``qpoints`` [n_q, 3] in fractions of the
    reciprocal vectors of the primitive cell, ``mode_conductivity`` [n_q, n_branches] in
    W/m/K, weights of the wave vectors included, branches by ascending frequency.

    Raises:
        DataError: the result is invalid.
    """
    if result.status == "invalid" or result.property != "conductivity":
        raise DataError(
            explain(
                "modes of a reference",
                got=f"{result.property}, {result.status}",
                wanted="a conductivity that is not invalid",
            )
        )
    method = {key: result.method[key] for key in KEYS[:3]}
    return {**method, **{key: result.arrays[key] for key in KEYS[3:]}}


def read_modes(path: Path) -> dict[str, Any]:
    """Return the modes of a reference.

    Raises:
        DataError: the file cannot be read, lacks something, or its shapes do not fit.
    """
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        modes = np.asarray(record["mode_conductivity"], dtype=float)
        points = np.asarray(record["qpoints"], dtype=float)
        fits = points.shape == (len(modes), 3) and modes.ndim == 2
        whole = bool(np.isfinite(modes).all()) and modes.sum() > 0.0
        absent = [key for key in KEYS if key not in record]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(explain(f"modes in {path}", got=repr(error))) from error
    if absent or not (fits and whole):
        raise DataError(
            explain(
                f"modes in {path}",
                got=f"{points.shape} qpoints, {modes.shape} conductivities of "
                f"{modes.sum():g} W/m/K, without {', '.join(absent) or 'nothing'}",
                wanted=f"{', '.join(KEYS)}: [n_q, 3] and finite [n_q, n_branches]",
            )
        )
    return {**record, "qpoints": points, "mode_conductivity": modes}


def _settings(
    row: Mapping[str, str], reference: Mapping[str, Any]
) -> ConductivitySettings:
    return ConductivitySettings(
        supercell=_repeats(row, "supercell"),
        phonon_supercell=_repeats(row, "phonon_supercell"),
        mesh=int(reference["mesh"]),
        check_mesh=None,
        temperature=float(reference["temperature"]),
        isotopes=bool(reference["isotopes"]),
    )


def _repeats(row: Mapping[str, str], column: str) -> tuple[int, int, int]:
    try:
        one, two, three = map(int, row[column].split())
    except ValueError as error:
        raise DataError(
            explain(
                f"{column} of {row['name']}",
                got=row[column],
                wanted="three whole numbers, as in 2 2 2",
            )
        ) from error
    return one, two, three


def _in_order(
    reference: Mapping[str, Any], points: FloatArray, name: str
) -> FloatArray:
    """Return the reference's modes in the order of `points`.

    Raises:
        DataError: they are modes of other wave vectors.
    """
    apart = points[:, None] - reference["qpoints"][None]
    near = np.abs(apart - np.rint(apart)).max(axis=2) < 1e-5
    if near.shape[0] != near.shape[1] or not np.all(near.sum(axis=1) == 1):
        raise DataError(
            explain(
                f"modes of {name} are at other wave vectors",
                got=f"{near.shape[1]} in the file, {int(near.sum())} of them here",
                wanted=f"the {len(points)} irreducible ones of this crystal and mesh",
                fix="compute the reference with this primitive cell and mesh",
            )
        )
    return np.asarray(reference["mode_conductivity"][near.argmax(axis=1)])
