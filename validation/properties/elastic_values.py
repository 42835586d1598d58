"""Elastic constants as named quantities, with error bars and curves for a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.properties.base import Quantity
from lamplighter.validation.properties.elastic_axes import ieee_axes
from lamplighter.validation.properties.elastic_tensor import (
    averages,
    born_eigenvalues,
    project,
    rotate,
)
from lamplighter.validation.properties.sound import (
    christoffel,
    debye,
    density,
    isotropic_velocities,
)

CUBIC: Final = ((0, 0), (0, 1), (3, 3))
_DIRECTIONS: Final = {
    True: ((1, 0, 0), (1, 1, 0), (1, 1, 1)),
    False: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
_AVERAGES: Final = {
    "bulk_modulus_VRH": ("bulk", "GPa"),
    "bulk_modulus_voigt": ("bulk_voigt", "GPa"),
    "bulk_modulus_reuss": ("bulk_reuss", "GPa"),
    "shear_modulus": ("shear", "GPa"),
    "shear_modulus_voigt": ("shear_voigt", "GPa"),
    "shear_modulus_reuss": ("shear_reuss", "GPa"),
    "young_modulus": ("young", "GPa"),
    "poisson_ratio": ("poisson", ""),
    "anisotropy_universal": ("universal_anisotropy", ""),
}


def entries(rotations: FloatArray, *, cubic: bool) -> list[tuple[int, int]]:
    """Return the indices of the components to report: those that symmetry allows.

    Which they are does not go by their size, or two potentials would report different
    ones.

    Args:
        rotations: [n, 3, 3], of the point group.
        cubic: whether three of them say it all.
    """
    if cubic:
        return list(CUBIC)
    # What survives the projection of a tensor without any symmetry is allowed.
    probe = project(np.random.default_rng(1).random((6, 6)) + np.eye(6), rotations)
    upper = [(i, j) for i in range(6) for j in range(i, 6)]
    return [(i, j) for i, j in upper if abs(probe[i, j]) > 1e-6]


def constants(
    tensor: FloatArray,
    error: FloatArray,
    suffix: str,
    components: Sequence[tuple[int, int]],
) -> dict[str, Quantity]:
    """Return the components as quantities with their error bars."""
    return {
        f"C{i + 1}{j + 1}{suffix}": Quantity(
            value=float(tensor[i, j]), unit="GPa", error=float(error[i, j])
        )
        for i, j in components
    }


def moduli(
    tensor: FloatArray, error: FloatArray, *, cubic: bool
) -> dict[str, Quantity]:
    """Return the averages; their error bars come from the stiffnesses' errors.

    Args:
        tensor: [6, 6] GPa.
        error: [6, 6] GPa, with signs where they are known: in a difference such as
            ``C11 - C12`` they count.
        cubic: also Zener's ratio.
    """
    middle, shifted = averages(tensor), averages(_shifted(tensor, error))
    values = {
        name: Quantity(
            value=getattr(middle, attribute),
            unit=unit,
            error=abs(getattr(middle, attribute) - getattr(shifted, attribute)),
        )
        for name, (attribute, unit) in _AVERAGES.items()
    }
    if cubic:
        values["anisotropy_zener"] = Quantity(
            value=_zener(tensor),
            unit="",
            error=abs(_zener(_shifted(tensor, error)) - _zener(tensor)),
        )
    return values


def sound(
    tensor: FloatArray, error: FloatArray, crystal: Atoms, *, cubic: bool
) -> dict[str, Quantity]:
    """Return sound velocities and the Debye temperature of a stable crystal.

    ``sound_velocity_110_2`` is the middle one of three along [110] of the axes of the
    tensor, by ascending velocity.
    """
    rho, pair = density(crystal), (tensor, _shifted(tensor, error))
    values = {"density": Quantity(value=rho, unit="kg/m^3")}
    for direction in _DIRECTIONS[cubic]:
        name = "".join(map(str, direction))
        both = [christoffel(c, rho, np.array(direction)) for c in pair]
        for number, (value, other) in enumerate(zip(*both, strict=True), start=1):
            values[f"sound_velocity_{name}_{number}"] = Quantity(
                value=float(value), unit="m/s", error=abs(float(value - other))
            )
    both_isotropic = [isotropic_velocities(c, rho) for c in pair]
    for number, kind in enumerate(("longitudinal", "transverse")):
        one, two = both_isotropic[0][number], both_isotropic[1][number]
        values[f"sound_velocity_{kind}"] = Quantity(
            value=one, unit="m/s", error=abs(one - two)
        )
    mean, other = (debye(c, crystal) for c in pair)
    values["sound_velocity_mean"] = Quantity(
        value=mean.velocity, unit="m/s", error=abs(mean.velocity - other.velocity)
    )
    values["debye_temperature"] = Quantity(
        value=mean.temperature,
        unit="K",
        error=abs(mean.temperature - other.temperature),
    )
    return values


def tables(tensor: FloatArray, crystal: Atoms) -> dict[str, Any]:
    """Return compliance (1/GPa) and the tensor in IEEE axes.

    Args:
        tensor: [6, 6] GPa in the axes of `crystal`; it may be unstable. A singular one
            has no compliance.
        crystal: the cell that was strained.
    """
    axes = ieee_axes(crystal)
    found: dict[str, Any] = {"C_ieee": rotate(tensor, axes), "ieee_axes": axes}
    sizes = np.abs(np.linalg.eigvalsh((tensor + tensor.T) / 2.0))
    if sizes.min() > 1e-9 * sizes.max():
        found["S"] = np.linalg.inv(tensor)
    return found


def curves(
    ions: str, data: FloatArray, sizes: FloatArray, tensor: FloatArray, *, cubic: bool
) -> list[dict[str, Any]]:
    """Return stress against strain with the slope, one record per component."""
    shown = list(CUBIC) if cubic else [(i, i) for i in range(6)]
    return [
        {
            "component": f"C{i + 1}{j + 1}",
            "ions": ions,
            "strain": sizes,
            "stress": data[j, :, i],
            "slope": float(tensor[i, j]),
        }
        for i, j in shown
    ]


def _shifted(tensor: FloatArray, error: FloatArray) -> FloatArray:
    """Return the tensor at the end of its error bars, as stable as the tensor is.

    A stiffness plus the whole of its errors need not be stable any more; with those of
    the diagonal alone it is.
    """
    whole = tensor + error
    stable = born_eigenvalues(whole)[0] > 0.0
    return whole if stable else tensor + np.diag(np.diag(error))


def _zener(tensor: FloatArray) -> float:
    return float(2.0 * tensor[3, 3] / (tensor[0, 0] - tensor[0, 1]))
