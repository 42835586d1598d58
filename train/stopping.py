"""Ways a run ends early: a signal, which asks for a checkpoint first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import ClassVar

from lamplighter.errors import LamplighterError


class TrainingInterruptedError(LamplighterError):
    """The run was asked to stop; a checkpoint is written, the same command resumes."""

    exit_code: ClassVar[int] = 130


class TrainingDivergedError(LamplighterError):
    """The loss is not a number any more."""

    exit_code: ClassVar[int] = 1


class StopFlag:
    """Set by a signal, read between two steps."""

    def __init__(self) -> None:
        """Begin unset."""
        self.reason = ""

    def request(self, reason: str) -> None:
        """Ask the run to stop after the present step."""
        self.reason = reason


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Yield a flag that SIGINT and SIGTERM set while the block runs.

    The second signal acts as it did before. Outside the main thread, where Python
    cannot handle signals, the flag is never set.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    previous = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def handle(number: int, _: FrameType | None) -> None:
        flag.request(signal.Signals(number).name)
        restore()

    for number in previous:
        signal.signal(number, handle)
    try:
        yield flag
    finally:
        restore()
