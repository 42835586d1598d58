"""Run a suite: parity first, then every property through every engine, with resume."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal

from ase import Atoms

from lamplighter import console
from lamplighter.errors import (
    CheckFailedError,
    ConfigError,
    EngineError,
    LamplighterError,
    explain,
)
from lamplighter.validation.compare import Comparison, compare
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.materials import parity_structures, structure_of
from lamplighter.validation.open_engines import (
    ModelCard,
    engines,
    one_thread_each,
    read_card,
)
from lamplighter.validation.properties.base import Check, PropertyResult
from lamplighter.validation.properties.elastic import bulk_modulus_agreement
from lamplighter.validation.refs import ReferenceValue, load_file, load_references
from lamplighter.validation.refs import materials as known_materials
from lamplighter.validation.relax import RelaxSettings, relax_crystal
from lamplighter.validation.store import Store
from lamplighter.validation.suite import MaterialSpec, SuiteConfig

State = Literal["pass", "miss", "fail"]

RESULTS_FOLDER: Final = "results"


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
    """

    config: SuiteConfig
    card: ModelCard
    parity: tuple[PropertyResult, ...]
    results: tuple[PropertyResult, ...]
    comparisons: tuple[Comparison, ...]
    references: tuple[ReferenceValue, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    engines: tuple[EngineInfo, ...] = ()

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


def run_suite(config: SuiteConfig, folder: Path) -> SuiteResult:
    """Run a suite, or what is left of it, and return every result.

    Each finished property is kept in ``results/`` of `folder`, one file each, and is
    used again when nothing that it depends on has changed. Engines run beside each
    other, one thread each.

    Args:
        config: what to run.
        folder: where results and the converted model go; made if it does not exist.

    Raises:
        ConfigError: an unknown head, element or material.
        ArtifactError: a model file that cannot be read.
        EngineError: LAMMPS cannot be started for the parity test.
    """
    card = read_card(config.model)
    crystals = {m.name: structure_of(m.name, m.structure) for m in config.materials}
    _check_elements(crystals, card)
    elements = sorted({s for a in crystals.values() for s in a.get_chemical_symbols()})
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_thread_each())
        opened = stack.enter_context(engines(config, card, elements, folder))
        total = _count(config)
        advance = stack.enter_context(console.progress(total, "validation"))
        work = _Work(config, Store(folder / RESULTS_FOLDER), advance)
        parity, results = [], []
        for material in config.materials:
            crystal = crystals[material.name]
            if "parity" in config.properties:
                parity.append(work.parity(material, crystal, opened))
            results += work.properties(material, crystal, opened)
        infos = tuple(engine.info for engine in opened)
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
                result, references, level_of_theory=card.level_of_theory
            )
        ),
        references=references,
        seconds=work.seconds,
        engines=infos,
    )


def load_all_references(config: SuiteConfig) -> tuple[ReferenceValue, ...]:
    """Return the records of every reference source of a suite.

    Raises:
        DataError: a file of records cannot be read.
    """
    names = {material.name for material in config.materials}
    found: list[ReferenceValue] = []
    for source in config.references:
        if source == "builtin":
            for name in sorted(names & set(known_materials())):
                found += load_references(name, unverified="use")
        else:
            found += [r for r in load_file(source) if r.material in names]
    return tuple(found)


