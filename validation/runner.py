"""Run a suite: parity first, then every property through every engine, with resume."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ase import Atoms

from lamplighter import console
from lamplighter.errors import CheckFailedError, explain
from lamplighter.validation.cards import (
    check_elements,
    check_material,
    suite_cards,
    suite_elements,
)
from lamplighter.validation.compare import Comparison, compare
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.execution import specs_of
from lamplighter.validation.jobs import Jobs, RunOptions, lane_of
from lamplighter.validation.materials import structure_of
from lamplighter.validation.open_engines import (
    ModelCard,
    engines,
    one_thread_each,
)
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.elastic import bulk_modulus_agreement
from lamplighter.validation.refs import ReferenceValue, load_file, load_references
from lamplighter.validation.refs import materials as known_materials
from lamplighter.validation.refs.loader import Unverified
from lamplighter.validation.relax import relax_crystal
from lamplighter.validation.run_folder import CACHE, write_manifest
from lamplighter.validation.schedule import Schedule
from lamplighter.validation.suite import SuiteConfig
from lamplighter.validation.tasks import (
    PARITY,
    START,
    START_POINT,
    Task,
    plan,
    select,
)
from lamplighter.validation.thresholds import with_defaults

__all__ = [
    "RunOptions",
    "SuiteResult",
    "conclude",
    "load_all_references",
    "relaxed_start",
    "run_suite",
    "with_agreement",
]

State = Literal["pass", "miss", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """Everything that a suite gave.

    Attributes:
        config: what was asked.
        card: what the potential says about itself.
        parity: parity of the two engines, one result for each material.
        results: every other property, material by material, engine by engine.
        comparisons: results beside references, in the same order.
        references: the reference records that took part.
        seconds: task -> wall-clock seconds; 0 for a result found on disk.
        engines: what computed.
        levels: material -> level of theory of the head that is used for it.
    """

    config: SuiteConfig
    card: ModelCard
    parity: tuple[PropertyResult, ...]
    results: tuple[PropertyResult, ...]
    comparisons: tuple[Comparison, ...]
    references: tuple[ReferenceValue, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    engines: tuple[EngineInfo, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """``fail``: parity or a calculation failed; ``miss``: physics is off."""
        everything = (*self.parity, *self.results)
        if any(result.status == "invalid" for result in everything):
            return "fail"
        if any(comparison.verdict == "fail" for comparison in self.comparisons):
            return "miss"
        return "pass"

    @property
    def exit_code(self) -> int:
        """Return 0, or 1 when parity failed or a calculation is invalid.

        A physics comparison outside its tolerance tells what the model is worth, not
        that something went wrong: it counts only in a strict suite.
        """
        if self.state == "miss":
            return 1 if self.config.strict else 0
        return 1 if self.state == "fail" else 0


def run_suite(
    config: SuiteConfig, folder: Path, options: RunOptions | None = None
) -> SuiteResult:
    """Run a suite, or what is left of it, and return every result.

    Each finished property is kept in ``results/`` of `folder`, one file each, and is
    used again when nothing that it depends on has changed. Without options engines run
    beside each other in this process, one thread each.

    Args:
        config: what to run.
        folder: where results and the converted model go; made if it does not exist.
        options: how, and which part.

    Raises:
        ConfigError: an unknown head, element, material or task.
        ArtifactError: a model file that cannot be read.
        DataError: a file of references cannot be read.
        EngineError: an engine cannot be opened.
    """
    options = options or RunOptions()
    folder = folder.resolve()
    load_all_references(config)  # what is wrong there is said now, not after hours
    structures = {m.name: structure_of(m.name, m.structure) for m in config.materials}
    elements = suite_elements(config, structures)
    cards = suite_cards(config, elements)
    if config.model is not None:
        check_elements(config, cards[""])
        for name, atoms in structures.items():
            check_material(name, atoms, cards[name])
    tasks = plan(config, structures)
    chosen = select(
        tasks, only=options.only, engines=options.engines, shard=options.shard
    )
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if config.model is not None:
            stack.enter_context(one_thread_each())
        opened = {
            (card.head, engine.info.name): engine
            for card in {card.head: card for card in cards.values()}.values()
            for engine in stack.enter_context(_engines(config, card, elements, folder))
        }
        infos = {key: engine.info for key, engine in opened.items()}
        manifest = write_manifest(folder, config, cards, infos, tasks, structures)
        jobs = Jobs(config, cards, structures, infos, elements, folder, options)
        lane = stack.enter_context(lane_of(options, jobs.time_limit, opened, folder))
        advance = stack.enter_context(console.progress(len(chosen), "validation"))
        name = "" if options.shard is None else f"{options.shard.index}"
        schedule = Schedule(
            folder,
            jobs.make,
            advance,
            retry_failed=options.retry_failed,
            name=name,
            origins=manifest.origins,
        )
        outcomes = schedule.run(chosen, lane)
    card = cards[""]
    return conclude(
        config,
        card,
        [info for (head, _), info in infos.items() if head == card.head],
        {label: outcome.result for label, outcome in outcomes.items()},
        chosen,
        {label: outcome.seconds for label, outcome in outcomes.items()},
        {name: one.level_of_theory for name, one in cards.items()},
    )


def _engines(
    config: SuiteConfig, card: ModelCard, elements: Sequence[str], folder: Path
) -> contextlib.AbstractContextManager[list[Engine]]:
    """Open the engines of a suite for one head."""
    specs = specs_of(config, card.head)
    given = None if config.model is None else card
    mine = dataclasses.replace(config, engines=specs)
    return engines(mine, given, elements, folder, folder / CACHE)


def conclude(
    config: SuiteConfig,
    card: ModelCard,
    infos: Sequence[EngineInfo],
    found: Mapping[str, PropertyResult],
    tasks: Sequence[Task],
    seconds: Mapping[str, float],
    levels: Mapping[str, str],
) -> SuiteResult:
    """Return what a suite says from the results of its tasks.

    Args:
        config: the suite.
        card: of the potential.
        infos: of the engines.
        found: label of a task -> its result.
        tasks: that take part, in their order.
        seconds: label of a task -> its wall-clock time.
        levels: material -> level of theory of its head; others have the card's.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[PropertyResult]] = {}
    parity = []
    for task in tasks:
        if task.name == PARITY:
            parity.append(found[task.label])
        elif task.name != START_POINT:
            key = (task.material, task.engines)
            groups.setdefault(key, []).append(found[task.label])
    results = [one for group in groups.values() for one in with_agreement(group)]
    references = load_all_references(config)
    return SuiteResult(
        config=config,
        card=card,
        parity=tuple(parity),
        results=tuple(results),
        comparisons=tuple(
            comparison
            for result in results
            for comparison in compare(
                result,
                references,
                with_defaults(config.thresholds),
                level_of_theory=levels.get(result.material, card.level_of_theory),
                cross=config.compare == "cross",
            )
        ),
        references=references,
        seconds=dict(seconds),
        engines=tuple(infos),
        levels=dict(levels),
    )


