"""What ``lmp -h`` says about a LAMMPS executable."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Final

_MONTHS: Final = (
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
)
_TITLE: Final = re.compile(
    r"Large-scale Atomic/Molecular Massively Parallel Simulator - "
    r"(?P<day>\d{1,2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4})"
    r"(?: - (?:Update (?P<update>\d+)|Maintenance[^\n]*|Development))?"
)
_SIZE: Final = re.compile(r"sizeof\((\w+)\):\s*(\d+)-bit")
_FLAVOURS: Final = (
    ("stubs", "stubs"),
    ("open mpi", "openmpi"),
    ("intel", "intel"),
    ("mvapich", "mvapich"),
    ("cray mpich", "cray"),
    ("mpich", "mpich"),
    ("microsoft", "msmpi"),
)

MPICH_ABI: Final = frozenset({"mpich", "intel", "mvapich", "cray"})
"""MPI libraries with the binary interface that the pair style is compiled for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LammpsInfo:
    """What a LAMMPS says about itself.

    Attributes:
        date: day of its version.
        update: number of the update of a stable release; 0 without.
        packages: names of the installed packages.
        integers: bits of ``smallint``, ``imageint``, ``tagint``, ``bigint``.
        mpi: flavour of the MPI library: mpich, openmpi, intel, mvapich, cray, msmpi,
            stubs (no MPI) or unknown.
        mpi_text: what LAMMPS prints about it.
        kokkos: what it prints about its Kokkos build; empty without.
    """

    date: dt.date
    update: int = 0
    packages: frozenset[str] = frozenset()
    integers: dict[str, int] = field(default_factory=dict)
    mpi: str = "unknown"
    mpi_text: str = ""
    kokkos: str = ""

    @property
    def version(self) -> str:
        """The version as LAMMPS writes it, for example ``22 Jul 2025 update 4``."""
        day = f"{self.date.day} {_MONTHS[self.date.month - 1]} {self.date.year}"
        return f"{day} update {self.update}" if self.update else day

    @property
    def smallbig(self) -> bool:
        """Whether the integers are those of the default build, LAMMPS_SMALLBIG."""
        wanted = {"imageint": 32, "tagint": 32, "bigint": 64}
        return all(self.integers.get(name) == bits for name, bits in wanted.items())


def parse_help(text: str) -> LammpsInfo | None:
    """Return what ``lmp -h`` printed, or None if no LAMMPS printed it."""
    title = _TITLE.search(text)
    if title is None or title["month"] not in _MONTHS:
        return None
    mpi_text = _line_after(text, "MPI v")
    return LammpsInfo(
        date=dt.date(
            int(title["year"]), _MONTHS.index(title["month"]) + 1, int(title["day"])
        ),
        update=int(title["update"] or 0),
        packages=frozenset(_section(text, "Installed packages:").split()),
        integers={name: int(bits) for name, bits in _SIZE.findall(text)},
        mpi=flavour_of(mpi_text),
        mpi_text=mpi_text,
        kokkos=" ".join(re.findall(r"KOKKOS package (?:API|precision):[^\n]*", text)),
    )


def flavour_of(text: str) -> str:
    """Return which MPI library a text speaks of; ``"unknown"`` if none is known."""
    small = text.lower()
    return next((name for word, name in _FLAVOURS if word in small), "unknown")


def _line_after(text: str, start: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line.startswith(start)), "")


def _section(text: str, title: str) -> str:
    """Return the first block of text below a title."""
    _, found, rest = text.partition(title)
    return rest.strip().partition("\n\n")[0] if found else ""
