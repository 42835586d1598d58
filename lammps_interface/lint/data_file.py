"""A LAMMPS data file, as far as the linter needs it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.errors import DataError, explain

_MOST_ATOMS: Final = 300_000
_LONGEST: Final = 1e8
_MOST_BYTES: Final = 1_000_000_000
_COUNT: Final = re.compile(r"^\s*(\d+)\s+(atoms|bonds|atom types)\s*$")
_BOUNDS: Final = re.compile(r"^\s*(\S+)\s+(\S+)\s+([xyz])lo\s+\3hi\s*$")
_TILT: Final = re.compile(r"^\s*(\S+)\s+(\S+)\s+(\S+)\s+xy\s+xz\s+yz\s*$")
_GENERAL: Final = re.compile(r"^\s*\S+\s+\S+\s+\S+\s+([abc]vec|abc origin)\s*$")
_SECTION: Final = re.compile(r"^[A-Z][A-Za-z ]*$")
# Columns of type, charge and x in the Atoms section.
COLUMNS: Final[dict[str, tuple[int, int | None, int]]] = {
    "atomic": (1, None, 2),
    "charge": (1, 2, 3),
    "bond": (2, None, 3),
    "angle": (2, None, 3),
    "molecular": (2, None, 3),
    "full": (2, 3, 4),
}


@dataclass(slots=True, kw_only=True)
class DataFile:
    """The parts of a data file.

    Attributes:
        path: the file.
        counts: ``atoms``, ``atom types`` and ``bonds`` of the header.
        lo: lower bounds of the box in Å.
        cell: lattice vectors in rows, Å; zeros where the header does not say.
        triclinic: whether the header has tilt factors.
        masses: mass of each type, as far as the file has them.
        labels: text after ``#`` in the lines of Masses, and Atom Type Labels, by type.
        style: the atom style that the Atoms section names, or ``""``.
        rows: the lines of the Atoms section, as words; empty if there are too many.
        bonded: number of lines in the Bonds section.
    """

    path: Path
    counts: dict[str, int] = field(default_factory=dict)
    lo: Floats = field(default_factory=lambda: np.zeros(3))
    cell: Floats = field(default_factory=lambda: np.zeros((3, 3)))
    triclinic: bool = False
    masses: dict[int, float] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    style: str = ""
    rows: list[list[str]] = field(default_factory=list)
    bonded: int = 0

    @property
    def ntypes(self) -> int | None:
        """Number of atom types; None if the header does not say."""
        return self.counts.get("atom types")

    @property
    def volume(self) -> float:
        """Volume of the box in Å^3."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def heights(self) -> Floats:
        """Distance of opposite faces of the box in Å, one per lattice vector."""
        areas = np.linalg.norm(
            np.cross(np.roll(self.cell, -1, axis=0), np.roll(self.cell, -2, axis=0)),
            axis=1,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            heights: Floats = np.nan_to_num(self.volume / areas)
        return heights

    def column(self, name: str, style: str) -> Floats | None:
        """Return the charges (``q``) or positions (``x``) of the atoms.

        Args:
            name: ``"q"`` or ``"x"``.
            style: the atom style of the script, where the file does not name one.

        Returns:
            Charges in e, shape (n,); positions in Å, shape (n, 3); None if the file
            has no such numbers, or in another style.
        """
        columns = COLUMNS.get(self.style or style)
        if columns is None or not self.rows:
            return None
        at = columns[1] if name == "q" else columns[2]
        if at is None:
            return None
        width = 1 if name == "q" else 3
        try:
            found = np.array(
                [[float(w) for w in r[at : at + width]] for r in self.rows]
            )
        except ValueError:
            return None
        if found.ndim != 2 or found.shape[1] != width or not np.isfinite(found).all():
            return None
        return found[:, 0] if name == "q" else found

    def gaps(self, style: str) -> Floats | None:
        """Return the widest empty slab along each lattice vector in Å."""
        positions = self.column("x", style)
        if positions is None or self.volume < 1e-3:
            return None
        scaled = np.sort(
            np.mod((positions - self.lo) @ np.linalg.inv(self.cell), 1.0), axis=0
        )
        closed = np.vstack([scaled, scaled[:1] + 1.0])
        widest: Floats = np.diff(closed, axis=0).max(axis=0) * self.heights
        return widest


def read_data(path: Path) -> DataFile:
    """Read a data file, plain or compressed with gzip.

    Raises:
        DataError: it cannot be read, or has no header of a data file.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(explain(f"{path} is too large to be checked"))
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode(
            errors="replace"
        )
    except (OSError, EOFError) as error:
        raise DataError(
            explain(f"{path} cannot be read", got=error, wanted="a LAMMPS data file")
        ) from error
    data = DataFile(path=path)
    lines = text.split("\n")
    section = ""
    # The first line is a title, whatever it says.
    for line in lines[1:]:
        bare, _, comment = line.partition("#")
        bare = bare.strip()
        if not bare:
            continue
        if _SECTION.match(bare):
            section = bare
            if section == "Atoms":
                data.style = comment.strip().partition("/")[0]
        elif not section:
            _read_header(data, bare)
        else:
            _read_row(data, section, bare.split(), comment.strip())
    if "atom types" not in data.counts:
        raise DataError(
            explain(
                f"{path} is not a LAMMPS data file",
                wanted="a header with a line 'N atom types'",
            )
        )
    if len(data.rows) > _MOST_ATOMS:
        data.rows = []
    return data


def _read_header(data: DataFile, line: str) -> None:
    if match := _COUNT.match(line):
        if len(match[1]) < 12:
            data.counts[match[2]] = int(match[1])
        return
    bounds, tilt = _BOUNDS.match(line), _TILT.match(line)
    data.triclinic = bool(tilt or _GENERAL.match(line)) or data.triclinic
    match = bounds or tilt
    numbers = _finite(match.groups()[: 2 if bounds else 3]) if match else []
    if bounds and numbers:
        axis = "xyz".index(bounds[3])
        data.lo[axis] = numbers[0]
        data.cell[axis, axis] = numbers[1] - numbers[0]
    elif tilt and numbers:
        data.cell[1, 0], data.cell[2, 0], data.cell[2, 1] = numbers


def _finite(words: Sequence[str]) -> list[float]:
    """Return lengths of a header; none of them if one is no sensible number."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return []
    return numbers if all(abs(x) < _LONGEST for x in numbers) else []


def _read_row(data: DataFile, section: str, words: list[str], comment: str) -> None:
    if section == "Atoms":
        if len(data.rows) <= _MOST_ATOMS:
            data.rows.append(words)
        return
    if section == "Bonds":
        data.bonded += 1
        return
    if section not in {"Masses", "Atom Type Labels"} or len(words) < 2:
        return
    try:
        index = int(words[0])
        if section == "Masses":
            data.masses[index] = float(words[1])
            if comment:
                data.labels.setdefault(index, comment.split(maxsplit=1)[0])
        else:
            data.labels[index] = words[1]
    except ValueError:
        return