def load_all_references(config: SuiteConfig) -> tuple[ReferenceValue, ...]:
    """Return the records of every reference source of a suite.

    Raises:
        DataError: a file of records cannot be read.
    """
    names = {material.name for material in config.materials} | set(config.properties)
    found: list[ReferenceValue] = []
    treat: Unverified = "use" if "unverified" in config.references else "skip"
    for source in config.references:
        if source == "builtin":
            for name in sorted(names & set(known_materials())):
                found += load_references(name, unverified=treat)
        elif source == "unverified":
            continue
        else:
            own = load_file(source, unverified="use" if treat == "use" else "refuse")
            found += [r for r in own if r.material in names]
    return tuple(found)


def relaxed_start(crystal: Atoms, engine: Engine) -> Atoms:
    """Return a crystal at the engine's minimum.

    It is relaxed further than any property asks for, so that every property finds it
    converged.

    Raises:
        CheckFailedError: the relaxation did not converge or changed the crystal.
    """
    relaxed = relax_crystal(crystal, engine, START)
    if not relaxed.ok:
        problems = "; ".join(c.text or c.name for c in relaxed.checks if not c.ok)
        raise CheckFailedError(
            explain(
                f"{crystal.get_chemical_formula()} does not relax with this potential",
                got=problems,
                fix="train the potential on data of this crystal",
            )
        )
    return relaxed.atoms


def with_agreement(results: list[PropertyResult]) -> list[PropertyResult]:
    """Return the results of one engine, elastic constants checked against E(V).

    Two ways to the bulk modulus that do not agree mean that one of them is wrong, and
    nobody knows which.
    """
    by_name = {result.property: result for result in results}
    bulk, elastic = by_name.get("bulk"), by_name.get("elastic")
    if bulk is None or elastic is None:
        return results
    check = bulk_modulus_agreement(bulk, elastic)
    if check is None:
        return results
    checked = PropertyResult.conclude(
        elastic.property,
        elastic.material,
        elastic.engine,
        method=elastic.method,
        checks=[*elastic.checks, check],
        values=elastic.values,
        arrays=elastic.arrays,
    )
    return [checked if result is elastic else result for result in results]
