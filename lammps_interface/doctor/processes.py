"""Start a program, read what it says, and never wait for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamplighter.errors import EngineError, explain


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program left: its exit status and all that it printed."""

    status: int
    text: str


def ask(
    words: Sequence[str | os.PathLike[str]],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Answer:
    """Run a program to its end.

    Args:
        words: the program and its arguments.
        timeout_s: seconds after which it and its children are ended.
        environment: all variables of the process; by default those of this one.
        cwd: working folder.

    Raises:
        EngineError: it cannot be started, or did not end in time.
    """
    try:
        process = subprocess.Popen(
            [os.fspath(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise EngineError(
            explain(f"{words[0]} cannot be started", got=error.strerror)
        ) from error
    with process:
        try:
            text, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                explain(f"{words[0]} did not end within {timeout_s:g} s")
            ) from error
        finally:
            # What it started may hold the pipe open when it is gone itself.
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return Answer(status=process.returncode, text=text)
