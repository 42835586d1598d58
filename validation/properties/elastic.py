"""Elastic constants with clamped and with relaxed ions.

Six Voigt strains of two sizes and both signs deform the relaxed primitive cell; central
differences of the stress give ``C_ij`` for each size, Richardson extrapolation removes
the leading error and is the error bar. The tensor is then projected on the point group;
the size of that projection is a check, not a repair.

Clamped-ion constants are reported beside relaxed-ion ones: they differ by an order of
magnitude in some crystals (C44 of silicon) and are confused often.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.elastic_strain import (
    NAMES,
    ElasticSettings,
    Stresses,
    ions_resolved,
    noise_level,
    strain_and_relax,
)
from lamplighter.validation.properties.elastic_tensor import (
    born_eigenvalues,
    deviation,
    lowest_stiffness,
    natural_scale,
    project,
)
from lamplighter.validation.properties.elastic_values import (
    constants,
    curves,
    entries,
    moduli,
    sound,
    tables,
)
from lamplighter.validation.relax import (
    RelaxSettings,
    largest_stress,
    relax_crystal,
)
from lamplighter.validation.structures import (
    is_cubic,
    point_group,
    standard_primitive,
)

__all__ = ["ElasticSettings", "analyse", "bulk_modulus_agreement", "run"]


def run(
    structure: Atoms, engine: Engine, settings: ElasticSettings | None = None
) -> PropertyResult:
    """Return the elastic constants of a crystal.

    Values, in GPa and in the standard crystal axes: ``C11``, ``C12``, ``C44`` (all
    non-zero ``C_ij`` unless cubic), the same with ``_clamped``; of a stable crystal
    ``bulk_modulus_VRH`` and ``shear_modulus`` with ``_voigt`` and ``_reuss``,
    ``young_modulus``; without unit ``poisson_ratio``, ``anisotropy_universal``,
    ``anisotropy_zener``; in m/s ``sound_velocity_100_1`` and others, ``..._mean``;
    ``density`` kg/m^3 and ``debye_temperature`` K. Arrays: ``C``, ``C_clamped``,
    ``C_error``, the compliance ``S`` in 1/GPa, ``C_ieee`` in the axes of the IEEE
    standard (rows of ``ieee_axes``), ``strains``, ``stress_relaxed``,
    ``stress_clamped``, ``born_eigenvalues`` and ``curves`` for a plot.

    Args:
        structure: Any cell of the crystal; it is relaxed first.
        engine: What evaluates.
        settings: Protocol and limits.

    Raises:
        EngineError: If an evaluation fails.
        DataError: If the structure is no crystal.
    """
    settings = settings or ElasticSettings()
    relaxed = relax_crystal(structure, engine, _relax_settings(settings))
    method: dict[str, Any] = {
        **dataclasses.asdict(settings),
        "strain_type": "Biot (symmetric), F = 1 + strain",
        "axes": "standard crystal axes",
    }
    checks = list(relaxed.checks)
    arrays: dict[str, Any] = {}
    values: dict[str, Quantity] = {}
    if relaxed.ok:
        crystal = standard_primitive(relaxed.atoms)
        stresses = strain_and_relax(crystal, engine, settings)
        zero = noise_level(engine, settings)
        method["zero_force"] = zero
        method["atoms_per_cell"] = len(crystal)
        method["evaluations"] = relaxed.evaluations + stresses.evaluations
        checks.append(
            at_most(
                "stress of the unstrained crystal",
                largest_stress(relaxed.stress),
                settings.max_residual_stress,
                "elastic constants are defined at zero stress, GPa",
            )
        )
        checks += stresses.failures or [ions_resolved(stresses, zero, settings)]
        more_checks, values, arrays = analyse(crystal, stresses, settings)
        checks += more_checks
    return PropertyResult.conclude(
        "elastic",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def analyse(
    crystal: Atoms, stresses: Stresses, settings: ElasticSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    """Return checks, values and arrays from stresses alone."""
    rotations = point_group(crystal)
    cubic = is_cubic(crystal)
    checks: list[Check] = []
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {"strains": stresses.sizes, "components": list(NAMES)}
    plots: list[dict[str, Any]] = []
    for ions, data in (("clamped", stresses.clamped), ("relaxed", stresses.relaxed)):
        small, large = _differences(data, stresses.sizes)
        raw = _extrapolated(small, large, settings.strains)
        tensor = project(raw, rotations)
        shift = project(small, rotations) - tensor
        error = np.abs(shift)
        suffix = "_clamped" if ions == "clamped" else ""
        arrays[f"C{suffix}"], arrays[f"C{suffix}_error"] = tensor, error
        arrays[f"stress_{ions}"] = data
        checks += _tensor_checks(ions, raw, tensor, (small, large), settings)
        values |= constants(tensor, error, suffix, entries(rotations, cubic=cubic))
        plots += curves(ions, data, stresses.sizes, tensor, cubic=cubic)
    arrays["curves"] = plots
    arrays |= tables(arrays["C"], crystal)
    # The relaxed ions come last: theirs are the tensor and its shift here. What mixes
    # several constants takes the shift with its signs, which their errors have lost.
    arrays["born_eigenvalues"] = born_eigenvalues(tensor)
    lowest, doubt = lowest_stiffness(tensor, error)
    checks.append(
        at_least(
            "Born stability",
            lowest,
            doubt,
            f"lowest eigenvalue of the stiffness, {lowest:.2g} ± {doubt:.1g} GPa; below"
            " its error: the crystal is not shown to be stable in this model",
            hard=False,
        )
    )
    if checks[-1].ok:
        values |= moduli(tensor, shift, cubic=cubic)
        values |= sound(tensor, shift, crystal, cubic=cubic)
    return checks, values, arrays


def bulk_modulus_agreement(
    bulk: PropertyResult, elastic: PropertyResult, limit: float = 0.03
) -> Check | None:
    """Return the check that E(V) and the elastic constants give one bulk modulus.

    Args:
        bulk: Result of ``bulk.run``.
        elastic: Result of ``elastic.run`` for the same material and engine.
        limit: Largest relative difference.

    Returns:
        The check, or ``None`` when one of the two results is invalid.
    """
    a = bulk.values.get("bulk_modulus")
    b = elastic.values.get("bulk_modulus_reuss")
    if a is None or b is None:
        return None
    return at_most(
        "bulk modulus from E(V) and from C",
        abs(a.value / b.value - 1.0),
        limit,
        f"{a.value:.2f} GPa from E(V), {b.value:.2f} GPa from C",
    )


def _relax_settings(settings: ElasticSettings) -> RelaxSettings:
    return RelaxSettings(
        fmax=settings.fmax, max_stress=settings.max_stress, max_steps=settings.max_steps
    )


def _differences(data: FloatArray, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``dstress_i/dstrain_j`` of the small and of the large strain."""
    small = (data[:, 2] - data[:, 1]) / (sizes[2] - sizes[1])
    large = (data[:, 3] - data[:, 0]) / (sizes[3] - sizes[0])
    return small.T, large.T


