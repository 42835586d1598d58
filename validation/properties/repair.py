"""Follow an imaginary mode to the structure that the potential prefers.

The crystal is displaced along the eigenvector of its lowest mode in a supercell that
holds the wave vector, relaxed there with a fixed cell, symmetrised, and relaxed with
its cell in the new space group. What comes out says how much energy the instability is
worth: a few meV per atom are within what a potential gets wrong, a lot is another
phase.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.bands import run_spectrum
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.force_constants import (
    ForceConstants,
    diagonal_supercell,
    force_constants,
)
from lamplighter.validation.properties.phonon_settings import check_grid
from lamplighter.validation.properties.stability import Stability, judge_stability
from lamplighter.validation.refs.force_sets import to_ase
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    relax_crystal,
    relax_ions,
)
from lamplighter.validation.structures import standard_primitive, symmetry

_MEV: Final = 1e3
_RISES: Final = (
    "meV/atom; an imaginary mode along which the energy rises is no mode of this"
    " potential: forces and energy do not belong together"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairSettings:
    """How an imaginary mode is followed.

    Attributes:
        displacement: how far one atom is moved for the force constants, Å.
        supercell: repeats of the conventional cell; ``None`` takes what `min_length`
            asks for.
        min_length: shortest distance between faces of an automatic supercell, Å.
        mesh: wave vectors along each reciprocal vector, for the lowest mode.
        amplitudes: largest displacements of an atom along the mode that are tried, Å;
            the relaxation starts from the one of lowest energy.
        fmax: largest force after each relaxation, eV/Å.
        max_stress: largest stress after relaxations of the cell, GPa.
        max_steps: optimiser steps of one relaxation.
        symprec: Å, within which the symmetry of the new structure is looked for.
        imaginary: frequencies below minus this, THz, are imaginary modes.
        verify: compute the lowest mode of the new structure too.
    """

    displacement: float = 0.02
    supercell: tuple[int, int, int] | None = None
    min_length: float = 12.0
    mesh: int = 11
    amplitudes: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    fmax: float = 1e-4
    max_stress: float = 1e-2
    max_steps: int = 500
    symprec: float = 1e-2
    imaginary: float = 0.05
    verify: bool = True

    def __post_init__(self) -> None:
        """Refuse amplitudes that lead nowhere."""
        check_grid(self.mesh, self.supercell)
        if not self.amplitudes or not min(self.amplitudes) > 0.0:
            raise ConfigError(
                explain(
                    "repair setting 'amplitudes'",
                    got=self.amplitudes,
                    wanted="one displacement in Å or more, all above 0",
                    fix="use (0.05, 0.1, 0.2, 0.4)",
                )
            )


def run(
    start: Atoms, engine: Engine, settings: RepairSettings | None = None
) -> PropertyResult:
    """Return what following the lowest mode gains.

    Values: ``frequency_lowest`` THz; of an unstable crystal also
    ``energy_gain_fixed_cell`` and ``energy_gain`` meV/atom (positive: the new structure
    is lower), ``amplitude`` Å of the largest displacement after relaxation in the fixed
    cell, ``volume_change`` relative, and ``frequency_lowest_after`` THz. ``method``
    names the two space groups; arrays: ``stability``, ``amplitudes`` and ``energies``
    of the scan, and the new crystal as ``symbols``, ``cell``, ``scaled_positions``.

    A stable crystal has nothing to repair and keeps its lowest frequency alone.

    Args:
        start: any cell of the crystal; its symmetry is what gets broken.
        engine: what computes.
        settings: see [`RepairSettings`][].

    Raises:
        EngineError: an evaluation fails.
        DataError: the structure is no crystal.
    """
    settings = settings or RepairSettings()
    relaxed = relax_crystal(start, engine, _thresholds(settings))
    checks = list(relaxed.checks)
    method: dict[str, Any] = dataclasses.asdict(settings)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        found = _constants(relaxed.atoms, engine, settings)
        stability = _judge(found, settings)
        lowest = min(stability.lowest_exact, stability.lowest_mesh)
        values["frequency_lowest"] = Quantity(
            value=lowest, unit="THz", error=stability.noise
        )
        arrays["stability"] = dataclasses.asdict(stability)
        method["space_group_before"] = _group(relaxed.atoms, settings)
        method["verdict"] = stability.check().text
        if stability.verdict == "unstable":
            more = _follow(relaxed, found, stability, engine, settings)
            checks += more.checks
            values |= more.values
            arrays |= more.arrays
            method |= more.method
    return PropertyResult.conclude(
        "repair",
        material_name(start),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def mode_displacements(
    phonons: Phonopy, qpoint: FloatArray, band: int = 0
) -> FloatArray:
    """Return the pattern of one mode in the supercell, largest displacement 1 Å.

    The phase is the one with the largest displacements: at a zone boundary another one
    moves nothing.

    Args:
        phonons: phonopy's object with force constants.
        qpoint: [3], a wave vector that fits the supercell.
        band: index by ascending frequency.

    Returns:
        [n_atoms of the supercell, 3].
    """
    result = phonons.run_qpoints(np.array([qpoint]), with_eigenvectors=True)
    vectors: Any = result.eigenvectors
    order = np.argsort(np.asarray(result.frequencies)[0])
    vector = np.asarray(vectors)[0][:, order[band]].reshape(-1, 3)
    primitive, supercell = phonons.primitive, phonons.supercell
    which = [primitive.p2p_map[index] for index in primitive.s2p_map]
    cartesian = np.asarray(qpoint) @ np.linalg.inv(primitive.cell).T
    # phonopy's eigenvectors carry the phase of the whole position of an atom.
    phase = np.exp(2j * np.pi * (supercell.positions @ cartesian))
    wave = vector[which] * phase[:, None] / np.sqrt(supercell.masses)[:, None]
    turned = [(wave * np.exp(1j * angle)).real for angle in np.arange(0, np.pi, 0.1)]
    pattern = max(turned, key=lambda one: float((one**2).sum()))
    return np.asarray(pattern / np.linalg.norm(pattern, axis=1).max())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Followed:
    checks: list[Check]
    values: dict[str, Quantity]
    arrays: dict[str, Any]
    method: dict[str, Any]


def _thresholds(settings: RepairSettings) -> RelaxSettings:
    return RelaxSettings(
        fmax=settings.fmax,
        max_stress=settings.max_stress,
        max_steps=settings.max_steps,
        max_volume_change=0.5,
    )


def _constants(
    atoms: Atoms, engine: Engine, settings: RepairSettings
) -> ForceConstants:
    unit = conventional(atoms)
    if settings.supercell is not None:
        matrix = np.diag(np.asarray(settings.supercell, dtype=np.int64))
    else:
        length = max(settings.min_length, 2 * engine.info.cutoff)
        matrix = diagonal_supercell(unit, length)
    return force_constants(unit, matrix, engine, settings.displacement)


def _judge(found: ForceConstants, settings: RepairSettings) -> Stability:
    spectrum = run_spectrum(found.phonons, mesh=settings.mesh, temperature=300.0)
    return judge_stability(
        found.phonons, spectrum.lowest, limit=settings.imaginary, noise=found.noise
    )


def _group(atoms: Atoms, settings: RepairSettings) -> str:
    return str(symmetry(atoms, settings.symprec).international)


def _follow(
    before: Relaxed,
    found: ForceConstants,
    stability: Stability,
    engine: Engine,
    settings: RepairSettings,
) -> _Followed:
    """Displace, relax the ions, symmetrise, relax the cell, and look again."""
    ideal = to_ase(found.phonons.supercell)
    pattern = mode_displacements(found.phonons, np.asarray(stability.qpoint))
    trials, energies = _scan(ideal, pattern, engine, settings)
    best = int(np.argmin(energies[1:]))
    ions = relax_ions(
        trials[best], engine, fmax=settings.fmax, max_steps=settings.max_steps
    )
    checks = [_renamed(check, "displaced supercell") for check in ions.checks]
    end = _relaxed_anew(ions.atoms, engine, settings)
    checks += [_renamed(check, "new structure") for check in end.checks]
    gains = [
        _MEV * (energies[0] - ions.energy / len(ions.atoms)),
        _MEV * (before.energy / len(before.atoms) - end.energy / len(end.atoms)),
    ]
    checks.append(at_least("energy along the mode", gains[0], 0.0, _RISES))
    values, more = _outcome(before, ions, end, gains, ideal)
    arrays = {
        "amplitudes": [0.0, *settings.amplitudes],
        "energies": [_MEV * (e - energies[0]) for e in energies],
        "symbols": end.atoms.get_chemical_symbols(),
        "cell": end.atoms.cell.array,
        "scaled_positions": end.atoms.get_scaled_positions(),
    }
    method = {"space_group_after": _group(end.atoms, settings), **more}
    if settings.verify and end.ok:
        again = _judge(_constants(end.atoms, engine, settings), settings)
        lowest = min(again.lowest_exact, again.lowest_mesh)
        values["frequency_lowest_after"] = Quantity(
            value=lowest, unit="THz", error=again.noise
        )
        checks.append(_renamed(again.check(), "new structure"))
    return _Followed(checks=checks, values=values, arrays=arrays, method=method)


def _scan(
    ideal: Atoms, pattern: FloatArray, engine: Engine, settings: RepairSettings
) -> tuple[list[Atoms], list[float]]:
    """Return displaced supercells, and energies in eV/atom, that of `ideal` first."""
    trials = []
    for amplitude in settings.amplitudes:
        trial = ideal.copy()
        trial.positions += amplitude * pattern
        trials.append(trial)
    results = engine.compute_many([ideal, *trials])
    return trials, [result.energy / len(ideal) for result in results]


def _relaxed_anew(atoms: Atoms, engine: Engine, settings: RepairSettings) -> Relaxed:
    """Return the primitive cell of a relaxed supercell, relaxed in its new symmetry.

    Once the cell can change the symmetry may rise, as when a sheared bcc crystal ends
    as hcp; then it is relaxed again within the higher one, whose check counts. The
    relaxation keeps every operation, so that another group is always a higher one, also
    where its number is lower.
    """
    end = relax_crystal(
        standard_primitive(atoms, settings.symprec), engine, _thresholds(settings)
    )
    before = symmetry(atoms, settings.symprec).number
    after = symmetry(end.atoms, settings.symprec).number
    if after == before:
        return end
    higher = standard_primitive(end.atoms, settings.symprec)
    return relax_crystal(higher, engine, _thresholds(settings))


def _outcome(
    before: Relaxed, ions: Relaxed, end: Relaxed, gains: list[float], ideal: Atoms
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    moved = ions.atoms.positions - ideal.positions
    moved -= moved.mean(axis=0)
    volumes = [one.atoms.get_volume() / len(one.atoms) for one in (before, end)]
    values = {
        "energy_gain_fixed_cell": Quantity(value=gains[0], unit="meV/atom"),
        "energy_gain": Quantity(value=gains[1], unit="meV/atom"),
        "amplitude": Quantity(
            value=float(np.linalg.norm(moved, axis=1).max()), unit="Å"
        ),
        "volume_change": Quantity(value=float(volumes[1] / volumes[0] - 1.0), unit=""),
    }
    return values, {"atoms_after": len(end.atoms)}


def _renamed(check: Check, where: str) -> Check:
    return dataclasses.replace(check, name=f"{check.name}, {where}")
