"""Velocity Verlet and Langevin dynamics, one evaluation of the engine a step.

The thermostat is the splitting BAOAB, whose averages over positions have an error of
fourth order in the step, and none at all in a harmonic crystal; without friction it is
velocity Verlet.

Source: Leimkuhler, Matthews, J. Chem. Phys. 138, 174102 (2013).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms

from lamplighter.validation.dynamics.base import (
    BOLTZMANN,
    EV_PER_AMU,
    FloatArray,
    Plan,
    Trajectory,
    initial_velocities,
    kinetic_energy,
)
from lamplighter.validation.engines.base import Engine, Result


def integrate(atoms: Atoms, engine: Engine, plan: Plan) -> Trajectory:
    """Return the samples of a run, every step evaluated by the engine.

    Args:
        atoms: the start; it is not changed.
        engine: what evaluates.
        plan: see [`Plan`][].

    Raises:
        EngineError: the engine fails, as it does where the dynamics blow up.
    """
    work = atoms.copy()
    masses = work.get_masses()[:, None]
    velocities = initial_velocities(work, plan.initial_K, plan.seed)
    noise = np.random.default_rng([plan.seed, 1])
    want = ("energy", "forces", "stress") if plan.virial else ("energy", "forces")
    step = plan.timestep_fs / 1000
    keep = float(np.exp(-plan.friction_per_ps * step))
    spread = np.sqrt((1 - keep**2) * BOLTZMANN * plan.temperature_K * EV_PER_AMU)
    found = engine.compute(work, want)
    rows = [_sample(work, found, masses, velocities, plan)]
    for number in range(1, plan.n_steps + 1):
        velocities += step / 2 * EV_PER_AMU * found.forces / masses
        work.positions += step / 2 * velocities
        if plan.friction_per_ps:
            kick = noise.normal(size=velocities.shape) / np.sqrt(masses)
            velocities = keep * velocities + spread * kick
            velocities -= (masses * velocities).sum(axis=0) / masses.sum()
        work.positions += step / 2 * velocities
        found = engine.compute(work, want)
        velocities += step / 2 * EV_PER_AMU * found.forces / masses
        if number % plan.every == 0:
            rows.append(_sample(work, found, masses, velocities, plan))
    potential, kinetic, positions, virial = zip(*rows, strict=True)
    return Trajectory(
        times=np.arange(plan.n_samples, dtype=np.float64) * plan.every * step,
        potential=np.array(potential),
        kinetic=np.array(kinetic),
        positions=np.array(positions) if plan.positions else None,
        virial=np.array(virial) if plan.virial else None,
        native=False,
    )


def _sample(
    work: Atoms, found: Result, masses: FloatArray, velocities: FloatArray, plan: Plan
) -> tuple[float, float, FloatArray | None, FloatArray | None]:
    return (
        found.energy,
        kinetic_energy(masses, velocities),
        work.positions.copy() if plan.positions else None,
        found.stress if plan.virial else None,
    )
