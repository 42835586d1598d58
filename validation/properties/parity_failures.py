"""Structures that failed parity, kept so that they can be attached to a bug report."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ase import Atoms
from ase.io import write

from lamplighter.errors import DataError, EngineError
from lamplighter.files import atomic_path
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.engines.failures import write_input
from lamplighter.validation.engines.variants import lammps_of


class Failures:
    """A folder for structures that failed, or none.

    Args:
        folder: receives the structures; ``None`` keeps nothing.
        names: of all structures, of which some may fail; names that are equal as file
            names get numbers.
    """

    def __init__(self, folder: Path | None, names: Iterable[str]) -> None:
        self._folder = folder
        self._slugs: dict[str, str] = {}
        for name in names:
            self._slugs[name] = _free(_slug(name), set(self._slugs.values()))

    def save(
        self,
        atoms: Atoms,
        name: str,
        engine: Engine,
        arrays: Mapping[str, FloatArray] | None = None,
        suffix: str = "",
    ) -> None:
        """Write a structure, and its LAMMPS input where the engine is LAMMPS.

        Args:
            atoms: the structure.
            name: one of the names.
            engine: the deployed engine.
            arrays: what to write of each atom, such as the forces of both engines.
            suffix: of the file name.
        """
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = self._slugs[name] + suffix
        copy = Atoms(
            atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
        )
        copy.set_initial_charges(atoms.get_initial_charges())
        for key, values in (arrays or {}).items():
            copy.new_array(key, values)
        with atomic_path(self._folder / f"{stem}.extxyz") as temporary:
            write(temporary, copy, format="extxyz")
        # What LAMMPS cannot hold has no input to show, and what it is may be gone.
        with contextlib.suppress(DataError, EngineError):
            lammps = lammps_of(engine)
            if lammps is not None:
                write_input(atoms, lammps.style, self._folder / f"{stem}.lammps")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "structure"


def _free(slug: str, taken: set[str]) -> str:
    number, found = 1, slug
    while found in taken:
        number += 1
        found = f"{slug}-no{number}"
    return found
