"""A LAMMPS executable, any command line: input files in, output files out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.engines.base import WANT_DEFAULT, Result
from lamplighter.validation.engines.command import command_words, environment
from lamplighter.validation.engines.lammps_base import LammpsBase
from lamplighter.validation.engines.lammps_input import (
    ANSWER,
    Job,
    Raw,
    data_text,
    interaction,
    job_of,
    opening,
    read_answer,
    result_of,
    single_point,
)
from lamplighter.validation.engines.pair_style import PairStyle
from lamplighter.validation.engines.program import Outcome, run_program


class LammpsFileEngine(LammpsBase):
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
        ConfigError: If ``ranks``, ``timeout_s`` or ``batch`` is not positive, or
            ``ranks`` is given beside ``command``.
        ArtifactError: If the ML-IAP file cannot be read.
        EngineError: If ``command`` does not exist.
    """

    kind = "lammps-file"

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
        super().__init__(
            model,
            command=command,
            ranks=ranks,
            name=name,
            timeout_s=timeout_s,
            failures=failures,
        )
        if batch < 1:
            raise ConfigError(
                explain(
                    "batch of a LAMMPS input", got=batch, wanted="1 structure or more"
                )
            )
        self._words = command_words(command, ranks)
        self._batch = batch

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
        jobs = [job_of(atoms, self._given) for atoms in structures]
        found: list[Result] = []
        for start in range(0, len(jobs), self._batch):
            part = slice(start, start + self._batch)
            found += self._run(structures[part], jobs[part], want)
        return found

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
                    raise self._left(error, atoms, job)
                raw = self._raw(folder, index, atoms, job)
                result = result_of(job, raw, style, want, share)
                found.append(self._accepted(result, atoms, job))
        return found

    def _raw(self, folder: Path, index: int, atoms: Atoms, job: Job) -> Raw:
        words = (folder / _answer(index)).read_text(encoding="ascii").split()
        dump = folder / f"forces.{index}.dump"
        try:
            return read_answer(words, dump, len(job.types))
        except EngineError as error:
            raise self._left(error, atoms, job) from error


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
    return run_program(command, folder, timeout_s=timeout_s, environment=environment())


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


def _answer(index: int) -> str:
    return f"answer.{index}.txt"
