"""Input and output of a single point in LAMMPS, for every engine that runs it.

Numbers go in and come out with every digit of a double: the structure in a dump or a
data file, per-atom results in a dump sorted by id, energy and virial in a line that
LAMMPS prints. Nothing else writes or reads LAMMPS text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from lamplighter.errors import DataError, EngineError, explain
from lamplighter.lammps_interface.placement import Placement, place
from lamplighter.units import EV_IN_JOULE
from lamplighter.validation.engines.base import FloatArray, Result
from lamplighter.validation.engines.pair_style import PairStyle

AVOGADRO: Final = 6.02214076e23
KCAL_PER_MOL: Final = 4184.0 / AVOGADRO / EV_IN_JOULE
"""One kcal/mol in eV (exact)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSet:
    """A unit style of LAMMPS in the units of this project.

    Attributes:
        energy: eV; lengths are Å in all of them.
        nktv2p: LAMMPS' own factor from energy/Å^3 to its pressure. It keeps eight
            digits of it, and dividing by its own constant gives back the exact virial.
        femtosecond: one fs in the time unit.
    """

    energy: float
    nktv2p: float
    femtosecond: float


UNITS: Final = {
    "metal": UnitSet(energy=1.0, nktv2p=1.6021765e6, femtosecond=1e-3),
    "real": UnitSet(energy=KCAL_PER_MOL, nktv2p=68568.415, femtosecond=1.0),
}

_VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # order of compute pressure

ANSWER: Final = "$(pe:%.17g) " + " ".join(
    f"$(c_virial[{n}]:%.17g)" for n in range(1, 7)
)
"""What LAMMPS prints of a single point: energy, then the virial as a pressure."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One structure in LAMMPS' terms.

    Attributes:
        placement: The structure in LAMMPS' axes.
        types: LAMMPS type of each atom, from 1.
        charges: Initial charges ``[n_atoms]``, in e.
    """

    placement: Placement
    types: list[int]
    charges: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    """What LAMMPS answered, in its units and axes.

    Attributes:
        energy: Potential energy.
        pressure: Virial as a pressure: xx yy zz xy xz yz.
        table: One row per atom, sorted by id: ``id fx fy fz`` and what else was asked.
    """

    energy: float
    pressure: Sequence[float]
    table: FloatArray


def job_of(atoms: Atoms, style: PairStyle) -> Job:
    """Return a structure with the types of a pair style.

    Raises:
        DataError: If an element is unknown to the pair style or the cell is flat.
    """
    order = {symbol: kind for kind, symbol in enumerate(style.elements, start=1)}
    symbols = atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(order))
    if unknown or not symbols:
        raise DataError(
            explain(
                f"engine '{style.info.name}' cannot evaluate this structure",
                got=f"elements {unknown}" if unknown else "no atoms",
                wanted=f"atoms of {', '.join(style.elements)}",
                fix="convert the model with these elements",
            )
        )
    return Job(
        placement=place(atoms),
        types=[order[symbol] for symbol in symbols],
        charges=np.asarray(atoms.get_initial_charges(), dtype=float),
    )


def opening(style: PairStyle, periodic: Sequence[bool]) -> list[str]:
    """Return the lines before the box: units, atom style, boundary."""
    boundary = " ".join("p" if flag else "f" for flag in periodic)
    return [
        "clear",
        f"units {style.units}",
        f"atom_style {style.atom_style}",
        "atom_modify map array",
        *style.preamble,
        f"boundary {boundary}",
        "box tilt large",
    ]


def interaction(style: PairStyle, skin: float | None = None) -> list[str]:
    """Return the lines after the box: interaction, neighbour lists, what is summed."""
    return [
        *style.commands,
        f"neighbor {style.skin if skin is None else skin} bin",
        "neigh_modify one 10000 page 1000000",
        "compute virial all pressure NULL virial",
        "compute energies all pe/atom",
        "compute sum all reduce sum c_energies",
    ]


def masses(style: PairStyle) -> list[str]:
    """Return a ``mass`` line for each type, amu."""
    return [
        f"mass {kind} {atomic_masses[atomic_numbers[symbol]]:.6f}"
        for kind, symbol in enumerate(style.elements, start=1)
    ]


def single_point(dump: str, *, per_atom: bool, extra: str = "") -> list[str]:
    """Return the lines that evaluate what is in the box and write it to ``dump``."""
    columns = f"id fx fy fz{' c_energies' if per_atom else ''}{extra}"
    return [
        # Naming a quantity in the thermo output makes LAMMPS tally it in the run.
        f"thermo_style custom step pe c_virial[1]{' c_sum' if per_atom else ''}",
        "thermo_modify format float %.17g",
        "run 0 post no",
        f'write_dump all custom "{dump}" {columns} modify sort id format float %.17g',
    ]


