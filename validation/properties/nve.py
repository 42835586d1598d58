"""Drift of the energy in dynamics without thermostat, at two time steps.

Forces that are the derivative of the energy keep the total energy up to fluctuations
that fall with the square of the time step. What drifts at both steps alike is no matter
of the step: forces and energy do not belong together, or the energy is not smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.validation.dynamics import Plan, Trajectory, propagate
from lamplighter.validation.dynamics.base import FloatArray, block_means
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name

_N_BLOCKS: Final = 10
"""Parts of a run whose means are the points of the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NveSettings:
    """How the drift is measured, and what is too much.

    Attributes:
        timesteps_fs: at least two time steps, fs.
        temperature_K: that the dynamics should have, K; a crystal starts with twice
            as much in its velocities, half of which goes into the positions.
        duration_ps: of each run, ps.
        warm_up_ps: at the beginning, left out of the drift, ps.
        min_atoms: the cell is repeated until it has so many.
        n_samples: about how many energies are kept of each run.
        seed: of the velocities.
        max_drift: beyond which the dynamics do not keep the energy, meV/atom/ps.
        max_temperature_ratio: highest temperature as a multiple of the one wanted.
    """

    timesteps_fs: tuple[float, ...] = (1.0, 0.5)
    temperature_K: float = 300.0  # noqa: N815 - the unit is spelled K
    duration_ps: float = 5.0
    warm_up_ps: float = 0.5
    min_atoms: int = 200
    n_samples: int = 500
    seed: int = 1
    max_drift: float = 0.1
    max_temperature_ratio: float = 3.0

    def __post_init__(self) -> None:
        """Refuse runs that show no drift.

        Raises:
            ConfigError: fewer than two time steps, no time, or too few samples.
        """
        steps = set(self.timesteps_fs)
        if len(steps) < 2 or min(steps) <= 0:
            raise ConfigError(
                explain(
                    "time steps of a drift",
                    got=self.timesteps_fs,
                    wanted="at least two different positive ones, fs",
                )
            )
        if not 0 <= self.warm_up_ps < self.duration_ps or not self.temperature_K > 0:
            raise ConfigError(
                explain(
                    "duration or temperature of a drift",
                    got=f"{self.warm_up_ps} of {self.duration_ps} ps, "
                    f"{self.temperature_K} K",
                    wanted="a warm-up shorter than the run, a positive temperature",
                )
            )
        share = 1 - self.warm_up_ps / self.duration_ps
        steps_of_run = 1000 * self.duration_ps / max(steps)
        kept = share * min(self.n_samples, steps_of_run)
        if kept < 4 * _N_BLOCKS or min(self.min_atoms, self.seed) < 1:
            raise ConfigError(
                explain(
                    "samples, atoms or seed of a drift",
                    got=f"{kept:.0f} samples after the warm-up, min_atoms "
                    f"{self.min_atoms}, seed {self.seed}",
                    wanted=f"at least {4 * _N_BLOCKS} samples; atoms and seed positive",
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What one run shows.

    Attributes:
        timestep: fs.
        times: [n], ps, after the warm-up.
        energies: [n], total energy per atom against the first one, meV.
        drift: slope, meV/atom/ps.
        error: of the slope: standard error of a line through means of parts of the run,
            which have to be longer than correlations last.
        fluctuation: root mean square around the line, meV/atom.
        temperature: mean, K.
        hottest: highest, K.
    """

    timestep: float
    times: FloatArray
    energies: FloatArray
    drift: float
    error: float
    fluctuation: float
    temperature: float
    hottest: float


def run(
    structure: Atoms, engine: Engine, settings: NveSettings | None = None
) -> PropertyResult:
    """Return drift and fluctuation of the total energy at two time steps.

    Values for a step of 0.5 fs: ``nve_drift_0.5fs`` (meV/atom/ps),
    ``nve_fluctuation_0.5fs`` (meV/atom); ``nve_temperature`` (K). Arrays, one list a
    step: ``timesteps_fs``, ``times`` (ps), ``energies`` (meV/atom).

    Args:
        structure: a crystal or a molecule, as it is: its cell is not relaxed.
        engine: what computes; LAMMPS runs the dynamics itself.
        settings: see [`NveSettings`][].

    Raises:
        EngineError: the engine cannot compute the structure at rest.
    """
    settings = settings or NveSettings()
    cell = repeated(structure, settings.min_atoms)
    engine.compute(cell, ("energy", "forces"))  # what fails here is no dynamics
    runs: list[Drift] = []
    failures: list[str] = []
    native = False
    for timestep in sorted(settings.timesteps_fs, reverse=True):
        try:
            trajectory = propagate(cell, engine, _plan(timestep, settings))
        except EngineError as error:
            failures.append(f"{timestep:g} fs: {error}")
            continue
        native = trajectory.native
        runs.append(measure(trajectory, timestep, len(cell), settings.warm_up_ps))
    method: dict[str, Any] = asdict(settings) | {
        "n_atoms": len(cell),
        "integrator": "velocity Verlet, " + ("LAMMPS" if native else "step by step"),
    }
    return PropertyResult.conclude(
        "nve",
        material_name(structure),
        engine.info,
        method=method,
        checks=_checks(runs, failures, settings),
        values=_values(runs),
        arrays={
            "timesteps_fs": [one.timestep for one in runs],
            "times": [one.times for one in runs],
            "energies": [one.energies for one in runs],
        },
    )


def repeated(structure: Atoms, min_atoms: int) -> Atoms:
    """Return a crystal repeated, shortest edges first, until it has enough atoms."""
    repeats = np.ones(3, dtype=int)
    periodic = np.flatnonzero(structure.pbc)
    lengths = structure.cell.lengths()
    while len(periodic) and np.prod(repeats) * len(structure) < min_atoms:
        edges = lengths[periodic] * repeats[periodic]
        repeats[periodic[int(np.argmin(edges))]] += 1
    cell: Atoms = structure.repeat(repeats)
    return cell


def measure(
    trajectory: Trajectory, timestep: float, n_atoms: int, warm_up: float
) -> Drift:
    """Return the drift of one run, from a straight line through its energies."""
    used = trajectory.times >= warm_up
    times = trajectory.times[used]
    total = 1000 * (trajectory.potential + trajectory.kinetic)[used] / n_atoms
    energies = total - total[0]
    slope, offset = np.polyfit(times, energies, 1)
    middles, means = (block_means(x, _N_BLOCKS) for x in (times, energies))
    line = np.polyfit(middles, means, 1)
    apart = means - np.polyval(line, middles)
    width = ((middles - middles.mean()) ** 2).sum()
    error = np.sqrt(apart @ apart / (_N_BLOCKS - 2) / width)
    temperature = trajectory.temperature(n_atoms)
    rest = energies - slope * times - offset
    return Drift(
        timestep=timestep,
        times=times,
        energies=energies,
        drift=float(slope),
        error=float(error),
        fluctuation=float(np.sqrt((rest**2).mean())),
        temperature=float(temperature[used].mean()),
        hottest=float(temperature.max()),
    )


def _plan(timestep: float, settings: NveSettings) -> Plan:
    n_steps = max(1, round(1000 * settings.duration_ps / timestep))
    return Plan(
        timestep_fs=timestep,
        n_steps=n_steps,
        every=max(1, n_steps // settings.n_samples),
        initial_K=2 * settings.temperature_K,
        seed=settings.seed,
    )


def _values(runs: Sequence[Drift]) -> dict[str, Quantity]:
    values: dict[str, Quantity] = {}
    for one in runs:
        name = f"{one.timestep:g}fs"
        values[f"nve_drift_{name}"] = Quantity(
            value=one.drift, unit="meV/atom/ps", error=one.error
        )
        values[f"nve_fluctuation_{name}"] = Quantity(
            value=one.fluctuation, unit="meV/atom"
        )
    if runs:
        values["nve_temperature"] = Quantity(
            value=runs[-1].temperature,
            unit="K",
            error=abs(runs[-1].temperature - runs[0].temperature),
        )
    return values


def _checks(
    runs: Sequence[Drift], failures: Sequence[str], settings: NveSettings
) -> list[Check]:
    checks = [
        Check(
            name="dynamics run",
            ok=not failures,
            value=float(len(failures)),
            limit=0.0,
            text="; ".join(failures) or "no lost atoms, all numbers finite",
        )
    ]
    if not runs or failures:
        return checks
    coarse, fine = runs[0], runs[-1]
    ratio = coarse.fluctuation / max(fine.fluctuation, 1e-12)
    order = np.log(ratio) / np.log(coarse.timestep / fine.timestep)
    return [
        *checks,
        at_most(
            "temperature",
            max(one.hottest for one in runs) / settings.temperature_K,
            settings.max_temperature_ratio,
            "highest temperature as a multiple of the one wanted: the run heats up",
        ),
        Check(
            name="drift",
            ok=bool(abs(fine.drift) - 2 * fine.error <= settings.max_drift),
            value=abs(fine.drift),
            limit=settings.max_drift,
            text="at the shortest step, meV/atom/ps, beyond two error bars: energy and "
            "forces do not belong together, the energy is not smooth, or the step is "
            "too long",
            hard=False,
        ),
        at_most(
            "resolution of the drift",
            fine.error,
            settings.max_drift,
            "error bar, meV/atom/ps: run longer to tell",
            hard=False,
        ),
        Check(
            name="order of the fluctuation",
            ok=bool(1.0 <= order <= 3.5),
            value=float(order),
            limit=2.0,
            text="power of the time step with which the fluctuation of the energy "
            "falls; it is 2 where forces are derivatives of a smooth energy",
            hard=False,
        ),
    ]
