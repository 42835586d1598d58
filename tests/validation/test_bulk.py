"""Equation of state: the fits, analytic potentials, and what invalidates a result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from numpy.testing import assert_allclose

from lamplighter.errors import ConfigError, DataError
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.properties import bulk as bulk_property
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.bulk import BulkSettings
from lamplighter.validation.properties.eos import (
    EquationOfState,
    birch_murnaghan,
    fit_birch_murnaghan,
    fit_vinet,
    pressure,
    vinet,
)
from lamplighter.validation.relax import Relaxed

TRUE = EquationOfState(
    energy=-6.1, volume=9.6, bulk_modulus=0.97, derivative=4.2, r2=1.0
)
VOLUMES = 9.7 * (1.0 + np.linspace(-0.06, 0.06, 11))
CUTOFF = 7.7


class Spoiled:
    def __init__(self, engine, spoil) -> None:
        self._engine, self._spoil = engine, spoil

    @property
    def info(self):
        return self._engine.info

    def compute(self, atoms, want=("energy", "forces", "stress")):
        result = self._engine.compute(atoms, want)
        return dataclasses.replace(result, **self._spoil(atoms, result))

    def compute_many(self, many, want=("energy", "forces", "stress")):
        return [self.compute(atoms, want) for atoms in many]


def parameters(fit: EquationOfState) -> tuple[float, ...]:
    return (fit.energy, fit.volume, fit.bulk_modulus, fit.derivative)


def test_birch_murnaghan_recovers_its_parameters():
    energies = TRUE.energy + birch_murnaghan(VOLUMES, *parameters(TRUE)[1:])
    fit = fit_birch_murnaghan(VOLUMES, energies)
    assert_allclose(parameters(fit), parameters(TRUE), rtol=1e-8)
    assert fit.r2 == pytest.approx(1.0, abs=1e-12)


def test_vinet_recovers_its_parameters_and_differs_from_birch_murnaghan():
    energies = TRUE.energy + vinet(VOLUMES, *parameters(TRUE)[1:])
    start = fit_birch_murnaghan(VOLUMES, energies)
    fit = fit_vinet(VOLUMES, energies, start)
    assert_allclose(parameters(fit), parameters(TRUE), rtol=1e-6)
    assert abs(start.derivative - TRUE.derivative) > 1e-4


def test_pressure_is_the_derivative_of_the_energy():
    step = 1e-5
    above, below = (
        birch_murnaghan(VOLUMES + s, *parameters(TRUE)[1:]) for s in (step, -step)
    )
    assert_allclose(pressure(VOLUMES, TRUE), -(above - below) / (2 * step), atol=1e-8)


def test_a_curve_without_minimum_is_refused():
    with pytest.raises(DataError, match="no minimum"):
        fit_birch_murnaghan(VOLUMES, -((VOLUMES - 9.7) ** 2))


def test_lennard_jones_fcc_against_lattice_sums():
    """a0 and B of fcc by direct lattice sums of the truncated potential."""
    epsilon, sigma = 0.2, 2.3
    lines = (f"pair_style lj/cut {CUTOFF}", f"pair_coeff * * {epsilon} {sigma}")
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3), axis=-1).reshape(-1, 3)
    fcc = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2.0
    shells = np.linalg.norm(grid[np.any(grid, axis=1)] @ fcc, axis=1)

    def energy(volume):
        r = shells * (4.0 * volume) ** (1 / 3)
        r = r[r < CUTOFF]
        return 2 * epsilon * np.sum((sigma / r) ** 12 - (sigma / r) ** 6)

    with LammpsEngine(pair_style(lines, ("Cu",))) as engine:
        # A span that no shell of neighbours leaves the cutoff in.
        result = bulk_property.run(bulk("Cu", a=3.6), engine, BulkSettings(span=0.03))
    assert result.status == "ok", result.failed()
    assert_allclose(
        result.arrays["energies"], [energy(v) for v in result.arrays["volumes"]]
    )
    volume = result.values["volume_per_atom"].value
    h = 1e-3
    below, middle, above = (energy(volume + s) for s in (-h, 0.0, h))
    assert (above - below) / (2 * h) == pytest.approx(0.0, abs=1e-5)
    modulus = volume * (above - 2 * middle + below) / h**2 * GPA_PER_EV_A3
    assert result.values["bulk_modulus"].value == pytest.approx(modulus, rel=2e-3)
    assert result.values["energy_per_atom"].value == pytest.approx(middle)
    a = result.values["lattice_constant"]
    assert a.value == pytest.approx((4.0 * volume) ** (1 / 3))
    assert a.error < 1e-4


@pytest.mark.parametrize("cubic", [True, False])
def test_emt_copper_in_any_cell(cubic):
    engine = AseEngine(EMT())
    result = bulk_property.run(bulk("Cu", a=3.65, cubic=cubic), engine)
    assert result.status == "ok", result.failed()
    assert result.values["lattice_constant"].value == pytest.approx(3.5898, abs=2e-4)
    assert result.values["bulk_modulus"].value == pytest.approx(134.5, rel=0.01)
    assert result.method["evaluations"] < 30
    assert PropertyResult.from_json(result.to_json()) == result


def test_a_hexagonal_crystal_relaxes_its_shape_at_each_volume():
    lines = ("pair_style morse 9.0", "pair_coeff * * 0.3 1.3 3.3")
    with LammpsEngine(pair_style(lines, ("Mg",))) as engine:
        result = bulk_property.run(
            bulk("Mg", a=3.15, c=5.1), engine, BulkSettings(points=7, span=0.03)
        )
    assert result.status in {"ok", "warn"}, result.failed()
    ratio = (
        result.values["lattice_constant_c"].value
        / result.values["lattice_constant"].value
    )
    assert ratio == pytest.approx(np.sqrt(8 / 3), abs=0.02)


def names(result) -> set[str]:
    return {check.name for check in result.failed()}


def test_a_stress_of_the_wrong_sign_cannot_converge_or_pass():
    flipped = Spoiled(AseEngine(EMT()), lambda _, r: {"stress": -r.stress})
    result = bulk_property.run(bulk("Cu", a=3.62), flipped, BulkSettings(max_steps=20))
    assert result.status == "invalid"
    assert result.values == {}


def test_a_stress_of_the_wrong_size_is_caught_by_the_pressure():
    scaled = Spoiled(AseEngine(EMT()), lambda _, r: {"stress": 1.1 * r.stress})
    result = bulk_property.run(bulk("Cu", a=3.6), scaled)
    assert names(result) == {"pressure and -dE/dV"}
    assert result.values == {}
    assert len(result.arrays["energies"]) == 11


def test_an_unconverged_relaxation_gives_no_number():
    result = bulk_property.run(
        bulk("Cu", a=3.9), AseEngine(EMT()), BulkSettings(max_steps=1)
    )
    assert "relaxation converged" in names(result)
    assert result.status == "invalid"
    assert result.values == {}


def test_energy_noise_is_caught_by_the_fit():
    rng = np.random.default_rng(0)
    noisy = Spoiled(
        AseEngine(EMT()), lambda _, r: {"energy": r.energy + rng.normal(0, 5e-3)}
    )
    result = bulk_property.run(bulk("Cu", a=3.6), noisy)
    assert "fit of E(V)" in names(result)


def test_a_minimum_at_the_edge_is_caught():
    # The stress vanishes at the start, the energy falls towards larger volumes.
    def spoil(atoms, result):
        x = atoms.get_volume() / 11.565 - 1.06
        return {"energy": 60.0 * x * x + 5.0 * x**3, "stress": 0.0 * result.stress}

    result = bulk_property.run(bulk("Cu", a=3.5898), Spoiled(AseEngine(EMT()), spoil))
    assert {"minimum inside", "pressure and -dE/dV"} <= names(result)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="5 points"):
        BulkSettings(points=5)
    with pytest.raises(ConfigError, match=r"span 0\.5"):
        BulkSettings(span=0.5)
    with pytest.raises(DataError, match="symmetry of the structure"):
        bulk_property.run(Atoms("Cu2", cell=[3, 3, 3], pbc=True), AseEngine(EMT()))


def test_three_edges_of_an_orthorhombic_crystal():
    cell = Atoms("NaCl", cell=np.diag([3.0, 4.0, 5.0]), pbc=True)
    cell.set_scaled_positions([(0, 0, 0), (0.5, 0.5, 0.4)])
    relaxed = Relaxed(
        atoms=cell,
        energy=-1.0,
        forces=np.zeros((2, 3)),
        stress=None,
        steps=0,
        evaluations=0,
    )
    fit = dataclasses.replace(TRUE, volume=30.0)
    values = bulk_property._values(relaxed, fit, fit)
    edges = [values[f"lattice_constant{end}"].value for end in ("", "_b", "_c")]
    assert sorted(edges) == pytest.approx([3.0, 4.0, 5.0])
    hexagonal = dataclasses.replace(relaxed, atoms=bulk("Mg", "hcp", a=3.2, c=5.2))
    names = bulk_property._values(hexagonal, fit, fit)
    assert {"lattice_constant_b", "lattice_constant_c"} & set(names) == {
        "lattice_constant_c"
    }


def test_vinet_at_the_limit_of_a_pressure_that_does_not_stiffen():
    # B' = 1 makes the formula 0 / 0; its limit is 9/2 V B (x - 1)^2.
    x = (VOLUMES / TRUE.volume) ** (1 / 3)
    limit = 4.5 * TRUE.volume * TRUE.bulk_modulus * (x - 1.0) ** 2
    found = vinet(VOLUMES, TRUE.volume, TRUE.bulk_modulus, 1.0)
    assert_allclose(found, limit, rtol=1e-3, atol=1e-7)
