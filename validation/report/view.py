"""What a report is made of: a finished suite in memory, or the folder of a run.

A folder is read without the potential, torch, LAMMPS or phonopy: results are JSON, and
what they are compared with is read again, so that new references or thresholds need no
new calculation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lamplighter.errors import DataError, explain
from lamplighter.validation.compare import Comparison, compare
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.refs.loader import (
    ReferenceValue,
    Unverified,
    load_file,
    load_references,
    materials,
)
from lamplighter.validation.run_folder import TASKS, TaskRecord, fits, read_record
from lamplighter.validation.thresholds import (
    Threshold,
    thresholds_of_suite,
    with_defaults,
)

if TYPE_CHECKING:
    from lamplighter.validation.runner import SuiteResult

_FORMAT: Final = 1
_PARITY: Final = "parity"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as the report shows it.

    Attributes:
        card: what the potential says about itself: ``file``, ``sha256``, ``head``,
            ``level_of_theory`` and so on.
        engines: what computed.
        materials: names, in the order of the suite.
        settings: key -> text, for the provenance.
        parity: results of parity, one a material.
        results: every other result, material by material, engine by engine.
        comparisons: of the results with references.
        thresholds: in force, in order of precedence.
        seconds: task -> wall-clock seconds.
        missing: tasks without a result.
        about: versions and host of the run; empty if this process ran it.
        files: result -> path of its file relative to the report.
        levels: material -> level of theory of the head that is used for it; what is
            not named has the card's.
    """

    card: Mapping[str, Any]
    engines: tuple[EngineInfo, ...]
    materials: tuple[str, ...]
    settings: Mapping[str, str]
    parity: tuple[PropertyResult, ...]
    results: tuple[PropertyResult, ...]
    comparisons: tuple[Comparison, ...]
    thresholds: tuple[Threshold, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """Return the level of theory of the suite's head."""
        return str(self.card.get("level_of_theory", ""))

    def level_of(self, material: str) -> str:
        """Return the level of theory of the head that a material has."""
        return self.levels.get(material, self.level)

    @property
    def state(self) -> str:
        """Return ``fail`` (parity or a calculation), ``miss`` (physics) or ``pass``."""
        everything = (*self.parity, *self.results)
        if self.missing or any(result.status == "invalid" for result in everything):
            return "fail"
        if any(comparison.verdict == "fail" for comparison in self.comparisons):
            return "miss"
        return "pass"


def view_of(result: SuiteResult, folder: Path | None = None) -> RunView:
    """Return the view of a suite that this process ran.

    Args:
        result: of ``run_suite``.
        folder: of the run, for links to the raw results; none gives no links.
    """
    card, config = result.card, result.config
    names = (
        *("file", "sha256", "head", "level_of_theory", "dispersion", "elements"),
        *("heads", "cutoff", "n_layers", "dtype", "licence", "source"),
    )
    return RunView(
        card={name: getattr(card, name) for name in names},
        engines=result.engines,
        materials=tuple(material.name for material in config.materials),
        settings=_settings(
            {
                "geometry": config.geometry,
                "properties": list(config.properties),
                "references": config.references,
                "strict": config.strict,
                "compare": config.compare,
            }
        ),
        parity=result.parity,
        results=result.results,
        comparisons=result.comparisons,
        thresholds=with_defaults(config.thresholds),
        seconds=result.seconds,
        files={} if folder is None else _files(folder, result.seconds),
        levels=result.levels,
    )


def read_run(folder: str | Path) -> RunView:
    """Return the view of the folder that ``validate run`` wrote.

    Raises:
        DataError: no manifest, one of another format, or a result that is damaged.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    suite, card = manifest["suite"], manifest["card"]
    found, seconds, files = _results(folder, manifest)
    parity = tuple(r for label, r in found.items() if label.startswith(_PARITY + " "))
    others = [r for label, r in found.items() if not label.startswith(_PARITY + " ")]
    results = _with_agreement(others)
    base = Path(manifest.get("suite_folder", "."))
    limits = with_defaults(thresholds_of_suite(suite.get("thresholds", ()), base))
    references = _references(suite, results)
    levels = manifest.get("levels", {})
    return RunView(
        card=card,
        engines=tuple(EngineInfo.from_dict(item) for item in manifest["engines"]),
        materials=tuple(material["name"] for material in suite["materials"]),
        settings=_settings(suite),
        parity=parity,
        results=results,
        comparisons=tuple(
            comparison
            for result in results
            for comparison in compare(
                result,
                references,
                limits,
                level_of_theory=levels.get(
                    result.material, card.get("level_of_theory", "")
                ),
                cross=suite.get("compare") == "cross",
            )
        ),
        thresholds=limits,
        seconds=seconds,
        missing=tuple(label for label in manifest["tasks"] if label not in found),
        about=manifest.get("about", {}),
        files=files,
        levels=levels,
    )


def _manifest(folder: Path) -> Mapping[str, Any]:
    try:
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise KeyError("format")  # noqa: TRY301 - one message for all
        wanted = ("suite", "card", "engines", "tasks")
        return {**content, **{key: content[key] for key in wanted}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            explain(
                f"{folder} is no folder of a validation run",
                got=f"{type(error).__name__}: {error}",
                wanted="what `lamplighter validate run` wrote, with manifest.json",
            )
        ) from error


def _results(
    folder: Path, manifest: Mapping[str, Any]
) -> tuple[dict[str, PropertyResult], dict[str, float], dict[str, str]]:
    """Return results, seconds and files of the tasks that were tried, in order."""
    origins = manifest.get("origins", {})
    records = {t: r for t, r in _records(folder).items() if fits(r, origins)}
    files = {
        task: records[task].file
        for task in manifest["tasks"]
        if task in records and (folder / records[task].file).is_file()
    }
    found = {task: PropertyResult.load(folder / file) for task, file in files.items()}
    seconds = {task: records[task].seconds for task in files}
    return found, seconds, files


def _records(folder: Path) -> dict[str, TaskRecord]:
    """Return task -> what became of it, of every task that was tried."""
    found = [read_record(path) for path in sorted((folder / TASKS).glob("*.json"))]
    return {record.task: record for record in found}


def _files(folder: Path, tasks: Iterable[str]) -> dict[str, str]:
    """Return task -> file of its result relative to the folder; relaxations too."""
    records = _records(folder)
    return {task: records[task].file for task in tasks if task in records}


def _with_agreement(results: Sequence[PropertyResult]) -> tuple[PropertyResult, ...]:
    """Return the results, elastic constants checked against E(V) as in the run."""
    groups: dict[tuple[str, str], list[PropertyResult]] = {}
    for result in results:
        groups.setdefault((result.material, result.engine.name), []).append(result)
    if not any({"bulk", "elastic"} <= {r.property for r in g} for g in groups.values()):
        return tuple(results)
    # It needs the relaxation of crystals: imported only where both properties are.
    from lamplighter.validation.runner import with_agreement  # noqa: PLC0415

    return tuple(one for group in groups.values() for one in with_agreement(group))


def _references(
    suite: Mapping[str, Any], results: Sequence[PropertyResult]
) -> list[ReferenceValue]:
    names = {result.material for result in results}
    names |= {result.property for result in results}
    found: list[ReferenceValue] = []
    sources = suite.get("references", ("builtin",))
    treat: Unverified = "use" if "unverified" in sources else "skip"
    for source in sources:
        if source == "builtin":
            for name in sorted(names & set(materials())):
                found += load_references(name, unverified=treat)
        elif Path(source).is_file():
            found += [r for r in load_file(source) if r.material in names]
    return found


def _settings(suite: Mapping[str, Any]) -> dict[str, str]:
    keys = ("geometry", "properties", "references", "strict", "compare")
    shown = {}
    for key in keys:
        value = suite.get(key)
        if isinstance(value, bool):
            shown[key] = "yes" if value else "no"
        elif isinstance(value, str):
            shown[key] = value
        elif value is not None:
            shown[key] = ", ".join(Path(str(item)).name for item in value)
    return shown
