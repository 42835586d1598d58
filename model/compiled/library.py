"""Which native library evaluates compiled potentials on this machine."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from lamplighter.errors import ConfigError, EngineError, explain

__all__ = ["INSTRUCTION_SETS", "AtomsOfRank", "available", "load_library"]

INSTRUCTION_SETS: Final = ("portable", "avx2", "avx512")
"""From the slowest to the fastest; each has a library of its own."""

VARIABLE: Final = "LAMPLIGHTER_ISA"
"""Environment variable that names the instruction set to use."""

ABI_VERSION: Final = 2

# The flags of a processor, as Linux names them, that each library needs.
_NEEDS: Final = {
    "portable": frozenset[str](),
    "avx2": frozenset({"avx2", "fma"}),
    "avx512": frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"}),
}
_FOLDER: Final = Path(__file__).resolve().parent / "native"

_POINTER, _NUMBER, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
_FUNCTIONS: Final[dict[str, tuple[type | None, Sequence[type]]]] = {
    "compiled_version": (_INT, ()),
    "problem": (ctypes.c_char_p, ()),
    "new": (_POINTER, (_INT,)),
    "free": (None, (_POINTER,)),
    "put": (_INT, (_POINTER, ctypes.c_char_p, _POINTER, _NUMBER)),
    "put_integers": (_INT, (_POINTER, ctypes.c_char_p, _POINTER, _NUMBER)),
    "build": (_INT, (_POINTER,)),
    "evaluation_new": (_POINTER, (_POINTER, _INT, _INT)),
    "evaluation_free": (None, (_POINTER,)),
    "begin": (_INT, (_POINTER, _POINTER)),
    "forward": (_INT, (_POINTER, _INT)),
    "backward": (_INT, (_POINTER, _INT)),
    "width": (_NUMBER, (_POINTER, _INT)),
    "rows": (_POINTER, (_POINTER, _INT)),
    "gradients": (_POINTER, (_POINTER, _INT)),
    "energies": (_POINTER, (_POINTER,)),
    "pair_gradients": (_POINTER, (_POINTER,)),
    "bytes": (_NUMBER, (_POINTER,)),
}


class AtomsOfRank(ctypes.Structure):
    """``lamplighter_atoms`` of compiled_abi.h."""

    _fields_ = (
        ("n_own", ctypes.c_int64),
        ("n_all", ctypes.c_int64),
        ("n_pairs", ctypes.c_int64),
        ("species", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("neighbor", ctypes.c_void_p),
        ("vectors", ctypes.c_void_p),
    )


def available() -> dict[str, Path]:
    """Return the libraries that were built and that this processor can run."""
    flags = _processor_flags()
    found = {name: _find(name) for name in INSTRUCTION_SETS if _NEEDS[name] <= flags}
    return {name: path for name, path in found.items() if path is not None}


def load_library(name: str | None = None) -> ctypes.CDLL:
    """Return the native library, with its functions declared.

    Args:
        name: of [`INSTRUCTION_SETS`][]; what the environment variable
            ``LAMPLIGHTER_ISA`` names when left out, else the fastest there is.

    Raises:
        ConfigError: an unknown name, or one that this processor cannot run.
        EngineError: no library was built, or one of another version.
    """
    wanted = name or os.environ.get(VARIABLE) or ""
    if wanted and wanted not in INSTRUCTION_SETS:
        raise ConfigError(
            explain(
                "unknown instruction set",
                got=repr(wanted),
                wanted="one of " + ", ".join(INSTRUCTION_SETS),
                fix=f"see the environment variable {VARIABLE}",
            )
        )
    there = available()
    if not there:
        raise EngineError(
            explain(
                "the library of the compiled potential is missing",
                wanted=str(_FOLDER / _file("portable")),
                fix="pip install lamplighter again, on a machine with g++; or use the"
                " reference backend",
            )
        )
    if wanted and wanted not in there:
        raise ConfigError(
            explain(
                "this instruction set cannot be used here",
                got=repr(wanted),
                wanted="one of " + ", ".join(there),
                fix=f"see the environment variable {VARIABLE}",
            )
        )
    return _opened(there[wanted] if wanted else list(there.values())[-1])


@functools.cache
def _opened(path: Path) -> ctypes.CDLL:
    """Return the library at `path`."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, "lamplighter_" + name)
        function.restype, function.argtypes = result, list(arguments)
    version = library.lamplighter_compiled_version()
    if version != ABI_VERSION:
        raise EngineError(
            explain(
                f"{path.name} is of another version of lamplighter",
                got=version,
                wanted=ABI_VERSION,
                fix="pip install lamplighter again",
            )
        )
    return library


def _file(name: str) -> str:
    return f"compiled_{name}.so"


def _find(name: str) -> Path | None:
    """Return the path of a library; None: it was not built."""
    beside = _FOLDER / _file(name)
    return next((p for p in (beside, *_recorded(_file(name))) if p.is_file()), None)


@functools.cache
def _recorded(file_name: str) -> list[Path]:
    """Return where the installer put a file, which is not always beside this one."""
    try:
        files = metadata.files("lamplighter") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(one.locate())) for one in files if one.name == file_name]


@functools.cache
def _processor_flags() -> frozenset[str]:
    """Return what Linux says that the processor can do; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    lines = (x.partition(":") for x in text.splitlines())
    return next(
        (frozenset(v.split()) for k, _, v in lines if k.strip() == "flags"), frozenset()
    )
