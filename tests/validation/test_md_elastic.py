"""Elastic constants from dynamics: at low temperature those of the resting crystal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase.build import bulk
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError, EngineError
from lamplighter.validation.dynamics.integrate import integrate
from lamplighter.validation.engines import LammpsEngine, pair_style
from lamplighter.validation.properties import elastic, md_elastic
from lamplighter.validation.properties.md_elastic import MdElasticSettings

STYLE = pair_style(
    ["pair_style lj/smooth/linear 8.0", "pair_coeff * * 0.0104 3.4"], ["Ar"], cutoff=8.0
)
ARGON = bulk("Ar", "fcc", a=5.25)
COLD = {
    "temperature_K": 0.5,
    "timestep_fs": 8.0,
    "equilibration_ps": 4.0,
    "friction_per_ps": 1.0,
    "n_runs": 1,
}


@pytest.fixture(scope="module")
def engine():
    with LammpsEngine(STYLE) as running:
        yield running


@pytest.fixture(scope="module")
def static(engine):
    found = elastic.run(ARGON, engine)
    return {name: found.values[name].value for name in ("C11", "C12", "C44")}


@pytest.mark.parametrize(
    ("method", "duration"), [("paired", 8.0), ("fluctuation", 80.0)]
)
def test_cold_crystals_have_the_static_constants(engine, static, method, duration):
    settings = MdElasticSettings(method=method, duration_ps=duration, **COLD)
    found = md_elastic.run(ARGON, engine, settings)
    assert found.status == "ok"
    for name, value in static.items():
        measured = found.values[f"{name}_0.5K"]
        assert measured.unit == "GPa"
        assert 0 < measured.error < 0.03
        assert abs(measured.value - value) < 4 * measured.error + 0.003
    strain = found.values["thermal_strain_0.5K"].value
    assert 1e-4 < strain < 6e-4
    assert found.values["pressure_0.5K"].value > 0
    assert (found.method["noise_gain"] > 1.5) == (method == "paired")


@pytest.mark.slow
def test_both_ways_agree_when_it_is_warm(engine):
    shared = COLD | {"temperature_K": 20.0, "n_runs": 2}
    results = [
        md_elastic.run(
            ARGON, engine, MdElasticSettings(method=m, duration_ps=d, **shared)
        )
        for m, d in (("paired", 60.0), ("fluctuation", 300.0))
    ]
    for name in ("C11_20K", "C12_20K", "C44_20K"):
        one, two = (found.values[name] for found in results)
        assert abs(one.value - two.value) < 4 * np.hypot(one.error, two.error)


@pytest.mark.slow
def test_the_cell_goes_to_zero_stress():
    copper = bulk("Cu", a=3.6, cubic=True)
    settings = MdElasticSettings(
        temperature_K=300.0, min_length=3.0, timestep_fs=4.0, equilibration_ps=0.4,
        duration_ps=1.6, n_runs=1, cell_steps=1, max_error=9.0,
    )  # fmt: skip
    found = md_elastic.run(copper, SmoothPairs(), settings)
    still = md_elastic.run(
        copper,
        SmoothPairs(),
        MdElasticSettings(**_as_dict(settings) | {"cell_steps": 0}),
    )
    pressures = [one.values["pressure_300K"].value for one in (found, still)]
    assert abs(pressures[0]) < abs(pressures[1])
    volumes = [np.linalg.det(one.method["cell"]) for one in (found, still)]
    assert volumes[0] > volumes[1]


def _as_dict(settings):
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def test_a_crystal_that_melts_has_no_constants():
    settings = MdElasticSettings(
        temperature_K=9000.0, min_length=3.0, timestep_fs=2.0, equilibration_ps=0.1,
        duration_ps=0.2, n_runs=1,
    )  # fmt: skip
    found = md_elastic.run(bulk("Cu", a=3.6), SmoothPairs(), settings)
    assert found.status == "invalid"
    assert "atoms stay at their sites" in {check.name for check in found.failed()}
    assert found.values == {}


class TooHot(SmoothPairs):
    """An engine with dynamics of its own, whose thermostat means another unit."""

    def propagate(self, atoms, plan):
        other = dataclasses.replace(
            plan, temperature_K=2 * plan.temperature_K, initial_K=2 * plan.initial_K
        )
        return integrate(atoms, SmoothPairs(), other)


def test_a_run_at_another_temperature_has_no_constants():
    settings = MdElasticSettings(
        temperature_K=50.0, min_length=3.0, timestep_fs=4.0, equilibration_ps=1.0,
        duration_ps=4.0, n_runs=1, method="fluctuation", max_error=9.0,
    )  # fmt: skip
    copper = bulk("Cu", a=3.6)
    right = md_elastic.run(copper, SmoothPairs(), settings)
    (check,) = [c for c in right.checks if c.name == "temperature of the run"]
    assert check.ok
    found = md_elastic.run(copper, TooHot(), settings)
    assert found.status == "invalid"
    assert found.values == {}
    assert [c.name for c in found.failed() if c.hard] == ["temperature of the run"]


def test_blocks_without_samples_are_refused():
    settings = MdElasticSettings(
        min_length=3.0, timestep_fs=4.0, equilibration_ps=0.0, duration_ps=0.02,
        n_runs=1, method="fluctuation",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="too few samples for the blocks"):
        md_elastic.run(bulk("Cu", a=3.6), SmoothPairs(), settings)


class Fails(SmoothPairs):
    def propagate(self, atoms, plan):
        raise EngineError(str((atoms, plan)))


def test_dynamics_that_fail_are_a_failed_check():
    found = md_elastic.run(bulk("Cu", a=3.6), Fails())
    assert found.status == "invalid"
    (failed,) = found.failed()
    assert failed.name == "dynamics run"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "guess"}, "method of md_elastic"),
        ({"strain": 0.0}, "strain of md_elastic must be positive"),
        ({"temperature_K": -5.0}, "temperature_K of md_elastic must be positive"),
        ({"n_blocks": 1}, "runs of md_elastic"),
        ({"born_snapshots": 1}, "1 snapshots"),
        ({"equilibration_ps": -1.0}, "runs of md_elastic"),
        ({"seed": 0}, "seed of md_elastic must be positive"),
        ({"every": 0}, "every of md_elastic must be positive"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MdElasticSettings(**settings)
