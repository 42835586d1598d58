"""All rules: functions from what is known at a run to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules import (
    data,
    dynamics,
    kokkos,
    model,
    neighbours,
    pair,
    settings,
)
from lamplighter.lammps_interface.lint.rules.base import View

RULES: Final[tuple[Callable[[View], Iterator[Finding]], ...]] = (
    *settings.RULES,
    *pair.RULES,
    *neighbours.RULES,
    *dynamics.RULES,
    *data.RULES,
    *model.RULES,
    *kokkos.RULES,
)
"""The rules, in the order in which a simulation comes to them."""
