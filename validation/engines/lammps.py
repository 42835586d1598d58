"""LAMMPS as an engine that is kept running: as a process, or as a library."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ase import Atoms

from lamplighter.errors import EngineError
from lamplighter.lammps_interface.placement import dump_text
from lamplighter.lammps_interface.session import Session
from lamplighter.validation.engines.base import (
    WANT_DEFAULT,
    Result,
)
from lamplighter.validation.engines.command import command_words, environment
from lamplighter.validation.engines.lammps_base import LammpsBase
from lamplighter.validation.engines.lammps_input import (
    ANSWER,
    Job,
    Raw,
    data_text,
    interaction,
    job_of,
    masses,
    opening,
    read_answer,
    result_of,
    single_point,
)
from lamplighter.validation.engines.pair_style import (
    PairStyle,
    mliap_style,
    pair_style,
)

__all__ = ["LammpsEngine", "PairStyle", "mliap_style", "pair_style"]

_OUTPUT = "out.dump"


class Driver(Protocol):
    """A LAMMPS that takes commands and answers."""

    @property
    def alive(self) -> bool:
        """Whether it still takes commands."""
        ...

    def ask(self, commands: str, answer: str = "") -> list[str]:
        """Execute ``commands`` and return the words of ``answer``."""
        ...

    def close(self) -> None:
        """End it; safe to call twice."""
        ...


class LammpsEngine(LammpsBase):
    """Single points by a LAMMPS process that stays.

    The process starts at the first call and is kept: what follows costs a few
    milliseconds above the pair style. It starts again after an error, and in a process
    that was forked. Calls from several threads wait for each other. Use the engine as
    a context manager, or ``close`` it, to end the process early.

    Args:
        model: A ``PairStyle``, or the path of an ML-IAP file.
        ranks: MPI ranks of the LAMMPS of this environment.
        name: Name in tables, used when ``model`` is a path.
        timeout_s: Seconds that one evaluation may take.
        command: Words that start another LAMMPS, launcher included.
        failures: Folder for the input of what LAMMPS could not evaluate; ``None``
            makes one among the temporary files.

    Raises:
        ConfigError: If ``ranks`` or ``timeout_s`` is not positive, ``ranks`` is given
            beside ``command``, or ``command`` is empty.
        ArtifactError: If the ML-IAP file cannot be read.
    """

    kind = "lammps"

    def __init__(
        self,
        model: PairStyle | str | Path,
        *,
        ranks: int = 1,
        name: str = "lammps",
        timeout_s: float = 600.0,
        command: str | Sequence[str] | None = None,
        failures: Path | None = None,
    ) -> None:
        super().__init__(
            model,
            command=command,
            ranks=ranks,
            name=name,
            timeout_s=timeout_s,
            failures=failures,
        )
        self._process: _Process | None = None
        self._lock = threading.RLock()

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        """Return the result for one structure; see ``Engine.compute``.

        Raises:
            DataError: If an element is unknown to the pair style or the cell is flat.
            EngineError: If LAMMPS stops with an error; the message names the folder
                that has the input of this structure.
        """
        started = time.perf_counter()
        style = self.style
        job = job_of(atoms, style)
        with self._exclusive():
            raw = self._evaluate(atoms, job, per_atom="energies" in want)
        wall_s = time.perf_counter() - started
        return self._accepted(result_of(job, raw, style, want, wall_s), atoms, job)

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        """Return one result per structure, all from the same process."""
        return [self.compute(atoms, want) for atoms in structures]

    def close(self) -> None:
        """End the process, if one runs; the next call starts another."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        """A copy in another process starts a LAMMPS of its own."""
        state = {**self.__dict__, "_process": None}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    def _driver(self, folder: Path) -> Driver:
        """Start LAMMPS."""
        return Session(
            command_words(self._command, self._ranks),
            timeout_s=self._timeout_s,
            folder=folder,
            environment=None if self._command is None else environment(),
        )

    def _exclusive(self) -> AbstractContextManager[object]:
        """Let others wait: a dialogue of two threads would exchange their answers."""
        return self._lock

    def _evaluate(self, atoms: Atoms, job: Job, *, per_atom: bool) -> Raw:
        process = self._process
        if process is None or not process.usable:
            process = _Process(self._given, self._driver)
            self._process = process
        try:
            return process.evaluate(job, per_atom=per_atom)
        except EngineError as error:
            self.close()
            raise self._left(error, atoms, job) from error
        except BaseException:
            # After an error or an interrupt the dialogue is out of step: start anew.
            self.close()
            raise


class _Process:
    """A LAMMPS with its interaction defined, and its exchange folder."""

    def __init__(self, style: PairStyle, start: Callable[[Path], Driver]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lamplighter-"))
        self._pid = os.getpid()
        try:
            self.driver = start(self._folder)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._finalizer = weakref.finalize(
            self, _end, self.driver, self._folder, self._pid
        )
        self._style = style
        self._periodic: tuple[bool, bool, bool] | None = None

    @property
    def session(self) -> Driver:
        """Return what takes the commands."""
        return self.driver

    @property
    def usable(self) -> bool:
        """Whether LAMMPS takes commands, and takes them from this process."""
        return self._pid == os.getpid() and self.driver.alive

    def close(self) -> None:
        """End LAMMPS and remove the folder."""
        self._finalizer()

    def evaluate(self, job: Job, *, per_atom: bool) -> Raw:
        """Return what LAMMPS answers for one structure."""
        output = self._folder / _OUTPUT
        output.unlink(missing_ok=True)
        if self._style.atom_style == "atomic" and not self._style.names_atoms:
            commands = self._load_dump(job)
        else:  # what a dump does not hold, or an empty box, is set up anew
            commands = self._load_data(job)
        commands += single_point(str(output), per_atom=per_atom)
        words = self.driver.ask("\n".join(commands), ANSWER)
        return read_answer(words, output, len(job.types))

    def _load_dump(self, job: Job) -> list[str]:
        """Return the lines that put a structure into the box that exists."""
        if job.placement.periodic != self._periodic:
            self.driver.ask("\n".join(_empty_box(self._style, job.placement.periodic)))
            self._periodic = job.placement.periodic
        text = dump_text(job.placement, job.types)
        source = self._folder / "in.dump"
        source.write_text(text, encoding="ascii")
        return [
            f'read_dump "{source}" 0 x y z box yes purge yes replace no add keep',
        ]

    def _load_data(self, job: Job) -> list[str]:
        """Return the lines that make box, atoms and interaction anew."""
        source = self._folder / "in.data"
        source.write_text(data_text(job, self._style), encoding="ascii")
        return [
            *opening(self._style, job.placement.periodic),
            f'read_data "{source}"',
            *interaction(self._style),
        ]


def _empty_box(style: PairStyle, periodic: Sequence[bool]) -> list[str]:
    """Return the input that defines an empty, tilted box and the interaction."""
    return [
        *opening(style, periodic),
        "region whole prism 0 10 0 10 0 10 0 0 0 units box",
        f"create_box {len(style.elements)} whole",
        *masses(style),
        *interaction(style),
    ]


def _end(driver: Driver, folder: Path, pid: int) -> None:
    if os.getpid() != pid:
        return  # a fork: LAMMPS and the folder are those of the process before
    driver.close()
    shutil.rmtree(folder, ignore_errors=True)
