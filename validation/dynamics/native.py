"""Dynamics inside LAMMPS, with the lines that define any pair style.

The structure goes in as for a single point, the velocities beside it, and the samples
come back in the axes of the input. The noise of the thermostat belongs to the atoms in
their order, which is kept on one rank: two runs with one seed get the same kicks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from ase import Atoms

from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.session import Session
from lamplighter.validation.dynamics.base import (
    FloatArray,
    Plan,
    Trajectory,
    initial_velocities,
)
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.engines.command import command_words, environment
from lamplighter.validation.engines.lammps_input import (
    UNITS,
    Job,
    data_text,
    interaction,
    job_of,
    opening,
)
from lamplighter.validation.engines.pair_style import PairStyle

SKIN: Final = 1.0
"""Å; in dynamics neighbour lists live for many steps."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_TIMEOUT_S: Final = 36000.0


@runtime_checkable
class RunsLammps(Protocol):
    """An engine that evaluates by LAMMPS and says how."""

    @property
    def info(self) -> EngineInfo:
        """Return the description that goes into every record."""
        ...

    @property
    def style(self) -> PairStyle:
        """Return the interaction."""
        ...

    @property
    def command(self) -> str | Sequence[str] | None:
        """Return the words that start LAMMPS, ``None`` for that of the environment."""
        ...


def run_native(
    atoms: Atoms, engine: RunsLammps, plan: Plan, extra: Sequence[str] = ()
) -> Trajectory:
    """Return the samples of a run that LAMMPS made in one go.

    Args:
        atoms: the start; it is not changed.
        engine: names interaction and executable.
        plan: see [`Plan`][].
        extra: more lines before the run, for example a fix that writes its own file.

    Raises:
        DataError: an element is unknown to the pair style.
        EngineError: LAMMPS stops with an error, as where atoms are lost.
    """
    job = job_of(atoms, engine.style)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
        folder = Path(name)
        velocities = initial_velocities(atoms, plan.initial_K, plan.seed)
        (folder / "in.data").write_text(
            data_text(job, engine.style)
            + _velocity_text(job, velocities, engine.style),
            encoding="ascii",
        )
        session = Session(
            command_words(engine.command, engine.info.ranks),
            timeout_s=_TIMEOUT_S,
            folder=folder,
            environment=None if engine.command is None else environment(),
        )
        try:
            session.ask("\n".join([*_lines(job, engine.style, plan), *extra]))
            session.ask(f"run {plan.n_steps}")
        finally:
            session.close()
        return _read(folder, job, atoms, engine.style, plan)


def _velocity_text(job: Job, velocities: FloatArray, style: PairStyle) -> str:
    # From Å/ps into Å per unit of time.
    unit = 1e-3 / UNITS[style.units].femtosecond
    turned = velocities @ job.placement.rotation * unit
    rows = [
        f"{index} " + " ".join(f"{x:.17g}" for x in row)
        for index, row in enumerate(turned, start=1)
    ]
    return "\n".join(["", "Velocities", "", *rows, ""])


def _lines(job: Job, style: PairStyle, plan: Plan) -> list[str]:
    """Return the input up to the run."""
    femtosecond = UNITS[style.units].femtosecond
    sampled = "c_md_pe c_md_ke" + (" c_virial[*]" if plan.virial else "")
    output = 'file samples.txt format " %.17g"'
    lines = [
        *opening(style, job.placement.periodic),
        'read_data "in.data"',
        *interaction(style, SKIN),
        "neigh_modify every 1 delay 0 check yes",
        "atom_modify sort 0 0.0",  # the order of the atoms is that of the noise
        f"timestep {plan.timestep_fs * femtosecond:.17g}",
        "fix move all nve",
        "compute md_pe all pe",
        "compute md_ke all ke",
        f"fix samples all ave/time {plan.every} 1 {plan.every} {sampled} {output}",
        "thermo_modify lost error norm no",
    ]
    if plan.friction_per_ps:
        damp = 1000 * femtosecond / plan.friction_per_ps
        lines.append(
            f"fix bath all langevin {plan.temperature_K:.17g} {plan.temperature_K:.17g}"
            f" {damp:.17g} {plan.seed} zero yes"
        )
    if plan.positions:
        lines += [
            f"dump places all custom {plan.every} places.txt xu yu zu",
            "dump_modify places sort id format float %.17g",
        ]
    return lines


def _read(
    folder: Path, job: Job, atoms: Atoms, style: PairStyle, plan: Plan
) -> Trajectory:
    units = UNITS[style.units]
    table = np.loadtxt(folder / "samples.txt", ndmin=2)
    if len(table) != plan.n_samples:
        raise EngineError(
            explain(
                "LAMMPS wrote another number of samples",
                got=len(table),
                wanted=plan.n_samples,
                fix="look at the lines of the pair style: do they end the run?",
            )
        )
    virial = None
    if plan.virial:
        box = np.zeros((len(table), 3, 3))
        for column, (i, j) in enumerate(_VOIGT, start=3):
            box[:, i, j] = box[:, j, i] = -table[:, column] / units.nktv2p
        turn = job.placement.rotation
        virial = turn @ (box * units.energy) @ turn.T
    return Trajectory(
        times=table[:, 0] * plan.timestep_fs / 1000,
        potential=table[:, 1] * units.energy,
        kinetic=table[:, 2] * units.energy,
        positions=_positions(folder, job, atoms) if plan.positions else None,
        virial=virial,
        native=True,
    )


def _positions(folder: Path, job: Job, atoms: Atoms) -> FloatArray:
    """Return unwrapped positions [n, n_atoms, 3] in the axes of the input, Å."""
    n_atoms = len(atoms)
    text = (folder / "places.txt").read_text(encoding="ascii").splitlines()
    rows = [
        line
        for start in range(0, len(text), n_atoms + 9)
        for line in text[start + 9 : start + 9 + n_atoms]
    ]
    frames = np.array([line.split() for line in rows], dtype=float)
    frames = frames.reshape(-1, n_atoms, 3)
    moves = (frames - frames[0]) @ job.placement.rotation.T
    return np.asarray(atoms.positions + moves)
