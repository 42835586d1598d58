"""YAML files as people write them: nothing is executed, nothing is silently dropped."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, Final

import yaml

# The parser in C is ten times as fast; PyYAML without it has only the other one.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "tag:yaml.org,2002:merge"


MAX_DEPTH: Final = 200
"""Brackets inside brackets: the parser in C dies of too many, and says nothing."""


class _Loader(_Base):  # type: ignore[misc]  # one of two classes, chosen above
    """A safe loader that refuses a key that stands twice in one mapping.

    YAML forbids it, PyYAML keeps the last one: half of a file would do nothing.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping of a node.

        Raises:
            yaml.YAMLError: a key stands twice; the message names its line.
        """
        seen = set()
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        for key, _ in pairs:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(
                    None, None, problem, key.start_mark
                )
            seen.add((key.tag, key.value))
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found


def read_yaml(text: str) -> Any:
    """Return what a YAML text says, with plain types only.

    Raises:
        yaml.YAMLError: it is no YAML, a key stands twice, a tag asks for code, or it is
            nested too deeply.
    """
    if _is_deep(text):
        problem = f"nested more than {MAX_DEPTH} deep"
        raise yaml.YAMLError(problem)
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except (RecursionError, ValueError) as error:
        # A date like 2020-99-99 is a ValueError of datetime.
        problem = f"{type(error).__name__}: {error}"
        raise yaml.YAMLError(problem) from error


def _is_deep(text: str) -> bool:
    """Return whether brackets, or dashes in one line, nest deeper than people do."""
    depth = 0
    for found in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1)
        if depth > MAX_DEPTH:
            return True
    return re.search(rf"(?:[-?:] +){{{MAX_DEPTH}}}", text) is not None
