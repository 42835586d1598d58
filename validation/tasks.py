"""A suite as tasks: what is computed, by which engine, after what."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.parity_points_once import points_once
from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.registry import find
from lamplighter.validation.relax import RelaxSettings
from lamplighter.validation.suite import (
    MODEL,
    MaterialKind,
    MaterialSpec,
    SuiteConfig,
)

START_POINT: Final = "start"
"""The task that relaxes a material for all its properties; no property itself."""
PARITY: Final = "parity"
START: Final = RelaxSettings(fmax=2e-5, max_stress=2e-4)
"""Further than any property asks for, so that every property finds it converged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work, done or not done as a whole.

    Attributes:
        name: of the property, or ``start``: the relaxation before all of them.
        material: name of the material.
        engines: one name; parity has two.
        settings: of the property.
        after: label of the relaxation whose end it starts from; none starts from the
            structure as given.
    """

    name: str
    material: str
    engines: tuple[str, ...]
    settings: Any
    after: str = ""

    @property
    def label(self) -> str:
        """Return a text that no other task of the suite has."""
        words = [self.name, self.material]
        if self.name not in {PARITY, START_POINT}:
            words += self.engines
        return " ".join(words)

    @property
    def slug(self) -> str:
        """Return the label as a file name."""
        return slug(self.label)


def slug(label: str) -> str:
    """Return a label as a file name.

    >>> slug("surface MgO(100) ase")
    'surface_MgO-100-_ase'
    """
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", label.replace(" ", "_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of several parts of a suite that run apart.

    Attributes:
        index: 1 to `count`.
        count: number of parts.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        """Refuse parts that do not exist."""
        if not 1 <= self.index <= self.count:
            raise ConfigError(
                explain(
                    "shard",
                    got=f"{self.index}/{self.count}",
                    wanted="i/n with i from 1 to n, for example 3/16",
                )
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard of a text like ``3/16``.

        Raises:
            ConfigError: the text is no such thing.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None:
            raise ConfigError(
                explain("shard", got=repr(text), wanted="i/n, for example 3/16")
            )
        return cls(index=int(match[1]), count=int(match[2]))


def kind_of(material: MaterialSpec, atoms: Atoms) -> MaterialKind:
    """Return what a material is: what the suite says, or what its periodicity says."""
    if material.kind is not None:
        return material.kind
    directions = int(atoms.pbc.sum())
    return "crystal" if directions == 3 else "slab" if directions else "molecule"


def plan(config: SuiteConfig, structures: Mapping[str, Atoms]) -> list[Task]:
    """Return every task of a suite: parity of all materials first.

    What parity tries of the engines themselves, it tries once for each set of elements;
    see [`points_once`][lamplighter.validation.parity_points_once].

    Args:
        config: the suite.
        structures: material name -> structure as given.

    Raises:
        ConfigError: a property applies to none of the materials, or not to the one that
            asks for it.
    """
    kinds = {m.name: kind_of(m, structures[m.name]) for m in config.materials}
    both = tuple(engine.name for engine in config.engines)
    rest: list[Task] = []
    parity: dict[str, ParitySettings] = {}
    for material in config.materials:
        asked = _asked(config, material, kinds[material.name])
        if PARITY in asked:
            parity[material.name] = asked[PARITY] or ParitySettings()
        others = {name: value for name, value in asked.items() if name != PARITY}
        rest += _of_material(config, material.name, others)
    models = [
        _task(name, MODEL, (engine,), settings)
        for engine in both
        for name, settings in config.properties.items()
        if find(name).applies_to == (MODEL,)
    ]
    first = [
        _task(PARITY, material, both, settings)
        for material, settings in points_once(config, structures, parity).items()
    ]
    tasks = [*first, *rest, *models]
    _check_all_apply(config, tasks)
    _check_apart(tasks)
    return tasks


def _check_apart(tasks: Sequence[Task]) -> None:
    """Refuse names that give two tasks one label or one file."""
    known: dict[str, Task] = {}
    for task in tasks:
        other = known.setdefault(task.slug, task)
        if other is not task:
            raise ConfigError(
                explain(
                    "two tasks would share one file",
                    got=f"{other.label!r} and {task.label!r}, both {task.slug}",
                    wanted="names that differ in more than blanks and signs",
                    fix="rename a material or an engine",
                )
            )


def _of_material(
    config: SuiteConfig, material: str, asked: Mapping[str, Any]
) -> Iterator[Task]:
    """Yield the relaxation of a material, then its properties engine by engine."""
    if not asked:
        return
    after = ""
    if config.geometry == "shared":
        start = _task(START_POINT, material, (config.engines[0].name,), START)
        yield start
        after = start.label
    for engine in config.engines:
        for name, settings in asked.items():
            task = _task(name, material, (engine.name,), settings)
            yield dataclasses.replace(task, after=after)


def _task(name: str, material: str, engines: tuple[str, ...], settings: object) -> Task:
    return Task(name=name, material=material, engines=engines, settings=settings)


def _asked(
    config: SuiteConfig, material: MaterialSpec, kind: MaterialKind
) -> Mapping[str, Any]:
    """Return the properties of a material, settings included."""
    if material.properties is None:
        return {
            name: settings
            for name, settings in config.properties.items()
            if kind in find(name).applies_to
        }
    for name in material.properties:
        kinds = find(name).applies_to
        if kind not in kinds:
            raise ConfigError(
                explain(
                    f"{name} does not apply to {material.name}",
                    got=f"a {kind}",
                    wanted=" or ".join(kinds),
                    fix=f"take {name} out of the properties of {material.name}",
                )
            )
    return material.properties


def _check_all_apply(config: SuiteConfig, tasks: Sequence[Task]) -> None:
    used = {task.name for task in tasks}
    for name in config.properties:
        if name not in used and all(m.properties is None for m in config.materials):
            raise ConfigError(
                explain(
                    f"{name} applies to none of the materials",
                    got=", ".join(material.name for material in config.materials),
                    wanted=" or ".join(find(name).applies_to),
                    fix=f"take {name} out of the properties, or add a material",
                )
            )


def select(
    tasks: Sequence[Task],
    *,
    only: Sequence[str] = (),
    engines: Sequence[str] = (),
    shard: Shard | None = None,
) -> list[Task]:
    """Return some tasks and the relaxations that they start from.

    Args:
        tasks: of the whole suite.
        only: ``property`` or ``property:material``, shell-style patterns; none is all.
        engines: names; a task is taken if all its engines are named; none is all.
        shard: one part of what is left; the same tasks give the same parts.

    Raises:
        ConfigError: a pattern or an engine that no task has, or both leave nothing.
    """
    chosen = [task for task in tasks if task.name != START_POINT]
    _check_names(engines, chosen)
    for pattern in only:
        if not any(_matches(task, pattern) for task in chosen):
            found = dict.fromkeys(f"{t.name}:{t.material}" for t in chosen)
            raise ConfigError(
                explain(
                    "no task of the suite is meant by --only",
                    got=pattern,
                    wanted=f"one of {', '.join(found)}, or a pattern",
                )
            )
    if only:
        chosen = [t for t in chosen if any(_matches(t, pattern) for pattern in only)]
    if engines:
        chosen = [t for t in chosen if set(t.engines) <= set(engines)]
    if not chosen:
        raise ConfigError(
            explain(
                "--only and --engine together leave nothing of the suite",
                got=f"{' '.join(only)} with {' '.join(engines)}",
                wanted="at least one task",
                fix="parity needs both of its engines; name them, or no engine",
            )
        )
    if shard is not None:
        chosen = chosen[shard.index - 1 :: shard.count]
    wanted = {task.label for task in chosen} | {task.after for task in chosen}
    return [task for task in tasks if task.label in wanted]


def _matches(task: Task, pattern: str) -> bool:
    name, _, material = pattern.partition(":")
    return fnmatchcase(task.name, name) and fnmatchcase(task.material, material or "*")


def _check_names(engines: Sequence[str], tasks: Sequence[Task]) -> None:
    present = dict.fromkeys(name for task in tasks for name in task.engines)
    for name in engines:
        if name not in present:
            raise ConfigError(
                explain("unknown engine", got=name, wanted=", ".join(present))
            )
