"""What evaluates the potentials of an ML-IAP file: the reference, or its tables."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from lamplighter.errors import EngineError
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader, tables_name
from lamplighter.lammps_interface.device import local_rank
from lamplighter.model import Potential
from lamplighter.model.compiled import (
    CompiledPotential,
    DevicePotential,
    compile_potential,
    tables_from_bytes,
    tables_to_bytes,
)

NO_TABLES: Final = "the file has no tables (lamplighter convert makes them)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What evaluates.

    Attributes:
        compiled: one for each member, or none: the reference evaluates.
        note: why it is the reference although nobody asked for it; for the log.
    """

    compiled: tuple[CompiledPotential | DevicePotential, ...] = ()
    note: str = ""


def choose_backend(
    wanted: str | None,
    bundle: Bundle,
    header: BundleHeader,
    members: Sequence[Potential],
    device: torch.device,
) -> Backend:
    """Return what evaluates the members for one head.

    Args:
        wanted: ``reference``; ``compiled``, now if the file has no tables that fit; or
            None: compiled where the file has tables that fit, on a processor.
        bundle: content of the file.
        header: of the head and conditions in use.
        members: its potentials, without conditions, in the dtype of the file.
        device: where they are.

    Raises:
        ArtifactError: damaged tables.
        EngineError: compiled, without a native library.
        CheckFailedError: compiled now, and not within the tolerance.
    """
    on_cpu = device.type == "cpu"
    if wanted == "compiled":
        made = _by_all_means(bundle, header, members)
        if on_cpu:
            return Backend(compiled=made)
        return Backend(compiled=tuple(DevicePotential(x, str(device)) for x in made))
    if wanted == "reference" or not on_cpu:
        return Backend()
    return _where_tables_fit(bundle, header, members)


def _where_tables_fit(
    bundle: Bundle, header: BundleHeader, members: Sequence[Potential]
) -> Backend:
    """Return the compiled potentials of the file's tables, or why there are none."""
    if tables_name(0, header.head) not in bundle.tables:
        return Backend(note=header.not_compiled or NO_TABLES)
    try:
        found = _from_tables(bundle, header, members)
    except EngineError as error:
        return Backend(note=str(error))
    fitting = tuple(one for one in found if one is not None)
    if len(fitting) == len(members):
        return Backend(compiled=fitting)
    return Backend(note=_unfit(bundle.header, header))


def make_tables(
    bundle: Bundle, header: BundleHeader, members: Sequence[Potential]
) -> tuple[dict[str, bytes], tuple[CompiledPotential, ...]]:
    """Compile the members for one head.

    Args:
        bundle: content of the file, so far without tables.
        header: of that head.
        members: its potentials, without conditions.

    Returns:
        What `Bundle.tables` holds of them, and the compiled potentials.

    Raises:
        ConfigError: too many elements.
        UnsupportedModelError: a part that the compiled potential does not have.
        EngineError: there is no native library.
        CheckFailedError: the tolerance is not reached.
    """
    compiled = tuple(compile_potential(one, dtype=header.dtype) for one in members)
    origins = [_origin(content, header) for content in bundle.members]
    tables = {
        tables_name(k, header.head): tables_to_bytes(one, origin)
        for k, (one, origin) in enumerate(zip(compiled, origins, strict=True))
    }
    return tables, compiled


def say(what: str) -> None:
    """Print one line from the first rank of a machine; Python says it once."""
    if local_rank(os.environ) == 0:
        warnings.warn(f"Lamplighter: {what}", RuntimeWarning, stacklevel=2)


def _by_all_means(
    bundle: Bundle, header: BundleHeader, members: Sequence[Potential]
) -> tuple[CompiledPotential, ...]:
    return tuple(
        found or compile_potential(member, dtype=header.dtype)
        for found, member in zip(
            _from_tables(bundle, header, members), members, strict=True
        )
    )


def _from_tables(
    bundle: Bundle, header: BundleHeader, members: Sequence[Potential]
) -> list[CompiledPotential | None]:
    """Return the members as their tables say; None without tables that fit."""
    found: list[CompiledPotential | None] = []
    for k, (content, member) in enumerate(zip(bundle.members, members, strict=True)):
        tables = bundle.tables.get(tables_name(k, header.head))
        one = None
        if tables is not None:
            one = tables_from_bytes(tables, member, _origin(content, header))
        found.append(one)
    return found


def _origin(content: bytes, header: BundleHeader) -> str:
    """Return of what the tables of a member are."""
    conditions = sorted(header.conditions.items())
    elements = " ".join(header.elements)
    digest = hashlib.sha256(content).hexdigest()
    return f"{digest} {header.head} {elements} {conditions}"


def _unfit(file: BundleHeader, wanted: BundleHeader) -> str:
    if file.conditions == wanted.conditions:
        return "its tables are of another release (lamplighter convert makes new ones)"
    of = _words(file.conditions)
    return f"its tables are for {of} (backend compiled makes others)"


def _words(conditions: Mapping[str, float]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {x:g}" for k, x in conditions.items())
