"""Processes that run jobs beside each other, killed when a job takes too long."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.execution import Job, Outcome, failure
from lamplighter.validation.worker import receive, send

LOGS: Final = "logs"
_GRACE_S: Final = 10.0


class WorkerProcess:
    """One child process; it starts with its first job and again after a death.

    Args:
        log: receives what the child prints.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, job: Job) -> Outcome:
        """Return the outcome of a job; that of a killed or dead child says so."""
        process = self._started()
        stdin, stdout = _pipes(process)
        begin = time.monotonic()
        try:
            send(stdin, job)
        except BrokenPipeError:
            return self._died(job, begin)
        if not _readable(stdout, job.time_limit):
            self.kill()
            return failure(
                job,
                f"stopped: the time limit of {job.time_limit:g} s is over; give it more"
                " with time_limit in the suite or --time-limit, and --retry-failed",
                time.monotonic() - begin,
            )
        answer = receive(stdout)
        return answer if isinstance(answer, Outcome) else self._died(job, begin)

    def _died(self, job: Job, begin: float) -> Outcome:
        code = self._process.wait() if self._process else 0
        self.kill()
        word = f"signal {-code}" if code < 0 else f"exit code {code}"
        tail = self._log.read_text(encoding="utf-8", errors="replace")[-1500:].strip()
        why = " (often: out of memory)" if code == -signal.SIGKILL else ""
        return failure(
            job,
            f"the process died, {word}{why}; the end of {self._log.name}: {tail}",
            time.monotonic() - begin,
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            paths = os.pathsep.join(path for path in sys.path if path)
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "lamplighter.validation.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    # Before torch is imported, so that it starts no more threads; the
                    # child finds what the parent finds.
                    env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": paths},
                    # A group of its own: LAMMPS, which it starts, dies with it.
                    start_new_session=True,
                )
            # A task's time begins when the child has loaded what it needs.
            receive(_pipes(self._process)[1])
        return self._process

    def close(self) -> None:
        """Let the child end by itself, or kill it if it does not."""
        if self._process is None:
            return
        stdin, _ = _pipes(self._process)
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GRACE_S)
        self.kill()

    def kill(self) -> None:
        """End the child and whatever it started, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for pipe in _pipes(self._process):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            self._process = None


class WorkerPool(Executor):
    """Child processes as a ``concurrent.futures`` executor.

    Args:
        count: number of processes.
        folder: of the run; receives their logs.

    Raises:
        ConfigError: `count` is not positive.
    """

    def __init__(self, count: int, folder: Path) -> None:
        if count < 1:
            raise ConfigError(
                explain("number of processes", got=count, wanted="at least 1")
            )
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._idle: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        self._all = [
            WorkerProcess(folder / LOGS / f"worker-{os.getpid()}-{number}.log")
            for number in range(1, count + 1)
        ]
        for worker in self._all:
            self._idle.put(worker)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a job in a child; `fn` stands for what the child does by itself."""
        del fn, kwargs
        return self._threads.submit(self._run, args[0])

    def _run(self, job: Job) -> Outcome:
        worker = self._idle.get()
        try:
            return worker.run(job)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the children: by themselves, or at once when jobs are cancelled."""
        if cancel_futures:
            for worker in self._all:
                worker.kill()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for worker in self._all:
            worker.close()


_LOCAL = threading.local()


def run_limited(job: Job) -> Outcome:
    """Run a job in a child of this thread, killed when its time is over.

    What an executor of any origin calls for jobs with a time limit: executors cannot
    stop what they have started.
    """
    worker = getattr(_LOCAL, "worker", None)
    if worker is None:
        name = f"worker-{os.getpid()}-{threading.get_ident()}.log"
        worker = _LOCAL.worker = WorkerProcess(job.folder / LOGS / name)
    outcome: Outcome = worker.run(job)
    return outcome


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:  # opened with PIPE
        raise AssertionError
    return process.stdin, process.stdout


def _readable(stream: IO[bytes], limit: float) -> bool:
    """Wait until there is something to read, or an end; False when time is over."""
    ready, _, _ = select.select([stream], [], [], limit or None)
    return bool(ready)
