"""A suite back into the mapping of a suite file, for manifests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamplighter.validation.suite import SuiteConfig


def suite_to_mapping(config: SuiteConfig) -> tuple[dict[str, Any], Path]:
    """Return a mapping that ``suite_from_mapping`` reads, and its folder.

    Values that equal their defaults are left out. Paths are absolute or as given.
    """
    suite: dict[str, Any] = {}
    if config.model is not None:
        suite["model"] = _changed(config.model)
    suite["engines"] = [_changed(spec, skip=("folder",)) for spec in config.engines]
    suite["materials"] = [
        _changed(material, skip=("properties",))
        | (
            {}
            if material.properties is None
            else {"properties": _settings(material.properties)}
        )
        for material in config.materials
    ]
    suite["properties"] = _settings(config.properties)
    for name in ("geometry", "compare", "strict", "level_of_theory", "time_limit"):
        suite[name] = getattr(config, name)
    for name in ("references", "elements"):
        suite[name] = list(getattr(config, name))
    suite["thresholds"] = [_changed(item) for item in config.thresholds]
    folder = next((spec.folder for spec in config.engines), Path())
    return suite, folder


def _settings(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _changed(settings) for name, settings in properties.items()}


def _changed(instance: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(instance):
        value = getattr(instance, item.name)
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if item.name not in skip and value != default:
            found[item.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
