"""Heads and conditions: what a potential can be asked, beside the structure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

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
        learnt: the labels that the head was trained on, ``"energy"``, ``"forces"``,
            ``"stress"`` or ``"hessian"``, and the weight of each in the loss, relative
            to other heads; empty where it is not known.
    """

    name: str
    level_of_theory: str
    reference_energies: Mapping[str, float]
    scale: float = 1.0
    shift: float = 0.0
    dispersion: str = "none"
    licence: str = ""
    source: str = ""
    learnt: Mapping[str, float] = dataclasses.field(default_factory=dict)

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
        for name, weight in self.learnt.items():
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(
                    explain(
                        f"bad weight of {name} in head {self.name!r}",
                        got=weight,
                        wanted="> 0 for what was learnt, no entry for what was not",
                    )
                )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigError(
                explain(
                    f"bad scale of head {self.name!r}", got=self.scale, wanted="> 0"
                )
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSpec:
    """A number per structure that the potential depends on, such as its charge.

    Attributes:
        name: ``"total_charge"`` (e) or ``"total_spin"`` (multiplicity 2S + 1).
        kind: ``"categorical"``: one row of a table for each value, or
            ``"continuous"``: a small network of the value.
        width: length of its embedding.
        n_classes: rows of the table (categorical).
        offset: added to the value to give the row (categorical).
        bias: whether the layers of the network have biases (continuous).
        default: value of a structure that does not say; None: it has to.
    """

    name: str
    kind: Literal["categorical", "continuous"]
    width: int
    n_classes: int = 0
    offset: int = 0
    bias: bool = True
    default: float | None = 0.0

    def __post_init__(self) -> None:
        good = self.kind in ("categorical", "continuous") and self.width > 0
        if not self.name or not good:
            raise ConfigError(
                explain(
                    f"bad condition {self.name!r}",
                    got=f"{self.kind}, width {self.width}",
                    wanted="categorical or continuous, with a positive width",
                )
            )
        if self.kind == "categorical" and self.n_classes < 1:
            raise ConfigError(
                explain(f"condition {self.name!r} has no class", got=self.n_classes)
            )

    def check(self, given: float | None) -> float:
        """Return `given`, or the default for None.

        Raises:
            ConfigError: no value and no default, not finite, or of no class of a
                categorical condition.
        """
        value = self.default if given is None else given
        if value is None:
            raise ConfigError(
                explain(
                    f"the potential depends on {self.name}, which is not given",
                    wanted=f"a value in atoms.info[{self.name!r}], or --condition."
                    f"{self.name} when converting",
                )
            )
        row = value + self.offset
        known = self.kind != "categorical" or (
            float(row).is_integer() and 0 <= row < self.n_classes
        )
        if not (math.isfinite(value) and known):
            low, high = -self.offset, self.n_classes - 1 - self.offset
            raise ConfigError(
                explain(
                    f"a value of {self.name} that the potential does not know",
                    got=value,
                    wanted=f"a whole number from {low} to {high}"
                    if self.kind == "categorical"
                    else "a finite number",
                )
            )
        return float(value)
