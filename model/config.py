"""What defines a potential: its heads and its hyperparameters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec:
    """One level of theory: everything that belongs to a head, in one place.

    Attributes:
        name: how the head is selected.
        level_of_theory: functional (and basis) of its labels, e.g. ``"PBE"``.
        reference_energies: E0 of each element that the head knows, eV. An element
            that is missing here is refused when this head is used.
        scale: factor of the learned energy of this head (dimensionless).
        shift: energy added to every atom, eV; 0 keeps dissociation limits.
        dispersion: ``"none"``, ``"included"`` (the labels contain it) or the rule to
            add, e.g. ``"d3bj:pbe"``.
        licence: licence of the training data.
        source: where the training data come from.
    """

    name: str
    level_of_theory: str
    reference_energies: Mapping[str, float]
    scale: float = 1.0
    shift: float = 0.0
    dispersion: str = "none"
    licence: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError(explain("a head needs a name", got=repr(self.name)))
        for element, value in self.reference_energies.items():
            if element not in atomic_numbers or not math.isfinite(value):
                raise ConfigError(
                    explain(
                        f"bad reference energy in head {self.name!r}",
                        got=f"{element}: {value}",
                        wanted="a chemical symbol and a finite energy in eV",
                    )
                )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigError(
                explain(
                    f"bad scale of head {self.name!r}", got=self.scale, wanted="> 0"
                )
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PotentialConfig:
    """Hyperparameters of the MACE-MH-1 architecture; defaults are MH-1's.

    Source: arXiv 2510.25380 and the published MH-1 configuration.

    Attributes:
        elements: chemical symbols, in order of atomic number.
        heads: the heads, in the order of their columns.
        cutoff: radius of the neighbour sums, Å.
        cutoff_power: p of the polynomial cutoff.
        n_radial: number of Bessel functions.
        radial_hidden: widths of the hidden layers of the radial networks.
        l_max: highest degree of the spherical harmonics and of the neighbour sums.
        channels: node channels.
        edge_channels: channels that take part in the neighbour sums.
        hidden_l_max: highest degree of the node features between layers.
        n_layers: number of message-passing layers.
        correlation: highest power in the product basis, 1 to 3.
        readout_hidden: hidden units of the last readout, per head.
        distance_transform: ``"agnesi"`` or ``"none"``.
        zbl: whether the Ziegler-Biersack-Littmark core repulsion is added.
        density_alpha: start value of the neighbour normalisation.
    """

    elements: tuple[str, ...]
    heads: tuple[HeadSpec, ...]
    cutoff: float = 6.0
    cutoff_power: int = 5
    n_radial: int = 10
    radial_hidden: tuple[int, ...] = (64, 64, 64)
    l_max: int = 3
    channels: int = 512
    edge_channels: int = 128
    hidden_l_max: int = 1
    n_layers: int = 2
    correlation: int = 3
    readout_hidden: int = 16
    distance_transform: Literal["agnesi", "none"] = "agnesi"
    zbl: bool = True
    density_alpha: float = 20.0

    def __post_init__(self) -> None:
        self._check_elements()
        self._check_heads()
        positive = ("cutoff", "cutoff_power", "n_radial", "channels", "edge_channels")
        for field in (*positive, "n_layers", "readout_hidden", "density_alpha"):
            if not getattr(self, field) > 0:
                raise _bad(field, getattr(self, field), "a positive number")
        if not self.radial_hidden or min(self.radial_hidden) < 1:
            raise _bad("radial_hidden", self.radial_hidden, "widths of at least 1")
        for field, low, high in (
            ("l_max", 0, 3),
            ("correlation", 1, 3),
            ("hidden_l_max", 0, self.l_max),
        ):
            if not low <= getattr(self, field) <= high:
                raise _bad(field, getattr(self, field), f"{low} to {high}")
        if self.distance_transform not in ("agnesi", "none"):
            raise _bad("distance_transform", self.distance_transform, "agnesi or none")

    def _check_elements(self) -> None:
        unknown = [e for e in self.elements if e not in atomic_numbers]
        if unknown or not self.elements:
            raise _bad("elements", self.elements, "chemical symbols")
        numbers = [atomic_numbers[e] for e in self.elements]
        if numbers != sorted(set(numbers)):
            raise _bad("elements", self.elements, "each once, by atomic number")

    def _check_heads(self) -> None:
        names = [head.name for head in self.heads]
        if not names or len(names) != len(set(names)):
            raise _bad("heads", names, "at least one head, each name once")
        for head in self.heads:
            extra = sorted(set(head.reference_energies) - set(self.elements))
            if extra:
                raise _bad(f"heads[{head.name}]", extra, f"elements {self.elements}")

    @property
    def atomic_numbers(self) -> tuple[int, ...]:
        """Return the atomic numbers of `elements`."""
        return tuple(atomic_numbers[e] for e in self.elements)

    def head_index(self, name: str | None) -> int:
        """Return the column of head `name`.

        Raises:
            ConfigError: no such head, or no name although there are several heads.
        """
        names = [head.name for head in self.heads]
        if name is None and len(names) == 1:
            return 0
        if name not in names:
            raise ConfigError(
                explain(
                    "unknown head" if name is not None else "a head must be named",
                    got=repr(name),
                    wanted="one of " + ", ".join(map(repr, names)),
                )
            )
        return names.index(name)

    def head(self, name: str | None) -> HeadSpec:
        """Return the head called `name`; see [`head_index`][] for errors."""
        return self.heads[self.head_index(name)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PotentialConfig:
        """Return the configuration written by [`to_dict`][].

        Raises:
            ConfigError: unknown or missing keys, or values out of range.
        """
        values = dict(content)
        try:
            values["heads"] = tuple(HeadSpec(**head) for head in values["heads"])
            values["elements"] = tuple(values["elements"])
            values["radial_hidden"] = tuple(values.get("radial_hidden", (64, 64, 64)))
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                explain("not the configuration of a potential", got=error)
            ) from error


def _bad(field: str, got: object, wanted: str) -> ConfigError:
    return ConfigError(explain(f"bad setting {field!r}", got=got, wanted=wanted))
