"""Lattice constant and bulk modulus: relaxation, then an equation of state."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.eos import (
    EquationOfState,
    birch_murnaghan,
    fit_birch_murnaghan,
    fit_vinet,
    pressure,
)
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    largest_stress,
    relax_at_volume,
    relax_crystal,
    relax_ions,
)
from lamplighter.validation.structures import (
    UNIAXIAL,
    is_cubic,
    standard_primitive,
    symmetry,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkSettings:
    """How the equation of state is computed and what makes it invalid.

    Attributes:
        points: Number of volumes.
        span: Largest relative change of the volume (not of the length).
        fmax: Largest residual force after each relaxation, eV/Å.
        max_stress: Largest stress after the first relaxation, GPa; in other than cubic
            crystals also the largest deviatoric stress at each volume.
        max_steps: Optimiser steps of one relaxation.
        min_r2: Least coefficient of determination of the fit.
        max_model_difference: Largest relative difference of the bulk moduli by
            Birch-Murnaghan and by Vinet.
        max_pressure_difference: Largest difference of the pressure from the stress and
            from the fit, as a fraction of the largest pressure.
    """

    points: int = 11
    span: float = 0.06
    fmax: float = 1e-4
    max_stress: float = 1e-3
    max_steps: int = 500
    min_r2: float = 0.9999
    max_model_difference: float = 0.03
    max_pressure_difference: float = 0.05

    def __post_init__(self) -> None:
        """Refuse curves that determine no fit."""
        if self.points < 6 or not 0.0 < self.span <= 0.2:
            raise ConfigError(
                explain(
                    "equation of state",
                    got=f"{self.points} points, span {self.span}",
                    wanted="6 points or more, span above 0 and at most 0.2",
                    fix="use 11 points and a span of 0.06",
                )
            )


def run(
    structure: Atoms, engine: Engine, settings: BulkSettings | None = None
) -> PropertyResult:
    """Return lattice constant, equilibrium volume and energy, and bulk modulus.

    Values: ``lattice_constant`` (and, where they are others by symmetry,
    ``lattice_constant_b`` and ``_c``) of the conventional cell in Å,
    ``volume_per_atom`` Å^3, ``energy_per_atom`` eV/atom, ``bulk_modulus`` GPa,
    ``bulk_modulus_derivative``. Arrays, per atom: ``volumes``, ``energies``,
    ``pressures`` (GPa, from the stress), ``fit_volumes``, ``fit_energies``.

    Args:
        structure: Any cell of the crystal.
        engine: What evaluates.
        settings: Protocol and limits.

    Raises:
        EngineError: If an evaluation fails.
        DataError: If the structure is no crystal.
    """
    settings = settings or BulkSettings()
    thresholds = RelaxSettings(
        fmax=settings.fmax, max_stress=settings.max_stress, max_steps=settings.max_steps
    )
    relaxed = relax_crystal(structure, engine, thresholds)
    checks = list(relaxed.checks)
    method: dict[str, Any] = dataclasses.asdict(settings)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        crystal = standard_primitive(relaxed.atoms)
        points = _points(crystal, engine, settings, thresholds)
        failed = [c for point in points for c in point.checks if not c.ok]
        method["atoms_per_cell"] = len(crystal)
        method["evaluations"] = relaxed.evaluations + sum(
            point.evaluations for point in points
        )
        checks += failed
        if not failed:
            more, values, arrays = _analyse(relaxed, points, settings)
            checks += more
    return PropertyResult.conclude(
        "bulk",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _points(
    crystal: Atoms, engine: Engine, settings: BulkSettings, thresholds: RelaxSettings
) -> list[Relaxed]:
    """Return the crystal relaxed at each volume, from small to large."""
    cubic = is_cubic(crystal)
    factors = 1.0 + np.linspace(-settings.span, settings.span, settings.points)
    found = []
    for factor in factors:
        scaled = crystal.copy()
        scaled.set_cell(crystal.cell.array * factor ** (1.0 / 3.0), scale_atoms=True)
        if cubic:
            end = relax_ions(
                scaled, engine, fmax=settings.fmax, max_steps=settings.max_steps
            )
        else:
            end = relax_at_volume(scaled, engine, thresholds)
        found.append(end)
    return found


def _analyse(
    relaxed: Relaxed, points: list[Relaxed], settings: BulkSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    """Return checks, values and arrays from energies and stresses."""
    n_atoms = len(points[0].atoms)
    volumes = np.array([point.atoms.get_volume() for point in points]) / n_atoms
    energies = np.array([point.energy for point in points]) / n_atoms
    stresses = np.array([_mean_stress(point) for point in points])
    arrays = {
        "volumes": volumes,
        "energies": energies,
        "pressures": -stresses * GPA_PER_EV_A3,
    }
    try:
        fit = fit_birch_murnaghan(volumes, energies)
    except DataError as error:
        return [Check(name="minimum inside", ok=False, text=str(error))], {}, arrays
    other = fit_vinet(volumes, energies, fit)
    dense = np.linspace(volumes[0], volumes[-1], 101)
    arrays["fit_volumes"] = dense
    arrays["fit_energies"] = fit.energy + birch_murnaghan(
        dense, fit.volume, fit.bulk_modulus, fit.derivative
    )
    checks = _fit_checks(fit, other, volumes, -stresses, settings)
    # The relaxed cell and the minimum of the curve are the same crystal twice.
    volume = relaxed.atoms.get_volume() / len(relaxed.atoms)
    checks.append(
        at_most(
            "volume of relaxation and of E(V)",
            abs(fit.volume / volume - 1.0),
            1e-3,
            "relative difference",
            hard=False,
        )
    )
    return checks, _values(relaxed, fit, other), arrays


def _mean_stress(point: Relaxed) -> float:
    """Return a third of the trace of the stress, eV/Å^3."""
    largest_stress(point.stress)  # raises where the engine has no stress
    return float(np.trace(np.asarray(point.stress))) / 3.0


def _fit_checks(
    fit: EquationOfState,
    other: EquationOfState,
    volumes: FloatArray,
    pressures: FloatArray,
    settings: BulkSettings,
) -> list[Check]:
    """Return the checks of the fit; pressures are those of the stress, eV/Å^3."""
    step = volumes[1] - volumes[0]
    edge = min(fit.volume - volumes[0], volumes[-1] - fit.volume) / step
    wrong = float(np.abs(pressure(volumes, fit) - pressures).max())
    return [
        at_least(
            "fit of E(V)",
            fit.r2,
            settings.min_r2,
            "coefficient of determination of the Birch-Murnaghan fit",
        ),
        at_least(
            "minimum inside",
            float(edge),
            1.0,
            "distance of the minimum from the edge, in steps of volume",
        ),
        at_most(
            "Birch-Murnaghan and Vinet",
            abs(other.bulk_modulus / fit.bulk_modulus - 1.0),
            settings.max_model_difference,
            "relative difference of the two bulk moduli",
        ),
        at_most(
            "pressure and -dE/dV",
            wrong / max(float(np.abs(pressures).max()), 1e-12),
            settings.max_pressure_difference,
            "largest difference as a fraction of the largest pressure; stress and"
            " energy do not belong together when it is large",
        ),
    ]


def _values(
    relaxed: Relaxed, fit: EquationOfState, other: EquationOfState
) -> dict[str, Quantity]:
    """Return the numbers; the second fit and the relaxation give the error bars."""
    lengths = conventional(relaxed.atoms).cell.lengths()
    volume = relaxed.atoms.get_volume() / len(relaxed.atoms)
    stretch = abs((fit.volume / volume) ** (1.0 / 3.0) - 1.0)
    values = {
        "lattice_constant": Quantity(
            value=float(lengths[0]), unit="Å", error=float(lengths[0] * stretch)
        ),
        "volume_per_atom": Quantity(
            value=volume, unit="Å^3", error=abs(fit.volume - volume)
        ),
        "energy_per_atom": Quantity(
            value=relaxed.energy / len(relaxed.atoms), unit="eV/atom"
        ),
        "bulk_modulus": Quantity(
            value=fit.bulk_modulus * GPA_PER_EV_A3,
            unit="GPa",
            error=abs(fit.bulk_modulus - other.bulk_modulus) * GPA_PER_EV_A3,
        ),
        "bulk_modulus_derivative": Quantity(
            value=fit.derivative, unit="", error=abs(fit.derivative - other.derivative)
        ),
    }
    if not is_cubic(relaxed.atoms):
        number = int(symmetry(relaxed.atoms).number)
        # Where a and b are one length by symmetry, a says it.
        for index, edge in enumerate("abc"):
            if edge == "c" or (edge == "b" and number < UNIAXIAL):
                length = float(lengths[index])
                values[f"lattice_constant_{edge}"] = Quantity(
                    value=length, unit="Å", error=length * stretch
                )
    return values
