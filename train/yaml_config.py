"""YAML into frozen dataclasses: unknown keys are refused by name, types are checked."""

from __future__ import annotations

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lamplighter.errors import ConfigError, explain

T = TypeVar("T")

MERGE = "tag:yaml.org,2002:merge"
"""Of the key ``<<``, which takes over another mapping."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that comes twice, of which yaml takes the last without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return the mapping of a node."""
        names = [
            key.value
            for key, _ in node.value
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE
        ]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {name!r} comes twice",
                    problem_mark=node.start_mark,
                )
        return super().construct_mapping(node, deep)


def read_yaml(cls: type[T], path: str | os.PathLike[str]) -> T:
    """Return the configuration of type `cls` that a YAML file holds.

    Relative paths in the file count from the folder of the file.

    Raises:
        ConfigError: the file is missing, is not YAML, or names an unknown key, lacks a
            required one, or gives a value of the wrong type.
    """
    content = read_mapping(path)
    folder = Path(path).parent.resolve()
    return from_mapping(cls, content, where=str(path), folder=folder)


def read_mapping(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        ConfigError: the file is missing, or is not YAML, or holds no mapping.
    """
    source = Path(path)
    if not source.is_file():
        raise ConfigError(
            explain("configuration file not found", got=source, wanted="a YAML file")
        )
    try:
        # The loader is that of yaml.safe_load.
        content = yaml.load(source.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(explain(f"{source} is not YAML", got=error)) from error
    if not isinstance(content, dict):
        raise ConfigError(
            explain(f"{source} holds no settings", got=content, wanted="key: value")
        )
    return content


def from_mapping(
    cls: type[T],
    content: Mapping[str, Any],
    *,
    where: str,
    folder: Path,
    start: T | None = None,
) -> T:
    """Return the dataclass `cls` filled from a mapping.

    Settings inside a setting start from its default: `optimizer` of a post-training has
    another learning rate than `optimizer` of a training, also where a file names
    something else of it.

    Args:
        cls: a dataclass whose fields are numbers, text, paths, literals, tuples,
            mappings of text to numbers, or dataclasses of these.
        content: the mapping.
        where: what to call the mapping in messages.
        folder: where relative paths count from.
        start: what the fields are that the mapping leaves out; None: their defaults.

    Raises:
        ConfigError: see [`read_yaml`][].
    """
    fields = {f.name: f for f in dataclasses.fields(typing.cast("Any", cls))}
    for key in content:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.5)
            raise ConfigError(
                explain(
                    f"unknown key {key!r} in {where}",
                    wanted=f"one of {', '.join(fields)}",
                    fix=f"did you mean {near[0]!r}?" if near else "remove it",
                )
            )
    for name, field in fields.items():
        if start is None and name not in content and _is_required(field):
            raise ConfigError(explain(f"key {name!r} is missing in {where}"))
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in content.items():
        place, hint = f"{where}: {key}", hints[key]
        default = _default(fields[key], start)
        if dataclasses.is_dataclass(default) and isinstance(value, Mapping):
            kind = typing.cast("type[Any]", hint)
            values[key] = from_mapping(
                kind, value, where=place, folder=folder, start=default
            )
        else:
            values[key] = _convert(hint, value, place, folder)
    if start is None:
        return cls(**values)
    return typing.cast("T", dataclasses.replace(typing.cast("Any", start), **values))


def _default(field: dataclasses.Field[Any], start: object) -> Any:
    """The value of a field that a mapping leaves out; None where it may not."""
    if start is not None:
        return getattr(start, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None


def to_mapping(config: object) -> dict[str, Any]:
    """Return a configuration as plain numbers, text, lists and mappings (for JSON)."""
    return typing.cast("dict[str, Any]", _plain(config))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return (
        field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    )


def _convert(hint: Any, value: Any, where: str, folder: Path) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        if value is None and type(None) in args:
            return None
        (hint,) = [a for a in args if a is not type(None)]
        return _convert(hint, value, where, folder)
    if origin is typing.Literal:
        if value not in args:
            raise _refusal(where, value, f"one of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        return _sequence(args, value, where, folder)
    if origin is dict or dataclasses.is_dataclass(hint):
        return _mapping(hint, value, where, folder)
    return _scalar(hint, value, where, folder)


def _mapping(hint: Any, value: Any, where: str, folder: Path) -> Any:
    """A dataclass, or a dictionary from text to one type of value."""
    if not isinstance(value, Mapping):
        raise _refusal(where, value, "a mapping, key: value")
    if dataclasses.is_dataclass(hint):
        cls = typing.cast("type[Any]", hint)
        return from_mapping(cls, value, where=where, folder=folder)
    kind = typing.get_args(hint)[1]
    return {
        str(k): _convert(kind, v, f"{where}: {k}", folder) for k, v in value.items()
    }


def _sequence(args: tuple[Any, ...], value: Any, where: str, folder: Path) -> Any:
    items = value if isinstance(value, (list, tuple)) else [value]
    if len(args) == 2 and args[1] is Ellipsis:
        kinds = [args[0]] * len(items)
    elif len(args) == len(items):
        kinds = list(args)
    else:
        raise _refusal(where, value, f"{len(args)} values")
    return tuple(
        _convert(kind, item, f"{where}[{n}]", folder)
        for n, (kind, item) in enumerate(zip(kinds, items, strict=True))
    )


def _scalar(hint: Any, value: Any, where: str, folder: Path) -> Any:
    if hint is Path and isinstance(value, str):
        return _path(value, folder)
    if hint is float:
        return _float(value, where)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    wanted = {bool: "true or false", int: "an integer", str: "text"}
    raise _refusal(where, value, wanted.get(hint, getattr(hint, "__name__", str(hint))))


def _float(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    raise _refusal(where, value, "a number")


def _path(value: str, folder: Path) -> Path:
    """A path as it is given; a name like ``dataset:crystal_pbe`` is left alone."""
    if value.startswith(("dataset:", "model:")):
        return Path(value)
    return folder / Path(value).expanduser()


def _refusal(where: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(
        explain(f"wrong value for {where}", got=repr(value), wanted=wanted)
    )
