"""Dynamics: against ASE's integrator, against LAMMPS, and against statistics."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError, EngineError
from lamplighter.validation.dynamics import Plan, Trajectory, propagate
from lamplighter.validation.dynamics.base import (
    BOLTZMANN,
    block_means,
    initial_velocities,
    standard_error,
)
from lamplighter.validation.engines import (
    EngineCalculator,
    LammpsEngine,
    pair_style,
)

LJ = pair_style(
    ["pair_style lj/smooth/linear 6.0", "pair_coeff * * 0.0104 3.4"], ["Ar"], cutoff=6.0
)
ARGON = bulk("Ar", "fcc", a=5.2, cubic=True).repeat(2)
TILTED = bulk("Ar", "fcc", a=5.2).repeat(3)
TILTED.rotate(25, (1, 2, 3), rotate_cell=True)
VERLET = Plan(timestep_fs=2.0, n_steps=40, every=10, initial_K=60.0, positions=True,
              virial=True, seed=4)  # fmt: skip


def steps_of_ase(atoms, engine, plan):
    """The same run by ASE's velocity Verlet."""
    work = atoms.copy()
    velocities = initial_velocities(work, plan.initial_K, plan.seed)
    work.set_velocities(velocities / (1000 * units.fs))
    work.calc = EngineCalculator(engine)
    found = []

    def sample():
        found.append((work.get_potential_energy(), work.get_kinetic_energy(),
                      work.positions.copy()))  # fmt: skip

    moving = VelocityVerlet(work, plan.timestep_fs * units.fs)
    moving.attach(sample, interval=plan.every)
    moving.run(plan.n_steps)
    return found


def test_the_step_is_that_of_ase():
    copper = bulk("Cu", a=3.6, cubic=True)
    engine = SmoothPairs()
    own = propagate(copper, engine, VERLET)
    ase = steps_of_ase(copper, engine, VERLET)
    assert not own.native
    assert len(own.times) == VERLET.n_samples == len(ase) == 5
    assert own.times == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])
    for index, (potential, kinetic, positions) in enumerate(ase):
        assert own.potential[index] == pytest.approx(potential, abs=1e-7)
        assert own.kinetic[index] == pytest.approx(kinetic, abs=1e-7)
        assert own.positions[index] == pytest.approx(positions, abs=1e-6)
    assert own.temperature(4)[0] == pytest.approx(60.0)
    assert copper.positions[0] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("atoms", [ARGON, TILTED])
def test_lammps_takes_the_same_steps(atoms):
    with LammpsEngine(LJ) as engine:
        native = propagate(atoms, engine, VERLET)
        stepwise = propagate(atoms, Stepwise(engine), VERLET)
    assert native.native
    assert not stepwise.native
    assert native.times == pytest.approx(stepwise.times)
    assert native.potential == pytest.approx(stepwise.potential, abs=1e-6)
    assert native.kinetic == pytest.approx(stepwise.kinetic, abs=1e-6)
    assert native.positions == pytest.approx(stepwise.positions, abs=1e-5)
    assert native.virial == pytest.approx(stepwise.virial, abs=1e-8)


class Stepwise:
    """An engine that hides that it is LAMMPS."""

    def __init__(self, engine):
        self.compute, self.compute_many = engine.compute, engine.compute_many
        self.info = engine.info


@pytest.mark.parametrize("native", [True, False])
def test_the_thermostat_keeps_its_temperature(native):
    plan = Plan(timestep_fs=4.0, n_steps=1500, every=5, initial_K=30.0,
                temperature_K=30.0, friction_per_ps=3.0, seed=9)  # fmt: skip
    if native:
        with LammpsEngine(LJ) as engine:
            found = propagate(ARGON, engine, plan)
    else:
        copper = bulk("Cu", a=3.6, cubic=True)
        found = propagate(copper, SmoothPairs(), plan)
    n_atoms = 32 if native else 4
    parts = block_means(found.temperature(n_atoms)[50:], 8)
    assert abs(parts.mean() - 30.0) < 4 * standard_error(parts) + 0.5


def test_one_seed_gives_one_run():
    plan = Plan(timestep_fs=2.0, n_steps=60, every=20, initial_K=20.0,
                temperature_K=20.0, friction_per_ps=5.0, positions=True)  # fmt: skip
    with LammpsEngine(LJ) as engine:
        first, again = (propagate(ARGON, engine, plan) for _ in range(2))
        assert np.array_equal(first.positions, again.positions)
        stretched = ARGON.copy()
        stretched.set_cell(ARGON.cell.array * (1 + 1e-4), scale_atoms=True)
        other = propagate(stretched, engine, plan)
    # The same kicks: a small change of the cell stays a small change of the paths.
    apart = other.positions - other.positions[0] - first.positions + first.positions[0]
    assert 0 < np.abs(apart).max() < 2e-3


class Own(SmoothPairs):
    def propagate(self, atoms, plan):
        del atoms
        zero = np.zeros(plan.n_samples)
        return Trajectory(times=zero, potential=zero, kinetic=zero, positions=None,
                          virial=None, native=True)  # fmt: skip


class Cache(SmoothPairs):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner


def test_an_engine_with_dynamics_of_its_own_is_asked_through_a_cache():
    plan = Plan(timestep_fs=1.0, n_steps=4)
    assert propagate(ARGON, Cache(Own()), plan).native
    inner = SmoothPairs()
    cached = Cache(inner)
    propagate(bulk("Cu"), cached, plan)
    assert (cached.calls, inner.calls) == (0, 5)


def test_atoms_that_fly_away_are_an_error():
    close = ARGON.copy()
    close.positions[1] = close.positions[0] + [0.3, 0, 0]
    plan = Plan(timestep_fs=5.0, n_steps=500, every=100)
    with LammpsEngine(LJ) as engine, pytest.raises(EngineError):
        propagate(close, engine, plan)


def test_velocities_have_their_temperature_and_no_drift():
    velocities = initial_velocities(ARGON, 100.0, 3)
    masses = ARGON.get_masses()[:, None]
    assert (masses * velocities).sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    energy = (masses * velocities**2).sum() / 2 / 9648.53321233
    assert energy == pytest.approx(1.5 * 31 * BOLTZMANN * 100.0)
    assert initial_velocities(ARGON[:1], 100.0, 3) == pytest.approx(np.zeros((1, 3)))


def test_blocks():
    assert block_means([9, 1, 2, 3, 4], 2) == pytest.approx([1.5, 3.5])
    assert standard_error([1.0, 3.0]) == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="too few samples for the blocks"):
        block_means([1.0], 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestep_fs": 0.0}, "dynamics without steps"),
        ({"n_steps": 0}, "dynamics without steps"),
        ({"temperature_K": -1.0}, "negative temperature or friction"),
    ],
)
def test_plans_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Plan(**({"timestep_fs": 1.0, "n_steps": 1} | changes))
