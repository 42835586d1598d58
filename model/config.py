"""The hyperparameters of a potential."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain
from lamplighter.model.heads import ConditionSpec, HeadSpec
from lamplighter.model.layers import INTERACTIONS, LayerShape

_CHOICES = {
    "radial_basis": ("bessel", "gaussian", "chebyshev"),
    "distance_transform": ("agnesi", "soft", "none"),
    "product_weights": ("shared", "by_element"),
    "readouts": ("all", "last"),
    "last_readout": ("linear", "mlp", "biased_mlp"),
    "readout_activation": ("silu", "tanh", "abs", "none"),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PotentialConfig:
    """Hyperparameters of the MACE family; defaults are those of MACE-MH-1.

    Settings marked *per layer* are one value for all layers, or one for each.

    Source: arXiv 2510.25380, the published MH-1 configuration, and the options of
    mace-torch 0.3 (arXiv 2206.07697, 2401.00096).

    Attributes:
        elements: chemical symbols, in order of atomic number.
        heads: the heads, in the order of their columns.
        cutoff: radius of the neighbour sums, Å.
        cutoff_power: p of the polynomial cutoff.
        cutoff_inside: the cutoff multiplies the radial basis, that is the input of the
            radial networks, instead of their output.
        radial_basis: ``"bessel"``, ``"gaussian"`` or ``"chebyshev"``.
        n_radial: number of radial functions.
        distance_transform: ``"agnesi"``, ``"soft"`` or ``"none"``.
        radial_hidden: widths of the hidden layers of the radial networks.
        density_hidden: the same for the network of the local density, where it sees
            the species.
        l_max: highest degree of the spherical harmonics and of the neighbour sums.
        channels: node channels.
        edge_channels: channels that take part in the neighbour sums; per layer.
        edge_l_max: highest degree of the features that take part in the neighbour
            sums; None: all that there are.
        hidden_l_max: highest degree of the node features between layers.
        n_layers: number of message-passing layers.
        interaction: a name of [`INTERACTIONS`][lamplighter.model.layers]; per layer.
        mean_neighbors: divisor of the neighbour sums where it is constant.
        density_alpha: start value of the neighbour normalisation where it is learned.
        correlation: highest power in the product basis, 1 to 4; per layer.
        product_weights: ``"shared"`` by all elements, or ``"by_element"``.
        readouts: ``"all"`` layers are read out, or the ``"last"`` only.
        last_readout: ``"mlp"``, ``"biased_mlp"`` or ``"linear"``.
        readout_hidden: hidden units of the last readout, per head.
        readout_activation: ``"silu"``, ``"tanh"``, ``"abs"`` or ``"none"``.
        zbl: whether the Ziegler-Biersack-Littmark core repulsion is added.
        conditions: numbers per structure on which the potential depends.
        condition_readout: whether the features before the first layer are read out.
    """

    elements: tuple[str, ...]
    heads: tuple[HeadSpec, ...]
    cutoff: float = 6.0
    cutoff_power: int = 5
    cutoff_inside: bool = False
    radial_basis: Literal["bessel", "gaussian", "chebyshev"] = "bessel"
    n_radial: int = 10
    distance_transform: Literal["agnesi", "soft", "none"] = "agnesi"
    radial_hidden: tuple[int, ...] = (64, 64, 64)
    density_hidden: tuple[int, ...] = (64,)
    l_max: int = 3
    channels: int = 512
    edge_channels: int | tuple[int, ...] = 128
    edge_l_max: int | None = None
    hidden_l_max: int = 1
    n_layers: int = 2
    interaction: str | tuple[str, ...] = "nonlinear_residual"
    mean_neighbors: float = 1.0
    density_alpha: float = 20.0
    correlation: int | tuple[int, ...] = 3
    product_weights: Literal["shared", "by_element"] = "shared"
    readouts: Literal["all", "last"] = "all"
    last_readout: Literal["linear", "mlp", "biased_mlp"] = "mlp"
    readout_hidden: int = 16
    readout_activation: Literal["silu", "tanh", "abs", "none"] = "silu"
    zbl: bool = True
    conditions: tuple[ConditionSpec, ...] = ()
    condition_readout: bool = False

    def __post_init__(self) -> None:
        self._check_elements()
        self._check_heads()
        positive = ("cutoff", "cutoff_power", "n_radial", "channels", "n_layers")
        for field in (*positive, "readout_hidden", "density_alpha", "mean_neighbors"):
            if not getattr(self, field) > 0:
                raise _bad(field, getattr(self, field), "a positive number")
        if not self.radial_hidden or min(*self.radial_hidden, *self.density_hidden) < 1:
            raise _bad("radial_hidden", self.radial_hidden, "widths of at least 1")
        for field, low, high in (("l_max", 0, 3), ("hidden_l_max", 0, 3)):
            if not low <= getattr(self, field) <= high:
                raise _bad(field, getattr(self, field), f"{low} to {high}")
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise _bad(field, getattr(self, field), "one of " + ", ".join(choices))
        self._check_layers()

    def _check_layers(self) -> None:
        """Refuse settings per layer that are out of range or too few or too many."""
        for field in ("edge_channels", "interaction", "correlation"):
            value = getattr(self, field)
            if isinstance(value, tuple) and len(value) != self.n_layers:
                raise _bad(field, value, f"one value, or {self.n_layers}")
            for one in value if isinstance(value, tuple) else (value,):
                if field == "interaction" and one not in INTERACTIONS:
                    raise _bad(field, one, "one of " + ", ".join(INTERACTIONS))
                if field == "edge_channels" and not one > 0:
                    raise _bad(field, one, "a positive number")
                if field == "correlation" and not 1 <= one <= 4:
                    raise _bad(field, one, "1 to 4")
        if self.edge_l_max is not None and self.edge_l_max < 0:
            raise _bad("edge_l_max", self.edge_l_max, "0 or more")
        names = [condition.name for condition in self.conditions]
        if len(names) != len(set(names)):
            raise _bad("conditions", names, "each name once")
        if self.condition_readout and not names:
            raise _bad("condition_readout", "true", "false without conditions")

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

    @property
    def layers(self) -> tuple[LayerShape, ...]:
        """Return the sizes of each layer."""
        return tuple(self._layer(t) for t in range(self.n_layers))

    def _layer(self, t: int) -> LayerShape:
        last = t == self.n_layers - 1
        l_in = 0 if t == 0 else self.hidden_l_max
        l_edge = l_in if self.edge_l_max is None else min(l_in, self.edge_l_max)
        if last:
            readout: Any = self.last_readout
        else:
            readout = "linear" if self.readouts == "all" else "none"
        return LayerShape(
            interaction=INTERACTIONS[_of_layer(self.interaction, t)],
            l_in=l_in,
            l_edge=l_edge,
            l_out=0 if last else self.hidden_l_max,
            edge_channels=_of_layer(self.edge_channels, t),
            correlation=_of_layer(self.correlation, t),
            readout=readout,
        )

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
        try:
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in content.items()
            }
            values["heads"] = tuple(HeadSpec(**head) for head in values["heads"])
            values["conditions"] = tuple(
                ConditionSpec(**condition) for condition in values.get("conditions", ())
            )
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                explain("not the configuration of a potential", got=error)
            ) from error


def _of_layer(value: Any, t: int) -> Any:
    """Return the value of a setting in layer `t`."""
    return value[t] if isinstance(value, tuple) else value


def _bad(field: str, got: object, wanted: str) -> ConfigError:
    return ConfigError(explain(f"bad setting {field!r}", got=got, wanted=wanted))
