"""Packages that only some kinds of files need."""

from __future__ import annotations

import importlib
from typing import Any

from lamplighter.errors import OptionalDependencyError, explain


def import_extra(module: str, purpose: str) -> Any:
    """Return a module of the extra ``data``.

    Raises:
        OptionalDependencyError: it is not installed; the message has the command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                f"{purpose} needs the package {module}",
                got=str(error),
                fix='pip install "lamplighter[data]"',
            )
        ) from error