def data_text(job: Job, style: PairStyle) -> str:
    """Return a LAMMPS data file of a structure, with every digit of a double."""
    box = job.placement.box
    lines = ["written by lamplighter", "", f"{len(job.types)} atoms"]
    lines += [f"{len(style.elements)} atom types", ""]
    lines += [
        f"0.0 {box[axis, axis]:.17g} {name}lo {name}hi"
        for axis, name in enumerate("xyz")
    ]
    lines += [f"{box[1, 0]:.17g} {box[2, 0]:.17g} {box[2, 1]:.17g} xy xz yz", ""]
    lines += ["Masses", "", *(line.removeprefix("mass ") for line in masses(style))]
    lines += ["", f"Atoms # {style.atom_style}", ""]
    for index, (kind, charge, row) in enumerate(
        zip(job.types, job.charges, job.placement.positions, strict=True), start=1
    ):
        words = {
            "atomic": f"{kind}",
            "charge": f"{kind} {charge:.17g}",
            "full": f"0 {kind} {charge:.17g}",
        }[style.atom_style]
        lines.append(f"{index} {words} " + " ".join(f"{x:.17g}" for x in row))
    return "\n".join(lines) + "\n"


def read_answer(words: Sequence[str], dump: Path, n_atoms: int) -> Raw:
    """Return what LAMMPS answered for one structure.

    Args:
        words: what it printed for ``ANSWER``.
        dump: what it wrote of the atoms.
        n_atoms: atoms of the structure.

    Raises:
        EngineError: If there is not one number for each thing that was asked for, or
            if atoms are missing.
    """
    try:
        energy, *pressure = map(float, words)
    except ValueError:
        pressure = []
    if len(pressure) != len(_VOIGT):
        raise EngineError(
            explain(
                "LAMMPS did not print energy and virial",
                got=" ".join(words)[:200] or "nothing",
                wanted=f"{1 + len(_VOIGT)} numbers",
                fix="look whether its disk is full, or its variables are yours",
            )
        )
    return Raw(energy=energy, pressure=pressure, table=read_dump(dump, n_atoms))


def read_dump(path: Path, n_atoms: int) -> FloatArray:
    """Return the rows of a dump with one snapshot.

    Raises:
        EngineError: If atoms are missing or not in the order of their ids: a result
            must never be given to another atom.
    """
    try:
        table = np.loadtxt(path, skiprows=9, ndmin=2)
    except (OSError, ValueError) as error:
        raise EngineError(
            explain(
                "the forces that LAMMPS wrote cannot be read",
                got=error,
                wanted=f"{n_atoms} rows of numbers",
                fix="look whether the disk is full",
            )
        ) from error
    ids = table[:, 0] if table.size else np.zeros(0)
    if not np.array_equal(ids, np.arange(1, n_atoms + 1)):
        missing = n_atoms - len(np.unique(ids))
        raise EngineError(
            explain(
                "the atoms that LAMMPS wrote are not those that it was given",
                got=f"{missing} atoms missing" if missing else "another order of ids",
                wanted=f"ids 1 to {n_atoms}, sorted",
                fix="look for lost atoms, and for 'sort id' in the dump",
            )
        )
    return np.asarray(table)


def result_of(
    job: Job, raw: Raw, style: PairStyle, want: Sequence[str], wall_s: float
) -> Result:
    """Return what LAMMPS answered in eV and Å and in the axes of the input."""
    units = UNITS[style.units]
    with np.errstate(invalid="ignore"):  # what is not finite is found by check_finite
        forces = job.placement.forces_back(raw.table[:, 1:4] * units.energy)
        stress = job.placement.stress_back(stress_of_box(raw, style))
    return Result(
        energy=raw.energy * units.energy,
        forces=forces,
        stress=stress if "stress" in want else None,
        energies=raw.table[:, 4] * units.energy if "energies" in want else None,
        info=style.info,
        wall_s=wall_s,
    )


def stress_of_box(raw: Raw, style: PairStyle) -> FloatArray:
    """Return the stress ``[3, 3]`` of the box, eV/Å^3, tension positive."""
    units = UNITS[style.units]
    stress = np.zeros((3, 3))
    for (i, j), value in zip(_VOIGT, raw.pressure, strict=True):
        stress[i, j] = stress[j, i] = -value / units.nktv2p * units.energy
    return stress
