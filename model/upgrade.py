"""Old model files, one function per step of the format version.

Version 1: the first one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lamplighter.errors import ArtifactError, explain

FORMAT_VERSION = 1

_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def upgrade(header: dict[str, Any], name: str) -> dict[str, Any]:
    """Return `header` in the current format version.

    Raises:
        ArtifactError: the file is newer than this installation, or has no version.
    """
    version = header.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ArtifactError(
            explain(
                f"{name} has a format version that cannot be read",
                got=version,
                wanted=f"1 to {FORMAT_VERSION}",
                fix="upgrade lamplighter",
            )
        )
    while version < FORMAT_VERSION:
        header = _STEPS[version](header)
        version += 1
    return header
