"""The command `lamplighter validate parity`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from lamplighter.cli.types import Dtype, Json, Model

EngineKind: TypeAlias = Literal["ase", "lammps", "lammps-file", "lammps-lib"]


def parity(
    source: Model,
    structures: list[Path] | None = None,
    /,
    *,
    head: str | None = None,
    engine: EngineKind = "lammps",
    command: str = "",
    ranks: int = 1,
    dtype: Dtype = "float64",
    quick: bool = False,
    full: bool = False,
    failures: Path | None = None,
    as_json: Json = False,
) -> int:
    """Is the pair style the model? Every number in LAMMPS against that in ASE.

    Energies, forces, stresses and per-atom energies of six structures; forces and
    stress against finite differences; translation, rotation, order of atoms and types;
    extensivity, free atoms, heads; ranks, newton, neighbour lists; dynamics, restart.
    The exit code is 1 when one fails. What an engine cannot have is told with a reason.

    Args:
        source: A potential (safetensors), model:base for the shipped one, or a YAML
            suite whose two engines are compared: any ASE calculator, any pair style.
        structures: Files to compare on, in any format that ASE reads. Without them,
            structures made of the suite's materials, or of a built-in one that the
            head knows.
        head: The head to use; may be left out when there is only one.
        engine: What the model in ASE is compared with.
        command: Words that start LAMMPS: --command "mpirun -n 4 lmp".
        ranks: MPI ranks of the LAMMPS of this environment.
        dtype: Precision of both engines.
        quick: Six structures, every kind of point once: the default.
        full: Twelve structures, with 300 atoms; 4 ranks and processor grids as well.
        failures: Folder for the structures that fail, as extended XYZ and as LAMMPS
            input.
        as_json: Write JSON instead of tables.
    """
    from lamplighter.commands import parity as parity_commands

    return parity_commands.parity(
        source,
        structures or (),
        parity_commands.ParityRequest(
            head=head,
            engine=engine,
            command=command,
            ranks=ranks,
            dtype=dtype,
            quick=quick,
            full=full,
            failures=failures,
        ),
        as_json=as_json,
    )
