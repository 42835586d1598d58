"""Grüneisen parameters: how frequencies follow the volume.

``gamma = -dln(omega)/dln(V)`` of each mode, from force constants at two volumes on
either side of the minimum; the mean weighted by heat capacities gives the thermal
expansion without any free energy of many volumes.

Source: E. Grüneisen, Ann. Phys. 344, 257 (1912); T. H. K. Barron, J. G. Collins, G. K.
White, Adv. Phys. 29, 609 (1980).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from phonopy import Phonopy
from scipy import constants

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.bands import (
    GAMMA,
    BandPath,
    corner_frequencies,
    default_path,
    run_bands,
    run_spectrum,
)
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.volume_phonons import (
    VolumePoint,
    VolumeSeries,
    VolumeSettings,
    volume_series,
)

_N_ACOUSTIC: Final = 3
# Modes closer than this, THz, share a subspace in which the change is diagonalised.
_DEGENERATE: Final = 1e-3
# Modes below this, THz, have no Grüneisen parameter: the acoustic ones at Γ.
_ZERO: Final = 1e-2
_GPA_A3_TO_J: Final = 1e-21


@dataclass(frozen=True, slots=True, kw_only=True)
class GrueneisenSettings(VolumeSettings):
    """How Grüneisen parameters are computed.

    Attributes:
        steps: two relative changes of the volume, the smaller first; the difference of
            what they give is the error bar.
        n_points: about how many wave vectors the band path gets.
        max_step_difference: largest difference of the mean from the two steps.
    """

    steps: tuple[float, ...] = (0.01, 0.02)
    n_points: int = 120
    max_step_difference: float = 0.05

    def __post_init__(self) -> None:
        """Refuse steps that give no derivative."""
        # A slotted dataclass is a new class, which super() without words misses.
        VolumeSettings.__post_init__(self)
        if len(self.steps) != 2 or not 0.0 < self.steps[0] < self.steps[1] <= 0.1:
            raise ConfigError(
                explain(
                    "grueneisen setting 'steps'",
                    got=self.steps,
                    wanted="two changes of the volume, 0 < smaller < larger <= 0.1",
                    fix="use (0.01, 0.02)",
                )
            )


def run(
    start: Atoms, engine: Engine, settings: GrueneisenSettings | None = None
) -> PropertyResult:
    """Return mode and mean Grüneisen parameters of a crystal.

    Values, without unit: ``grueneisen_mean_300K`` weighted by the heat capacities,
    ``grueneisen_X_1`` and others of the modes at the corners that fit the supercell;
    ``grueneisen_lowest`` and ``grueneisen_highest`` of all modes. Also
    ``bulk_modulus_pressure`` GPa from the stresses, and ``thermal_expansion_300K`` 1/K
    of the volume, ``gamma C_V / (V B)``. Arrays: ``distances``, ``ticks``, ``labels``,
    ``breaks``, ``frequencies`` and ``grueneisen`` [n_q, n_branches] along the path,
    ``mesh_frequencies`` and ``mesh_grueneisen`` of the mesh.

    Args:
        start: any cell of the crystal.
        engine: what computes.
        settings: see [`GrueneisenSettings`][].

    Raises:
        EngineError: an evaluation fails.
        DataError: the structure is no crystal.
    """
    settings = settings or GrueneisenSettings()
    small, large = settings.steps
    factors = [1.0 - large, 1.0 - small, 1.0, 1.0 + small, 1.0 + large]
    series = volume_series(start, engine, factors, settings)
    checks = list(series.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if series.points:
        more, values, arrays = _analyse(series, settings)
        checks += more
    method: dict[str, Any] = {
        **dataclasses.asdict(settings),
        "supercell_matrix": series.supercell.tolist(),
        "pressures_GPa": [point.pressure for point in series.points],
    }
    return PropertyResult.conclude(
        "grueneisen",
        material_name(start),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def mode_parameters(
    below: Phonopy, middle: Phonopy, above: Phonopy, qpoints: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (THz, ascending) and Grüneisen parameters of each mode.

    ``-(V / 2 omega^2) <e| dD/dV |e>``, the derivative of the dynamical matrix between
    the outer volumes; within modes of equal frequency it is diagonalised. Modes without
    frequency, the acoustic ones at Γ, have no parameter: NaN.

    Args:
        below: force constants at a smaller volume.
        middle: at the volume in between, whose modes are meant.
        above: at a larger volume.
        qpoints: [n_q, 3], fractions of the reciprocal vectors.

    Returns:
        Two arrays [n_q, n_branches].
    """
    volumes = [phonons.primitive.volume for phonons in (below, middle, above)]
    frequencies, parameters = [], []
    for q in qpoints:
        one, two, three = (_dynamical(p, q) for p in (below, middle, above))
        squares, vectors = np.linalg.eigh(two)
        change = (three - one) / (volumes[2] - volumes[0]) * volumes[1]
        omega = np.sqrt(np.abs(squares)) * np.sign(squares) * _thz(middle)
        slopes = np.empty(len(omega))
        for group in _groups(omega):
            inside = vectors[:, group].conj().T @ change @ vectors[:, group]
            slopes[group] = np.linalg.eigvalsh(inside)
        defined = np.abs(omega) > _ZERO
        gamma = np.full(len(omega), np.nan)
        gamma[defined] = -slopes[defined] / (2.0 * squares[defined])
        frequencies.append(omega)
        parameters.append(gamma)
    return np.array(frequencies), np.array(parameters)


