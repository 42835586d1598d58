"""Write the deck: script, data file, model file, README."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from ase import Atoms
from ase.calculators.lammps.coordinatetransform import Prism
from ase.geometry import find_mic
from ase.io.lammpsdata import write_lammps_data
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lamplighter.errors import ConfigError, explain
from lamplighter.files import atomic_path
from lamplighter.lammps_interface.bundle import BundleHeader, read
from lamplighter.lammps_interface.decks.abilities import obstacle
from lamplighter.lammps_interface.decks.checks import (
    check_elements,
    check_folder,
    check_options,
    check_structure,
    read_structure,
)
from lamplighter.lammps_interface.decks.numbers import (
    coupling_of,
    in_a_box,
    smallest_height,
    timestep_of,
)
from lamplighter.lammps_interface.decks.options import DeckOptions, Kind

SCRIPT: Final = "in.lammps"
DATA: Final = "structure.data"
FINAL: Final = "final.coords"
_TEMPLATES: Final = Path(__file__).with_name("templates")
_PLAIN_NAME: Final = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deck:
    """What was written.

    Attributes:
        folder: where it is.
        files: names of the files in it.
        command: the command line that runs it, in that folder.
        notes: what to know before running it.
    """

    folder: Path
    files: tuple[str, ...]
    command: str
    notes: tuple[str, ...]


def write_deck(
    kind: Kind,
    structure: Path,
    model: Path,
    folder: Path,
    options: DeckOptions | None = None,
    *,
    able: Callable[[Kind, Path], str] = obstacle,
) -> Deck:
    """Write a deck that LAMMPS runs as it is.

    Args:
        kind: what to run.
        structure: a file with one structure, in any format that ASE reads.
        model: an ML-IAP file; it is copied into the folder.
        folder: where to write; made if it does not exist.
        options: temperature, steps and the like.
        able: says why a kind cannot run with a model in the LAMMPS of this
            environment; empty if it can.

    Returns:
        The names of the files and the command line.

    Raises:
        ConfigError: options, structure and model do not go together; the folder has
            files; or the installation cannot do what this kind needs.
        DataError: no structure in the file, or atoms that coincide.
        ArtifactError: `model` is no ML-IAP file.
    """
    options = options or DeckOptions()
    if kind not in get_args(Kind):
        raise ConfigError(
            explain("unknown kind", got=kind, wanted=", ".join(get_args(Kind)))
        )
    check_options(kind, options)
    check_folder(folder, force=options.force)
    header = read(model).header
    atoms = _prepared(kind, structure, options)
    end = None if options.end is None else _prepared(kind, options.end, options)
    symbols = _types(atoms, options)
    check_elements(symbols, header.elements, model=model)
    if end is not None:
        _check_ends(atoms, end)
    reason = able(kind, model)
    if reason:
        raise ConfigError(explain(f"a {kind} deck would be wrong here", got=reason))
    facts = _facts(kind, atoms, symbols, header, options)
    facts["model"] = model.name if _PLAIN_NAME.fullmatch(model.name) else "model.pt"
    return _write(kind, folder, facts, atoms, end, model)


def _prepared(kind: Kind, file: Path, options: DeckOptions) -> Atoms:
    atoms = read_structure(file)
    check_structure(kind, atoms)
    return in_a_box(atoms.repeat(options.supercell))


def _types(atoms: Atoms, options: DeckOptions) -> list[str]:
    """Return the elements in the order of the atom types: as they first appear."""
    gas = [] if options.gas is None else [options.gas]
    return list(dict.fromkeys([*atoms.get_chemical_symbols(), *gas]))


def _check_ends(start: Atoms, end: Atoms) -> None:
    """Refuse two ends of a path that are not the same atoms in the same cell."""
    if start.get_chemical_symbols() != end.get_chemical_symbols():
        raise ConfigError(
            explain(
                "the two ends of the path have other atoms, or the same in other order",
                got=f"{start.get_chemical_formula()} and {end.get_chemical_formula()}",
            )
        )
    if not np.allclose(start.cell, end.cell, atol=1e-6) and all(start.pbc):
        raise ConfigError(explain("the two ends of the path have different cells"))


def _facts(
    kind: Kind,
    atoms: Atoms,
    symbols: list[str],
    header: BundleHeader,
    options: DeckOptions,
) -> dict[str, Any]:
    """Return everything that a template may ask for."""
    prism = Prism(atoms.cell)
    given = dataclasses.asdict(options)
    # A melt meets harder collisions than a crystal.
    step = options.timestep or timestep_of(atoms) / (2 if kind == "melt" else 1)
    return {
        **given,
        "kind": kind,
        "formula": atoms.get_chemical_formula(),
        "natoms": len(atoms),
        "symbols": symbols,
        "header": header,
        "data": DATA,
        "final": FINAL,
        "boundary": " ".join("p" if periodic else "s" for periodic in atoms.pbc),
        "periodic": bool(all(atoms.pbc)),
        "tilted": prism.is_skewed(),
        "coupling": coupling_of(atoms),
        "timestep": f"{step:g}",
        "lightest": atoms.symbols[int(np.argmin(atoms.get_masses()))],
        "temperature": options.temperature or 300.0,
        "pressure": options.pressure or 0.0,
        "notes": _notes(atoms, header, kind),
    }


def _notes(atoms: Atoms, header: BundleHeader, kind: Kind) -> tuple[str, ...]:
    notes = []
    if kind not in ("minimize", "box-relax", "neb") and (
        smallest_height(atoms) < 2.0 * header.cutoff
    ):
        notes.append(
            f"the cell is thinner than twice the cutoff ({2 * header.cutoff:g} Å): the "
            "numbers are right, but it is small for dynamics; see --supercell"
        )
    if kind in ("minimize", "box-relax", "neb") and header.dtype == "float32":
        notes.append(
            "the model file is float32: forces below 1e-4 eV/Å are noise; convert with "
            "--dtype float64"
        )
    return tuple(notes)


def _write(
    kind: Kind,
    folder: Path,
    facts: dict[str, Any],
    atoms: Atoms,
    end: Atoms | None,
    model: Path,
) -> Deck:
    folder.mkdir(exist_ok=True)
    images = facts["images"] or 5
    facts["images"] = images
    parallel = f"mpiexec -n {images} lmp -partition {images}x1 -in {SCRIPT}"
    command = parallel if kind == "neb" else f"lmp -in {SCRIPT}"
    facts["command"] = command
    names = {SCRIPT: f"{kind}.j2", "README": "README.j2"}
    if kind == "elastic":
        names["potential.lammps"] = "potential.j2"
    texts = {name: _render(template, facts) for name, template in names.items()}
    if end is not None:
        texts[FINAL] = _coordinates(atoms, end)
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    with atomic_path(folder / DATA) as temporary:
        write_lammps_data(
            temporary,
            atoms,
            specorder=facts["symbols"],
            masses=True,
            force_skew=facts["tilted"] or kind == "elastic",
        )
    target = folder / facts["model"]
    if not (target.exists() and target.samefile(model)):
        with atomic_path(target) as temporary:
            shutil.copyfile(model, temporary)
    files = (*texts, DATA, facts["model"])
    return Deck(folder=folder, files=files, command=command, notes=facts["notes"])


def _coordinates(start: Atoms, end: Atoms) -> str:
    """Return the file of the last image: atoms at their images nearest to the start."""
    shift, _ = find_mic(end.positions - start.positions, start.cell, start.pbc)
    places = Prism(start.cell).vector_to_lammps(start.positions + shift)
    rows = [f"{n} {x:.17g} {y:.17g} {z:.17g}" for n, (x, y, z) in enumerate(places, 1)]
    return "\n".join([str(len(rows)), *rows, ""])


def _render(name: str, facts: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (a script is no web page)
    )
    return environment.get_template(name).render(facts)
