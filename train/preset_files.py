"""Presets: named settings to start from; the values of a configuration always win."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lamplighter.console import info
from lamplighter.errors import ConfigError, explain
from lamplighter.train.config import TrainConfig
from lamplighter.train.errors_table import aligned
from lamplighter.train.finetune_config import FinetuneConfig
from lamplighter.train.ranks import mute_others
from lamplighter.train.yaml_config import from_mapping, read_mapping, to_mapping

FOLDER = Path(__file__).parent / "presets"

PRESETS: Mapping[str, type[TrainConfig | FinetuneConfig]] = {
    "pretrain": TrainConfig,
    "mh1-stage1": TrainConfig,
    "base": TrainConfig,
    "replay": FinetuneConfig,
    "lora": FinetuneConfig,
    "naive": FinetuneConfig,
    "mh1-stage2": FinetuneConfig,
}
"""What each preset configures. "base" is the whole recipe of the shipped model."""

COMMANDS = {TrainConfig: "train", FinetuneConfig: "finetune"}
"""Which command of lamplighter a configuration is for."""

T = TypeVar("T", TrainConfig, FinetuneConfig)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """One value of a configuration and where it comes from.

    Attributes:
        name: path of the setting, ``optimizer.learning_rate``.
        value: as YAML writes it.
        origin: "file", "preset" or "default".
    """

    name: str
    value: str
    origin: str


def preset_text(name: str) -> str:
    """Return the YAML text of a preset, comments included.

    Raises:
        ConfigError: an unknown name; the message lists the known ones.
    """
    if name not in PRESETS:
        raise ConfigError(
            explain("unknown preset", got=name, wanted=f"one of {', '.join(PRESETS)}")
        )
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def preset_summary(name: str) -> str:
    """Return the comment at the head of a preset as one line."""
    words = []
    for line in preset_text(name).splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    return " ".join(words)


def read_with_preset(
    cls: type[T], path: str | os.PathLike[str], preset: str | None = None
) -> tuple[T, list[Effective]]:
    """Return the configuration in a YAML file, on top of a preset where one is named.

    Args:
        cls: what the file configures.
        path: the file; its key ``preset`` may name a preset.
        preset: the same from the command line.

    Returns:
        The configuration, and every value with its origin.

    Raises:
        ConfigError: an unknown preset, one that configures something else, two
            different ones, or an unusable file.
    """
    content = dict(read_mapping(path))
    named = content.pop("preset", None)
    if named is not None and preset is not None and named != preset:
        raise ConfigError(
            explain(
                "two presets are named",
                got=f"{named!r} in {path}, {preset!r} on the command line",
                wanted="one",
            )
        )
    name = preset or named
    start = {} if name is None else settings_of(cls, str(name))
    config = from_mapping(
        cls,
        overlaid(start, content),
        where=str(path),
        folder=Path(path).parent.resolve(),
    )
    return config, _origins(config, content, start)


def read_and_show(
    cls: type[T], path: str | os.PathLike[str], preset: str | None = None
) -> T:
    """Return what [`read_with_preset`][] does; show every value and its origin.

    Raises:
        ConfigError: see there.
    """
    mute_others()
    config, found = read_with_preset(cls, path, preset)
    show_effective(found, f"settings of {path}")
    return config


def show_effective(found: Iterable[Effective], title: str) -> None:
    """Show every setting, its value, and where it comes from."""
    rows = [(one.name, one.origin, one.value) for one in found]
    info(title)
    info(aligned([("setting", "from", "value"), *rows], n_names=3))


def settings_of(cls: type[TrainConfig | FinetuneConfig], name: str) -> dict[str, Any]:
    """Return the settings of a preset.

    Raises:
        ConfigError: an unknown preset, or one of another kind of run.
    """
    content = yaml.safe_load(preset_text(name))
    kind = PRESETS[name]
    if kind is not cls:
        raise ConfigError(
            explain(
                f"preset {name!r} is not for lamplighter {COMMANDS[cls]}",
                got=f"a preset of lamplighter {COMMANDS[kind]}",
                wanted="one of " + ", ".join(n for n, k in PRESETS.items() if k is cls),
            )
        )
    return dict(content)


def overlaid(start: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return `start` with the values of `own`; mappings are merged, lists replaced."""
    result = dict(start)
    for key, value in own.items():
        there = result.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            result[key] = overlaid(there, value)
        else:
            result[key] = value
    return result


def effective_settings(name: str) -> list[Effective]:
    """Return every setting of a preset, with the defaults of what it leaves open.

    Raises:
        ConfigError: an unknown preset.
    """
    preset_text(name)
    cls = PRESETS[name]
    start = settings_of(cls, name)
    head: dict[str, Any] = {"name": "-", "level": "-", "files": ["-"]}
    needed: dict[str, Any] = {"output": "-", "heads": [head]}
    if cls is FinetuneConfig:
        needed |= {"base": "-", "heads": [{**head, "start_from": "-"}]}
    content = overlaid(needed, start)
    config = from_mapping(cls, content, where=f"preset {name}", folder=FOLDER)
    hidden = [key for key in needed if key not in start]
    rows = _origins(config, {}, start)
    return [row for row in rows if row.name.split(".")[0] not in hidden]


def _origins(
    config: object, own: Mapping[str, Any], start: Mapping[str, Any]
) -> list[Effective]:
    rows = []
    for keys, value in _leaves(to_mapping(config), ()):
        origin = "default"
        if _has(own, keys):
            origin = "file"
        elif _has(start, keys):
            origin = "preset"
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6)
        text = text.removesuffix("\n").removesuffix("\n...")
        rows.append(Effective(name=".".join(keys), value=text, origin=origin))
    return rows


def _leaves(
    content: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _has(content: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return False
        content = content[key]
    return True
