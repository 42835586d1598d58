"""Isothermal elastic constants of one cell: from pairs of runs, from fluctuations.

The formulas stand in `md_elastic`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.dynamics import Trajectory, propagate
from lamplighter.validation.dynamics.base import (
    BOLTZMANN,
    FloatArray,
    block_means,
    standard_error,
)
from lamplighter.validation.dynamics.crystals import (
    at_temperature,
    displacements,
    still_a_crystal,
    supercell_of,
)
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import Check
from lamplighter.validation.properties.elastic_tensor import project
from lamplighter.validation.properties.md_elastic_settings import MdElasticSettings
from lamplighter.validation.structures import (
    point_group,
    strain_tensor,
    strained,
    to_voigt,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What one cell gave.

    Attributes:
        tensor: [6, 6], GPa, with the symmetry of the point group.
        error: [6, 6], GPa.
        stress: [6], GPa: mean stress of the unstrained cell.
        stress_error: [6], GPa.
        checks: of the runs.
        gain: thermal spread of a difference of independent runs over that of the
            pairs: how much noise they took out; 1 for fluctuations.
    """

    tensor: FloatArray
    error: FloatArray
    stress: FloatArray
    stress_error: FloatArray
    checks: tuple[Check, ...]
    gain: float


def paired(unit: Atoms, engine: Engine, settings: MdElasticSettings) -> Constants:
    """Return the constants from pairs of runs with opposite strains.

    Args:
        unit: conventional cell.
        engine: what computes.
        settings: see [`MdElasticSettings`][].

    Raises:
        EngineError: a run fails.
    """
    crystal = supercell_of(unit, settings.min_length)
    parts: list[FloatArray] = []
    rest: list[FloatArray] = []
    spreads: list[tuple[float, float]] = []
    checks: list[Check] = []
    for number in range(settings.n_runs):
        columns, middles = [], []
        for component in range(6):
            low, high = (
                _stresses(crystal, component, sign * settings.strain, engine,
                          settings, number, checks)
                for sign in (-1, 1)
            )  # fmt: skip
            columns.append(block_means(high - low, settings.n_blocks))
            middles.append(block_means((high + low) / 2, settings.n_blocks))
            spreads.append((_spread(high), _spread(high - low) / np.sqrt(2)))
        # [blocks, components, 6] -> C[i, j] = d stress_i / d strain_j
        slopes = np.stack(columns, axis=1) / (2 * settings.strain)
        parts += list(np.swapaxes(slopes, 1, 2))
        rest += list(np.mean(middles, axis=0))
    rotations = point_group(unit)
    kinetic = _kinetic(crystal, settings.temperature_K)
    tensors = [
        project(part + kinetic[:, None] * _NORMAL[None], rotations) for part in parts
    ]
    stresses = np.array(rest) - kinetic
    return Constants(
        tensor=np.mean(tensors, axis=0) * GPA_PER_EV_A3,
        error=standard_error(tensors) * GPA_PER_EV_A3,
        stress=stresses.mean(axis=0) * GPA_PER_EV_A3,
        stress_error=standard_error(stresses) * GPA_PER_EV_A3,
        checks=worst_of(checks),
        gain=float(np.mean([alone / max(both, 1e-300) for alone, both in spreads])),
    )


