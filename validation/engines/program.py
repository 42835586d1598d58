"""A program that is run to its end or to a time limit; nothing of it outlives that."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.errors import EngineError, explain

TAIL_LINES: Final = 25
_OUTPUT: Final = "output.txt"


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


def run_program(
    words: Sequence[str],
    folder: Path,
    *,
    timeout_s: float,
    environment: Mapping[str, str],
) -> Outcome:
    """Run a program in a folder, without input, and say how that ended.

    What it prints goes through a file: a pipe would be waited for as long as any
    process that it left behind holds it, however long ago the time was up.

    Args:
        words: The program and its arguments.
        folder: Working folder; receives ``output.txt``.
        timeout_s: Seconds after which the process and its ranks are ended.
        environment: All variables of the process.

    Raises:
        OSError: If the program cannot be started.
    """
    output = folder / _OUTPUT
    with output.open("wb") as stream:
        process = subprocess.Popen(
            list(words),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(timeout=timeout_s)
        what, ok = f"exit code {code}", code == 0
    except subprocess.TimeoutExpired:
        what, ok = f"no end within {timeout_s:g} s", False
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    text = output.read_text(encoding="utf-8", errors="replace")
    return Outcome(what=what, output=text, ok=ok)
