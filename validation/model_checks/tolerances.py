"""How much two equal numbers may differ, per precision, and why.

All tolerances are for forces of the order of 1 eV/Å and interaction energies of 1 eV
per atom; they are multiplied by those of the structure where these are larger
(`Evaluation.scale`), because rounding errors grow with the terms that are summed. The
rounding of a total energy that carries large E0 comes on top.

* *Rounding* (energy, forces, stress, torque): the same sum in another order. float64
  carries 16 digits, sums over a thousand pairs and channels lose about three and a
  coupled product one more: 1e-12, and a factor of hundred on top for machines that
  order sums differently. float32 has 7 digits and loses the same four.
* *Slopes* (finite differences, fourth order, step h): rounding of the energy divided
  by h, plus the fifth derivative times h^4 / 30. The steps balance the two.
* *Jumps*: `jump` is relative to the change of the quantity over the last quarter of
  the cutoff; the third derivative of the usual cutoff functions jumps, which the
  extrapolation sees as 1e-6 of that. The floors are rounding, amplified by the
  extrapolation to the cutoff (a factor of ten for values and of 10 / 0.002 Å for
  derivatives).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Tolerances of one precision.

    Attributes:
        energy: eV per atom.
        forces: eV/Å.
        stress: eV/Å^3.
        step: displacement of finite differences, Å.
        strain: strain of finite differences.
        slope: finite differences of the energy against forces, eV/Å.
        strain_slope: the same against stress, eV/Å^3.
        jump: at the cutoff, relative to the change in its neighbourhood.
        curvature_floor: of jumps of the derivative of a force, eV/Å^2; None where
            rounding hides such jumps.
    """

    energy: float
    forces: float
    stress: float
    step: float
    strain: float
    slope: float
    strain_slope: float
    jump: float
    curvature_floor: float | None


TOLERANCES: Mapping[str, Tolerances] = MappingProxyType(
    {
        "float64": Tolerances(
            energy=1e-10,
            forces=1e-10,
            stress=1e-11,
            step=2e-3,
            strain=5e-4,
            slope=1e-7,
            strain_slope=1e-8,
            jump=1e-5,
            curvature_floor=1e-7,
        ),
        "float32": Tolerances(
            energy=1e-5,
            forces=1e-4,
            stress=5e-6,
            step=3e-2,
            strain=1e-2,
            slope=2e-3,
            strain_slope=1e-4,
            jump=1e-3,
            curvature_floor=None,
        ),
    }
)
