"""The report document: plain dictionaries, checked against the shipped JSON schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, TypeAlias

from lamplighter.errors import DataError, explain

Document: TypeAlias = dict[str, Any]
"""A report document: only dict, list, str, int, float, bool and None."""

SCHEMA_VERSION: Final = 1
"""Version of the report document; a reader refuses every other number."""

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def schema() -> Document:
    """Return the JSON schema of the report document."""
    source = resources.files("lamplighter.validation.report") / "report.schema.json"
    content: Document = json.loads(source.read_text(encoding="utf-8"))
    return content


def check_document(document: object) -> Document:
    """Return `document` when it follows the schema.

    Raises:
        DataError: a key is missing, has the wrong type, or the schema version is not
            the one of this release; the message names the place.
    """
    if isinstance(document, dict):
        version = document.get("schema_version")
        if version != SCHEMA_VERSION:
            raise DataError(
                explain(
                    "this report was written by another version",
                    got=f"schema_version {version!r}",
                    wanted=f"schema_version {SCHEMA_VERSION}",
                    fix="run the validation again, or use the release that wrote it",
                )
            )
    _check(document, schema(), "report")
    assert isinstance(document, dict)
    return document


def finite(value: object) -> Any:
    """Return `value` as plain JSON: NaN and infinities become None, tuples lists."""
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [finite(item) for item in value]
    tolist = getattr(value, "tolist", None)
    return finite(tolist()) if tolist is not None else str(value)


def _check(value: object, rule: Mapping[str, Any], place: str) -> None:
    """Check `value` against the subset of JSON schema that the report uses."""
    _check_type(value, rule, place)
    if "enum" in rule and value not in rule["enum"]:
        raise _error(place, repr(value), " or ".join(map(repr, rule["enum"])))
    if isinstance(value, dict):
        for key in rule.get("required", ()):
            if key not in value:
                missing = f"{place}.{key}"
                raise _error(missing, "nothing", "this key")
        properties = rule.get("properties", {})
        other = rule.get("additionalProperties", {})
        for key, item in value.items():
            _check(item, properties.get(key, other), f"{place}.{key}")
    if isinstance(value, list) and "items" in rule:
        for index, item in enumerate(value):
            _check(item, rule["items"], f"{place}[{index}]")


def _check_type(value: object, rule: Mapping[str, Any], place: str) -> None:
    wanted = rule.get("type")
    if wanted is None:
        return
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        is_bool = isinstance(value, bool) and name != "boolean"
        if isinstance(value, _TYPES[name]) and not is_bool:
            return
    raise _error(place, type(value).__name__, " or ".join(names))


def _error(place: str, got: str, wanted: str) -> DataError:
    return DataError(
        explain(
            f"not a report document at {place}",
            got=got,
            wanted=wanted,
            fix="pass the report.json that lamplighter wrote, unedited",
        )
    )
