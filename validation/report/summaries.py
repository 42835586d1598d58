"""What a whole table says in one line: mean errors, the order of the facets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

_MIN_ROWS: Final = 3
_SAME: Final = 0.03
"""Facets whose references differ by less than this fraction have no order."""


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line about the rows of a table; nothing where there is none to say.

    Only rows that were judged take part, so that an experiment does not enter a mean
    that stands for a functional.
    """
    judged = [
        row
        for row in rows
        if row["verdict"] in {"pass", "near", "miss"}
        and row["delta_physics"] is not None
    ]
    parts = [_frequencies(judged), _facets(judged)]
    return " ".join(part for part in parts if part)


def _frequencies(rows: Sequence[Mapping[str, Any]]) -> str:
    mine = [row for row in rows if row["unit"] == "THz" and row["reference"]]
    if len(mine) < _MIN_ROWS:
        return ""
    errors = [row["delta_physics"] for row in mine]
    mean = sum(map(abs, errors)) / len(errors)
    bias = sum(errors) / len(errors)
    sign = "above" if bias > 0 else "below"
    return (
        f"{len(errors)} frequencies: mean |Δω| {mean:.2f} THz, on average "
        f"{abs(bias):.2f} THz {sign} the reference."
    )


def _facets(rows: Sequence[Mapping[str, Any]]) -> str:
    mine = [row for row in rows if row["quantity"].startswith("surface_energy_")]
    if len(mine) < _MIN_ROWS:
        return ""
    exchanged = []
    for a, b in combinations(mine, 2):
        reference = b["reference"] - a["reference"]
        model = reference + b["delta_physics"] - a["delta_physics"]
        if abs(reference) > _SAME * abs(a["reference"]) and reference * model < 0:
            names = (_plane(row["quantity"]) for row in (a, b))
            exchanged.append(" and ".join(names))
    if exchanged:
        return f"The order of the facets differs: {', '.join(exchanged)} exchanged."
    return f"The order of the {len(mine)} facets is that of the reference."


def _plane(quantity: str) -> str:
    return f"({quantity.rpartition('_')[2]})"
