"""A LAMMPS executable, any command line: input files in, output files out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.engines.base import (
    WANT_DEFAULT,
    EngineInfo,
    Result,
    check_finite,
)
from lamplighter.validation.engines.command import command_words, environment, probe
from lamplighter.validation.engines.failures import leave_input
from lamplighter.validation.engines.family import Family
from lamplighter.validation.engines.lammps_input import (
    ANSWER,
    Job,
    Raw,
    data_text,
    interaction,
    job_of,
    opening,
    read_dump,
    result_of,
    single_point,
)
from lamplighter.validation.engines.pair_style import PairStyle, mliap_style

TAIL_LINES = 25


class LammpsFileEngine:
    """Single points by a LAMMPS that is started with an input file.

    Many structures share one input, with ``clear`` between them, so that each is
    evaluated as if it were alone and one start pays for all. Nothing stays in memory
    between calls: the engine of clusters, containers and GPU builds.

    Args:
        model: A ``PairStyle``, or the path of an ML-IAP file.
        command: Words that start LAMMPS, launcher and options included, for example
            ``"mpirun -n 4 lmp"`` or ``"lmp -k on g 1 -sf kk"``; ``None`` takes the
            LAMMPS of this environment.
        ranks: MPI ranks of the LAMMPS of this environment.
        name: Name in tables, used when ``model`` is a path.
        timeout_s: Seconds that one structure may take; a batch may take as many times
            as long as it has structures.
        batch: Most structures of one input.
        failures: Folder for the input of what LAMMPS could not evaluate; ``None``
            makes one among the temporary files.

    Raises:
        ConfigError: If ``ranks`` or ``batch`` is not positive, or ``ranks`` is given
            beside ``command``.
        ArtifactError: If the ML-IAP file cannot be read.
        EngineError: If ``command`` does not exist.
    """

    def __init__(
        self,
        model: PairStyle | str | Path,
        *,
        command: str | Sequence[str] | None = None,
        ranks: int = 1,
        name: str = "lammps-file",
        timeout_s: float = 600.0,
        batch: int = 64,
        failures: Path | None = None,
    ) -> None:
        if ranks < 1 or batch < 1 or (ranks > 1 and command is not None):
            raise ConfigError(
                explain(
                    "ranks and batch of a LAMMPS command",
                    got=f"ranks {ranks}, batch {batch}, command {command!r}",
                    wanted="1 or more; ranks inside of command where there is one",
                    fix="command='mpirun -n 4 lmp', or ranks=4 without command",
                )
            )
        if not isinstance(model, PairStyle):
            model = mliap_style(model, name=name, ranks=ranks)
        self.family: Family | None = None
        self._words = command_words(command, ranks)
        self._command = command
        self._ranks = ranks
        self._timeout_s = timeout_s
        self._batch = batch
        self._failures = failures
        self._style = model
        self._info: EngineInfo | None = None

    @property
    def info(self) -> EngineInfo:
        """Return the description that goes into every record.

        The first call starts the user's LAMMPS once, to ask for version and ranks.

        Raises:
            EngineError: If the command does not start LAMMPS.
        """
        if self._info is None:
            found = dataclasses.replace(
                self._style.info, kind="lammps-file", ranks=self._ranks
            )
            if self._command is not None:
                version, ranks = probe(self._words)
                command = shlex.join(self._words)
                found = dataclasses.replace(
                    found,
                    lammps_version=version,
                    ranks=ranks,
                    extra={**found.extra, "command": command},
                )
            self._info = found
        return self._info

    @property
    def style(self) -> PairStyle:
        """Return the interaction, its record completed."""
        return dataclasses.replace(self._style, info=self.info)

    @property
    def command(self) -> str | Sequence[str] | None:
        """Return the words that start LAMMPS, ``None`` for that of the environment."""
        return self._command

    @property
    def elements(self) -> tuple[str, ...]:
        """Return the chemical symbols that the engine knows, in type order."""
        return self._style.elements

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        """Return the result for one structure; see ``Engine.compute``.

        Raises:
            DataError: If an element is unknown to the pair style or the cell is flat.
            EngineError: If LAMMPS stops with an error; the message names the folder
                that has the input of this structure.
        """
        return self.compute_many([atoms], want)[0]

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        """Return one result per structure, in order; one input for many of them.

        Raises:
            DataError: As for ``compute``, before anything is started.
            EngineError: As for ``compute``, of the first structure that fails.
        """
        jobs = [job_of(atoms, self._style) for atoms in structures]
        found: list[Result] = []
        for start in range(0, len(jobs), self._batch):
            part = slice(start, start + self._batch)
            found += self._run(structures[part], jobs[part], want)
        return found

    def close(self) -> None:
        """Do nothing: no process stays."""

    def _run(
        self, structures: Sequence[Atoms], jobs: Sequence[Job], want: Sequence[str]
    ) -> list[Result]:
        started = time.perf_counter()
        style = self.style
        found: list[Result] = []
        with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
            folder = Path(name)
            text = _batch_input(jobs, style, folder, per_atom="energies" in want)
            outcome = run_input(
                self._words, text, folder, timeout_s=self._timeout_s * len(jobs)
            )
            share = (time.perf_counter() - started) / len(jobs)
            for index, (atoms, job) in enumerate(zip(structures, jobs, strict=True)):
                # What LAMMPS did not come to, or could not do, has no answer.
                if not (folder / _answer(index)).is_file():
                    error = outcome.error("a finished 'run 0'")
                    raise leave_input(error, atoms, job, style, self._failures)
                raw = _read(folder, index, job)
                result = result_of(job, raw, style, want, share)
                found.append(check_finite(result, atoms))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a LAMMPS process ended.

    Attributes:
        what: exit code or time-out, in words.
        output: what it printed.
        ok: whether it ended well.
    """

    what: str
    output: str
    ok: bool

    def error(self, wanted: str) -> EngineError:
        """Return the error that carries the end of LAMMPS' output."""
        lines = self.output.splitlines()
        tail = "\n".join(lines[-TAIL_LINES:])
        reasons = [line.strip() for line in lines if line.startswith("ERROR")]
        return EngineError(
            explain(
                "LAMMPS stopped",
                got=": ".join([self.what, *reasons[:1]]),
                wanted=wanted,
                fix=f"read the end of its output:\n{tail}",
            )
        )


