"""Finished results on disk, found again by what they were computed from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import DataError
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.registry import package_of

PROTOCOL: Final = 1
"""Raised whenever an algorithm changes, so that older results are computed again."""

_DIGITS: Final = 12


class Store:
    """A folder of property results whose names carry a hash of their origin.

    A result is used again only if the model, the head, the engine and its version,
    every setting and the structure are the same. Files are whole or absent; a damaged
    one counts as absent.

    Args:
        folder: where the results lie; it is made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(
        self, name: str, material: str, engine: EngineInfo, settings: object, atoms: Any
    ) -> Path:
        """Return where the result of a calculation lies or will lie.

        Args:
            name: the property.
            material: name of the material.
            engine: who computes.
            settings: the dataclass of settings.
            atoms: the structure, or a mapping of names to structures.
        """
        structures = atoms if isinstance(atoms, dict) else {"": atoms}
        what = {
            "protocol": PROTOCOL,
            "property": name,
            "engine": engine.to_dict(),
            "settings": _plain(settings),
            "structures": {key: origin(value) for key, value in structures.items()},
        }
        if package := package_of(name):
            what["package"] = package  # its next version may compute something else
        digest = digest_of(what)
        words = (name, material, engine.name)
        safe = "_".join(re.sub(r"[^A-Za-z0-9.+-]", "-", word) for word in words)
        return self.folder / f"{safe}_{digest}.json"

    def load(self, path: Path) -> PropertyResult | None:
        """Return a finished result, or None when there is none that can be read."""
        return load_result(path)

    def save(self, path: Path, result: PropertyResult) -> None:
        """Keep a result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        result.save(path)


def load_result(path: Path) -> PropertyResult | None:
    """Return the result in a file, or None when there is none that can be read."""
    if not path.is_file():
        return None
    try:
        return PropertyResult.load(path)
    except DataError:
        return None


def digest_of(what: object) -> str:
    """Return a short hash of plain values and dataclasses of them."""
    text = json.dumps(_plain(what), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def origin(atoms: Atoms) -> dict[str, Any]:
    """Return what identifies a structure, to 1e-10 Å, in JSON types.

    Charges and magnetic moments are part of it where there are any.
    """
    found = {
        "numbers": atoms.numbers.tolist(),
        "cell": _rounded(atoms.cell.array),
        "positions": _rounded(atoms.positions),
        "pbc": atoms.pbc.tolist(),
    }
    for name in ("initial_charges", "initial_magmoms"):
        if name in atoms.arrays and np.any(atoms.arrays[name]):
            found[name] = _rounded(atoms.arrays[name])
    return found


def _rounded(values: Any) -> Any:
    # Adding 0.0 turns -0.0 into 0.0, which JSON would write apart.
    return (np.round(np.asarray(values, dtype=float), 10) + 0.0).tolist()


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float | str | None) else str(value)
