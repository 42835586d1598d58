"""Phonons at a temperature, from the displacements of atoms in dynamics.

In a harmonic crystal the covariance of classical displacements at a temperature is kT
times the inverse of the force constants; at higher temperature the same relation gives
the effective harmonic crystal that moves alike. The covariance is averaged over the
space group of the supercell before it is inverted.

Source: Campañá, Müser, Phys. Rev. B 74, 075420 (2006); Kong, Comput. Phys. Commun. 182,
2201 (2011), for the same quantity in LAMMPS' ``fix phonon``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.dynamics import Plan, propagate
from lamplighter.validation.dynamics.base import BOLTZMANN, FloatArray
from lamplighter.validation.dynamics.crystals import (
    at_temperature,
    displacements,
    still_a_crystal,
)
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.bands import (
    GAMMA,
    corner_frequencies,
    default_path,
    run_bands,
)
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
    require_positive,
    status_of,
)
from lamplighter.validation.properties.covariance import (
    effective_constants,
    supercell_operations,
    symmetrised,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.force_constants import (
    N_ACOUSTIC,
    centring,
    diagonal_supercell,
)
from lamplighter.validation.properties.md_constants import worst_of
from lamplighter.validation.refs.force_sets import to_ase, to_phonopy
from lamplighter.validation.relax import RelaxSettings, relax_crystal

_POSITIVE: Final = (
    "temperature_K",
    "min_length",
    "timestep_fs",
    "friction_per_ps",
    "duration_ps",
    "every",
    "seed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MdPhononSettings:
    """How phonons at a temperature are computed.

    Attributes:
        temperature_K: K, of classical atoms: below the Debye temperature real atoms
            have more zero-point motion than that.
        supercell: repeats of the conventional cell; none takes `min_length`.
        min_length: of the supercell, Å.
        linear_strain: of the cell from that of the relaxed crystal, for example the
            thermal strain that `md_elastic` gives.
        timestep_fs: fs.
        friction_per_ps: of the thermostat, 1/ps.
        equilibration_ps: at the beginning of each run, left out, ps.
        duration_ps: of each run after that, ps.
        n_runs: runs with different noise.
        n_blocks: parts of each run, for the error bars.
        every: steps between samples.
        seed: of the first run.
        fmax: largest force of the relaxed crystal, eV/Å.
        max_error: largest error bar of a frequency that is still good, THz.
    """

    temperature_K: float = 300.0  # noqa: N815 - the unit is spelled K
    supercell: tuple[int, ...] = ()
    min_length: float = 10.0
    linear_strain: float = 0.0
    timestep_fs: float = 1.0
    friction_per_ps: float = 2.0
    equilibration_ps: float = 2.0
    duration_ps: float = 20.0
    n_runs: int = 2
    n_blocks: int = 4
    every: int = 20
    seed: int = 1
    fmax: float = 1e-4
    max_error: float = 0.1

    def __post_init__(self) -> None:
        """Refuse runs without a result.

        Raises:
            ConfigError: a number that has to be positive, a supercell without three
                repeats, or too few parts for an error bar.
        """
        require_positive(self, _POSITIVE, "md_phonon must be positive")
        if self.linear_strain <= -1 or self.equilibration_ps < 0:
            raise ConfigError(
                explain(
                    "cell or equilibration of md_phonon",
                    got=f"strain {self.linear_strain}, {self.equilibration_ps} ps",
                    wanted="a strain above -1 and no negative time",
                )
            )
        if self.supercell and (len(self.supercell) != 3 or min(self.supercell) < 1):
            raise ConfigError(
                explain(
                    "supercell of md_phonon", got=self.supercell, wanted="(4, 4, 4)"
                )
            )
        if self.n_runs < 1 or self.n_runs * self.n_blocks < 2:
            raise ConfigError(
                explain(
                    "runs of md_phonon",
                    got=f"{self.n_runs} runs of {self.n_blocks} blocks",
                    wanted="at least two blocks altogether",
                )
            )

    def plan(self, run: int) -> Plan:
        """Return the run of a number."""
        length = self.equilibration_ps + self.duration_ps
        return Plan(
            timestep_fs=self.timestep_fs,
            n_steps=round(1000 * length / self.timestep_fs),
            every=self.every,
            initial_K=2 * self.temperature_K,
            temperature_K=self.temperature_K,
            friction_per_ps=self.friction_per_ps,
            seed=self.seed + run,
            positions=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What the runs gave.

    Attributes:
        covariances: [n_blocks, 3 N, 3 N], Å^2, not yet symmetrised.
        energy: mean potential energy above the sites' over that of harmonic atoms.
        n_samples: altogether.
        checks: whether the atoms stayed at their sites, and the temperature held.
    """

    covariances: FloatArray
    energy: float
    n_samples: int
    checks: tuple[Check, ...]


