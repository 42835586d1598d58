"""Values as YAML gives them into the types of configuration dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from lamplighter.errors import ConfigError, explain
from lamplighter.resources import model_file


def build(
    cls: type[Any], content: object, where: str, folder: Path, short: str = ""
) -> Any:
    """Return an instance of a small dataclass of the suite.

    Args:
        cls: the dataclass; its annotations say what its fields take.
        content: a mapping of its fields; text alone fills the field `short`.
        where: what a message calls it.
        folder: relative paths count from here.
        short: name of that field; none refuses text alone.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type.
    """
    if short and isinstance(content, str):
        content = {short: content}
    given = dict(mapping(content, where))
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key, value in given.items():
        known(key, fields, where)
        given[key] = _field(str(fields[key].type), value, f"{where}: {key}", folder)
    for name, item in fields.items():
        missing = dataclasses.MISSING
        if (
            item.default is missing
            and item.default_factory is missing
            and name not in given
        ):
            raise ConfigError(explain(f"{where}: key {name!r} is missing"))
    return cls(**given)


def _field(kind: str, value: object, where: str, folder: Path) -> Any:
    """Return the value of a field whose annotation is `kind`."""
    if "Path" in kind:
        if value is None:
            return None
        return folder / model_file(Path(_text(value, where)).expanduser())
    if kind.startswith("Mapping"):
        return dict(mapping(value, where))
    if kind.startswith("tuple"):
        items = [value] if isinstance(value, str) else listing(value, where)
        return tuple(_text(item, where) for item in items)
    if kind in {"int", "float", "bool"}:
        return converted(value, {"int": 1, "float": 1.0, "bool": True}[kind], where)
    return _text(value, where)


def _text(value: object, where: str) -> str:
    return value if isinstance(value, str) else refuse(where, value, "text")


def converted(value: object, default: object, where: str) -> Any:
    """Return `value` in the type of the default of its field.

    Raises:
        ConfigError: it is of another type.
    """
    if isinstance(value, Mapping):
        refuse(where, value, "a number, text or a list")
    if value is None and default is not None:
        refuse(where, value, f"something like {default!r}; or leave the key out")
    if default is None:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(default, bool):
        return value if isinstance(value, bool) else refuse(where, value, "true, false")
    if isinstance(default, tuple):
        items = listing(value, where)
        example = default[0] if default else None
        return tuple(converted(item, example, where) for item in items)
    if isinstance(default, float):
        return _float(value, where)
    if isinstance(value, type(default)) and not isinstance(value, bool):
        return value
    return refuse(where, value, f"something like {default!r}")


def _float(value: object, where: str) -> float:
    """Return a number; YAML 1.1 reads 1e-4 as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        refuse(where, value, "a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        refuse(where, value, "a number")


def mapping(content: object, where: str) -> Mapping[str, Any]:
    """Return `content` with keys of text.

    Raises:
        ConfigError: it is no mapping.
    """
    if not isinstance(content, Mapping):
        refuse(where, content, "a mapping, key: value")
    return {str(key): value for key, value in content.items()}


def listing(content: object, where: str) -> list[Any]:
    """Return `content` as a list.

    Raises:
        ConfigError: it is neither a list nor a tuple.
    """
    return (
        list(content)
        if isinstance(content, list | tuple)
        else refuse(where, content, "a list")
    )


def known(name: str, names: Iterable[str], where: str) -> None:
    """Do nothing if `name` is one of `names`.

    Raises:
        ConfigError: it is not; the message names the nearest.
    """
    names = list(names)
    if name in names:
        return
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    raise ConfigError(
        explain(
            f"unknown key {name!r} in {where}",
            wanted=f"one of {', '.join(names)}",
            fix=f"did you mean {near[0]!r}?" if near else "remove it",
        )
    )


def refuse(where: str, value: object, wanted: str) -> NoReturn:
    """Say that a value is wrong.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        explain(f"wrong value for {where}", got=repr(value), wanted=wanted)
    )
