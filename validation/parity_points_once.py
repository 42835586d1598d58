"""Which materials of a suite try the points of parity, and for which others they count.

A point (ranks, ``newton``, restart, heads...) is about the engines and the elements
that they evaluate, not about a crystal. It is tried once for each set of elements;
materials whose elements are among those of another one record where it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from ase import Atoms

from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.suite import SuiteConfig

_DEPTH: Final = {"none": 0, "quick": 1, "full": 2}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to be tried on a material."""

    material: str
    head: str
    elements: frozenset[str]
    periodic: bool
    settings: ParitySettings

    def covers(self, other: _Asked) -> bool:
        """Whether points tried here say all that they would say of another one."""
        deep = _DEPTH[self.settings.points] >= _DEPTH[other.settings.points] > 0
        boxed = self.periodic or not other.periodic
        same = self.head == other.head and _limits(self) == _limits(other)
        return deep and boxed and same and other.elements <= self.elements


def points_once(
    config: SuiteConfig,
    structures: Mapping[str, Atoms],
    asked: Mapping[str, ParitySettings],
) -> dict[str, ParitySettings]:
    """Return the settings of parity in which no point is tried twice.

    Args:
        config: the suite.
        structures: material name -> structure as given.
        asked: material name -> settings of parity, as the suite has them.

    Returns:
        The same, with ``points_on`` naming the material that tries the points where it
        is another one.
    """
    heads = {m.name: m.head for m in config.materials}
    given = [
        _Asked(
            material=name,
            head=heads[name],
            elements=frozenset(structures[name].get_chemical_symbols()),
            periodic=bool(structures[name].pbc.all()),
            settings=settings,
        )
        for name, settings in asked.items()
    ]
    hosts = _hosts(given)
    return {
        one.material: one.settings
        if hosts[one.material] == one.material
        else dataclasses.replace(one.settings, points_on=hosts[one.material])
        for one in given
    }


def _hosts(given: Sequence[_Asked]) -> dict[str, str]:
    """Return for each material the one that tries its points."""
    hosts: list[_Asked] = []
    found: dict[str, str] = {}
    # The most elements first; what is equal stays in the order of the suite.
    for one in sorted(given, key=lambda x: (-len(x.elements), not x.periodic)):
        host = next((other for other in hosts if other.covers(one)), None)
        if host is None:
            host = one
            hosts.append(one)
        found[one.material] = host.material
    return found


def _limits(asked: _Asked) -> object:
    return asked.settings.tolerances
