"""A run read back from its folder, and several parts of a suite put together."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import atomic_path
from lamplighter.validation.materials import structure_of
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.run_folder import (
    FAILURES,
    MANIFEST,
    RESULTS,
    TASKS,
    Manifest,
    TaskRecord,
    card_of,
    read_manifest,
    read_records,
)
from lamplighter.validation.runner import SuiteResult, conclude
from lamplighter.validation.store import load_result
from lamplighter.validation.suite import suite_from_mapping
from lamplighter.validation.tasks import plan, slug


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRun:
    """What the folder of a run holds.

    Attributes:
        result: of the tasks that were tried.
        missing: labels of the tasks that were not.
    """

    result: SuiteResult
    missing: tuple[str, ...]


def load_run(folder: Path) -> LoadedRun:
    """Return what a run has left in its folder; nothing is computed.

    Raises:
        DataError: the folder holds no run.
    """
    manifest = read_manifest(folder)
    config = suite_from_mapping(manifest.suite, Path(manifest.suite_folder))
    found: dict[str, PropertyResult] = {}
    records = read_records(folder, manifest.origins)
    for label, record in records.items():
        kept = load_result(folder / record.file)
        if kept is not None:
            found[label] = kept
    structures = {m.name: structure_of(m.name, m.structure) for m in config.materials}
    tasks = [task for task in plan(config, structures) if task.label in found]
    result = conclude(
        config,
        card_of(manifest),
        manifest.engines,
        found,
        tasks,
        {label: record.seconds for label, record in records.items() if label in found},
        manifest.levels,
    )
    missing = tuple(label for label in manifest.tasks if label not in found)
    return LoadedRun(result=result, missing=missing)


def merge(folders: Sequence[Path], output: Path) -> LoadedRun:
    """Put parts of one suite together in a folder, and return the whole.

    A result stands before a failure of the same task; of two results the first counts.

    Args:
        folders: of runs with ``--shard`` or ``--only``, of the same suite.
        output: where everything goes; may be one of them.

    Raises:
        ConfigError: no folder, or folders of different suites.
        DataError: a folder holds no run.
    """
    if not folders:
        raise ConfigError(explain("nothing to merge", wanted="folders of runs"))
    manifests = [read_manifest(folder) for folder in folders]
    _check_same(folders, manifests)
    for name in (RESULTS, FAILURES, TASKS):
        (output / name).mkdir(parents=True, exist_ok=True)
    best: dict[str, tuple[Path, TaskRecord]] = {}
    for folder, manifest in zip(folders, manifests, strict=True):
        for label, record in read_records(folder, manifest.origins).items():
            known = best.get(label)
            if known is None or (known[1].state, record.state) == ("failed", "done"):
                best[label] = (folder, record)
    for folder, record in best.values():
        _take(folder, record, output)
    if folders[0].resolve() != output.resolve():
        _copy(folders[0] / MANIFEST, output / MANIFEST)
    return load_run(output)


def _check_same(folders: Sequence[Path], manifests: Sequence[Manifest]) -> None:
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest.digest != manifests[0].digest:
            raise ConfigError(
                explain(
                    "these are runs of different suites",
                    got=f"{folder} and {folders[0]}",
                    wanted="the same engines, model, structures, properties, settings",
                    fix="run all parts with the same suite and version",
                )
            )


def _take(folder: Path, record: TaskRecord, output: Path) -> None:
    """Copy the record and the result of a task."""
    if folder.resolve() == output.resolve():
        return
    name = f"{slug(record.task)}.json"
    if not (folder / record.file).is_file():
        raise DataError(
            explain(
                f"{folder} lacks the result of {record.task}",
                got=f"no {record.file}",
                fix="copy the whole folder of the part",
            )
        )
    _copy(folder / record.file, output / record.file)
    _copy(folder / TASKS / name, output / TASKS / name)


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
