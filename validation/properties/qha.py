"""Thermal expansion in the quasi-harmonic approximation.

At each temperature the free energy ``E(V) + F_vib(V, T)`` of several volumes is fitted
with an equation of state; its minimum is the volume at that temperature. Energies and
free energies are those of the same cell, per atom.

Source: S. Baroni, P. Giannozzi, E. Isaev, Rev. Mineral. Geochem. 71, 39 (2010).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from scipy import constants

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.bands import run_spectrum
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.quasi_harmonic import (
    QuasiHarmonic,
    quasi_harmonic,
)
from lamplighter.validation.properties.spectra import thermal_curves
from lamplighter.validation.properties.volume_phonons import (
    VolumeSeries,
    VolumeSettings,
    volume_series,
)

_EV_PER_KJ_MOL: Final = 1e3 / (constants.e * constants.N_A)


@dataclass(frozen=True, slots=True, kw_only=True)
class QhaSettings(VolumeSettings):
    """How the quasi-harmonic approximation is computed.

    Attributes:
        points: number of volumes.
        compression: smallest volume, relative to the minimum of the static energy.
        expansion: largest volume.
        max_temperature: end of the curves, K.
        temperature_step: their spacing, K.
        min_r2: least coefficient of determination of a fit up to `temperature`.
        max_model_difference: largest relative difference of the thermal expansion by
            Birch-Murnaghan and by Vinet.
    """

    points: int = 7
    compression: float = 0.02
    expansion: float = 0.06
    max_temperature: float = 1000.0
    temperature_step: float = 10.0
    min_r2: float = 0.9999
    max_model_difference: float = 0.05

    def __post_init__(self) -> None:
        """Refuse curves that determine no minimum."""
        VolumeSettings.__post_init__(self)
        wide = 0.0 < self.compression <= 0.2 and 0.0 < self.expansion <= 0.2
        grid = 0.0 < self.temperature_step <= self.temperature / 3.0
        if self.points < 5 or not wide or not grid:
            raise ConfigError(
                explain(
                    "quasi-harmonic settings",
                    got=f"{self.points} volumes from -{self.compression} to "
                    f"{self.expansion}, steps of {self.temperature_step} K",
                    wanted="5 volumes or more, changes above 0 and at most 0.2, steps "
                    f"of at most a third of {self.temperature:g} K",
                    fix="leave them out to use the defaults",
                )
            )


def run(
    start: Atoms, engine: Engine, settings: QhaSettings | None = None
) -> PropertyResult:
    """Return volume, thermal expansion, bulk modulus and heat capacity with heat.

    Values at 0 K with zero-point motion and at ``temperature`` (300 K):
    ``volume_per_atom_300K`` Å^3, ``lattice_constant_300K`` Å of a cubic crystal,
    ``bulk_modulus_300K`` GPa, ``thermal_expansion_300K`` 1/K of the volume,
    ``heat_capacity_p_300K`` J/mol/K per atom, ``grueneisen_thermal_300K``. Arrays by
    ``temperatures``: ``volume``, ``bulk_modulus``, ``thermal_expansion``,
    ``heat_capacity_p``, ``grueneisen``; ``volumes``, ``energies`` and
    ``free_energies`` [n_T, n_volumes] that were fitted, eV per atom.

    Args:
        start: any cell of the crystal.
        engine: what computes.
        settings: see [`QhaSettings`][].

    Raises:
        EngineError: an evaluation fails.
        DataError: the structure is no crystal.
    """
    settings = settings or QhaSettings()
    factors = 1.0 + np.linspace(
        -settings.compression, settings.expansion, settings.points
    )
    series = volume_series(start, engine, factors.tolist(), settings)
    checks = list(series.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if series.points:
        more, values, arrays = _analyse(series, settings)
        checks += more
    return PropertyResult.conclude(
        "qha",
        material_name(start),
        engine.info,
        method={
            **dataclasses.asdict(settings),
            "supercell_matrix": series.supercell.tolist(),
            "isobar": "zero pressure, without electronic excitations",
        },
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _analyse(
    series: VolumeSeries, settings: QhaSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    temperatures = np.arange(
        0.0,
        settings.max_temperature + 0.5 * settings.temperature_step,
        settings.temperature_step,
    )
    lowest, free, heat = _vibrations(series, temperatures, settings)
    stable = at_least(
        "imaginary modes",
        lowest,
        -settings.imaginary,
        "lowest frequency at any volume, THz; an imaginary mode has no free energy",
    )
    if not stable.ok:
        return [stable], {}, {}
    volumes = np.array([point.volume for point in series.points])
    energies = np.array([point.energy for point in series.points])
    inputs = (volumes, energies, temperatures, free, heat)
    arrays: dict[str, Any] = {
        "volumes": volumes,
        "energies": energies,
        "free_energies": energies + free,
    }
    try:
        found, other = quasi_harmonic(*inputs), quasi_harmonic(*inputs, vinet=True)
    except DataError as error:
        failed = Check(name="minimum inside the volumes", ok=False, text=str(error))
        return [stable, failed], {}, arrays
    checks = _fit_checks(found, other, settings)
    arrays |= {
        "temperatures": found.temperatures,
        "volume": found.volumes,
        "bulk_modulus": found.moduli,
        "thermal_expansion": found.expansion,
        "heat_capacity_p": found.heat_capacity,
        "grueneisen": found.grueneisen,
    }
    values: dict[str, Quantity] = {}
    if all(check.ok for check in checks):
        values = _values(series, found, other, settings)
    return [stable, *checks], values, arrays


def _vibrations(
    series: VolumeSeries, temperatures: FloatArray, settings: QhaSettings
) -> tuple[float, FloatArray, FloatArray]:
    """Return the lowest frequency; free energies, eV, and heat capacities by T, V."""
    lowest, free, heat = [], [], []
    for point in series.points:
        phonons = point.constants.phonons
        spectrum = run_spectrum(
            phonons, mesh=settings.mesh, temperature=settings.temperature
        )
        lowest.append(spectrum.lowest)
        curves = thermal_curves(phonons, temperatures.tolist())
        free.append(curves["free_energy"] * _EV_PER_KJ_MOL)
        heat.append(curves["heat_capacity"])
    return min(lowest), np.transpose(free), np.transpose(heat)


def _fit_checks(
    found: QuasiHarmonic, other: QuasiHarmonic, settings: QhaSettings
) -> list[Check]:
    end = min(found.temperatures[-1], other.temperatures[-1])
    inside = at_least(
        "minimum inside the volumes",
        float(end),
        settings.temperature + settings.temperature_step,
        "highest temperature, K, whose volume is not extrapolated; take a larger"
        " expansion",
    )
    if not inside.ok:
        return [inside]
    at = _index(found, settings)
    return [
        inside,
        at_least(
            "fit of the free energy",
            float(found.r2[: at + 1].min()),
            settings.min_r2,
            "least coefficient of determination of the Birch-Murnaghan fits",
        ),
        at_most(
            "Birch-Murnaghan and Vinet",
            abs(float(other.expansion[at] / found.expansion[at]) - 1.0),
            settings.max_model_difference,
            "relative difference of the thermal expansion",
        ),
    ]


def _index(found: QuasiHarmonic, settings: QhaSettings) -> int:
    return int(np.abs(found.temperatures - settings.temperature).argmin())


def _values(
    series: VolumeSeries,
    found: QuasiHarmonic,
    other: QuasiHarmonic,
    settings: QhaSettings,
) -> dict[str, Quantity]:
    """Return the numbers; the second equation of state gives the error bars."""
    at = _index(found, settings)
    values: dict[str, Quantity] = {}
    lengths = series.equilibrium.cell.lengths()
    static = series.equilibrium.get_volume() / len(series.equilibrium)
    cubic = bool(np.ptp(lengths) < 1e-6 * lengths[0])
    for index in (0, at):
        end = f"{found.temperatures[index]:g}K"
        pair = (found.volumes[index], other.volumes[index])
        values[f"volume_per_atom_{end}"] = _quantity(*pair, "Å^3")
        if cubic:
            one, two = (lengths[0] * (v / static) ** (1 / 3) for v in pair)
            values[f"lattice_constant_{end}"] = _quantity(one, two, "Å")
        values[f"bulk_modulus_{end}"] = _quantity(
            found.moduli[index], other.moduli[index], "GPa"
        )
    end = f"{found.temperatures[at]:g}K"
    for name, attribute, unit in (
        ("thermal_expansion", "expansion", "1/K"),
        ("heat_capacity_p", "heat_capacity", "J/mol/K"),
        ("grueneisen_thermal", "grueneisen", ""),
    ):
        pair = (getattr(found, attribute)[at], getattr(other, attribute)[at])
        values[f"{name}_{end}"] = _quantity(*pair, unit)
    return values


def _quantity(value: float, other: float, unit: str) -> Quantity:
    return Quantity(value=float(value), unit=unit, error=abs(float(value - other)))