def fluctuation(unit: Atoms, engine: Engine, settings: MdElasticSettings) -> Constants:
    """Return the constants from the fluctuations of the stress.

    Args:
        unit: conventional cell.
        engine: what computes.
        settings: see [`MdElasticSettings`][].

    Raises:
        ConfigError: fewer than two samples in a block.
        EngineError: a run fails.
    """
    crystal = supercell_of(unit, settings.min_length)
    series: list[FloatArray] = []
    born: list[FloatArray] = []
    checks: list[Check] = []
    for number in range(settings.n_runs):
        trajectory, first = _run(crystal, engine, settings, number, checks)
        stresses = np.array(
            [to_voigt(s) for s in np.asarray(trajectory.virial)[first:]]
        )
        length = len(stresses) // settings.n_blocks
        if length < 2:
            raise ConfigError(
                explain(
                    "too few samples for the blocks of fluctuations",
                    got=f"{len(stresses)} in {settings.n_blocks} blocks",
                    wanted="at least 2 in each",
                    fix="run longer, or sample more often",
                )
            )
        series += [stresses[n * length : (n + 1) * length] for n in
                   range(settings.n_blocks)]  # fmt: skip
        positions = np.asarray(trajectory.positions)[first:]
        chosen = np.linspace(0, len(positions) - 1, settings.born_snapshots).astype(int)
        born += [_born(crystal, positions[k], engine, settings) for k in chosen]
    rotations = point_group(unit)
    beta_volume = crystal.get_volume() / (BOLTZMANN * settings.temperature_K)
    kinetic = _kinetic(crystal, settings.temperature_K)
    clamped = project(np.mean(born, axis=0), rotations)
    clamped_error = standard_error([project(one, rotations) for one in born])

    def tensor(parts: list[FloatArray]) -> FloatArray:
        covariance = np.cov(np.concatenate(parts).T, bias=True)
        softer = project(beta_volume * covariance, rotations)
        whole: FloatArray = clamped - softer + kinetic[:, None] * _NORMAL[None]
        return whole

    left = [tensor(series[:k] + series[k + 1 :]) for k in range(len(series))]
    spread = np.sqrt((len(left) - 1) * np.var(left, axis=0))
    means = np.array([part.mean(axis=0) for part in series]) - kinetic
    return Constants(
        tensor=tensor(series) * GPA_PER_EV_A3,
        error=np.hypot(spread, clamped_error) * GPA_PER_EV_A3,
        stress=means.mean(axis=0) * GPA_PER_EV_A3,
        stress_error=standard_error(means) * GPA_PER_EV_A3,
        checks=worst_of(checks),
        gain=1.0,
    )


_NORMAL: Final = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def _kinetic(crystal: Atoms, temperature: float) -> FloatArray:
    """Return the kinetic pressure in Voigt order, eV/Å^3: the centre of mass rests."""
    density = (len(crystal) - 1) / crystal.get_volume()
    return np.asarray(density * BOLTZMANN * temperature * _NORMAL)


def _run(
    crystal: Atoms,
    engine: Engine,
    settings: MdElasticSettings,
    number: int,
    checks: list[Check],
) -> tuple[Trajectory, int]:
    """Return a run and the index of its first sample after equilibration."""
    trajectory = propagate(crystal, engine, settings.plan(number))
    first = int(np.searchsorted(trajectory.times, settings.equilibration_ps - 1e-9))
    moves = displacements(np.asarray(trajectory.positions)[first:], crystal)
    checks.append(still_a_crystal(moves, crystal))
    wanted = settings.temperature_K
    checks.append(at_temperature(trajectory, first, len(crystal), wanted))
    return trajectory, first


def _stresses(
    crystal: Atoms,
    component: int,
    strain: float,
    engine: Engine,
    settings: MdElasticSettings,
    number: int,
    checks: list[Check],
) -> FloatArray:
    """Return the virial stresses [n, 6] of a strained crystal, eV/Å^3."""
    other = strained(crystal, strain_tensor(component, strain))
    trajectory, first = _run(other, engine, settings, number, checks)
    return np.array([to_voigt(s) for s in np.asarray(trajectory.virial)[first:]])


def _born(
    crystal: Atoms, positions: FloatArray, engine: Engine, settings: MdElasticSettings
) -> FloatArray:
    """Return the derivatives of the virial stress of one configuration, eV/Å^3."""
    atoms = crystal.copy()
    atoms.positions = positions
    step = settings.born_strain
    many = [
        strained(atoms, strain_tensor(component, sign * step))
        for component in range(6)
        for sign in (-1, 1)
    ]
    results = engine.compute_many(many, ("energy", "forces", "stress"))
    stresses = np.array([to_voigt(np.asarray(result.stress)) for result in results])
    return np.asarray((stresses[1::2] - stresses[0::2]).T / (2 * step))


def _spread(stresses: FloatArray) -> float:
    """Return the standard deviation in time, over all components."""
    return float(np.sqrt(stresses.var(axis=0).mean()))


def worst_of(checks: list[Check]) -> tuple[Check, ...]:
    """Return the check with the largest value of each name, failed ones first."""
    worst: dict[str, Check] = {}
    for check in checks:
        before = worst.setdefault(check.name, check)
        if (not check.ok, check.value or 0.0) > (not before.ok, before.value or 0.0):
            worst[check.name] = check
    return tuple(worst.values())