def run_input(
    words: Sequence[str], text: str, folder: Path, *, timeout_s: float
) -> Outcome:
    """Run an input in a folder and say how that ended; nothing of it outlives this.

    Args:
        words: What starts LAMMPS.
        text: The input, written as ``in.lammps``.
        folder: Working folder.
        timeout_s: Seconds after which the process and its ranks are ended.
    """
    (folder / "in.lammps").write_text(text, encoding="utf-8")
    command = [*words, "-in", "in.lammps", "-log", "log.lammps"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        what = f"no end within {timeout_s:g} s"
        return Outcome(what=what, output=output, ok=False)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    code = process.returncode
    return Outcome(what=f"exit code {code}", output=output, ok=code == 0)


def _batch_input(
    jobs: Sequence[Job], style: PairStyle, folder: Path, *, per_atom: bool
) -> str:
    """Write the data files of a batch into a folder; return the input."""
    lines: list[str] = []
    for index, job in enumerate(jobs):
        data = f"structure.{index}.data"
        (folder / data).write_text(data_text(job, style), encoding="ascii")
        lines += [
            *opening(style, job.placement.periodic),
            f"read_data {data}",
            *interaction(style),
            *single_point(f"forces.{index}.dump", per_atom=per_atom),
            f'print "{ANSWER}" file {_answer(index)} screen no',
        ]
    return "\n".join(lines) + "\n"


def _read(folder: Path, index: int, job: Job) -> Raw:
    answer = (folder / _answer(index)).read_text(encoding="ascii").split()
    energy, *pressure = map(float, answer)
    table = read_dump(folder / f"forces.{index}.dump", len(job.types))
    return Raw(energy=energy, pressure=pressure, table=table)


def _answer(index: int) -> str:
    return f"answer.{index}.txt"
