"""What the commands `lamplighter validate refs ...` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lamplighter.console import info, table
from lamplighter.errors import ConfigError, DataError, explain

if TYPE_CHECKING:
    from lamplighter.validation.refs import ReferenceValue
    from lamplighter.validation.refs.writer import Origin

DONE = 0
CHECK_FAILED = 1


def show(
    material: str | None,
    quantity: str | None,
    files: Sequence[Path],
    *,
    unverified: bool,
    as_json: bool,
) -> int:
    """Show the references of a material, or which materials there are."""
    from lamplighter.validation.refs import load_file, load_references, materials

    treat: Literal["use", "skip"] = "use" if unverified else "skip"
    own = [r for path in files for r in load_file(path, unverified=treat)]
    if material is None:
        return _list(sorted({*materials(), *(r.material for r in own)}), as_json)
    found = [record for record in own if record.material == material]
    if material in materials() or not found:
        found += load_references(material, unverified=treat)
    wanted = [r for r in found if _matches(r.quantity, quantity)]
    if not wanted:
        known = sorted({record.quantity for record in found})
        problem = f"no reference of {material} for this quantity"
        wanted_text = ", ".join(known)
        raise ConfigError(explain(problem, got=quantity, wanted=wanted_text))
    if as_json:
        info(json.dumps([asdict(r) for r in wanted], indent=1, ensure_ascii=False))
        return DONE
    # A line of 80 columns has no room for sources: they stand below, numbered.
    sources = list(dict.fromkeys(_source(record) for record in wanted))
    rows = [_row(record, 1 + sources.index(_source(record))) for record in wanted]
    columns = ["quantity", "value", "unit", "level of theory", "from", ""]
    table(rows, columns, title=f"{material}, {wanted[0].structure}")
    for number, source in enumerate(sources, start=1):
        info(f"[{number}] {source}")
    return DONE


def check(files: Sequence[Path]) -> int:
    """Load every file; say what contradicts the built-in records."""
    from lamplighter.validation.refs import load_file, load_references, materials
    from lamplighter.validation.refs.loader import RECORDS_FOLDER
    from lamplighter.validation.refs.quantities import outliers

    paths = list(files) or [RECORDS_FOLDER / f"{name}.yaml" for name in materials()]
    failures, n_records = [], 0
    for path in paths:
        try:
            records = list(load_file(path, unverified="use"))
        except DataError as error:
            failures.append(str(error))
            continue
        n_records += len(records)
        name = records[0].material if records else ""
        if files and name in materials():
            builtin = load_references(name)
            failures += [f"{path.name}: {x}" for x in outliers([*builtin, *records])]
    for failure in failures:
        info(f"fail: {failure}")
    info(f"{n_records} records in {len(paths)} files, {len(failures)} problems")
    return CHECK_FAILED if failures else DONE


def add(
    output: Path,
    origin: Origin,
    phonopy: Path | None,
    vaspruns: Sequence[Path],
    csv: Path | None,
) -> int:
    """Import references and write them."""
    from lamplighter.validation.refs.writer import write_records

    given = [name for name, x in _sources(phonopy, vaspruns, csv).items() if x]
    if len(given) != 1:
        problem = "references come from one kind of file at a time"
        got = " and ".join(given) or "none"
        wanted = "one of --from-phonopy, --from-vasprun, --from-csv"
        raise ConfigError(explain(problem, got=got, wanted=wanted))
    records = _imported(origin, phonopy, vaspruns, csv)
    path = write_records(output, records)
    first = records[0]
    info(f"{len(records)} records of {first.material}, {first.level}: {path}")
    info(f"use them: references: [builtin, {path.name}] in a suite")
    return DONE


def _sources(
    phonopy: Path | None, vaspruns: Sequence[Path], csv: Path | None
) -> dict[str, object]:
    return {
        "--from-phonopy": phonopy,
        "--from-vasprun": vaspruns,
        "--from-csv": csv,
    }


def _imported(
    origin: Origin, phonopy: Path | None, vaspruns: Sequence[Path], csv: Path | None
) -> list[ReferenceValue]:
    if phonopy is not None:
        from lamplighter.validation.refs.from_phonopy import from_phonopy

        return from_phonopy(phonopy, origin)
    if vaspruns:
        from lamplighter.validation.refs.from_vasprun import from_vasprun

        return from_vasprun(vaspruns, origin)
    assert csv is not None
    from lamplighter.validation.refs.from_tables import from_csv

    return from_csv(csv, origin)


def _list(names: Sequence[str], as_json: bool) -> int:
    if as_json:
        info(json.dumps(list(names)))
        return DONE
    info(f"references of {len(names)} materials: {', '.join(names)}")
    info("lamplighter validate refs show MATERIAL lists the values of one")
    return DONE


def _matches(quantity: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return fnmatchcase(quantity, wanted) or wanted in quantity


def _source(record: ReferenceValue) -> str:
    doi = f", doi:{record.source.doi}" if record.source.doi else ""
    return f"{record.source.text}{doi} ({record.licence})"


def _row(record: ReferenceValue, number: int) -> list[str]:
    error = "" if record.error is None else f" ± {record.error:g}"
    marks = [] if record.verified else ["not verified"]
    marks += ["secondary"] if record.role == "secondary" else []
    return [
        record.quantity,
        f"{record.value:g}{error}",
        record.unit,
        str(record.level),
        f"[{number}]",
        ", ".join(marks),
    ]
