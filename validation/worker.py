"""A child process that runs jobs one after another, and can be killed.

``python -m lamplighter.validation.worker`` reads pickled jobs from standard input and
writes pickled outcomes to standard output; whatever else is printed goes to standard
error. Both ends are this package: nothing of another origin is ever unpickled.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from typing import IO, Any, Final

from lamplighter import console
from lamplighter.validation.execution import Bench, Job, execute

HEADER: Final = 8
"""Bytes of the length that precedes each message."""

_WATCH_S: Final = 1.0


def send(stream: IO[bytes], message: object) -> None:
    """Write one message."""
    content = pickle.dumps(message)
    stream.write(len(content).to_bytes(HEADER, "big") + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Return the next message, or None at the end of the stream."""
    header = stream.read(HEADER)
    if len(header) < HEADER:
        return None
    content = stream.read(int.from_bytes(header, "big"))
    return pickle.loads(content)  # noqa: S301  (written by the other end)


def _end_with_parent(parent: int) -> None:
    """Kill this process group when the parent is gone: nobody waits for its results."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Say that everything is loaded, then answer jobs until standard input ends."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    console.mute()
    bench = Bench()
    send(answers, "ready")
    try:
        while isinstance(job := receive(sys.stdin.buffer), Job):
            send(answers, execute(job, bench))
    finally:
        bench.close()


if __name__ == "__main__":
    main()
