"""The settings of the loss: its terms, their weights, and their shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lamplighter.train.setting_check import check

Kind = Literal["huber", "mse", "mae"]
"""A difference x costs h(x), x^2 or abs(x)."""
TERMS = ("energy", "forces", "stress", "virial", "hessian")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """Weights stand outside the Huber functions; 0 removes a term.

    Attributes:
        energy_weight: factor on the loss of the energy per atom.
        forces_weight: factor on the loss of the force components.
        stress_weight: factor on the loss of the stress components.
        virial_weight: factor on the loss of the virial per atom, for the same labels as
            the stress: small cells then count as much as large ones.
        hessian_weight: factor on the loss of rows of the Hessian.
        energy_delta: where the energy loss turns from quadratic to linear, eV/atom.
        forces_delta: the same for a force component, eV/Å.
        stress_delta: the same for a stress component, eV/Å^3.
        virial_delta: the same for a component of the virial, eV/atom.
        hessian_delta: the same for a component of the Hessian, eV/Å^2.
        energy_kind: "huber", "mse" (the square) or "mae" (the magnitude) of the
            difference; the delta belongs to "huber" alone.
        forces_kind: the same, or "l2": the length of the force difference of an atom.
        stress_kind: the same for stress and virial.
        hessian_kind: the same for rows of the Hessian.
        conditional_forces: shrink `forces_delta` where the reference force is large.
        config_type_weights: factors by pattern of config_type; the first that matches
            counts.
        use_isolated_atoms: train on IsolatedAtom frames too.
    """

    energy_weight: float = 1.0
    forces_weight: float = 10.0
    stress_weight: float = 10.0
    virial_weight: float = 0.0
    hessian_weight: float = 0.0
    energy_delta: float = 0.01
    forces_delta: float = 0.01
    stress_delta: float = 0.01
    virial_delta: float = 0.01
    hessian_delta: float = 0.1
    energy_kind: Kind = "huber"
    forces_kind: Literal["huber", "mse", "mae", "l2"] = "huber"
    stress_kind: Kind = "huber"
    hessian_kind: Kind = "huber"
    conditional_forces: bool = True
    config_type_weights: dict[str, float] = field(default_factory=dict)
    use_isolated_atoms: bool = True

    @property
    def learnt(self) -> tuple[str, ...]:
        """The labels with a term that counts."""
        terms = {name: getattr(self, f"{name}_weight") for name in TERMS}
        terms["stress"] += terms.pop("virial")
        return tuple(name for name, weight in terms.items() if weight > 0)

    def __post_init__(self) -> None:
        for name in TERMS:
            weight = getattr(self, f"{name}_weight")
            delta = getattr(self, f"{name}_delta")
            check(weight >= 0, f"loss: {name}_weight", weight, "at least 0")
            check(delta > 0, f"loss: {name}_delta", delta, "more than 0")
        for pattern, weight in self.config_type_weights.items():
            check(weight >= 0, f"loss: weight of {pattern}", weight, "at least 0")
