"""The settings of the loss: its terms, their weights, and their shape."""

from __future__ import annotations

from dataclasses import dataclass, field

from lamplighter.train.setting_check import check


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """Weights stand outside the Huber functions; 0 removes a term.

    Attributes:
        energy_weight: factor on the Huber loss of the energy per atom.
        forces_weight: factor on the Huber loss of the force components.
        stress_weight: factor on the Huber loss of the stress components.
        energy_delta: where the energy loss turns from quadratic to linear, eV/atom.
        forces_delta: the same for a force component, eV/Å.
        stress_delta: the same for a stress component, eV/Å^3.
        conditional_forces: shrink `forces_delta` where the reference force is large.
        config_type_weights: factors by pattern of config_type; the first that matches
            counts.
        use_isolated_atoms: train on IsolatedAtom frames too.
    """

    energy_weight: float = 1.0
    forces_weight: float = 10.0
    stress_weight: float = 10.0
    energy_delta: float = 0.01
    forces_delta: float = 0.01
    stress_delta: float = 0.01
    conditional_forces: bool = True
    config_type_weights: dict[str, float] = field(default_factory=dict)
    use_isolated_atoms: bool = True

    def __post_init__(self) -> None:
        for name in ("energy", "forces", "stress"):
            weight = getattr(self, f"{name}_weight")
            delta = getattr(self, f"{name}_delta")
            check(weight >= 0, f"loss: {name}_weight", weight, "at least 0")
            check(delta > 0, f"loss: {name}_delta", delta, "more than 0")
        for pattern, weight in self.config_type_weights.items():
            check(weight >= 0, f"loss: weight of {pattern}", weight, "at least 0")
