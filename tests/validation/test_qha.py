"""The quasi-harmonic approximation: DFT's copper, thermodynamic identities, guards."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from scipy import constants

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.properties import grueneisen, qha
from lamplighter.validation.properties.eos import birch_murnaghan
from lamplighter.validation.properties.qha import QhaSettings
from lamplighter.validation.properties.quasi_harmonic import quasi_harmonic

EV = 1e3 / (constants.e * constants.N_A)
FAST = QhaSettings(supercell=(2, 2, 2), mesh=7, points=6, max_temperature=400.0)
# For what needs no converged number: forces folded into one cell.
TINY = QhaSettings(
    supercell=(1, 1, 1), mesh=3, points=5, max_temperature=400.0, temperature_step=50.0
)


@pytest.fixture(scope="module")
def copper():
    return qha.run(bulk("Cu"), AseEngine(EMT()), FAST)


def inputs() -> tuple[np.ndarray, ...]:
    record = yaml.safe_load((Path(__file__).parent / "qha_Cu.yaml").read_text("utf-8"))
    return (
        np.array(record["volumes"]) / 4,
        np.array(record["energies"]) / 4,
        np.array(record["temperatures"]),
        np.array(record["free_energies"]) / 4 * EV,
        np.array(record["heat_capacities"]) / 4,
    )


@pytest.mark.parametrize("vinet", [False, True])
def test_copper_of_dft_expands_as_known(vinet):
    found = quasi_harmonic(*inputs(), vinet=vinet)
    assert (4 * found.static.volume) ** (1 / 3) == pytest.approx(3.567, abs=1e-3)
    assert found.static.bulk_modulus * 160.2177 == pytest.approx(167.0, abs=0.5)
    at = found.temperatures.tolist().index(300.0)
    assert (4 * found.volumes[at]) ** (1 / 3) == pytest.approx(3.5847, abs=1e-3)
    assert found.expansion[at] == pytest.approx(45.6e-6, rel=0.01)
    assert found.moduli[at] == pytest.approx(154.2, abs=0.5)
    # phonopy gets 24.23 by way of fitted polynomials; by definition it is -T d2G/dT2.
    assert found.heat_capacity[at] == pytest.approx(24.23, abs=0.06)
    bend = found.energies[at + 1] - 2 * found.energies[at] + found.energies[at - 1]
    assert found.heat_capacity[at] == pytest.approx(-3.0 * bend / EV * 1e3, abs=0.02)
    assert found.grueneisen[at] == pytest.approx(2.07, abs=0.02)


def test_a_free_energy_in_closed_form():
    # F_vib = -c T^2 V/2: pressure c T^2/2, by which V follows from E'(V) = c T^2/2.
    volumes = np.linspace(9.5, 11.0, 9)
    parameters = (10.0, 0.6, 4.0)
    energies = birch_murnaghan(volumes, *parameters)
    temperatures = np.arange(0.0, 401.0, 20.0)
    c = 4e-7
    free = -c / 2 * temperatures[:, None] ** 2 * volumes
    heat = c * temperatures[:, None] * volumes / EV * 1e3
    found = quasi_harmonic(volumes, energies, temperatures, free, heat)
    h = 1e-5
    for t, v, alpha in list(
        zip(found.temperatures, found.volumes, found.expansion, strict=True)
    )[3:-1]:
        slope = birch_murnaghan(np.array([v + h, v - h]), *parameters) @ [1, -1]
        assert slope / (2 * h) == pytest.approx(c * t * t / 2, rel=1e-3)
        # alpha B = dP/dT at constant volume = c T.
        modulus = found.moduli[found.temperatures.tolist().index(t)] / 160.2177
        assert alpha * modulus == pytest.approx(c * t, rel=0.01)
    # gamma = V (dP/dT) / C_V = 1: C_V = c T V by construction.
    assert found.grueneisen[4:-1] == pytest.approx(1.0, abs=0.01)
    assert found.expansion[0] == 0.0


@pytest.mark.slow  # with `copper`, phonons at twelve volumes
def test_emt_copper_agrees_with_its_grueneisen_parameters(copper):
    assert copper.status == "ok", copper.failed()
    settings = grueneisen.GrueneisenSettings(supercell=(2, 2, 2), mesh=9, n_points=10)
    other = grueneisen.run(bulk("Cu"), AseEngine(EMT()), settings)
    # One is taken at the static volume, the other at that of 300 K.
    for one, two, limit in (
        ("thermal_expansion_300K", "thermal_expansion_300K", 0.18),
        ("grueneisen_thermal_300K", "grueneisen_mean_300K", 0.06),
    ):
        assert copper.values[one].value == pytest.approx(
            other.values[two].value, rel=limit
        )
    assert (
        copper.values["bulk_modulus_0K"].value
        < other.values["bulk_modulus_pressure"].value
    )
    assert (
        copper.values["lattice_constant_300K"].value
        > copper.values["lattice_constant_0K"].value
        > 3.589
    )
    assert copper.values["thermal_expansion_300K"].error < 2e-6


def test_curves_of_the_result(copper):
    arrays = copper.arrays
    assert len(arrays["temperatures"]) == len(arrays["volume"]) == 41
    assert np.shape(arrays["free_energies"]) == (41, 6)
    assert np.all(np.diff(arrays["volume"][3:]) > 0)
    assert arrays["thermal_expansion"][0] == 0.0
    assert 24.0 < arrays["heat_capacity_p"][-1] < 27.0
    # The static energies have their minimum between the volumes, next to factor 1.
    assert 0 < int(np.argmin(arrays["energies"])) < 4


def test_one_definition_through_ase_and_through_lammps():
    cutoff = 6.0
    lines = (
        f"pair_style lj/cut {cutoff}",
        "pair_coeff * * 0.5 2.3",
        "pair_modify shift yes",
    )
    crystal = bulk("Cu", "fcc", a=3.55)
    calculator = LennardJones(sigma=2.3, epsilon=0.5, rc=cutoff, smooth=False)
    # Narrow, so that no shell of neighbours crosses the cutoff of either code.
    settings = dataclasses.replace(
        TINY,
        temperature=60.0,
        max_temperature=80.0,
        temperature_step=20.0,
        compression=0.01,
        expansion=0.03,
        max_model_difference=1.0,
    )
    first = qha.run(crystal, AseEngine(calculator), settings)
    with LammpsEngine(pair_style(lines, ("Cu",), cutoff=cutoff)) as engine:
        second = qha.run(crystal, engine, settings)
    assert first.status == second.status == "ok", first.failed()
    assert first.values.keys() == second.values.keys()
    for name, quantity in first.values.items():
        other = second.values[name].value
        assert quantity.value == pytest.approx(other, rel=1e-3), name


def test_an_extrapolated_minimum_is_invalid():
    narrow = dataclasses.replace(TINY, expansion=0.004)
    found = qha.run(bulk("Cu"), AseEngine(EMT()), narrow)
    assert "minimum inside the volumes" in {check.name for check in found.failed()}
    assert found.values == {}
    assert "energies" in found.arrays


def test_fits_and_models_are_checked():
    strict = dataclasses.replace(TINY, min_r2=1.0 - 1e-16, max_model_difference=1e-9)
    found = qha.run(bulk("Cu"), AseEngine(EMT()), strict)
    assert {check.name for check in found.failed()} == {
        "fit of the free energy",
        "Birch-Murnaghan and Vinet",
    }


class Upside(EMT):
    """EMT with forces of the wrong sign: every mode is imaginary."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = -self.results["forces"]


def test_imaginary_modes_have_no_free_energy():
    found = qha.run(bulk("Cu"), AseEngine(Upside()), TINY)
    assert "imaginary modes" in {check.name for check in found.failed()}
    assert found.values == {}


def test_too_few_minima_are_refused():
    volumes, energies, temperatures, free, heat = inputs()
    with pytest.raises(DataError, match="no minimum inside the volumes"):
        quasi_harmonic(volumes, energies, temperatures, free - volumes, heat)


@pytest.mark.parametrize(
    "settings",
    [
        {"points": 4},
        {"expansion": 0.0},
        {"compression": 0.3},
        {"temperature_step": 150.0},
        {"temperature_step": math.nan},
    ],
)
def test_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=r"quasi-harmonic settings; got: \d+ volumes"):
        QhaSettings(**settings)


def test_shared_settings_are_refused():
    with pytest.raises(ConfigError, match="fmax of phonons at several volumes"):
        QhaSettings(fmax=0.0)
