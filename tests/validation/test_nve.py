"""Drift of the energy: none for a smooth potential, seen where forces are wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase.build import bulk, molecule
from pair_engine import SmoothPairs
from scipy.signal import lfilter

from lamplighter.errors import ConfigError, EngineError
from lamplighter.validation.dynamics.base import Trajectory
from lamplighter.validation.engines import LammpsEngine, pair_style
from lamplighter.validation.properties import nve
from lamplighter.validation.properties.nve import NveSettings

COPPER = bulk("Cu", a=3.62, cubic=True)
SHORT = NveSettings(
    timesteps_fs=(4.0, 2.0), duration_ps=0.8, warm_up_ps=0.1, min_atoms=4
)


def test_a_smooth_potential_keeps_its_energy():
    found = nve.run(COPPER, SmoothPairs(), SHORT)
    assert found.status == "ok"
    assert abs(found.values["nve_drift_2fs"].value) < 0.1
    assert found.values["nve_drift_2fs"].unit == "meV/atom/ps"
    coarse = found.values["nve_fluctuation_4fs"].value
    fine = found.values["nve_fluctuation_2fs"].value
    assert 3 < coarse / fine < 5
    assert found.method["integrator"] == "velocity Verlet, step by step"
    assert len(found.arrays["times"][0]) == len(found.arrays["energies"][0])


def test_lammps_runs_it_itself():
    style = pair_style(
        ["pair_style lj/smooth/linear 7.0", "pair_coeff * * 0.0104 3.4"],
        ["Ar"],
        cutoff=7.0,
    )
    with LammpsEngine(style) as engine:
        settings = NveSettings(timesteps_fs=(10.0, 5.0), temperature_K=30.0)
        found = nve.run(bulk("Ar", a=5.3), engine, settings)
    assert found.status == "ok"
    assert found.method["integrator"] == "velocity Verlet, LAMMPS"
    assert found.method["n_atoms"] >= 200
    assert found.values["nve_temperature"].value == pytest.approx(30.0, rel=0.2)
    assert abs(found.values["nve_drift_5fs"].value) < 0.02


class Wrong(SmoothPairs):
    """Forces that are a little too large for the energy, or jump, or explode."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def compute(self, atoms, want=()):
        found = super().compute(atoms, want)
        if self.kind == "offset":
            push = np.array([0.0, 0.0, 0.02])
            return dataclasses.replace(found, forces=found.forces + push)
        if self.kind == "failure" and self.calls > 20:
            raise EngineError(self.kind)
        if self.kind == "hot":
            return dataclasses.replace(found, forces=found.forces * -1.0)
        return found


@pytest.mark.parametrize(
    ("kind", "check", "hard"),
    [
        ("offset", "drift", False),
        ("failure", "dynamics run", True),
        ("hot", "temperature", True),
    ],
)
def test_dynamics_that_go_wrong_are_named(kind, check, hard):
    found = nve.run(COPPER, Wrong(kind), SHORT)
    failed = {item.name: item.hard for item in found.failed()}
    assert failed[check] is hard
    assert (found.status == "invalid") is hard


def test_the_drift_of_a_known_line():
    times = np.linspace(0, 10, 201)
    zero = np.zeros_like(times)
    moving = Trajectory(
        times=times, potential=-3.0 + 0.002 * times + 1e-3 * np.sin(40 * times),
        kinetic=zero, positions=None, virial=None, native=False,
    )  # fmt: skip
    found = nve.measure(moving, 1.0, 4, 1.0)
    assert found.drift == pytest.approx(0.5, abs=0.02)
    assert found.error < 0.1
    assert found.fluctuation == pytest.approx(0.25 / 2**0.5, rel=0.05)
    assert found.times[0] == pytest.approx(1.0)


@pytest.mark.parametrize("memory", [0, 5])
def test_the_error_of_the_drift_is_the_spread_of_its_values(memory):
    # Noise that lasts `memory` samples, in 200 runs: the error bar of one run has to be
    # the standard deviation of the slopes.
    draw = np.random.default_rng(2)
    times = np.linspace(0.5, 5.0, 451)
    keep = np.exp(-1 / memory) if memory else 0.0
    slopes, errors = [], []
    for _ in range(200):
        kicks = draw.normal(size=len(times)) * np.sqrt(1 - keep**2)
        noise = lfilter([1.0], [1.0, -keep], kicks)
        found = nve.measure(
            Trajectory(
                times=times, potential=1e-3 * noise, kinetic=0 * times, positions=None,
                virial=None, native=False,
            ), 1.0, 1, 0.0,
        )  # fmt: skip
        slopes.append(found.drift)
        errors.append(found.error)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(slopes), rel=0.2)


def test_the_cell_is_repeated_along_its_shortest_edges():
    hexagonal = bulk("Mg", "hcp", a=3.2, c=5.2)
    assert len(nve.repeated(hexagonal, 30)) >= 30
    lengths = nve.repeated(hexagonal, 60).cell.lengths()
    assert lengths.max() / lengths.min() < 1.7
    assert len(nve.repeated(molecule("H2O"), 30)) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timesteps_fs": (1.0,)}, "time steps of a drift"),
        ({"timesteps_fs": (1.0, -1.0)}, "time steps of a drift"),
        ({"warm_up_ps": 9.0}, "duration or temperature of a drift"),
        ({"n_samples": 5}, "samples, atoms or seed of a drift"),
        ({"duration_ps": 0.02, "warm_up_ps": 0.0}, "samples, atoms or seed"),
        ({"seed": 0}, "samples, atoms or seed"),
        ({"temperature_K": 0.0}, "duration or temperature of a drift"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        NveSettings(**settings)
