"""What the pair style needs to evaluate a compiled potential without Python.

Python reads the file, checks it and builds the tables. The pair style then gets the
addresses of the native library's functions, and its steps do not come here, but for
those at which something is due that only Python has.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, explain
from lamplighter.lammps_interface.pair_abi import Member
from lamplighter.model.compiled import CompiledPotential
from lamplighter.model.compiled.library import ABI_VERSION

_FUNCTIONS: Final = (
    "evaluation",
    "begin",
    "forward",
    "backward",
    "width",
    "rows",
    "gradients",
    "energies",
    "pair_gradients",
    "bytes",
    "problem",
)


@dataclass(frozen=True, slots=True)
class NativeMembers:
    """Compiled potentials in the form in which the pair style takes them.

    Attributes:
        members: one structure for each.
        kept: what their addresses belong to.
    """

    members: Any
    kept: tuple[tuple[CompiledPotential, Floats], ...]

    @property
    def address(self) -> Any:
        """Return a pointer to the first member."""
        return ctypes.cast(self.members, ctypes.POINTER(Member))


def native_members(
    model: Any, *, compiled_version: int, ghostneigh: bool, shared: bool, required: bool
) -> NativeMembers | None:
    """Return what the pair style may evaluate itself; None: nothing.

    Args:
        model: what it opened.
        compiled_version: of compiled_abi.h, with which the pair style was built.
        ghostneigh: FLAG.
        shared: others may evaluate the same object.
        required: nothing is an error.

    Raises:
        ConfigError: it is required, and cannot be.
    """
    obstacle = _obstacle(model, compiled_version, ghostneigh=ghostneigh)
    if shared:
        obstacle = "an object of this process in place of a file"
    if not obstacle:
        return _members_of(model.compiled)
    if not required:
        return None
    raise ConfigError(
        explain(
            "native yes: the pair style cannot evaluate this without Python",
            got=obstacle,
            wanted="a file of lamplighter convert with tables, on the CPU, with FLAG 0",
            fix="leave out the keyword native",
        )
    )


def _obstacle(model: Any, compiled_version: int, *, ghostneigh: bool) -> str:
    """Return why Python has to evaluate each step; nothing if it has not."""
    compiled: Sequence[Any] = getattr(model, "compiled", ())
    if ghostneigh:
        return "FLAG 1, with which the reference evaluates"
    if not compiled:
        reason = getattr(model, "backend_note", "")
        return f"no compiled potential{': ' + reason if reason else ''}"
    if not all(isinstance(one, CompiledPotential) for one in compiled):
        return f"device {getattr(model, 'device', '')}"
    if compiled_version != ABI_VERSION:
        return (
            f"a pair style that was built for version {compiled_version} of the native "
            f"library, which has version {ABI_VERSION} (install lamplighter again)"
        )
    return ""


def _members_of(compiled: Sequence[CompiledPotential]) -> NativeMembers:
    kept = tuple(
        (one, np.ascontiguousarray(one.baselines.numpy(), dtype=np.float64))
        for one in compiled
    )
    members = (Member * len(kept))()
    for member, (one, baseline) in zip(members, kept, strict=True):
        member.baseline = baseline.ctypes.data
        member.n_layers = one.native.n_layers
        member.item_bytes = one.dtype.itemsize
        for name in _FUNCTIONS:
            setattr(member, name, one.native.address(name))
    return NativeMembers(members, kept)
