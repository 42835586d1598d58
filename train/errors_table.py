"""The error table: numbers with units, as JSON and as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lamplighter.arrays import Floats
from lamplighter.metrics import mae, max_error, rmse
from lamplighter.units import GPA_PER_EV_A3

REST_FORCE = 0.02
"""RMS force below which an error in percent says nothing, eV/Å."""

COLUMNS = (
    *("head", "config_type", "frames"),
    *("E mae", "E rmse", "E max"),
    *("F mae", "F rmse", "F max", "RMS F", "F error"),
    *("stress mae", "rmse", "max"),
)

COLUMN_UNITS = (
    *("", "", ""),
    *("meV/atom",) * 3,
    *("meV/Å",) * 4,
    "%",
    *("GPa",) * 3,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """Errors over the frames of a head and group; None where there is no label.

    Attributes:
        head: the head.
        config_type: the kind of structure, or "all"; in a table by element or by
            domain the element or the domain.
        n_frames: frames counted.
        energy_rmse: meV/atom; NaN where no frame has an energy.
        energy_mae: meV/atom, same.
        force_rmse: per component, meV/Å.
        force_mae: per component, meV/Å.
        force_max: largest component, meV/Å.
        force_rms: RMS of the labelled components, meV/Å.
        force_percent: 100 x force_rmse / force_rms; None for structures at rest.
        stress_rmse: per component, GPa.
        stress_mae: per component, GPa.
        energy_max: largest, meV/atom.
        stress_max: largest component, GPa.
    """

    head: str
    config_type: str
    n_frames: int
    energy_rmse: float
    energy_mae: float
    force_rmse: float | None
    force_mae: float | None
    force_max: float | None
    force_rms: float | None
    force_percent: float | None
    stress_rmse: float | None
    stress_mae: float | None
    energy_max: float | None = None
    stress_max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTable:
    """Rows of errors, heads in order, "all" first within a head.

    Attributes:
        rows: the rows.
        by: what the rows of a head differ in: "config_type", "element" or "domain".
    """

    rows: tuple[ErrorRow, ...]
    by: str = "config_type"

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows as plain mappings, with the units of `UNITS`."""
        return [
            {self.by if k == "config_type" else k: v for k, v in asdict(row).items()}
            for row in self.rows
        ]

    def cells(self) -> list[list[str]]:
        """Return the rows as text, in the order of `COLUMNS`."""
        return [_cells(row) for row in self.rows]

    def text(self) -> str:
        """Return the table as aligned plain text with a line of units."""
        head, _, *columns = COLUMNS
        lines = [[head, self.by, *columns], list(COLUMN_UNITS), *self.cells()]
        return aligned(lines)


def aligned(lines: Sequence[Sequence[str]], n_names: int = 2) -> str:
    """Return rows of cells as text; the first `n_names` columns are on the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k < n_names else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


UNITS = {
    "energy_rmse": "meV/atom",
    "energy_mae": "meV/atom",
    "energy_max": "meV/atom",
    "force_rmse": "meV/Å",
    "force_mae": "meV/Å",
    "force_max": "meV/Å",
    "force_rms": "meV/Å",
    "force_percent": "% of force_rms",
    "stress_rmse": "GPa",
    "stress_mae": "GPa",
    "stress_max": "GPa",
}


def error_row(
    *,
    head: str,
    config_type: str,
    energy: Floats,
    forces: Floats,
    reference_forces: Floats,
    stress: Floats,
    n_frames: int | None = None,
) -> ErrorRow:
    """Return a row from differences in eV/atom, eV/Å and eV/Å^3 (flat arrays).

    Args:
        head: the head.
        config_type: the group.
        energy: of the frames that have one.
        forces: components of the frames that have them.
        reference_forces: the labels of the same components.
        stress: components of the frames that have one.
        n_frames: frames of the group; None means that all have an energy.
    """
    has_forces, has_stress = forces.size > 0, stress.size > 0
    rms = rmse(reference_forces)
    return ErrorRow(
        head=head,
        config_type=config_type,
        n_frames=len(energy) if n_frames is None else n_frames,
        energy_rmse=1e3 * rmse(energy),
        energy_mae=1e3 * mae(energy),
        energy_max=1e3 * max_error(energy) if energy.size > 0 else None,
        force_rmse=1e3 * rmse(forces) if has_forces else None,
        force_mae=1e3 * mae(forces) if has_forces else None,
        force_max=1e3 * max_error(forces) if has_forces else None,
        force_rms=1e3 * rms if has_forces else None,
        force_percent=(
            100.0 * rmse(forces) / rms if has_forces and rms > REST_FORCE else None
        ),
        stress_rmse=GPA_PER_EV_A3 * rmse(stress) if has_stress else None,
        stress_mae=GPA_PER_EV_A3 * mae(stress) if has_stress else None,
        stress_max=GPA_PER_EV_A3 * max_error(stress) if has_stress else None,
    )


def _cells(row: ErrorRow) -> list[str]:
    return [
        row.head,
        row.config_type,
        str(row.n_frames),
        format_error(row.energy_mae, 2),
        format_error(row.energy_rmse, 2),
        format_error(row.energy_max, 1),
        format_error(row.force_mae, 1),
        format_error(row.force_rmse, 1),
        format_error(row.force_max, 0),
        format_error(row.force_rms, 0),
        format_error(row.force_percent, 2),
        format_error(row.stress_mae, 3),
        format_error(row.stress_rmse, 3),
        format_error(row.stress_max, 2),
    ]


def format_error(value: float | None, digits: int) -> str:
    """Return a number with `digits` decimals, "-" for None and NaN."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{digits}f}"
