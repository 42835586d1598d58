"""From an ML-IAP file of another program to the object that the pair style calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamplighter.errors import ArtifactError, explain
from lamplighter.files import sha256_bytes
from lamplighter.lammps_interface.foreign.contents import (
    contents,
    first_name,
    pickle_of,
)
from lamplighter.lammps_interface.foreign.lammps_module import (
    LENNARD_JONES,
    rebuild_lennard_jones,
)
from lamplighter.lammps_interface.foreign.mace_torch import (
    MaceFile,
    load_mace_file,
    read_mace_file,
)
from lamplighter.lammps_interface.foreign.trust import (
    TRUST,
    execute,
    is_trusted,
    refuse,
)
from lamplighter.model.inert import shown
from lamplighter.model.mace_import import ML_IAP

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
    if first == ML_IAP:
        return load_mace_file(content, Path(path).name)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an ML-IAP file of another program is, for people.

    Attributes:
        facts: entries by name, `kind` the first.
        mace: what an ML-IAP file of mace-torch holds; None for other programs.
    """

    facts: dict[str, Any]
    mace: MaceFile | None


def describe(path: Path) -> Description | None:
    """Return what an ML-IAP file of another program is; nothing of it is executed.

    Returns:
        None for a file that `bundle` or another reader has to tell about.

    Raises:
        LamplighterError: a file of mace-torch that cannot be read.
    """
    content = path.read_bytes() if path.is_file() else b""
    name = first_name(content)
    if name in {"", _BUNDLE} or name.startswith((*_CHECKPOINTS, _MACE_MODELS)):
        return None
    sha256 = sha256_bytes(content)
    if name == ML_IAP:
        kind = "ML-IAP file of mace-torch; pair_style mliap unified runs it as it is"
        mace = read_mace_file(content, path.name, sha256)
        return Description(facts={"kind": kind}, mace=mace)
    found = contents(content, path.name)
    facts = {
        "kind": "pickled object of another program; loading it executes its code",
        "class": shown(found.class_name),
        "names": [shown(one) for one in found.names],
        "sha256": sha256,
        "to_load_it": f"{TRUST}={sha256}, where its writer is trusted",
    }
    if found.class_name == LENNARD_JONES:
        facts["kind"] = "LAMMPS' example MLIAPUnifiedLJ; runs as it is"
        del facts["to_load_it"]
    return Description(facts=facts, mace=None)
