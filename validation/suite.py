"""What a validation run consists of: a YAML file into a frozen configuration."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import yaml

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.spec import EngineSpec, engine_spec

PROPERTIES: Final = ("parity", "bulk", "elastic", "phonon", "surface")
"""Every property, in the order in which a suite runs them."""

Geometry = Literal["shared", "own"]


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
        name: chemical formula; selects the references.
        structure: file with its crystal; none takes the built-in one.
    """

    name: str
    structure: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """A whole validation run.

    Attributes:
        model: the potential under test.
        engines: one or two engines; parity needs two.
        materials: what is computed.
        properties: property name -> its settings, a dataclass of its module.
        geometry: ``shared``: every engine starts from the crystal that the first one
            relaxed, so that differences between engines are differences of energies,
            forces and stresses; ``own``: every engine relaxes for itself.
        references: ``builtin`` and YAML files of reference records.
        strict: a physics comparison that fails makes the exit code 1.
    """

    model: ModelSpec
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

    def __post_init__(self) -> None:
        """Refuse suites that cannot run.

        Raises:
            ConfigError: no or repeated engines or materials, an unknown property or
                geometry, or parity with one engine.
        """
        for what, names in (
            ("engines", [engine.name for engine in self.engines]),
            ("materials", [material.name for material in self.materials]),
        ):
            if not names or len(set(names)) < len(names):
                raise ConfigError(
                    explain(
                        what, got=names or "none", wanted="one or more, named apart"
                    )
                )
        if not self.properties:
            raise ConfigError(
                explain("no properties", wanted=f"some of {', '.join(PROPERTIES)}")
            )
        for name in self.properties:
            _known(name, PROPERTIES, "properties")
        if self.geometry not in {"shared", "own"}:
            raise ConfigError(
                explain("geometry", got=self.geometry, wanted="shared or own")
            )
        if "parity" in self.properties and len(self.engines) != 2:
            raise ConfigError(
                explain(
                    "parity compares two engines",
                    got=f"{len(self.engines)} engine",
                    wanted="engines: [ase, lammps]",
                    fix="add an engine, or take parity out of the properties",
                )
            )


def settings_class(name: str) -> type[Any]:
    """Return the settings dataclass of a property.

    Raises:
        ConfigError: there is no such property.
    """
    _known(name, PROPERTIES, "properties")
    module = importlib.import_module(f"lamplighter.validation.properties.{name}")
    found: type[Any] = getattr(module, f"{name.capitalize()}Settings")
    return found


def default_settings(name: str) -> Any:
    """Return the settings of a property as they are without a suite."""
    return settings_class(name)()


def read_suite(path: str | Path) -> SuiteConfig:
    """Return the suite that a YAML file describes.

    Relative paths count from the folder of the file. Unknown keys are refused by name::

        model: {file: tuned.safetensors, head: pbe, dtype: float64}
        engines: [ase, {kind: lammps, ranks: 2}]
        materials: [MgO, {name: NaCl, structure: nacl.cif}]
        properties: {parity: {}, bulk: {}, phonon: {displacement: 0.02}}
        geometry: shared
        references: [builtin, my - references.yaml]

    Raises:
        ConfigError: the file is missing or no YAML, a key is unknown or missing, or a
            value has the wrong type.
    """
    source = Path(path)
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
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
    suite = _mapping(content, "the suite")
    names = [f.name for f in dataclasses.fields(SuiteConfig)]
    for key in suite:
        _known(key, names, "the suite")
    if "model" not in suite:
        raise ConfigError(
            explain("the suite names no model", wanted="model: {file: ..., head: ...}")
        )
    given: dict[str, Any] = {
        "model": _build(ModelSpec, suite["model"], "model", folder)
    }
    if "engines" in suite:
        given["engines"] = tuple(
            engine_spec(item, folder) for item in _list(suite["engines"], "engines")
        )
    if "materials" in suite:
        given["materials"] = tuple(
            _build(MaterialSpec, item, "materials", folder, short="name")
            for item in _list(suite["materials"], "materials")
        )
    if "properties" in suite:
        given["properties"] = _properties(suite["properties"])
    if "references" in suite:
        given["references"] = tuple(
            str(item) if item == "builtin" else str(folder / str(item))
            for item in _list(suite["references"], "references")
        )
    for key, default in (("geometry", "shared"), ("strict", False)):
        if key in suite:
            given[key] = _converted(suite[key], default, key)
    return SuiteConfig(**given)


