"""Weights that mace-torch reads from a frame and this project does not: refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lamplighter.errors import DataError, explain

FOREIGN_WEIGHTS = (
    "config_weight",
    *(f"config_{p}_weight" for p in ("energy", "forces", "stress", "virials")),
)
"""Of a frame, and of a property of a frame."""


def check_foreign_weights(labels: Mapping[str, Any], where: str) -> None:
    """Refuse a weight of another program that is not 1: it would have no effect.

    Args:
        labels: what a frame says, by key.
        where: what messages call the frame.

    Raises:
        DataError: as above.
    """
    for key in FOREIGN_WEIGHTS:
        if key in labels and str(labels[key]) not in {"1", "1.0"}:
            raise DataError(
                explain(
                    f"{where}: {key} would have no effect",
                    got=labels[key],
                    wanted="weight, the factor on all terms of a frame; weights of a "
                    "property belong to a head",
                    fix="rename config_weight to weight; leave out a label that must "
                    "not count",
                )
            )