def _extrapolated(
    small: FloatArray, large: FloatArray, strains: tuple[float, ...]
) -> FloatArray:
    """Return Richardson's extrapolation of central differences to zero strain."""
    weight = (strains[1] / strains[0]) ** 2
    return (weight * small - large) / (weight - 1.0)


def _tensor_checks(
    ions: str,
    raw: FloatArray,
    tensor: FloatArray,
    sizes: tuple[FloatArray, FloatArray],
    settings: ElasticSettings,
) -> list[Check]:
    """Return the checks of one tensor, relative to ``sqrt(C_ii C_jj)``."""
    scale = natural_scale(tensor)
    asymmetry = float(np.max(np.abs(raw - raw.T) / scale))
    return [
        at_most(
            f"symmetry of C, {ions} ions",
            asymmetry,
            settings.max_deviation,
            "C_ij = C_ji; a difference means stress and energy do not belong together",
        ),
        at_most(
            f"point group of C, {ions} ions",
            deviation((raw + raw.T) / 2.0, tensor),
            settings.max_deviation,
            "relative change of C by the projection on the point group",
        ),
        at_most(
            f"strain size, {ions} ions",
            float(np.max(np.abs(sizes[0] - sizes[1]) / scale)),
            settings.max_size_effect,
            "relative difference of C from the two sizes of strain",
        ),
    ]
