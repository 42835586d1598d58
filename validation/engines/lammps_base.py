"""What all engines that run LAMMPS have in common: an interaction and how to start."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ase import Atoms

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.engines.base import EngineInfo, Result, check_finite
from lamplighter.validation.engines.command import command_words, probe
from lamplighter.validation.engines.failures import leave_input
from lamplighter.validation.engines.family import Family
from lamplighter.validation.engines.lammps_input import Job
from lamplighter.validation.engines.pair_style import PairStyle, mliap_style


class LammpsBase:
    """An interaction, the command line that evaluates it, and the record of both.

    Args:
        model: A ``PairStyle``, or the path of an ML-IAP file.
        command: Words that start LAMMPS, launcher included; ``None`` takes the LAMMPS
            of this environment.
        ranks: MPI ranks of the LAMMPS of this environment.
        name: Name in tables, used when ``model`` is a path.
        timeout_s: Seconds that one structure may take.
        failures: Folder for the input of what LAMMPS could not evaluate; ``None``
            makes one among the temporary files.

    Raises:
        ConfigError: If ``ranks`` or ``timeout_s`` is not positive, ``ranks`` is given
            beside ``command``, or ``command`` is empty.
        ArtifactError: If the ML-IAP file cannot be read.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        model: PairStyle | str | Path,
        *,
        command: str | Sequence[str] | None,
        ranks: int,
        name: str,
        timeout_s: float,
        failures: Path | None,
    ) -> None:
        _check(ranks, timeout_s, command)
        if not isinstance(model, PairStyle):
            model = mliap_style(model, name=name)
        self.family: Family | None = None
        self._given = model
        self._completed: PairStyle | None = None
        self._command = command
        self._ranks = ranks
        self._timeout_s = timeout_s
        self._failures = failures

    @property
    def info(self) -> EngineInfo:
        """Return the description that goes into every record.

        With a command line of the user's, the first call starts it once, to ask for
        version and ranks.

        Raises:
            EngineError: If the command does not start LAMMPS.
        """
        return self.style.info

    @property
    def style(self) -> PairStyle:
        """Return the interaction, its record completed; see ``info``."""
        if self._completed is None:
            self._completed = dataclasses.replace(self._given, info=self._record())
        return self._completed

    @property
    def content(self) -> str:
        """Return what numbers depend on and the record leaves out.

        That is the hash of the ML-IAP file, and where the program of a command line
        lies: records of several machines belong together.
        """
        where = command_words(self._command) if self._command is not None else ()
        return " ".join([self._given.content, *where]).strip()

    @property
    def command(self) -> str | Sequence[str] | None:
        """Return the words that start LAMMPS, ``None`` for that of the environment."""
        return self._command

    @property
    def ranks(self) -> int:
        """Return the MPI ranks of the LAMMPS of this environment."""
        return self._ranks

    @property
    def elements(self) -> tuple[str, ...]:
        """Return the chemical symbols that the engine knows, in type order."""
        return self._given.elements

    def close(self) -> None:
        """End what runs, if anything does."""

    def _record(self) -> EngineInfo:
        found = dataclasses.replace(self._given.info, kind=self.kind, ranks=self._ranks)
        if self._command is None:
            return found
        version, ranks = probe(command_words(self._command))
        given = self._command
        text = given if isinstance(given, str) else shlex.join(given)
        extra = {**found.extra, "command": text}
        return dataclasses.replace(
            found, lammps_version=version, ranks=ranks, extra=extra
        )

    def _accepted(self, result: Result, atoms: Atoms, job: Job) -> Result:
        """Return a result that is whole and finite.

        Raises:
            EngineError: If it is not; the message names the folder with the input.
        """
        try:
            return check_finite(result, atoms)
        except EngineError as error:
            raise self._left(error, atoms, job) from error

    def _left(self, error: EngineError, atoms: Atoms, job: Job) -> EngineError:
        return leave_input(error, atoms, job, self._given, self._failures)


def _check(ranks: int, timeout_s: float, command: str | Sequence[str] | None) -> None:
    if ranks < 1 or (ranks > 1 and command is not None):
        raise ConfigError(
            explain(
                "number of MPI ranks of a LAMMPS",
                got=f"ranks {ranks}, command {command!r}",
                wanted="1 or more; inside of command where there is one",
                fix="command='mpirun -n 4 lmp', or ranks=4 without command",
            )
        )
    if not 0.0 < timeout_s < math.inf:
        raise ConfigError(
            explain("timeout_s", got=timeout_s, wanted="a positive number of seconds")
        )
    if command is not None:
        command_words(command)  # refuses an empty one now