def settings_from(name: str, content: object) -> Any:
    """Return the settings of a property from a mapping of some of its fields.

    Raises:
        ConfigError: unknown property or key, or a value of the wrong type.
    """
    cls = settings_class(name)
    default = cls()
    fields = [f.name for f in dataclasses.fields(cls)]
    given = _mapping(content if content is not None else {}, f"properties: {name}")
    for key in given:
        _known(key, fields, f"properties: {name}")
    return cls(
        **{
            key: _converted(value, getattr(default, key), f"properties: {name}: {key}")
            for key, value in given.items()
        }
    )


def _properties(content: object) -> dict[str, Any]:
    """Return settings in the order of [`PROPERTIES`][]; a list of names will do."""
    if isinstance(content, list):
        content = {str(name): {} for name in content}
    given = _mapping(content, "properties")
    for name in given:
        _known(name, PROPERTIES, "properties")
    return {
        name: settings_from(name, given[name]) for name in PROPERTIES if name in given
    }


def _build(
    cls: type[Any], content: object, where: str, folder: Path, short: str = ""
) -> Any:
    """Return an instance of a small dataclass; text alone fills the field `short`."""
    if short and isinstance(content, str):
        content = {short: content}
    given = dict(_mapping(content, where))
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key, value in given.items():
        _known(key, fields, where)
        kind = str(fields[key].type)
        if "Path" in kind and value is not None:
            given[key] = folder / Path(str(value)).expanduser()
        elif kind == "int":
            given[key] = _converted(value, 1, f"{where}: {key}")
        elif not isinstance(value, str):
            _refuse(f"{where}: {key}", value, "text")
    for name, item in fields.items():
        if item.default is dataclasses.MISSING and name not in given:
            raise ConfigError(explain(f"{where}: key {name!r} is missing"))
    return cls(**given)


def _converted(value: object, default: object, where: str) -> Any:
    """Return `value` in the type of the default of its field."""
    if isinstance(value, Mapping):
        _refuse(where, value, "a number, text or a list")
    if default is None or value is None:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(default, bool):
        return (
            value if isinstance(value, bool) else _refuse(where, value, "true, false")
        )
    if isinstance(default, tuple):
        items = _list(value, where)
        example = default[0] if default else None
        return tuple(_converted(item, example, where) for item in items)
    if isinstance(default, float):
        return _float(value, where)
    if isinstance(value, type(default)) and not isinstance(value, bool):
        return value
    return _refuse(where, value, f"something like {default!r}")


def _float(value: object, where: str) -> float:
    """Return a number; YAML 1.1 reads 1e-4 as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        _refuse(where, value, "a number")
    try:
        return float(value)
    except ValueError:
        _refuse(where, value, "a number")


def _mapping(content: object, where: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        _refuse(where, content, "a mapping, key: value")
    return {str(key): value for key, value in content.items()}


def _list(content: object, where: str) -> list[Any]:
    return (
        list(content)
        if isinstance(content, list | tuple)
        else _refuse(where, content, "a list")
    )


def _known(name: str, known: Any, where: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    raise ConfigError(
        explain(
            f"unknown key {name!r} in {where}",
            wanted=f"one of {', '.join(known)}",
            fix=f"did you mean {near[0]!r}?" if near else "remove it",
        )
    )


def _refuse(where: str, value: object, wanted: str) -> NoReturn:
    raise ConfigError(
        explain(f"wrong value for {where}", got=repr(value), wanted=wanted)
    )
