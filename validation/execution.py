"""One task in whatever process it runs: open engines, compute, keep the result."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from lamplighter.errors import LamplighterError
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.engines.cache import CachedEngine
from lamplighter.validation.open_engines import (
    ModelCard,
    one_thread_each,
    open_engine,
)
from lamplighter.validation.properties.base import Check, PropertyResult, Quantity
from lamplighter.validation.registry import find
from lamplighter.validation.relax import Relaxed, relax_crystal, relax_ions
from lamplighter.validation.run_folder import CACHE
from lamplighter.validation.suite import MODEL, EngineSpec, SuiteConfig
from lamplighter.validation.tasks import PARITY, START_POINT, Task, slug

CALCULATION = "calculation"
"""Name of the check that carries the error of a task that gave no result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A task with everything that it needs, ready to be sent to another process.

    Attributes:
        task: what is computed.
        start: structure, or for parity name -> structure.
        kind: of the material: a crystal relaxes with its cell, anything else without.
        config: the suite; engines are opened from its specifications.
        card: of the potential and of the head for the material.
        elements: that the engines must know.
        infos: of the task's engines, for the record of a failure.
        folder: of the run.
        path: where the result goes.
        time_limit: seconds; 0 is no limit.
    """

    task: Task
    start: Atoms | Mapping[str, Atoms]
    kind: str
    config: SuiteConfig
    card: ModelCard
    elements: tuple[str, ...]
    infos: tuple[EngineInfo, ...]
    folder: Path
    path: Path
    time_limit: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job.

    Attributes:
        result: of the property; invalid with the reason when there is none.
        seconds: wall-clock time.
        crashed: the task gave no result of its own: an error, a time limit, a death.
    """

    result: PropertyResult
    seconds: float
    crashed: bool = False


class Bench:
    """Engines that one thread uses, opened when they are first asked for.

    Args:
        opened: head and name -> engine that is open already, and that others close.
    """

    def __init__(self, opened: Mapping[tuple[str, str], Engine] | None = None) -> None:
        self._stack = contextlib.ExitStack()
        self._given = dict(opened or {})
        self._open: dict[str, Engine] = {}

    def engine(self, job: Job, name: str) -> Engine:
        """Return an engine of a job's suite.

        Parity asks the deployed engine itself, now, and not what it once said; the
        reference may remember what the model gives.
        """
        found = self._given.get((job.card.head, name)) or self._own(job, name)
        deployed = job.task.name == PARITY and name == job.task.engines[-1]
        if deployed and isinstance(found, CachedEngine):
            return found.inner
        return found

    def _own(self, job: Job, name: str) -> Engine:
        specs = specs_of(job.config, job.card.head)
        spec = next(one for one in specs if one.name == name)
        card = None if spec.foreign else job.card
        key = repr((card, spec, spec.folder, job.elements, job.folder))
        if key not in self._open:
            cache = job.folder / CACHE
            self._open[key] = self._stack.enter_context(
                open_engine(spec, card, job.elements, job.folder, cache)
            )
        return self._open[key]

    def close(self) -> None:
        """End the engines' processes."""
        self._open.clear()
        self._stack.close()


def specs_of(config: SuiteConfig, head: str) -> tuple[EngineSpec, ...]:
    """Return the engines of a suite for a head; files of another are not theirs."""
    if config.model is None or head == config.model.head:
        return config.engines
    return tuple(dataclasses.replace(spec, artifact=None) for spec in config.engines)


_LOCAL = threading.local()


def run_job(job: Job) -> Outcome:
    """Run a job in this thread, whose engines stay open for the next one.

    What a ``concurrent.futures`` executor of any origin calls.
    """
    bench = getattr(_LOCAL, "bench", None)
    if bench is None:
        bench = _LOCAL.bench = Bench()
        atexit.register(bench.close)
    # Engines of other origin may need no torch, which takes seconds to load.
    torch = one_thread_each() if job.config.model else contextlib.nullcontext()
    with torch:
        return execute(job, bench)


def execute(job: Job, bench: Bench) -> Outcome:
    """Run a job; a result that is its own goes to the job's path.

    Returns:
        The outcome. An error makes an invalid result and keeps nothing at the path.
    """
    begin = time.perf_counter()
    try:
        result = _compute(job, bench)
    except LamplighterError as error:
        return failure(job, str(error), time.perf_counter() - begin)
    except Exception as error:  # noqa: BLE001  (one task's defect must not end the rest)
        trace = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(trace.filename).name}, line {trace.lineno}"
        text = f"unexpected {type(error).__name__} in {where}: {error}"
        return failure(job, text, time.perf_counter() - begin)
    job.path.parent.mkdir(parents=True, exist_ok=True)
    result.save(job.path)
    return Outcome(result=result, seconds=time.perf_counter() - begin)


def _compute(job: Job, bench: Bench) -> PropertyResult:
    task = job.task
    opened = [bench.engine(job, name) for name in task.engines]
    if task.name == START_POINT:
        return relaxation(job.start, job.kind, opened[0], task)
    run = find(task.name).run
    if task.name != PARITY:
        result: PropertyResult = run(job.start, opened[0], task.settings)
        # References of what belongs to no material go by the name of the property.
        material = task.name if task.material == MODEL else task.material
        return dataclasses.replace(result, material=material)
    settings = task.settings
    if settings.failures is None:
        failures = job.folder / "parity-failures" / slug(task.material)
        settings = dataclasses.replace(settings, failures=failures)
    result = run(job.start, *opened, settings)
    # Where failing structures go is no setting of the comparison.
    method = result.method | {"failures": None}
    return dataclasses.replace(result, material=task.material, method=method)


def failure(job: Job, reason: str, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a job that gave no result."""
    result = PropertyResult.conclude(
        job.task.name,
        job.task.material,
        job.infos[-1],
        method={},
        checks=[Check(name=CALCULATION, ok=False, text=reason)],
        arrays={"columns": [], "rows": []} if job.task.name == PARITY else None,
    )
    return Outcome(result=result, seconds=seconds, crashed=True)


def relaxation(start: Any, kind: str, engine: Engine, task: Task) -> PropertyResult:
    """Return the end of a relaxation as a record; see [`relaxed_atoms`][].

    Args:
        start: structure as given.
        kind: ``crystal`` relaxes the cell too, within the space group.
        engine: what evaluates.
        task: names the material and the thresholds.
    """
    settings = task.settings
    relaxed: Relaxed
    if kind == "crystal":
        relaxed = relax_crystal(start, engine, settings)
    else:
        relaxed = relax_ions(
            start, engine, fmax=settings.fmax, max_steps=settings.max_steps
        )
    atoms = relaxed.atoms
    return PropertyResult.conclude(
        START_POINT,
        task.material,
        engine.info,
        method={**dataclasses.asdict(settings), "kind": kind},
        checks=relaxed.checks,
        values={"energy": Quantity(value=relaxed.energy, unit="eV")},
        arrays={
            "numbers": atoms.numbers,
            "positions": atoms.positions,
            "cell": atoms.cell.array,
            "pbc": [bool(flag) for flag in atoms.pbc],
        },
    )


def relaxed_atoms(result: PropertyResult) -> Atoms:
    """Return the structure at the end of a relaxation, every digit of it."""
    arrays = result.arrays
    return Atoms(
        numbers=arrays["numbers"],
        positions=arrays["positions"],
        cell=arrays["cell"],
        pbc=arrays["pbc"],
    )


def reasons(checks: Sequence[Check]) -> str:
    """Return why checks failed, in one line."""
    return "; ".join(check.text or check.name for check in checks if not check.ok)
