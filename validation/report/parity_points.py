"""The points of parity as rows of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lamplighter.validation.properties.base import PropertyResult

_KEPT: Final = ("number", "key", "label", "structure", "value", "limit", "text")


def parity_points(results: Sequence[PropertyResult]) -> list[dict[str, Any]]:
    """Return the points of all materials, each with the materials that it stands for.

    Args:
        results: of parity, one for each material.

    Returns:
        One dictionary for each point: its fields, ``material`` and ``also_for``.
    """
    hosts = [(result.material, result.method.get("points_on")) for result in results]
    return [
        {
            **{key: point[key] for key in _KEPT},
            "at_least": point["at_least"],
            "verdict": point["verdict"],
            # What has no unit of its own is a fraction of the limits of ΔE, ΔF and Δσ.
            "unit": "of limit" if "limit" in point["unit"] else point["unit"],
            "material": result.material,
            "also_for": [name for name, host in hosts if host == result.material],
        }
        for result in results
        for point in result.arrays.get("points", ())
    ]
