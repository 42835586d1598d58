"""What the commands about LAMMPS do: call the room, show what came back."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.console import info, progress, table
from lamplighter.errors import ConfigError, explain
from lamplighter.resources import model_file

if TYPE_CHECKING:
    from lamplighter.lammps_interface.certificate import Certificate, CertifyOptions
    from lamplighter.lammps_interface.decks.options import DeckOptions, Kind

DONE = 0
NOT_KNOWN = 1
FAILED = 1
INCOMPLETE = 3
_COMPLAINTS_SHOWN = 12
_ELEMENTS_NAMED = 8


def certify(
    model: Path, structure: Path | None, options: CertifyOptions, out: Path | None
) -> int:
    """Run a rank certificate; show the table, and what does not agree."""
    from lamplighter.lammps_interface import certificate as room
    from lamplighter.lammps_interface.decks.checks import read_structure

    _refuse_potential(model)
    atoms = None if structure is None else read_structure(structure)
    what = room.plan(model, atoms, options)
    with progress(what.total, "certify") as advance:
        found = room.certify(what, advance)
    if out is not None:
        room.write(found, out)
    _show_certificate(found)
    if out is not None:
        info(f"wrote {out}")
    return {"holds": DONE, "fails": FAILED, "incomplete": INCOMPLETE}[found.verdict]


def _show_certificate(found: Certificate) -> None:
    from lamplighter.lammps_interface.certificate import COLUMNS

    file, lammps = found.model, found.lammps
    table(found.rows(), COLUMNS, title=f"{file['file']}, {file['dtype']}")
    for one in found.bad[:_COMPLAINTS_SHOWN]:
        info(f"{one.case}, {one.ranks} ranks, {one.comm}: {one.status}: {one.message}")
    if len(found.bad) > _COMPLAINTS_SHOWN:
        info(f"and {len(found.bad) - _COMPLAINTS_SHOWN} more")
    cover = found.coverage
    info(
        f"{cover['compared']} runs of {cover['cases']} cases in LAMMPS "
        f"{lammps['version']}: {cover['with_an_empty_rank']} with an empty rank, "
        f"{cover['with_one_atom_on_each_rank']} with one atom on each rank, "
        f"{cover['with_migration']} with atoms that changed their rank; "
        f"{cover['not_applicable']} that LAMMPS does not allow"
    )
    info(f"the certificate {found.verdict} ({found.wall_s:.0f} s)")


def doctor(
    lammps: str | None, model: Path | None, *, as_json: bool, trial: bool
) -> int:
    """Show what a LAMMPS can run here; the exit code says whether all is well."""
    from lamplighter.lammps_interface.doctor import examine

    if model is not None:
        _refuse_potential(model)
    report = examine(lammps, model, trial=trial)
    if as_json:
        info(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
        return report.exit_code
    for one in report.findings:
        info(f"{one.status:8} {one.subject}: {one.found}")
        if one.do:
            info(f"{'':8} -> {one.do}")
    if report.command:
        info("")
        info(f"run with: {report.command}")
        for line in report.pair_style.splitlines():
            info(f"  script: {line}")
    return report.exit_code


def forecast(
    model: Path,
    atoms: int,
    density: float,
    head: str | None,
    ranks: int,
    timestep_fs: float,
    *,
    as_json: bool,
) -> int:
    """Show what a run takes; exit code 1 if there is not the memory for it."""
    from lamplighter.lammps_interface.forecast import forecast as look_ahead

    _refuse_potential(model)
    found = look_ahead(
        model, atoms, density, head=head, ranks=ranks, timestep_fs=timestep_fs
    )
    exit_code = FAILED if found.bound == "memory" else DONE
    if as_json:
        info(json.dumps(dataclasses.asdict(found), indent=2))
        return exit_code
    what = "compiled" if found.compiled else "reference"
    gib = 2.0**30
    info(
        f"{found.us_per_atom:.0f} us per atom and step on one core"
        f" ({what}, {found.neighbors:.0f} neighbours)"
    )
    info(f"{atoms} atoms on {ranks} rank(s): {found.step_s:.3g} s per step,")
    info(f"  {found.ns_per_day:.3g} ns/day with steps of {timestep_fs:g} fs")
    info(
        f"memory: {found.bytes_total / gib:.2f} GiB in all, of which the potential"
        f" holds {found.bytes_per_atom / 1000.0:.1f} kB per atom;"
        f" {found.bytes_available / gib:.1f} GiB are free"
    )
    info(f"bound by: {found.bound}")
    return exit_code


def explain_errors(text_or_file: str, *, as_json: bool) -> int:
    """Show what the errors in a text mean; exit code 1 if none is known."""
    from lamplighter.lammps_interface.doctor.known_errors import explain_text, text_of

    found = explain_text(text_of(text_or_file))
    if as_json:
        info(json.dumps([one.to_dict() for one in found], indent=2))
        return DONE if found else NOT_KNOWN
    for one in found:
        info(f"{one.name}: {one.line}")
        info(f"  cause: {one.cause}")
        info(f"  cure:  {one.cure}")
    if not found:
        info("no known error in this text; give the whole output, traceback included")
        return NOT_KNOWN
    return DONE


def write_script(
    kind: Kind, structure: Path, model: Path, folder: Path, options: DeckOptions
) -> int:
    """Write a deck; show its files and the command line that runs it."""
    from lamplighter.lammps_interface.decks.write import write_deck

    _refuse_potential(model)
    deck = write_deck(kind, structure, model, folder, options)
    info(f"wrote {deck.folder}: {', '.join(deck.files)}")
    for note in deck.notes:
        info(f"note: {note}")
    info(f"run it there: {deck.command}")
    return DONE


def convert(
    models: Sequence[Path],
    heads: Sequence[str],
    elements: Sequence[str],
    output: Path,
    *,
    dtype: str,
    conditions: Mapping[str, float],
    tables: bool,
) -> int:
    """Write the ML-IAP file of a potential, or of a committee of several."""
    from lamplighter.lammps_interface.bundle import read
    from lamplighter.lammps_interface.convert import convert as write_mliap

    models = [model_file(model) for model in models]
    path = write_mliap(
        models,
        [_head_name(models[0], head) for head in heads] or _head_name(models[0], None),
        elements,
        output,
        dtype=dtype,
        conditions=conditions,
        tables=tables,
    )
    choice = f" head {heads[0]}" if len(heads) > 1 else ""
    info(f"wrote {path}")
    not_compiled = read(path).header.not_compiled
    if not_compiled:
        info(f"not compiled: {not_compiled}")
    if len(models) > 1:
        info(f"a committee of {len(models)}: LAMMPS gets the mean energies and forces")
    info(f"in LAMMPS: pair_style mliap unified {path} 0{choice}")
    info(f"           pair_coeff * * {' '.join(elements)}")
    return DONE


def _head_name(model: Path, head: str | None) -> str:
    """The name of the head that is meant; an error lists the names."""
    from lamplighter.model import read_header

    config = read_header(model).config
    return config.heads[config.head_index(head)].name


def lint(
    script: Path,
    data: Path | None,
    model: Path | None,
    variables: Sequence[tuple[str, str]],
    options: str,
    *,
    as_json: bool,
) -> int:
    """Show what is wrong with a LAMMPS script."""
    from lamplighter.lammps_interface import lint as linter
    from lamplighter.lammps_interface.lint import report as view

    if model is not None:
        _refuse_potential(model)
    words = [word for name, text in variables for word in ("-var", name, text)]
    words += linter.split_options(options)
    report = linter.lint(script, data, model=model, options=words)
    lines = (
        [json.dumps(view.as_json(report), indent=2, ensure_ascii=False)]
        if as_json
        else view.as_lines(report)
    )
    for line in lines:
        info(line)
    return DONE if report.ok else FAILED


def _refuse_potential(file: Path) -> None:
    """Refuse a potential by the command line that makes an ML-IAP file of it."""
    potential = model_file(file)
    if potential == file and not _is_potential(file):
        return
    from lamplighter.model import read_header

    config = read_header(potential).config
    head = config.heads[0]
    words = [f"--head {head.name}"] if len(config.heads) > 1 else []
    known = [e for e in config.elements if e in head.reference_energies]
    many = len(known) > _ELEMENTS_NAMED
    words.append("--elements " + ("... (those you need)" if many else " ".join(known)))
    words.append(f"-o {shlex.quote(potential.stem)}.pt")
    raise ConfigError(
        explain(
            f"{file} is a potential, and LAMMPS reads ML-IAP files",
            got="a safetensors file",
            wanted="an ML-IAP file (.pt)",
            fix=f"lamplighter convert {shlex.quote(str(file))} {' '.join(words)}",
        )
    )


def _is_potential(file: Path) -> bool:
    """Whether a file begins as safetensors do: the size of a header, the header."""
    try:
        with file.open("rb") as stream:
            start = stream.read(9)
    except OSError:
        return False
    return len(start) == 9 and start[8:] == b"{" and start[4:8] == bytes(4)
