"""Parity beyond single points: what may not change a number, and what must.

The points of the preflight that are not a column of the table of structures: the
order of the types, extensivity, free atoms, heads, ranks and processor grids,
``newton``, neighbour lists, dynamics, restart. A point that an engine cannot have is
*not applicable*, with the reason; it is never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms

from lamplighter.errors import LamplighterError
from lamplighter.validation.engines.base import WANT_ALL, Engine
from lamplighter.validation.engines.variants import VariantError
from lamplighter.validation.properties.parity_measures import (
    OF_LIMITS,
    Bench,
    Level,
    Lives,
    Test,
    tests,
)
from lamplighter.validation.properties.parity_terms import Tolerances

__all__ = ["Level", "Point", "Verdict", "points"]

Verdict = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One test of the preflight.

    Attributes:
        number: point of the preflight list, 1 to 9.
        key: name in records.
        label: name for people.
        structure: what it was tried on.
        value: what was measured; ``None`` when not applicable or failed to run.
        limit: largest value that passes; for ``at_least`` the smallest.
        unit: of value and limit.
        verdict: ``pass``, ``fail`` or ``not applicable``.
        text: the reason when not applicable, what went wrong when failed, what there is
            to tell when passed.
        at_least: whether the value must exceed the limit.
    """

    number: int
    key: str
    label: str
    structure: str = ""
    value: float | None = None
    limit: float = 1.0
    unit: str = OF_LIMITS
    verdict: Verdict = "pass"
    text: str = ""
    at_least: bool = False


def points(
    structures: Mapping[str, Atoms],
    engines: tuple[Engine, Engine],
    limits: Tolerances,
    level: Level,
) -> list[Point]:
    """Return the points of two engines, all that exist at a level.

    Args:
        structures: the structures of the parity table; the largest that is periodic in
            three directions is used.
        engines: reference and deployed engine; the deployed one is tried.
        limits: tolerances.
        level: ``none``, ``quick`` or ``full``.
    """
    if level == "none":
        return []
    name, atoms = _chosen(structures)
    wanted = tests(level)
    try:
        result = engines[1].compute(atoms, WANT_ALL)
    except LamplighterError as error:
        text = str(error)
        return [
            Point(
                number=test.number,
                key=test.key,
                label=test.label,
                structure=name,
                verdict="fail",
                text=text,
            )
            for test in wanted
        ]
    bench = Bench(
        engines=engines,
        name=name,
        atoms=atoms,
        result=result,
        limits=limits,
        level=level,
    )
    lives = Lives(bench)
    return [_judged(test, bench, lives) for test in wanted]


def _judged(test: Test, bench: Bench, lives: Lives) -> Point:
    """Try a point."""
    value: float | None = None
    verdict: Verdict = "fail"
    text = ""
    limit = test.limit(bench.limits)
    try:
        measured = test.measure(bench, lives)
        value, text = measured if isinstance(measured, tuple) else (measured, "")
        good = value >= limit if test.at_least else value <= limit
        verdict = "pass" if good else "fail"
    except VariantError as reason:
        verdict, text = "not applicable", str(reason)
    except LamplighterError as error:
        text = str(error)
    return Point(
        number=test.number,
        key=test.key,
        label=test.label,
        structure=bench.name,
        value=value if value is None or np.isfinite(value) else None,
        limit=limit,
        unit=test.unit,
        verdict=verdict,
        text=text,
        at_least=test.at_least,
    )


def _chosen(structures: Mapping[str, Atoms]) -> tuple[str, Atoms]:
    """Return the largest structure of at most a hundred atoms in a periodic box."""
    periodic = {
        name: atoms
        for name, atoms in structures.items()
        if atoms.pbc.all() and 2 <= len(atoms) <= 100
    }
    if not periodic:
        return next(iter(structures.items()))

    # Vacuum makes the least of a wrong ghost: the densest of the largest.
    def size(item: tuple[str, Atoms]) -> tuple[int, float]:
        return len(item[1]), len(item[1]) / item[1].get_volume()

    return max(periodic.items(), key=size)
