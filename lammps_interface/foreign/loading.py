"""From an ML-IAP file of another program to the object that the pair style calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lamplighter.errors import ArtifactError, explain
from lamplighter.files import sha256_bytes
from lamplighter.lammps_interface.foreign.contents import (
    MACE_FILE,
    contents,
    first_name,
    pickle_of,
)
from lamplighter.lammps_interface.foreign.lammps_module import rebuild_lennard_jones
from lamplighter.lammps_interface.foreign.mace_torch import load_mace_file
from lamplighter.lammps_interface.foreign.trust import execute, is_trusted, refuse

_BUNDLE: Final = "lamplighter.lammps_interface.bundle._load"
_CHECKPOINTS: Final = ("torch.", "collections.")
_MACE_MODELS: Final = "mace.modules.models."


def is_foreign(content: bytes) -> bool:
    """Say whether a file is a pickled object of another program.

    Files that are no pickle, or a pickle of plain values and tensors, are not: `bundle`
    says what is wrong with them.
    """
    if pickle_of(content) is None:
        return False
    name = first_name(content)
    if name.startswith(_CHECKPOINTS):
        return is_trusted(content)
    return name not in {"", _BUNDLE}


def load_foreign(path: str, content: bytes) -> Any:
    """Return the object that the pair style calls, from a file of another program.

    Args:
        path: of the file.
        content: of the file.

    Returns:
        For an ML-IAP file of mace-torch, Lamplighter's own evaluation of its model; for
        LAMMPS' Lennard-Jones example, the class of the installed LAMMPS with the
        numbers of the file; for a file that the user trusts, what is in it.

    Raises:
        UnsafeFileError: loading it would execute code, and the user has not said that
            this very file is trusted.
        ConfigError: the environment variable that says so is malformed.
        OptionalDependencyError: a trusted file needs a module that is not installed.
        ArtifactError: the file is damaged, or another kind of file.
        UnsupportedModelError: a model of mace-torch with an unknown feature.
    """
    first = first_name(content)
    if first.startswith(_MACE_MODELS):
        raise _unconverted(path)
    if is_trusted(content):
        return execute(path, content, contents(content, path))
    if first == MACE_FILE:
        return load_mace_file(content, Path(path).name, sha256_bytes(content))
    found = contents(content, path)
    model = rebuild_lennard_jones(found, path)
    if model is None:
        raise refuse(path, content, found)
    return model


def _unconverted(path: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"{path} is a model of mace-torch that is not made for LAMMPS yet",
            got="a checkpoint of a whole model",
            wanted="an ML-IAP file",
            fix=f"lamplighter import {path} -o MODEL.safetensors, then "
            "lamplighter convert",
        )
    )
