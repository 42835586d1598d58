"""What a validation run consists of: a YAML file into a frozen configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

from lamplighter.errors import ConfigError, explain
from lamplighter.validation import registry
from lamplighter.validation.engines.spec import EngineSpec, engine_spec
from lamplighter.validation.registry import default_settings, settings_class
from lamplighter.validation.suite_checks import (
    check_apart,
    check_elements,
    check_name,
    check_time_limit,
)
from lamplighter.validation.thresholds import Threshold, thresholds_of_suite
from lamplighter.validation.yaml_text import read_yaml
from lamplighter.validation.yaml_values import (
    build,
    converted,
    known,
    listing,
    mapping,
    refuse,
)

__all__ = [
    "PROPERTIES",
    "EngineSpec",
    "MaterialSpec",
    "ModelSpec",
    "SuiteConfig",
    "default_settings",
    "read_suite",
    "settings_class",
    "settings_from",
    "suite_from_mapping",
]

MODEL: Final = "model"
"""Stands in the place of a material for properties that need no structure."""

PROPERTIES: Final = registry.DEFAULT
"""The properties of a suite that names none, in the order in which it runs them."""

Geometry = Literal["shared", "own"]
MaterialKind = Literal["crystal", "slab", "molecule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The potential under test.

    Attributes:
        file: the potential (safetensors).
        head: the head to validate, by name.
        dtype: precision of both engines, ``float64`` or ``float32``.
    """

    file: Path
    head: str
    dtype: str = "float64"

    def __post_init__(self) -> None:
        """Refuse a precision that does not exist."""
        if self.dtype not in {"float64", "float32"}:
            raise ConfigError(
                explain("model: dtype", got=self.dtype, wanted="float64 or float32")
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialSpec:
    """One material of a suite.

    Attributes:
        name: chemical formula or name; selects the references.
        structure: file with its structure; none takes the built-in one.
        kind: ``crystal``, ``slab`` or ``molecule``; none tells by its periodicity.
        properties: property name -> its settings for this material; none takes the
            suite's properties that apply to its kind.
        head: of the model for this material; none takes the suite's.
    """

    name: str
    structure: Path | None = None
    kind: MaterialKind | None = None
    properties: Mapping[str, Any] | None = None
    head: str = ""

    def __post_init__(self) -> None:
        """Refuse kinds that do not exist, and names that mean something else."""
        check_name(self.name, "materials: name")
        if self.name == MODEL:
            raise ConfigError(
                explain(
                    f"no material can be called {MODEL!r}",
                    wanted="another name: it stands for properties of the model alone",
                )
            )
        if self.kind is not None:
            known(self.kind, get_args(MaterialKind), f"material {self.name}: kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """A whole validation run.

    Attributes:
        model: the potential under test; none when every engine brings its own.
        engines: one or two engines; parity needs two.
        materials: what is computed.
        properties: property name -> its settings, a dataclass of its module.
        geometry: ``shared``: every engine starts from the crystal that the first one
            relaxed, so that differences between engines are differences of energies,
            forces and stresses; ``own``: every engine relaxes for itself.
        references: ``builtin`` and YAML files of reference records; ``unverified``
            adds built-in values that nobody checked against their source.
        strict: a physics comparison that fails makes the exit code 1.
        level_of_theory: what references must match; none takes the head's own.
        time_limit: seconds that one task may take; 0 is no limit.
        elements: that properties of the model alone cover besides the materials';
            with them a suite needs no material.
        compare: ``level``: only references at the level of theory give verdicts;
            ``cross``: those of other functionals and experiments as well.
        thresholds: of the suite; they come before the built-in ones.
    """

    model: ModelSpec | None = None
    engines: tuple[EngineSpec, ...] = (
        EngineSpec(kind="ase"),
        EngineSpec(kind="lammps"),
    )
    materials: tuple[MaterialSpec, ...] = (MaterialSpec(name="MgO"),)
    properties: Mapping[str, Any] = field(
        default_factory=lambda: {name: default_settings(name) for name in PROPERTIES}
    )
    geometry: Geometry = "shared"
    references: tuple[str, ...] = ("builtin",)
    strict: bool = False
    level_of_theory: str = ""
    time_limit: float = 0.0
    elements: tuple[str, ...] = ()
    compare: Literal["level", "cross"] = "level"
    thresholds: tuple[Threshold, ...] = ()

    def __post_init__(self) -> None:
        """Refuse suites that cannot run.

        Raises:
            ConfigError: no or repeated engines or materials, an unknown property,
                geometry or element, parity with one engine, or an engine without a
                model.
        """
        check_apart("engines", [engine.name for engine in self.engines])
        names = [material.name for material in self.materials]
        check_apart("materials", names, may_be_none=bool(self.elements))
        check_apart("references", self.references, may_be_none=True)
        for name in [engine.name for engine in self.engines]:
            check_name(name, "engines: name")
        check_elements(self.elements)
        asked = self._asked()
        if not asked:
            names_known = ", ".join(registry.names())
            raise ConfigError(explain("no properties", wanted=f"some of {names_known}"))
        for name in asked:
            known(name, registry.names(), "properties")
        if self.geometry not in {"shared", "own"}:
            raise ConfigError(
                explain("geometry", got=self.geometry, wanted="shared or own")
            )
        if self.compare not in {"level", "cross"}:
            raise ConfigError(
                explain("compare", got=self.compare, wanted="level or cross")
            )
        if "parity" in asked and len(self.engines) != 2:
            raise ConfigError(
                explain(
                    "parity compares two engines",
                    got=f"{len(self.engines)} engine",
                    wanted="engines: [ase, lammps]",
                    fix="add an engine, or take parity out of the properties",
                )
            )
        self._check_model()

    def _asked(self) -> list[str]:
        """Return the properties of the suite and of its materials."""
        own = [name for m in self.materials for name in m.properties or ()]
        return [*self.properties, *own]

    def _check_model(self) -> None:
        lacking = [e.name for e in self.engines if not e.foreign]
        if self.model is None and lacking:
            raise ConfigError(
                explain(
                    "the suite names no model",
                    got=f"engine {', '.join(lacking)} that needs one",
                    wanted="model: {file: ..., head: ...}, or engines with a calculator"
                    " or a pair_style",
                )
            )
        headed = [m.name for m in self.materials if m.head]
        if self.model is None and headed:
            raise ConfigError(
                explain(
                    f"{headed[0]} names a head, and the suite no model",
                    fix="take head out of the material, or name a model",
                )
            )
        check_time_limit(self.time_limit)


def read_suite(path: str | Path) -> SuiteConfig:
    """Return the suite that a YAML file describes.

    Relative paths count from the folder of the file. Unknown keys are refused by name::

        model: {file: tuned.safetensors, head: pbe, dtype: float64}
        engines: [ase, {kind: lammps, ranks: 2}]
        materials: [MgO, {name: NaCl, structure: nacl.cif}]
        properties: {parity: {}, bulk: {}, phonon: {displacement: 0.02}}
        geometry: shared
        references: [builtin, mine.yaml]
        compare: level
        thresholds: [limits.yaml]

    Raises:
        ConfigError: the file is missing or no YAML, a key is unknown or missing, or a
            value has the wrong type.
    """
    source = Path(path)
    try:
        content = read_yaml(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            explain(f"cannot read the suite {source}", got=error, wanted="a YAML file")
        ) from error
    return suite_from_mapping(content, source.resolve().parent)


def suite_from_mapping(content: object, folder: Path) -> SuiteConfig:
    """Return the suite of a mapping; relative paths count from `folder`.

    Raises:
        ConfigError: see [`read_suite`][].
    """
    suite = mapping(content, "the suite")
    for key in suite:
        known(key, [f.name for f in dataclasses.fields(SuiteConfig)], "the suite")
    given: dict[str, Any] = {}
    if suite.get("model") is not None:
        given["model"] = build(ModelSpec, suite["model"], "model", folder)
    if "engines" in suite:
        given["engines"] = tuple(
            engine_spec(item, folder) for item in listing(suite["engines"], "engines")
        )
    asked = suite.get("properties", list(PROPERTIES))
    if "properties" in suite:
        given["properties"] = _properties(asked, {})
    if "materials" in suite:
        given["materials"] = tuple(
            _material(item, folder, _by_name(asked, "properties"))
            for item in listing(suite["materials"], "materials")
        )
    if "references" in suite:
        given["references"] = tuple(
            _reference(item, folder)
            for item in listing(suite["references"], "references")
        )
    if "thresholds" in suite:
        limits = listing(suite["thresholds"], "thresholds")
        given["thresholds"] = thresholds_of_suite(limits, folder)
    for item in dataclasses.fields(SuiteConfig):
        if item.name in suite and item.name not in given and item.name != "model":
            given[item.name] = converted(suite[item.name], item.default, item.name)
    return SuiteConfig(**given)


def _reference(item: object, folder: Path) -> str:
    """Return ``builtin``, ``unverified`` or the path of a file of records."""
    if not isinstance(item, str) or not item:
        refuse("references", item, "builtin, unverified or the path of a file")
    if item in {"builtin", "unverified"}:
        return item
    return str(folder / Path(item).expanduser())


def settings_from(name: str, content: object) -> Any:
    """Return the settings of a property from a mapping of some of its fields.

    Raises:
        ConfigError: unknown property or key, or a value of the wrong type.
    """
    cls = settings_class(name)
    default = cls()
    fields = [f.name for f in dataclasses.fields(cls)]
    given = mapping(content if content is not None else {}, f"properties: {name}")
    for key in given:
        known(key, fields, f"properties: {name}")
    return cls(
        **{
            key: converted(value, getattr(default, key), f"properties: {name}: {key}")
            for key, value in given.items()
        }
    )


def _material(item: object, folder: Path, common: Mapping[str, Any]) -> MaterialSpec:
    """Return a material; its own properties start from the suite's settings."""
    if isinstance(item, str):
        return MaterialSpec(name=item)
    content = dict(mapping(item, "materials"))
    own = content.pop("properties", None)
    material: MaterialSpec = build(MaterialSpec, content, "materials", folder)
    if own is None:
        return material
    return dataclasses.replace(material, properties=_properties(own, common))


def _properties(content: object, common: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in the order of the registry; a list of names will do."""
    given = _by_name(content, "properties")
    for name in given:
        known(name, registry.names(), "properties")
    return {
        name: settings_from(
            name,
            {
                **mapping(common.get(name) or {}, f"properties: {name}"),
                **mapping(given[name] or {}, f"properties: {name}"),
            },
        )
        for name in registry.names()
        if name in given
    }


def _by_name(content: object, where: str) -> Mapping[str, Any]:
    """Return a mapping; of a list its names without settings."""
    if isinstance(content, list):
        content = {str(name): {} for name in content}
    return mapping(content, where)