def mean_parameter(
    frequencies: FloatArray,
    parameters: FloatArray,
    weights: FloatArray,
    temperature: float,
) -> float:
    """Return the mean over all modes, weighted by their heat capacities.

    Args:
        frequencies: [n_q, n_branches], THz.
        parameters: [n_q, n_branches]; NaN is left out.
        weights: [n_q], multiplicity of the wave vectors.
        temperature: K; a high one gives every mode the same weight.
    """
    used = np.isfinite(parameters) & (frequencies > _ZERO)
    x = np.where(used, frequencies, 1.0) * 1e12 * constants.h
    x = x / (constants.k * temperature)
    heat = np.where(used, (x / 2.0 / np.sinh(x / 2.0)) ** 2, 0.0)
    heat = heat * np.asarray(weights)[:, None]
    return float((heat * np.where(used, parameters, 0.0)).sum() / heat.sum())


def _dynamical(phonons: Phonopy, q: FloatArray) -> Any:
    matrix = phonons.dynamical_matrix
    if matrix is None:
        raise ConfigError(explain("phonons without force constants", got="none"))
    matrix.run(q)
    return np.array(matrix.dynamical_matrix)


def _thz(phonons: Phonopy) -> float:
    return float(phonons.unit_conversion_factor)


def _groups(omega: FloatArray) -> list[slice]:
    """Return slices of modes with equal frequency, in ascending order."""
    edges = np.flatnonzero(np.diff(omega) > _DEGENERATE) + 1
    bounds = [0, *edges.tolist(), len(omega)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


def _analyse(
    series: VolumeSeries, settings: GrueneisenSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    points = series.points
    objects = [point.constants.phonons for point in points]
    middle = objects[2]
    spectrum = run_spectrum(
        middle, mesh=settings.mesh, temperature=settings.temperature
    )
    stable = at_least(
        "imaginary modes",
        spectrum.lowest,
        -settings.imaginary,
        "lowest frequency in THz; a mode that is imaginary has no Grüneisen parameter",
    )
    if not stable.ok or spectrum.thermal is None:
        return [stable], {}, {}
    mesh: Any = middle.mesh
    qpoints, weights = np.asarray(mesh.qpoints), np.asarray(mesh.weights)
    both = [
        mode_parameters(objects[2 - step], middle, objects[2 + step], qpoints)
        for step in (1, 2)
    ]
    means = [mean_parameter(*one, weights, settings.temperature) for one in both]
    checks = [
        stable,
        at_most(
            "two steps of the volume",
            abs(means[0] - means[1]),
            settings.max_step_difference,
            "difference of the mean Grüneisen parameter from the two steps",
        ),
    ]
    frequencies, gammas = both[0]
    path = default_path(middle)
    values = _values(points, means, gammas, spectrum.thermal.heat_capacity, settings)
    values |= _corner_values(objects, path)
    arrays = _along(objects, path, settings.n_points)
    arrays |= {
        "mesh_frequencies": frequencies,
        "mesh_grueneisen": gammas,
        "mesh_weights": weights,
    }
    return checks, values, arrays


def _along(objects: Sequence[Phonopy], path: BandPath, n_points: int) -> dict[str, Any]:
    """Return frequencies and parameters along the band path, by the smaller step."""
    found = run_bands(objects[2], path, n_points=n_points)
    frequencies, gammas = mode_parameters(
        objects[1], objects[2], objects[3], found.qpoints
    )
    return {
        "distances": found.distances,
        "ticks": list(found.ticks),
        "labels": list(found.labels),
        "breaks": list(found.breaks),
        "qpoints": found.qpoints,
        "frequencies": frequencies,
        "grueneisen": gammas,
    }


def _values(
    points: Sequence[VolumePoint],
    means: Sequence[float],
    gammas: FloatArray,
    heat: float,
    settings: GrueneisenSettings,
) -> dict[str, Quantity]:
    """Return the numbers; the larger step gives the error bars."""
    end, volume = f"{settings.temperature:g}K", points[2].volume
    moduli = [
        -volume
        * (points[2 + step].pressure - points[2 - step].pressure)
        / (points[2 + step].volume - points[2 - step].volume)
        for step in (1, 2)
    ]
    per_volume = heat / constants.N_A / volume
    expansions = [
        mean * per_volume / (modulus * _GPA_A3_TO_J)
        for mean, modulus in zip(means, moduli, strict=True)
    ]

    def quantity(pair: Sequence[float], unit: str) -> Quantity:
        return Quantity(value=pair[0], unit=unit, error=abs(pair[0] - pair[1]))

    return {
        f"grueneisen_mean_{end}": quantity(means, ""),
        "grueneisen_lowest": Quantity(value=float(np.nanmin(gammas)), unit=""),
        "grueneisen_highest": Quantity(value=float(np.nanmax(gammas)), unit=""),
        "bulk_modulus_pressure": quantity(moduli, "GPa"),
        f"thermal_expansion_{end}": quantity(expansions, "1/K"),
    }


def _corner_values(objects: Sequence[Phonopy], path: BandPath) -> dict[str, Quantity]:
    corners = path.corners()
    values = {}
    for label in corner_frequencies(objects[2], path):
        q = np.array([corners[label]])
        pairs = [
            mode_parameters(objects[2 - step], objects[2], objects[2 + step], q)[1][0]
            for step in (1, 2)
        ]
        name = "Gamma" if label == GAMMA else label
        for index, (small, large) in enumerate(zip(*pairs, strict=True), start=1):
            if np.isfinite(small) and np.isfinite(large):
                values[f"grueneisen_{name}_{index}"] = Quantity(
                    value=float(small), unit="", error=abs(float(small - large))
                )
    return values
