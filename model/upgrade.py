"""Old model files, one pair of functions per step of the format version.

Version 1: the first one; only the architecture of MACE-MH-1, with one set of widths for
both radial networks.
Version 2: all interactions of the MACE family. The parts of a layer have names of
their own, and product weights a leading axis for the elements.
Version 3: heads say which labels they were trained on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor

from lamplighter.errors import ArtifactError, explain

FORMAT_VERSION = 3

Tensors = dict[str, Tensor]


def upgrade(header: dict[str, Any], name: str) -> dict[str, Any]:
    """Return `header` with its configuration in the current format version.

    ``format_version`` stays that of the file.

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
    for step in range(version, FORMAT_VERSION):
        header = _HEADER_STEPS[step](header)
    return header


def upgrade_tensors(tensors: Tensors, version: int) -> Tensors:
    """Return the tensors of a file of `version` under their current names."""
    for step in range(version, FORMAT_VERSION):
        tensors = _TENSOR_STEPS[step](tensors)
    return tensors


def _header_from_1(header: dict[str, Any]) -> dict[str, Any]:
    config = header.get("config")
    if not isinstance(config, dict):
        return header
    widths = config.get("radial_hidden", (64, 64, 64))
    return {**header, "config": {**config, "density_hidden": widths}}


_RENAMED_IN_2 = (
    (r"\.interaction\.(source|target)$", r".interaction.tables.\1"),
    (r"\.interaction\.density\.", ".interaction.normalization.density."),
    (r"\.interaction\.(alpha|beta)$", r".interaction.normalization.\1"),
    (
        r"\.interaction\.(linear_sum|linear_residual|linear_mix)\.",
        r".interaction.message.\1.",
    ),
    (r"\.linear_skip\.", ".skip.linear."),
)


def _tensors_from_1(tensors: Tensors) -> Tensors:
    new = {}
    for old_name, value in tensors.items():
        name = old_name
        for pattern, replacement in _RENAMED_IN_2:
            name = re.sub(pattern, replacement, name)
        new[name] = value[None] if ".product.weights." in name else value
    return new


_HEADER_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _header_from_1,
    2: lambda header: header,
}
_TENSOR_STEPS: dict[int, Callable[[Tensors], Tensors]] = {
    1: _tensors_from_1,
    2: lambda tensors: tensors,
}
