"""From a suite and options to jobs and to the executor that runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.execution import (
    Bench,
    Job,
    execute,
    relaxed_atoms,
    run_job,
)
from lamplighter.validation.materials import parity_structures
from lamplighter.validation.open_engines import ModelCard
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.run_folder import RESULTS
from lamplighter.validation.schedule import Lane
from lamplighter.validation.store import Store
from lamplighter.validation.suite import MODEL, SuiteConfig
from lamplighter.validation.suite_checks import check_time_limit
from lamplighter.validation.tasks import PARITY, Shard, Task, kind_of
from lamplighter.validation.worker_pool import WorkerPool, run_limited


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a suite is run, which changes nothing in its results.

    Attributes:
        jobs: child processes; 0 computes in this process, engines beside each other.
        executor: one of ``concurrent.futures``, or of anything that has such, instead;
            it stays open.
        only: ``property`` or ``property:material``, shell-style patterns; none is all.
        engines: names; none is all.
        shard: one of several parts of what is left.
        retry_failed: compute again what failed or is invalid.
        time_limit: seconds for each task; ``None`` takes the suite's.
    """

    jobs: int = 0
    executor: Executor | None = None
    only: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    shard: Shard | None = None
    retry_failed: bool = False
    time_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse less than no process, and times that cannot be waited for.

        Raises:
            ConfigError: see above.
        """
        if self.jobs < 0:
            raise ConfigError(
                explain("number of processes", got=self.jobs, wanted="0 or more")
            )
        if self.time_limit is not None:
            check_time_limit(self.time_limit)


class Jobs:
    """Makes jobs of tasks: adds structures, engines and the place of the result.

    Args:
        config: the suite.
        cards: material -> card of the head for it; under ``""`` the suite's own.
        structures: material -> structure as given.
        infos: head and name of an engine -> its record.
        elements: that the engines must know.
        folder: of the run.
        options: how the suite is run.
    """

    def __init__(
        self,
        config: SuiteConfig,
        cards: Mapping[str, ModelCard],
        structures: Mapping[str, Atoms],
        infos: Mapping[tuple[str, str], EngineInfo],
        elements: Sequence[str],
        folder: Path,
        options: RunOptions,
    ) -> None:
        self._config = config
        self._cards = cards
        self._structures = structures
        self._kinds = {m.name: kind_of(m, structures[m.name]) for m in config.materials}
        self._infos = infos
        self._folder = folder.resolve()
        self._store = Store(self._folder / RESULTS)
        self.elements = tuple(elements)
        given = options.time_limit
        self.time_limit = config.time_limit if given is None else given

    def make(self, task: Task, relaxed: PropertyResult | None) -> Job:
        """Return the job of a task that starts from the end of a relaxation, if any."""
        start = self._start(task, relaxed)
        card = self._cards.get(task.material) or self._cards[""]
        infos = tuple(self._infos[card.head, name] for name in task.engines)
        settings = task.settings
        if len(infos) > 1:  # parity with another reference is another comparison
            settings = (task.settings, infos[:-1])
        return Job(
            task=task,
            start=start,
            kind=self._kinds.get(task.material, MODEL),
            config=self._config,
            card=card,
            elements=self.elements,
            infos=infos,
            folder=self._folder,
            path=self._store.path(task.name, task.material, infos[-1], settings, start),
            time_limit=self.time_limit,
        )

    def _start(
        self, task: Task, relaxed: PropertyResult | None
    ) -> Atoms | dict[str, Atoms]:
        if task.material == MODEL:
            # One atom of each element, far apart: what knows elements knows enough.
            places = 20.0 * np.arange(len(self.elements))[:, None] * [1.0, 0.0, 0.0]
            return Atoms(list(self.elements), positions=places)
        if task.name == PARITY:
            return parity_structures(self._structures[task.material])
        if relaxed is not None and relaxed.status != "invalid":
            return relaxed_atoms(relaxed)
        return self._structures[task.material]


@contextlib.contextmanager
def lane_of(
    options: RunOptions,
    time_limit: float,
    opened: Mapping[tuple[str, str], Engine],
    folder: Path,
) -> Iterator[Lane]:
    """Open the executor that the options name, and close it unless it is the user's."""
    if options.executor is not None:
        call = run_limited if time_limit else run_job
        yield Lane(executor=options.executor, call=call)
        return
    lanes = len({name for _, name in opened})
    jobs = options.jobs or (lanes if time_limit else 0)
    if jobs:
        found = Lane(executor=WorkerPool(jobs, folder), call=run_job, slots=jobs)
    else:
        bench = Bench(opened)
        found = Lane(
            executor=ThreadPoolExecutor(max_workers=lanes),
            call=partial(execute, bench=bench),
            slots=lanes,
            exclusive=True,
        )
    try:
        yield found
    except BaseException:
        found.executor.shutdown(wait=False, cancel_futures=True)
        raise
    found.executor.shutdown()
