"""Tasks to an executor, in order, with resume, progress and a sign of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.validation.execution import Job, Outcome, failure, reasons
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.run_folder import (
    FAILURES,
    TaskRecord,
    read_records,
    write_heartbeat,
    write_record,
)
from lamplighter.validation.store import load_result
from lamplighter.validation.tasks import Task

BEAT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """An executor and how it may be used.

    Attributes:
        executor: any of ``concurrent.futures``.
        call: what it calls with a job; gives an ``Outcome``.
        slots: most jobs at a time; 0 hands out all that are ready.
        exclusive: whether an engine may be used by one job at a time only.
    """

    executor: Executor
    call: Callable[[Job], Outcome]
    slots: int = 0
    exclusive: bool = False


class Schedule:
    """The tasks of one run.

    Args:
        folder: of the run.
        make_job: task and the result that it starts from, if any -> job.
        advance: called with finished tasks and a label.
        retry_failed: compute again what failed or is invalid.
        name: of the heartbeat, when several processes share the folder.
        origins: label of a task -> hash of what it is computed from, for its record.
    """

    def __init__(
        self,
        folder: Path,
        make_job: Callable[[Task, PropertyResult | None], Job],
        advance: Callable[[int, str], None],
        *,
        retry_failed: bool = False,
        name: str = "",
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._make_job = make_job
        self._advance = advance
        self._retry = retry_failed
        self._name = name
        self._origins = origins or {}
        self._running: dict[Future[Outcome], tuple[Job, float]] = {}
        self._ready: dict[str, Job] = {}
        self._records = read_records(folder)
        self._total = 0
        self.outcomes: dict[str, Outcome] = {}

    def run(self, tasks: Sequence[Task], lane: Lane) -> Mapping[str, Outcome]:
        """Return label -> outcome of every task.

        Raises:
            ConfigError: a task cannot be made from its structure.
        """
        waiting = list(tasks)
        self._total = len(waiting)
        try:
            while waiting or self._running:
                waiting = [task for task in waiting if not self._handled(task, lane)]
                self._beat()
                self._collect()
        except BaseException:
            for future in self._running:
                future.cancel()
            raise
        self._beat()
        return self.outcomes

    def _handled(self, task: Task, lane: Lane) -> bool:
        """Settle or hand out a task if that is possible now."""
        job = self._ready.get(task.label)
        if job is None:
            before = self.outcomes.get(task.after)
            if task.after and before is None:
                return False
            job = self._make_job(task, before.result if before else None)
            if self._settled_at_once(job, before):
                return True
            self._ready[task.label] = job
        if not self._free(task, lane):
            return False
        self._advance(0, task.label)
        future = lane.executor.submit(lane.call, job)
        self._running[future] = (job, time.monotonic())
        del self._ready[task.label]
        return True

    def _settled_at_once(self, job: Job, before: Outcome | None) -> bool:
        """Settle a task that cannot start, or that an earlier run has done."""
        if before is not None and before.result.status == "invalid":
            why = f"{job.task.material} does not relax with this potential: "
            reason = why + reasons(before.result.checks)
            self._settle(job, failure(job, reason), fresh=True)
            return True
        kept = self._kept(job)
        if kept is not None:
            self._settle(job, kept)
        return kept is not None

    def _free(self, task: Task, lane: Lane) -> bool:
        if lane.slots and len(self._running) >= lane.slots:
            return False
        busy = {name for job, _ in self._running.values() for name in job.task.engines}
        return not (lane.exclusive and busy & set(task.engines))

    def _kept(self, job: Job) -> Outcome | None:
        """Return the outcome of an earlier run, if it counts."""
        result = load_result(job.path)
        if result is not None and not (self._retry and result.status == "invalid"):
            return Outcome(result=result, seconds=0.0)
        if self._retry:
            return None
        failed = load_result(self._failure_path(job))
        return (
            None
            if failed is None
            else Outcome(result=failed, seconds=0.0, crashed=True)
        )

    def _failure_path(self, job: Job) -> Path:
        return self._folder / FAILURES / job.path.name

    def _collect(self) -> None:
        """Settle what has finished; wait for it at most until the next beat."""
        if not self._running:
            return
        done, _ = wait(self._running, timeout=BEAT_S, return_when=FIRST_COMPLETED)
        for future in done:
            job, begin = self._running.pop(future)
            try:
                outcome = future.result()
            except (Exception, CancelledError) as error:  # noqa: BLE001  (any executor)
                text = f"the executor lost the task: {type(error).__name__}: {error}"
                outcome = failure(job, text, time.monotonic() - begin)
            self._settle(job, outcome, fresh=True)

    def _settle(self, job: Job, outcome: Outcome, *, fresh: bool = False) -> None:
        label = job.task.label
        self.outcomes[label] = outcome
        path = self._failure_path(job)
        if fresh and outcome.crashed:
            path.parent.mkdir(parents=True, exist_ok=True)
            outcome.result.save(path)
            job.path.unlink(missing_ok=True)
        elif fresh:
            path.unlink(missing_ok=True)
        kept = path if outcome.crashed else job.path
        file = str(kept.relative_to(self._folder))
        known = self._records.get(label)
        seconds = round(outcome.seconds, 3)
        if not fresh and known is not None and known.file == file:
            seconds = known.seconds  # of the process that did the work
        record = TaskRecord(
            task=label,
            state="failed" if outcome.crashed else "done",
            file=file,
            seconds=seconds,
            origin=self._origins.get(label, ""),
        )
        if fresh or record != known:
            write_record(self._folder, job.task, record)
        self._advance(1, label)

    def _beat(self) -> None:
        now = time.monotonic()
        write_heartbeat(
            self._folder,
            done=len(self.outcomes),
            total=self._total,
            running={j.task.label: now - begin for j, begin in self._running.values()},
            name=self._name,
        )
