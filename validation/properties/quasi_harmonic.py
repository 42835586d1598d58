"""Volume and its derivatives by temperature out of energies and free energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import constants

from lamplighter.errors import DataError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.properties.eos import (
    EquationOfState,
    fit_birch_murnaghan,
    fit_vinet,
)

_J_MOL: Final = 1e-21 * constants.N_A
"""J/mol of one GPa Å^3."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuasiHarmonic:
    """Thermodynamics along the zero-pressure isobar; arrays go by temperature.

    Where the minimum leaves the range of the volumes the arrays end.

    Attributes:
        temperatures: K.
        volumes: Å^3 per atom.
        energies: minimum of the free energy, eV per atom.
        moduli: isothermal bulk modulus, GPa.
        expansion: of the volume, 1/K.
        heat_capacity: at constant pressure, J/mol/K per atom.
        grueneisen: ``alpha V B / C_V``, without unit; NaN at 0 K.
        r2: least coefficient of determination of the fits.
        static: the equation of state without vibrations, eV and Å^3 per atom.
    """

    temperatures: FloatArray
    volumes: FloatArray
    energies: FloatArray
    moduli: FloatArray
    expansion: FloatArray
    heat_capacity: FloatArray
    grueneisen: FloatArray
    r2: FloatArray
    static: EquationOfState


def quasi_harmonic(
    volumes: FloatArray,
    energies: FloatArray,
    temperatures: FloatArray,
    free_energies: FloatArray,
    heat_capacities: FloatArray,
    *,
    vinet: bool = False,
) -> QuasiHarmonic:
    """Return the zero-pressure thermodynamics of energies and vibrations.

    Args:
        volumes: [n], Å^3 per atom, ascending.
        energies: [n], static, eV per atom.
        temperatures: [n_T], K, ascending.
        free_energies: [n_T, n], vibrational, eV per atom.
        heat_capacities: [n_T, n], at constant volume, J/mol/K per atom.
        vinet: fit Vinet's equation in place of Birch and Murnaghan's.

    Raises:
        DataError: the static energy, or the free energy of the lowest three
            temperatures, has no minimum inside the volumes.
    """
    static = fit_birch_murnaghan(volumes, energies)
    fits = _fits(volumes, energies + np.asarray(free_energies), vinet=vinet)
    kept = np.asarray(temperatures[: len(fits)], dtype=float)
    volume = np.array([fit.volume for fit in fits])
    modulus = np.array([fit.bulk_modulus for fit in fits]) * GPA_PER_EV_A3
    expansion = np.gradient(np.log(volume), kept, edge_order=2)
    if kept[0] == 0.0:
        expansion[0] = 0.0  # by the third law, where a difference is noise
    # A parabola in the volume follows C_V(V) to far below its own error.
    heat = np.array(
        [
            np.polyval(np.polyfit(volumes, row, 2), v)
            for row, v in zip(heat_capacities, volume, strict=False)
        ]
    )
    work = expansion**2 * modulus * volume * kept * _J_MOL
    with np.errstate(divide="ignore", invalid="ignore"):
        gamma = expansion * volume * modulus * _J_MOL / heat
    return QuasiHarmonic(
        temperatures=kept,
        volumes=volume,
        energies=np.array([fit.energy for fit in fits]),
        moduli=modulus,
        expansion=expansion,
        heat_capacity=heat + work,
        grueneisen=np.where(kept > 0.0, gamma, np.nan),
        r2=np.array([fit.r2 for fit in fits]),
        static=static,
    )


def _fits(
    volumes: FloatArray, free_energies: FloatArray, *, vinet: bool
) -> list[EquationOfState]:
    """Return one fit a temperature, up to the first minimum outside the volumes."""
    fits: list[EquationOfState] = []
    for row in free_energies:
        try:
            fit = fit_birch_murnaghan(volumes, row)
        except DataError:
            break
        if not volumes[0] < fit.volume < volumes[-1]:
            break
        fits.append(fit_vinet(volumes, row, fit) if vinet else fit)
    if len(fits) < 3:
        raise DataError(
            explain(
                "the free energy has no minimum inside the volumes",
                got=f"minima at {len(fits)} temperatures",
                wanted="three or more",
                fix="take larger volumes, or begin at a lower temperature",
            )
        )
    return fits
