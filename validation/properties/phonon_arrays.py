"""Arrays of a phonon result: bands, densities of states, curves, those of DFT."""

from __future__ import annotations

from typing import Any

import numpy as np
from phonopy import Phonopy

from lamplighter.validation.properties import bands as analysis
from lamplighter.validation.properties.base import Quantity
from lamplighter.validation.properties.phonon_settings import PhononSettings
from lamplighter.validation.properties.spectra import (
    commensurate_points,
    frequencies_at,
    group_velocities,
    projected_density,
    thermal_curves,
)
from lamplighter.validation.refs.force_sets import ForceSet


def band_arrays(
    phonons: Phonopy, path: analysis.BandPath, n_points: int
) -> dict[str, Any]:
    """Return frequencies and group velocities along a path."""
    found = analysis.run_bands(phonons, path, n_points=n_points)
    return {
        "distances": found.distances,
        "ticks": list(found.ticks),
        "labels": list(found.labels),
        "breaks": list(found.breaks),
        "qpoints": found.qpoints,
        "frequencies": found.frequencies,
        "group_velocities": group_velocities(phonons, found.qpoints),
    }


def spectrum_arrays(
    phonons: Phonopy, settings: PhononSettings
) -> tuple[analysis.Spectrum, dict[str, Any]]:
    """Return what a mesh gives, and its curves: densities of states, thermal functions.

    There are no thermal functions where there are imaginary modes.
    """
    spectrum = _spectrum(phonons, settings)
    arrays: dict[str, Any] = {
        "dos_frequencies": spectrum.frequencies,
        "dos": spectrum.density,
    }
    if spectrum.thermal is not None:
        step = settings.temperature_step
        temperatures = np.arange(0.0, settings.max_temperature + 0.5 * step, step)
        arrays |= {"temperatures": temperatures}
        arrays |= thermal_curves(phonons, temperatures.tolist())
    if settings.projected:
        arrays["dos_of_elements"] = projected_density(
            phonons,
            mesh=settings.mesh,
            frequencies=spectrum.frequencies,
            total=spectrum.density,
        )
    return spectrum, arrays


def beside_reference(
    phonons: Phonopy,
    reference: ForceSet,
    path: analysis.BandPath,
    settings: PhononSettings,
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """Return the reference's frequencies at the model's wave vectors, and differences.

    Values exist only where both have the same supercell: at other wave vectors the
    frequencies are interpolated. They compare sorted modes, without charges.
    """
    theirs = reference.phonons()
    born = reference.born_charges() if settings.nac else None
    corners = analysis.corner_frequencies(theirs, path)
    with analysis.with_charges(theirs, born):
        found = analysis.run_bands(
            theirs, path, n_points=settings.n_points, shape=phonons
        )
        spectrum = _spectrum(theirs, settings)
    arrays: dict[str, Any] = {
        "reference_label": str(reference.level),
        "reference_frequencies": found.frequencies,
        "reference_corners": corners,
        "reference_dos_frequencies": spectrum.frequencies,
        "reference_dos": spectrum.density,
    }
    points = commensurate_points(phonons)
    if points.shape != (there := commensurate_points(theirs)).shape or (
        np.abs(points - there).max() > 1e-6
    ):
        return {}, arrays
    mine, other = frequencies_at(phonons, points), frequencies_at(theirs, points)
    apart = np.abs(mine - other)
    arrays |= {
        "commensurate_qpoints": points,
        "commensurate_frequencies": mine,
        "reference_commensurate_frequencies": other,
    }
    return {
        "frequency_difference_mean": Quantity(value=float(apart.mean()), unit="THz"),
        "frequency_difference_largest": Quantity(value=float(apart.max()), unit="THz"),
    }, arrays


def _spectrum(phonons: Phonopy, settings: PhononSettings) -> analysis.Spectrum:
    return analysis.run_spectrum(
        phonons,
        mesh=settings.mesh,
        temperature=settings.temperature,
        imaginary_below=-settings.imaginary,
    )