def run(
    structure: Atoms, engine: Engine, settings: MdPhononSettings | None = None
) -> PropertyResult:
    """Return phonon frequencies at a temperature where wave vectors fit the supercell.

    Values at 300 K: ``frequency_X_1_300K`` and so on, THz, sorted at each corner of the
    zone, imaginary ones negative; ``harmonic_energy_ratio_300K``, potential energy of
    the vibrations over that of a harmonic crystal. Errors are those of leaving out one
    block of the runs at a time. Arrays: ``distances``, ``ticks``, ``labels``,
    ``breaks`` and ``frequencies`` of the bands, interpolated between the wave vectors
    that fit.

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes; LAMMPS runs the dynamics itself.
        settings: see [`MdPhononSettings`][].

    Raises:
        EngineError: the engine cannot compute the crystal at rest.
    """
    settings = settings or MdPhononSettings()
    relaxed = relax_crystal(structure, engine, RelaxSettings(fmax=settings.fmax))
    method: dict[str, Any] = asdict(settings)
    checks = list(relaxed.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        phonons = _empty(relaxed.atoms, settings)
        crystal = to_ase(phonons.supercell)
        method |= {"n_atoms": len(crystal), "cell": crystal.cell.array}
        try:
            sampled = sample(crystal, engine, settings)
        except EngineError as error:
            checks.append(Check(name="dynamics run", ok=False, text=str(error)))
        else:
            operations = supercell_operations(crystal)
            checks += _sample_checks(sampled, crystal, len(operations))
            # Modes without data have no frequency, and no finite one.
            if status_of(checks) != "invalid":
                more, values, arrays = _analyse(phonons, operations, sampled, settings)
                checks += more
    return PropertyResult.conclude(
        "md_phonon",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def sample(crystal: Atoms, engine: Engine, settings: MdPhononSettings) -> Sampled:
    """Return the covariances of displacements of blocks of the runs.

    Args:
        crystal: supercell at its sites.
        engine: what computes.
        settings: see [`MdPhononSettings`][].

    Raises:
        ConfigError: fewer samples than blocks.
        EngineError: a run fails.
    """
    rest = engine.compute(crystal, ("energy", "forces")).energy
    thermal = 1.5 * (len(crystal) - 1) * BOLTZMANN * settings.temperature_K
    covariances, ratios, checks, n_samples = [], [], [], 0
    for number in range(settings.n_runs):
        found = propagate(crystal, engine, settings.plan(number))
        first = int(np.searchsorted(found.times, settings.equilibration_ps - 1e-9))
        positions = np.asarray(found.positions)[first:]
        checks.append(still_a_crystal(displacements(positions, crystal), crystal))
        wanted = settings.temperature_K
        checks.append(at_temperature(found, first, len(crystal), wanted))
        # Without the plain mean of all atoms, not that of mass: the covariance is then
        # the inverse of the force constants among moves that are no translation.
        moves = positions - positions.mean(axis=1, keepdims=True)
        moves = (moves - moves.mean(axis=0)).reshape(len(moves), -1)
        if len(moves) < settings.n_blocks:
            raise ConfigError(
                explain(
                    "too few samples for the blocks of md_phonon",
                    got=f"{len(moves)} in {settings.n_blocks} blocks",
                    wanted="one in each at least",
                    fix="run longer, or sample more often",
                )
            )
        covariances += [
            part.T @ part / len(part)
            for part in np.array_split(moves, settings.n_blocks)
        ]
        ratios.append((found.potential[first:].mean() - rest) / thermal)
        n_samples += len(moves)
    return Sampled(
        covariances=np.array(covariances),
        energy=float(np.mean(ratios)),
        n_samples=n_samples,
        checks=worst_of(checks),
    )


def _empty(relaxed: Atoms, settings: MdPhononSettings) -> Phonopy:
    """Return phonopy's object with cell and supercell, without force constants."""
    unit = conventional(relaxed)
    unit.set_cell(unit.cell.array * (1 + settings.linear_strain), scale_atoms=True)
    matrix = diagonal_supercell(unit, settings.min_length)
    if settings.supercell:
        matrix = np.diag(np.asarray(settings.supercell, dtype=np.int64))
    return Phonopy(
        to_phonopy(unit), matrix, primitive_matrix=centring(unit), log_level=0
    )


def _sample_checks(sampled: Sampled, crystal: Atoms, n_operations: int) -> list[Check]:
    return [
        *sampled.checks,
        at_least(
            "samples",
            float(sampled.n_samples * n_operations),
            2.0 * 3 * len(crystal),
            "samples times operations of the supercell; fewer leave modes without data",
        ),
    ]


def _analyse(
    phonons: Phonopy,
    operations: Sequence[tuple[FloatArray, Any]],
    sampled: Sampled,
    settings: MdPhononSettings,
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    parts = np.array([symmetrised(c, operations) for c in sampled.covariances])
    path = default_path(phonons)

    def corners(covariance: FloatArray) -> dict[str, FloatArray]:
        phonons.force_constants = effective_constants(
            covariance, settings.temperature_K
        )
        return corner_frequencies(phonons, path)

    left_out = [corners(np.delete(parts, k, axis=0).mean(0)) for k in range(len(parts))]
    middle = corners(parts.mean(axis=0))
    bands = run_bands(phonons, path)
    ending = f"_{settings.temperature_K:g}K"
    values: dict[str, Quantity] = {}
    for label, frequencies in middle.items():
        others = np.array([one[label] for one in left_out])
        errors = np.sqrt((len(others) - 1) * others.var(axis=0))
        skip = N_ACOUSTIC if label == GAMMA else 0
        name = "Gamma" if label == GAMMA else label
        for n, (value, error) in enumerate(
            zip(frequencies[skip:], errors[skip:], strict=True), start=1
        ):
            values[f"frequency_{name}_{n}{ending}"] = Quantity(
                value=float(value), unit="THz", error=float(error)
            )
    values[f"harmonic_energy_ratio{ending}"] = Quantity(value=sampled.energy, unit="")
    worst = max(value.error or 0.0 for value in values.values())
    checks = [
        at_most("error bars", worst, settings.max_error, "largest, THz", hard=False)
    ]
    arrays = {
        "distances": bands.distances,
        "ticks": bands.ticks,
        "labels": bands.labels,
        "breaks": bands.breaks,
        "frequencies": bands.frequencies,
    }
    return checks, values, arrays
