"""What LAMMPS is told about a case, and what it writes down in return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lamplighter.arrays import Floats, Integers
from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.certificate.cases import (
    NOBODY,
    SKIN,
    Case,
    Comm,
    mass_of,
)

ANSWER: Final = " ".join(
    ["$(pe:%.17g)", "$(vol:%.17g)", *(f"$(c_lc_p[{k}]:%.17g)" for k in range(1, 7))]
)
"""What LAMMPS prints after a case: eV, Å^3, and the virial's pressure in bar."""

_COLUMNS: Final = "id type x y z fx fy fz c_lc_e proc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """How the potential is set up in a script.

    Attributes:
        file: the ML-IAP file.
        flag: the FLAG of the pair_style command.
        head: the head to name; empty for a file that holds one.
        backend: the one to name; empty for that of the file.
        comm_cutoff: how far ghosts are collected in Å; None leaves it to LAMMPS.
    """

    file: Path
    flag: int = 0
    head: str = ""
    backend: str = ""
    comm_cutoff: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A dump of LAMMPS: one row per atom, sorted by id.

    Attributes:
        kinds: ``[n]``, types, from 1.
        positions: ``[n, 3]``, Å, relative to the corner of the box.
        forces: ``[n, 3]``, eV/Å.
        energies: ``[n]``, eV.
        owners: ``[n]``, the rank that owns the atom.
        cell: ``[3, 3]``, Å, rows are the box vectors.
    """

    kinds: Integers
    positions: Floats
    forces: Floats
    energies: Floats
    owners: Integers
    cell: Floats


def data_text(case: Case) -> str:
    """Return the data file of a case, with every digit of a double."""
    cell = case.atoms.cell.array
    lines = ["", "", f"{len(case.atoms)} atoms", f"{len(case.types)} atom types"]
    for axis, name in enumerate("xyz"):
        lines.append(f"0 {cell[axis, axis]:.17g} {name}lo {name}hi")
    tilts = (cell[1, 0], cell[2, 0], cell[2, 1])
    if any(tilts):
        lines.append(" ".join(f"{tilt:.17g}" for tilt in tilts) + " xy xz yz")
    lines += ["", "Masses", ""]
    lines += [f"{k} {mass_of(name):.6f}" for k, name in enumerate(case.types, 1)]
    lines += ["", "Atoms # atomic", ""]
    rows = zip(case.kinds, case.atoms.positions.tolist(), strict=True)
    for number, (kind, (x, y, z)) in enumerate(rows, 1):
        lines.append(f"{number} {kind} {x:.17g} {y:.17g} {z:.17g}")
    return "\n".join([*lines, ""])


def commands(
    case: Case, comm: Comm, data: str, potential: Interaction, ranks: int
) -> str:
    """Return the script lines that evaluate a case.

    They leave ``begin.dump`` and ``end.dump`` in the working folder.

    Args:
        case: the case, whose data file lies in the working folder.
        comm: how the box is divided among ranks.
        data: name of the data file.
        potential: the file and its settings.
        ranks: number of ranks.
    """
    lines = ["clear", "units metal", "atom_style atomic", f"boundary {case.boundary}"]
    lines += [f"processors {case.grid}", "box tilt large", f"read_data {data}"]
    if comm == "tiled":
        lines.append("comm_style tiled")
    if potential.comm_cutoff is not None:
        lines.append(f"comm_modify cutoff {potential.comm_cutoff:.17g}")
    lines += _pair_lines(case, potential)
    lines += [
        f"neighbor {SKIN} bin",
        "neigh_modify every 1 delay 0 check yes one 10000 page 1000000",
        "compute lc_e all pe/atom pair",
        "compute lc_p all pressure NULL virial",
        "compute lc_sum all reduce sum c_lc_e",
        # Naming a quantity here makes LAMMPS tally it in the run.
        "thermo_style custom step pe vol c_lc_p[1] c_lc_sum",
        "thermo_modify norm no",
    ]
    if comm == "tiled" and ranks > 1:
        lines.append("balance 1.0 rcb")
    lines += ["run 0 post no", _dump("begin.dump")]
    if case.steps:
        lines += [*case.dynamics, *filter(None, [case.balance.get(comm, "")])]
        lines += [f"thermo {case.steps}", f"run {case.steps} post no"]
    return "\n".join([*lines, _dump("end.dump")])


def read_snapshot(path: Path) -> Snapshot:
    """Return what `commands` had LAMMPS dump.

    Raises:
        EngineError: there is no such file, or atoms are missing, or there twice.
    """
    if not path.is_file():
        raise EngineError(explain(f"LAMMPS left no {path.name}"))
    lines = path.read_text(encoding="ascii").splitlines()
    count = int(lines[3])
    table = np.array([line.split() for line in lines[9:]], dtype=np.float64)
    table = table.reshape(-1, len(_COLUMNS.split()))
    if not np.array_equal(table[:, 0], np.arange(1, count + 1)):
        raise EngineError(
            explain(
                "atoms were lost or doubled",
                got=f"ids {table[:, 0].astype(int).tolist()}"[:200],
                wanted=f"1 to {count}",
            )
        )
    origin, cell = _box(lines[4], lines[5:8])
    return Snapshot(
        kinds=table[:, 1].astype(np.int64),
        positions=table[:, 2:5] - origin,
        forces=table[:, 5:8],
        energies=table[:, 8],
        owners=table[:, 9].astype(np.int64),
        cell=cell,
    )


def _pair_lines(case: Case, potential: Interaction) -> list[str]:
    style = f'mliap unified "{potential.file}" {potential.flag}'
    if potential.head:  # a LAMMPS with plain ML-IAP knows no keywords
        style += f" head {potential.head}"
    if potential.backend:
        style += f" backend {potential.backend}"
    if NOBODY not in case.types:
        return [f"pair_style {style}", f"pair_coeff * * {' '.join(case.types)}"]
    names = " ".join("NULL" if name == NOBODY else name for name in case.types)
    return [
        f"pair_style hybrid/overlay {style} zero 4.0",
        f"pair_coeff * * mliap {names}",
        "pair_coeff * * zero",
    ]


def _dump(name: str) -> str:
    return f"write_dump all custom {name} {_COLUMNS} modify sort id format float %.17g"


def _box(header: str, bounds: Sequence[str]) -> tuple[Floats, Floats]:
    """Return origin ``[3]`` and cell ``[3, 3]`` from the box lines of a dump."""
    rows = np.array([line.split() for line in bounds], dtype=np.float64)
    if not header.startswith("ITEM: BOX BOUNDS xy xz yz"):
        return rows[:, 0], np.diag(rows[:, 1] - rows[:, 0])
    xy, xz, yz = rows[:, 2]
    # LAMMPS writes the bounding box of a tilted box, not its corner.
    low = rows[:, 0] - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = rows[:, 1] - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    cell = np.diag(high - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    return low, cell