class _Work:
    """The tasks of one suite, their store and their clock."""

    def __init__(
        self, config: SuiteConfig, store: Store, advance: Callable[[int, str], None]
    ) -> None:
        self._config = config
        self._store = store
        self._advance = advance
        self._failures = store.folder.parent / "parity-failures"
        self.seconds: dict[str, float] = {}

    def parity(
        self, material: MaterialSpec, crystal: Atoms, opened: Sequence[Engine]
    ) -> PropertyResult:
        """Return the parity of the two engines."""
        first, second = opened
        settings = self._config.properties["parity"]
        saving = settings
        if settings.failures is None:
            saving = dataclasses.replace(settings, failures=self._failures)
        structures = parity_structures(crystal)
        module = importlib.import_module("lamplighter.validation.properties.parity")
        compute = partial(module.run, structures, first, second, saving)
        path = self._store.path(
            "parity", material.name, second.info, settings, structures
        )
        result = self._once(path, f"parity {material.name}", compute)
        return dataclasses.replace(result, material=material.name)

    def properties(
        self, material: MaterialSpec, crystal: Atoms, opened: Sequence[Engine]
    ) -> list[PropertyResult]:
        """Return every property of a material, engine by engine."""
        names = [name for name in self._config.properties if name != "parity"]
        if not names:
            return []
        shared = self._config.geometry == "shared"
        start = crystal
        if shared:
            try:
                with self._timed(f"relaxation {material.name}"):
                    start = relaxed_start(crystal, opened[0])
            except (CheckFailedError, EngineError) as error:
                return [
                    _broken(name, material.name, engine, error)
                    for engine in opened
                    for name in names
                ]
        lanes = [
            partial(self._lane, material, start, engine, names) for engine in opened
        ]
        with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
            futures = [pool.submit(lane) for lane in lanes]
        return [result for future in futures for result in future.result()]

    def _lane(
        self, material: MaterialSpec, start: Atoms, engine: Engine, names: Sequence[str]
    ) -> list[PropertyResult]:
        results = []
        for name in names:
            settings = self._config.properties[name]
            module = importlib.import_module(
                f"lamplighter.validation.properties.{name}"
            )
            path = self._store.path(name, material.name, engine.info, settings, start)
            label = f"{name} {material.name} {engine.info.name}"
            compute = partial(module.run, start, engine, settings)
            try:
                results.append(self._once(path, label, compute))
            except EngineError as error:
                results.append(_broken(name, material.name, engine, error))
        return with_agreement(results)

    def _once(
        self, path: Path, label: str, compute: Callable[[], PropertyResult]
    ) -> PropertyResult:
        """Return the result on disk, or compute and keep it."""
        self._advance(0, label)
        result = self._store.load(path)
        if result is None:
            with self._timed(label):
                result = compute()
            self._store.save(path, result)
        else:
            self.seconds[label] = 0.0
        self._advance(1, label)
        return result

    @contextlib.contextmanager
    def _timed(self, label: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[label] = time.perf_counter() - begin


def relaxed_start(crystal: Atoms, engine: Engine) -> Atoms:
    """Return a crystal at the engine's minimum.

    It is relaxed further than any property asks for, so that every property finds it
    converged.

    Raises:
        CheckFailedError: the relaxation did not converge or changed the crystal.
    """
    settings = RelaxSettings(fmax=2e-5, max_stress=2e-4)
    relaxed = relax_crystal(crystal, engine, settings)
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


def _broken(
    name: str, material: str, engine: Engine, error: LamplighterError
) -> PropertyResult:
    """Return an invalid result that carries the error; it is not kept on disk."""
    check = Check(name="calculation", ok=False, text=str(error))
    return PropertyResult.conclude(
        name, material, engine.info, method={}, checks=[check]
    )


def _check_elements(crystals: dict[str, Atoms], card: ModelCard) -> None:
    for name, atoms in crystals.items():
        missing = sorted(set(atoms.get_chemical_symbols()) - set(card.elements))
        if missing:
            raise ConfigError(
                explain(
                    f"head {card.head!r} lacks elements of {name}",
                    got=", ".join(missing),
                    wanted=f"some of {', '.join(card.elements)}",
                    fix="choose another material or head",
                )
            )


def _count(config: SuiteConfig) -> int:
    """Return how many property results a suite has."""
    names = [name for name in config.properties if name != "parity"]
    per_material = len(names) * len(config.engines) + ("parity" in config.properties)
    return per_material * len(config.materials)
