"""What LAMMPS could not evaluate, left behind as input that shows the failure."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from ase import Atoms
from ase.io import write

from lamplighter.errors import EngineError
from lamplighter.validation.engines.lammps_input import (
    Job,
    data_text,
    interaction,
    job_of,
    opening,
    single_point,
)
from lamplighter.validation.engines.pair_style import PairStyle, with_words

INPUT = "in.lammps"
DATA = "structure.data"
STRUCTURE = "structure.extxyz"


def input_text(job: Job, style: PairStyle, data: str = DATA) -> str:
    """Return the input of one single point, which reads a data file beside it."""
    lines = [
        *opening(style, job.placement.periodic)[1:],
        f"read_data {data}",
        *interaction(style),
        *single_point("forces.dump", per_atom=True),
    ]
    return "\n".join(lines) + "\n"


def write_input(atoms: Atoms, style: PairStyle, folder: Path) -> Path:
    """Write a structure as ``lmp -in in.lammps`` takes it; return the input's path.

    The folder receives the input, the data file, the structure as extended XYZ, and
    copies of the files that the interaction names, so that it can be sent to somebody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = job_of(atoms, style)
    (folder / DATA).write_text(data_text(job, style), encoding="ascii")
    text = input_text(job, _with_copies(style, folder))
    (folder / INPUT).write_text(text, encoding="utf-8")
    # Nothing else of the structure: a label that extended XYZ cannot hold is no reason
    # to lose the input.
    copy = Atoms(
        atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    copy.set_initial_charges(atoms.get_initial_charges())
    write(folder / STRUCTURE, copy, format="extxyz")
    return folder / INPUT


def _with_copies(style: PairStyle, folder: Path) -> PairStyle:
    """Copy the files that lines name into a folder; return the lines for there."""
    copied: dict[Path, str] = {}

    def copy(word: str) -> str:
        source = Path(word)
        if not (source.is_absolute() and source.is_file()):
            return word
        if source not in copied:
            name = source.name
            if name in copied.values():  # another folder has one of that name
                name = f"{len(copied)}-{name}"
            shutil.copyfile(source, folder / name)
            copied[source] = name
        return copied[source]

    lines = tuple(with_words(line, copy) for line in style.commands)
    return dataclasses.replace(style, commands=lines)


def leave_input(
    error: EngineError, atoms: Atoms, job: Job, style: PairStyle, folder: Path | None
) -> EngineError:
    """Write the input of a structure that failed; return the error that says where.

    Args:
        error: What LAMMPS said.
        atoms: The structure.
        job: The same in LAMMPS' terms; its text names the folder, so that the same
            failure is kept once.
        style: The interaction.
        folder: Where to; ``None`` among the temporary files.
    """
    digest = hashlib.sha256(data_text(job, style).encode()).hexdigest()[:12]
    parent = folder or Path(tempfile.gettempdir()) / f"lamplighter-{os.getuid()}"
    place = parent / f"{atoms.get_chemical_formula(mode='hill')[:40]}-{digest}"
    try:
        source = write_input(atoms, style, place)
        (place / "message.txt").write_text(f"{error}\n", encoding="utf-8")
    except OSError:
        return error  # a full disk must not hide what LAMMPS said
    return EngineError(f"{error}\nthe input of this structure: {source}")
