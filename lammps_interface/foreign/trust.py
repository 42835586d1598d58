"""Files whose code the user trusts, one by one, by their SHA-256.

Loading a pickle executes what its writer chose. That is never done by default: the user
names the very file in the environment variable ``LAMPLIGHTER_TRUST_PICKLE``, so that
another file of the same name, or a changed one, is refused again.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lamplighter.errors import (
    ArtifactError,
    ConfigError,
    OptionalDependencyError,
    UnsafeFileError,
    explain,
)
from lamplighter.files import sha256_bytes
from lamplighter.lammps_interface.foreign.contents import Contents
from lamplighter.lammps_interface.foreign.lammps_module import lammps_mliap
from lamplighter.model.inert import shown

TRUST: Final = "LAMPLIGHTER_TRUST_PICKLE"
"""The environment variable: SHA-256 of the files to execute, separated by commas."""

_NAMES_SHOWN: Final = 6


def is_trusted(content: bytes, environment: Mapping[str, str] | None = None) -> bool:
    """Say whether the user has named this file in the environment.

    Raises:
        ConfigError: the variable holds something else than hashes, such as ``1``.
    """
    value = (os.environ if environment is None else environment).get(TRUST, "")
    hashes = [one.strip().lower() for one in value.split(",") if one.strip()]
    for one in hashes:
        if re.fullmatch(r"[0-9a-f]{64}", one) is None:
            raise ConfigError(
                explain(
                    f"{TRUST} does not name files",
                    got=repr(shown(one)),
                    wanted="the SHA-256 of each file whose code may run (64 "
                    "hexadecimal digits), separated by commas",
                    fix=f"unset {TRUST}; the error without it prints the value to set",
                )
            )
    return sha256_bytes(content) in hashes


def refuse(path: str, content: bytes, found: Contents) -> UnsafeFileError:
    """Return the error for a file that is not trusted."""
    others = [name for name in found.names if name != found.class_name]
    more = f" and {len(others) - _NAMES_SHOWN} more" * (len(others) > _NAMES_SHOWN)
    listed = ", ".join(shown(name) for name in others[:_NAMES_SHOWN]) + more
    what = shown(found.class_name) or "an object that cannot be told without loading it"
    return UnsafeFileError(
        explain(
            f"{path} is a pickle of another program; loading it executes code that its "
            "writer chose, so nothing of it was loaded",
            got=f"{what} (module {shown(found.module)!r})"
            + (f"; it also names {listed}" if listed else ""),
            wanted="a file written by `lamplighter convert`, or by mace-torch",
            fix="only if you trust who wrote it, and with the program that wrote it "
            f"installed here: export {TRUST}={sha256_bytes(content)}",
        )
    )


def execute(path: str, content: bytes, found: Contents) -> Any:
    """Return the object in a file that the user trusts; this executes the file.

    Raises:
        OptionalDependencyError: a module that the file needs is not installed.
        ArtifactError: the file is damaged, or of another release of its program.
    """
    try:
        with lammps_mliap():
            return _unpickled(path, content)
    except ModuleNotFoundError as error:
        raise OptionalDependencyError(
            explain(
                f"{path} needs a module that is not installed",
                got=f"no module {error.name!r}",
                wanted=f"the program that wrote the file, for {found.class_name}",
                fix=f"install it beside lamplighter, for {sys.executable}",
            )
        ) from error
    except (AttributeError, ImportError) as error:
        raise ArtifactError(
            explain(
                f"{path} does not fit the installed release of its program",
                got=f"{type(error).__name__}: {error}",
                wanted=f"the release that wrote the file, for {found.class_name}",
                fix="install that release, or write the file anew with this one",
            )
        ) from error
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            explain(
                f"{path} cannot be loaded",
                got=f"{type(error).__name__}: {error}",
                wanted="a pickle, or an archive of torch.save",
                fix="copy the file again, or write it anew",
            )
        ) from error


def _unpickled(path: str, content: bytes) -> Any:
    """Load as LAMMPS does: by torch if the name says so, else by pickle."""
    if Path(path).suffix not in {".pt", ".pth"}:
        return pickle.loads(content)  # noqa: S301  (the user trusts this very file)
    import torch  # noqa: PLC0415  (takes seconds)

    where = None if torch.cuda.is_available() else "cpu"
    return torch.load(io.BytesIO(content), map_location=where, weights_only=False)
