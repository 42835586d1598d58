"""The C structures that pass between the pair style and Python, field by field.

They mirror `plugin/pair_abi.h`, where the fields are explained. Units are eV and Å.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np

from lamplighter.errors import EngineError, explain

ABI_VERSION: Final = 4
"""Version of the C structures that this module reads; the plugin states its own."""

NAMES_LENGTH: Final = 4096
"""Bytes of each text in an answer to ``open``, the closing zero included."""

HASH_LENGTH: Final = 128
"""Bytes of the file's hash in an answer to ``open``."""

_EXCHANGE: Final = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
)
_PAIR_FORCES: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


class Member(ctypes.Structure):
    """``LamplighterMember`` of ``plugin/pair_abi.h``."""

    _fields_ = (
        ("evaluation", ctypes.c_void_p),
        ("baseline", ctypes.c_void_p),
        ("n_layers", ctypes.c_int64),
        ("item_bytes", ctypes.c_int64),
        ("begin", ctypes.c_void_p),
        ("forward", ctypes.c_void_p),
        ("backward", ctypes.c_void_p),
        ("width", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("gradients", ctypes.c_void_p),
        ("energies", ctypes.c_void_p),
        ("pair_gradients", ctypes.c_void_p),
        ("bytes", ctypes.c_void_p),
        ("problem", ctypes.c_void_p),
    )


class Open(ctypes.Structure):
    """``LamplighterOpen`` of ``plugin/pair_abi.h``."""

    _fields_ = (
        ("version", ctypes.c_int64),
        ("path", ctypes.c_char_p),
        ("keywords", ctypes.c_char_p),
        ("ghostneigh", ctypes.c_int64),
        ("embedded", ctypes.c_int64),
        ("compiled_version", ctypes.c_int64),
        ("handle", ctypes.c_int64),
        ("check_every", ctypes.c_int64),
        ("cutoff", ctypes.c_double),
        ("members", ctypes.POINTER(Member)),
        ("n_members", ctypes.c_int64),
        ("elements", ctypes.c_char * NAMES_LENGTH),
        ("outputs", ctypes.c_char * NAMES_LENGTH),
        ("note", ctypes.c_char * NAMES_LENGTH),
        ("hash", ctypes.c_char * HASH_LENGTH),
    )


class Step(ctypes.Structure):
    """``LamplighterStep`` of ``plugin/pair_abi.h``."""

    _fields_ = (
        ("version", ctypes.c_int64),
        ("handle", ctypes.c_int64),
        ("pair", ctypes.c_void_p),
        ("nlocal", ctypes.c_int64),
        ("ntotal", ctypes.c_int64),
        ("nlistatoms", ctypes.c_int64),
        ("natomneigh", ctypes.c_int64),
        ("npairs", ctypes.c_int64),
        ("nneigh_max", ctypes.c_int64),
        ("eflag", ctypes.c_int64),
        ("vflag", ctypes.c_int64),
        ("iatoms", ctypes.c_void_p),
        ("ielems", ctypes.c_void_p),
        ("numneighs", ctypes.c_void_p),
        ("pair_i", ctypes.c_void_p),
        ("pair_j", ctypes.c_void_p),
        ("jelems", ctypes.c_void_p),
        ("elems", ctypes.c_void_p),
        ("rij", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("f", ctypes.c_void_p),
        ("eatoms", ctypes.c_void_p),
        ("centroid", ctypes.c_void_p),
        ("outputs", ctypes.POINTER(ctypes.c_void_p)),
        ("energy", ctypes.c_double),
        ("forward_exchange", _EXCHANGE),
        ("reverse_exchange", _EXCHANGE),
        ("update_pair_forces", _PAIR_FORCES),
    )


class Check(ctypes.Structure):
    """``LamplighterCheck`` of ``plugin/pair_abi.h``."""

    _fields_ = (
        ("version", ctypes.c_int64),
        ("handle", ctypes.c_int64),
        ("natoms", ctypes.c_int64),
        ("step", ctypes.c_int64),
        ("tags", ctypes.c_void_p),
        ("elems", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("f", ctypes.c_void_p),
        ("eatoms", ctypes.c_void_p),
        ("energy", ctypes.c_double),
        ("virial", ctypes.c_double * 6),
        ("cell", ctypes.c_double * 9),
        ("periodic", ctypes.c_int64 * 3),
        ("report", ctypes.c_char * NAMES_LENGTH),
    )


def check_version(version: int) -> None:
    """Refuse structures of another version than this module reads.

    Raises:
        EngineError: the plugin belongs to another release than the Python package.
    """
    if version != ABI_VERSION:
        raise EngineError(
            explain(
                "the compiled pair style and the Python package do not belong together",
                got=f"structures of version {version}",
                wanted=f"version {ABI_VERSION}",
                fix="install lamplighter again",
            )
        )


def view(address: int | None, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the memory at `address` as an array; an empty shape needs no address."""
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0 or address is None:
        return np.zeros(shape, dtype=dtype)
    size = count * np.dtype(dtype).itemsize
    memory = (ctypes.c_byte * size).from_address(address)
    return np.frombuffer(memory, dtype=dtype).reshape(shape)
