"""Phonons by finite displacements, through any engine, beside those of DFT.

The crystal is relaxed with the engine; one atom at a time is displaced in a supercell;
the forces give force constants and those the bands. Where a DFT force set of the
material exists, the same supercell and the same path serve both, so that folding of the
forces beyond the supercell cancels in the comparison.

Source: Parlinski, Li, Kawazoe, Phys. Rev. Lett. 78, 4063 (1997); Togo, J. Phys. Soc.
Jpn. 92, 012001 (2023).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties import bands as analysis
from lamplighter.validation.properties.bands import optical_at_gamma
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.force_constants import (
    N_ACOUSTIC,
    FloatArray,
    ForceConstants,
    IntArray,
    diagonal_supercell,
    force_constants,
)
from lamplighter.validation.properties.phonon_arrays import (
    band_arrays,
    beside_reference,
    spectrum_arrays,
)
from lamplighter.validation.properties.phonon_settings import PhononSettings
from lamplighter.validation.properties.stability import Stability, judge_stability
from lamplighter.validation.refs.force_sets import (
    FORCE_SETS,
    Displaced,
    ForceSet,
    charges_of,
    force_set,
    to_ase,
)
from lamplighter.validation.relax import RelaxSettings, relax_crystal, space_group

__all__ = ["PhononSettings", "run"]

_MODES_OF_TWO_ATOMS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    settings: PhononSettings
    reference: ForceSet | None
    unit: Atoms
    supercell: IntArray
    first: ForceConstants
    second: ForceConstants | None


def run(
    structure: Atoms, engine: Engine, settings: PhononSettings | None = None
) -> PropertyResult:
    """Return phonon frequencies, bands, density of states and thermal functions.

    Frequencies are in THz, sorted at each wave vector, imaginary ones negative, and
    named only where the wave vector fits the supercell: ``frequency_X_1`` is the lowest
    at X, ``frequency_Gamma_4`` the lowest optical one at Γ, without the non-analytical
    term; ``frequency_Gamma_TO`` is the same of two atoms. With Born charges
    ``frequency_Gamma_LO`` is the longitudinal mode of a cubic crystal,
    ``frequency_Gamma_LO_a`` and others those along edges of another one. With a DFT
    force set ``frequency_difference_mean`` is the mean absolute difference to it over
    all wave vectors that fit the supercell.

    Arrays: ``distances``, ``ticks``, ``labels``, ``breaks``, ``frequencies`` and
    ``group_velocities`` (m/s) [n_q, n_branches] and, with a DFT force set,
    ``reference_frequencies`` at the same wave vectors; ``dos_frequencies``, ``dos`` and
    ``dos_of_elements``; ``temperatures``, ``free_energy``, ``entropy``,
    ``heat_capacity`` per atom; ``stability``, the verdict on imaginary modes.

    Args:
        structure: a crystal, any cell; its formula names the material.
        engine: what computes.
        settings: see [`PhononSettings`][].

    Raises:
        ConfigError: a force set is asked for that does not exist or does not fit.
        EngineError: the engine fails.
    """
    settings = settings or PhononSettings()
    reference = _reference_of(structure, settings)
    dataset = _dataset(settings, reference)
    start, supercell = _cell_and_supercell(structure, engine, settings, reference)
    relaxed = relax_crystal(start, engine, RelaxSettings(fmax=settings.fmax))
    if not relaxed.ok:
        return PropertyResult.conclude(
            "phonon",
            material_name(structure),
            engine.info,
            method=asdict(settings),
            checks=relaxed.checks,
        )
    both = [
        force_constants(relaxed.atoms, supercell, engine, distance, dataset)
        for distance in (settings.displacement, settings.check_displacement)
        if distance is not None
    ]
    work = _Run(
        settings=settings,
        reference=reference,
        unit=relaxed.atoms,
        supercell=supercell,
        first=both[0],
        second=both[1] if len(both) > 1 else None,
    )
    values, arrays, stability = _analyse(work)
    return PropertyResult.conclude(
        "phonon",
        material_name(structure),
        engine.info,
        method=_method(work),
        checks=[*relaxed.checks, *_checks(both[0], stability, settings)],
        values=values,
        arrays=arrays,
    )


def _reference_of(structure: Atoms, settings: PhononSettings) -> ForceSet | None:
    """Return the force set of the same material and space group, if one is wanted."""
    if settings.reference == "none":
        return None
    name, group = material_name(structure), space_group(structure)
    if settings.reference == "auto":
        # The force set has the masses of the natural elements.
        found = None if structure.has("masses") else FORCE_SETS.get(name)
        return found if found is not None and found.space_group == group else None
    found = force_set(settings.reference)
    if (found.material, found.space_group) != (name, group):
        raise ConfigError(
            explain(
                "the DFT force set is of another crystal",
                got=f"{found.material}, space group {found.space_group}",
                wanted=f"{name}, space group {group}",
                fix="set reference to 'auto' or 'none'",
            )
        )
    return found


def _cell_and_supercell(
    structure: Atoms,
    engine: Engine,
    settings: PhononSettings,
    reference: ForceSet | None,
) -> tuple[Atoms, IntArray]:
    """Return the cell to relax and the supercell matrix.

    With a reference it is the reference's own cell and order of atoms, scaled to the
    structure's volume per atom, so that both have the same supercell.
    """
    if reference is not None and settings.supercell is None:
        phonons = reference.phonons()
        unit = to_ase(phonons.unitcell)
        wanted = structure.get_volume() / len(structure) * len(unit)
        unit.set_cell(
            unit.cell.array * (wanted / unit.get_volume()) ** (1 / 3), scale_atoms=True
        )
        return unit, np.asarray(phonons.supercell_matrix)
    unit = conventional(structure)
    if settings.supercell is not None:
        return unit, np.diag(np.asarray(settings.supercell, dtype=np.int64))
    length = max(settings.min_length, 2 * engine.info.cutoff)
    return unit, diagonal_supercell(unit, length)


def _dataset(
    settings: PhononSettings, reference: ForceSet | None
) -> list[Displaced] | None:
    """Return the reference's displacements if they are to be taken over.

    Raises:
        ConfigError: they are asked for and there is no reference, or another supercell.
    """
    if settings.dataset == "own":
        return None
    if reference is None or settings.supercell is not None:
        raise ConfigError(
            explain(
                "the displacements of a DFT force set are asked for",
                got="no force set of this crystal"
                if reference is None
                else f"supercell {settings.supercell}",
                wanted="a material with a force set, and the force set's supercell",
                fix="set dataset to 'own', or leave supercell out",
            )
        )
    return reference.displacements()


def _analyse(work: _Run) -> tuple[dict[str, Quantity], dict[str, Any], Stability]:
    settings, phonons = work.settings, work.first.phonons
    path = analysis.default_path(phonons)
    corners = analysis.corner_frequencies(phonons, path)
    again: dict[str, FloatArray] = {}
    if work.second is not None:
        again = analysis.corner_frequencies(work.second.phonons, path)
    values = _corner_values(corners, again)
    born = charges_of(work.reference, work.unit, phonons) if settings.nac else None
    if born is not None:
        longitudinal = analysis.longitudinal_modes(phonons, born)
        values |= {k: Quantity(value=v, unit="THz") for k, v in longitudinal.items()}
    with analysis.with_charges(phonons, born):
        spectrum, arrays = spectrum_arrays(phonons, settings)
        arrays |= band_arrays(phonons, path, settings.n_points)
    stability = judge_stability(
        phonons, spectrum.lowest, limit=settings.imaginary, noise=work.first.noise
    )
    lowest = min(stability.lowest_exact, stability.lowest_mesh)
    values["frequency_lowest"] = Quantity(
        value=lowest, unit="THz", error=work.first.noise
    )
    values |= _spectrum_values(spectrum, settings)
    arrays |= {"corners": corners, "stability": dataclasses.asdict(stability)}
    if work.reference is not None:
        more, beside = beside_reference(phonons, work.reference, path, settings)
        values, arrays = values | more, arrays | beside
    return values, arrays, stability


def _corner_values(
    corners: Mapping[str, FloatArray], again: Mapping[str, FloatArray]
) -> dict[str, Quantity]:
    values = {}
    for label, frequencies in corners.items():
        name, first, shown, other = label, 1, frequencies, again.get(label)
        if label == analysis.GAMMA:
            name, first, shown = "Gamma", N_ACOUSTIC + 1, optical_at_gamma(shown)
            other = None if other is None else optical_at_gamma(other)
        for index, frequency in enumerate(shown):
            error = None if other is None else abs(float(frequency - other[index]))
            values[f"frequency_{name}_{index + first}"] = Quantity(
                value=float(frequency), unit="THz", error=error
            )
        if name == "Gamma" and len(frequencies) == _MODES_OF_TWO_ATOMS:
            values["frequency_Gamma_TO"] = values[f"frequency_Gamma_{first}"]
    return values


def _spectrum_values(
    spectrum: analysis.Spectrum, settings: PhononSettings
) -> dict[str, Quantity]:
    values = {"frequency_highest": Quantity(value=spectrum.highest, unit="THz")}
    thermal = spectrum.thermal
    if thermal is None:
        return values
    end = f"{settings.temperature:g}K"
    return values | {
        f"free_energy_{end}": Quantity(value=thermal.free_energy, unit="kJ/mol"),
        f"entropy_{end}": Quantity(value=thermal.entropy, unit="J/mol/K"),
        f"heat_capacity_{end}": Quantity(value=thermal.heat_capacity, unit="J/mol/K"),
    }


def _checks(
    constants: ForceConstants, stability: Stability, settings: PhononSettings
) -> list[Check]:
    return [
        at_most(
            "residual force",
            constants.residual_force,
            settings.max_residual_force,
            "largest force before any displacement, eV/Å; relax more tightly",
        ),
        at_most(
            "force-constant symmetrisation",
            constants.correction,
            settings.max_correction,
            "largest change over the largest force constant; the forces are noisy or "
            "the displacement is too large",
        ),
        stability.check(),
    ]


def _method(work: _Run) -> dict[str, Any]:
    reference, charges = work.reference, work.reference and work.settings.nac
    return {
        **asdict(work.settings),
        "supercell_matrix": work.supercell.tolist(),
        "n_atoms_supercell": len(work.first.phonons.supercell),
        "n_displaced": work.first.n_displaced,
        "cell": work.unit.cell.array.tolist(),
        "drift_eV_per_A": work.first.drift,
        "noise_floor_THz": work.first.noise,
        "reference_level": str(reference.level) if reference else "none",
        "non_analytical_term": (
            "model's forces with DFT's Born charges and dielectric tensor"
            if charges and reference and reference.born_file
            else "none"
        ),
    }
