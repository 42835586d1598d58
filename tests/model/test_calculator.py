"""The ASE calculator: every property, every refusal, and no stale results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.test import calculate_numerical_forces
from ase.io import read, write
from ase.stress import full_3x3_to_voigt_6_stress

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import (
    Calculator,
    ConditionSpec,
    Potential,
    graph_from_atoms,
    pair_gradients,
    predict,
    save_potential,
)

CHARGE = ConditionSpec(
    name="total_charge", kind="categorical", width=3, n_classes=5, offset=2
)
SPIN = ConditionSpec(name="total_spin", kind="continuous", width=3, default=1.0)


@pytest.fixture
def charged(make_potential: Callable[..., Potential]) -> Potential:
    return make_potential(conditions=(CHARGE, SPIN))


def test_energies_and_free_energy_are_those_of_the_potential(
    potential: Potential, crystal: Atoms
) -> None:
    crystal.calc = Calculator(potential, "other")
    wanted = predict(potential, graph_from_atoms(crystal, potential.config, "other"))
    assert crystal.get_potential_energy() == pytest.approx(float(wanted.energy[0]))
    free = crystal.get_potential_energy(force_consistent=True)
    assert free == crystal.get_potential_energy()
    energies = crystal.get_potential_energies()
    np.testing.assert_allclose(energies, wanted.atomic_energies.numpy(), atol=1e-12)
    assert energies.sum() == crystal.get_potential_energy()
    np.testing.assert_allclose(crystal.get_forces(), wanted.forces.numpy(), atol=1e-13)


def test_forces_and_stress_are_derivatives(
    potential: Potential, crystal: Atoms
) -> None:
    crystal.calc = Calculator(potential, "pbe")
    forces, stress = crystal.get_forces(), crystal.get_stress(voigt=False)
    numerical = calculate_numerical_forces(crystal, eps=1e-4, iatoms=[0, 4])
    np.testing.assert_allclose(forces[[0, 4]], numerical, atol=1e-6)
    strain = np.random.default_rng(0).normal(size=(3, 3))
    strain = strain + strain.T

    def energy(step: float) -> float:
        moved = crystal.copy()
        deformed = moved.cell.array @ (np.eye(3) + step * strain)
        moved.set_cell(deformed, scale_atoms=True)
        return Calculator(potential, "pbe").evaluate(moved).energy

    slope = (energy(1e-5) - energy(-1e-5)) / 2e-5
    volume = crystal.get_volume()
    assert np.sum(stress * strain) * volume == pytest.approx(slope, abs=1e-5)


def test_stresses_sum_to_the_stress_and_equal_a_loop(
    potential: Potential, crystal: Atoms
) -> None:
    crystal.calc = Calculator(potential, "pbe")
    stresses = crystal.get_stresses()
    assert stresses.shape == (len(crystal), 6)
    np.testing.assert_allclose(stresses.sum(0), crystal.get_stress(), atol=1e-15)
    graph = graph_from_atoms(crystal, potential.config, "pbe")
    _, gradients = pair_gradients(potential, graph)
    slow = np.zeros((len(crystal), 3, 3))
    for k in range(graph.n_pairs):
        r, g = graph.pair_vectors[k].numpy(), gradients[k].numpy()
        for end in (int(graph.centers[k]), int(graph.neighbors[k])):
            slow[end] += 0.5 * np.outer(r, g) / crystal.get_volume()
    for mine, loop in zip(stresses, slow, strict=True):
        symmetric = full_3x3_to_voigt_6_stress(0.5 * (loop + loop.T))
        np.testing.assert_allclose(mine, symmetric, atol=1e-14)
    assert np.abs(stresses).max() > 1e-4


@pytest.mark.parametrize("pbc", [False, [True, True, False]])
def test_a_stress_needs_three_periodic_directions(
    potential: Potential, crystal: Atoms, pbc: bool | list[bool]
) -> None:
    crystal.pbc = pbc
    crystal.calc = Calculator(potential, "pbe")
    for name in ("stress", "stresses"):
        with pytest.raises(PropertyNotImplementedError, match="three directions"):
            crystal.calc.get_property(name, crystal)
    assert np.isfinite(crystal.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError):
        crystal.get_stress()


def test_charge_and_spin_of_info_are_never_stale(
    charged: Potential, molecule: Atoms
) -> None:
    molecule.calc = Calculator(charged, "pbe")
    neutral = molecule.get_potential_energy()
    forces = molecule.get_forces()
    molecule.info["charge"] = 1
    cation = molecule.get_potential_energy()
    assert cation != pytest.approx(neutral, abs=1e-6)
    assert np.abs(molecule.get_forces() - forces).max() > 1e-8
    molecule.info["spin"] = 2
    doublet = molecule.get_potential_energy()
    assert doublet != pytest.approx(cation, abs=1e-9)
    del molecule.info["charge"], molecule.info["spin"]
    assert molecule.get_potential_energy() == pytest.approx(neutral, abs=1e-12)
    molecule.info["charge"] = 7
    with pytest.raises(ConfigError, match="total_charge"):
        molecule.get_potential_energy()


def test_results_do_not_survive_an_error(potential: Potential, molecule: Atoms) -> None:
    calculator = Calculator(potential, "pbe")
    molecule.calc = calculator
    molecule.get_potential_energy()
    broken = molecule.copy()
    broken.positions[1] = broken.positions[0]
    for _ in range(2):  # the second time ASE sees the structure that it saw last
        with pytest.raises(DataError, match="same place"):
            calculator.calculate(broken)
        with pytest.raises(DataError, match="same place"):
            calculator.get_property("energy", broken)


def test_equal_info_does_not_calculate_again(
    charged: Potential, molecule: Atoms
) -> None:
    calculator = Calculator(charged, "pbe")
    molecule.calc = calculator
    molecule.get_potential_energy()
    molecule.info["charge"] = 0  # what it was by default
    molecule.info["note"] = "nothing that the potential sees"
    assert calculator.check_state(molecule) == []
    molecule.info["charge"] = -1
    assert calculator.check_state(molecule) == ["info"]
    assert calculator.calculation_required(molecule, ["energy"])


def test_head_from_info(potential: Potential, molecule: Atoms) -> None:
    wanted = {
        head: Calculator(potential, head).evaluate(molecule).energy
        for head in ("pbe", "other")
    }
    molecule.calc = Calculator(potential, head_from_info=True)
    assert molecule.calc.head is None
    with pytest.raises(ConfigError, match="a head must be named"):
        molecule.get_potential_energy()
    for head in ("pbe", "other", "pbe"):
        molecule.info["head"] = head
        assert molecule.get_potential_energy() == pytest.approx(wanted[head])
    molecule.info["head"] = "hf"
    with pytest.raises(ConfigError, match="unknown head"):
        molecule.get_potential_energy()
    molecule.info["head"] = "other"  # the label of a data set
    molecule.calc = Calculator(potential, "pbe")
    assert molecule.get_potential_energy() == pytest.approx(wanted["pbe"])
    molecule.calc = Calculator(potential, "pbe", head_from_info=True)
    assert molecule.get_potential_energy() == pytest.approx(wanted["other"])
    del molecule.info["head"]
    assert molecule.get_potential_energy() == pytest.approx(wanted["pbe"])


def test_with_head_shares_the_weights(potential: Potential, molecule: Atoms) -> None:
    first = Calculator(potential, "pbe")
    molecule.calc = first
    energy = molecule.get_potential_energy()
    second = first.with_head("other")
    assert second.potential is first.potential
    assert (first.head, second.head) == ("pbe", "other")
    wanted = Calculator(potential, "other").evaluate(molecule).energy
    molecule.calc = second
    assert molecule.get_potential_energy() == pytest.approx(wanted)
    assert first.results["energy"] == energy
    with pytest.raises(ConfigError, match="unknown head"):
        first.with_head("hf")


def test_a_single_head_needs_no_name(make_potential: Callable[..., Potential]) -> None:
    heads = make_potential().config.heads[:1]
    assert Calculator(make_potential(heads=heads)).head == "pbe"


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"backend": "fast"}, "unknown backend"),
        ({"dtype": "float16"}, "unknown dtype"),
        ({"device": "abacus"}, "cannot be used"),
        ({"head": "hf"}, "unknown head"),
        ({"dispersion": "d4"}, "unknown rule for dispersion"),
    ],
)
def test_settings_that_are_refused(
    potential: Potential, settings: dict[str, str], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        Calculator(potential, **{"head": "pbe", **settings})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(potential: Potential) -> None:
    with pytest.raises(ConfigError, match=r"cannot be used.*cuda"):
        Calculator(potential, "pbe", device="cuda")


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_backends(potential: Potential, molecule: Atoms, backend: str) -> None:
    calculator = Calculator(potential, "pbe", backend=backend)
    assert calculator.backend == "reference"
    assert np.isfinite(calculator.evaluate(molecule).energy)


def test_float32_is_close(potential: Potential, crystal: Atoms) -> None:
    double = Calculator(potential, "pbe").evaluate(crystal)
    single = Calculator(potential, "pbe", dtype="float32").evaluate(crystal)
    assert single.energy == pytest.approx(double.energy, abs=1e-4)
    np.testing.assert_allclose(single.forces, double.forces, atol=1e-3)
    np.testing.assert_allclose(single.stresses, double.stresses, atol=1e-5)
    assert single.forces.dtype == np.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cuda_equals_cpu(potential: Potential, crystal: Atoms, dtype: str) -> None:
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    crystal.calc = Calculator(potential, "pbe", dtype)
    on_gpu = Calculator(potential, "pbe", dtype, "cuda")
    for name in on_gpu.implemented_properties:
        np.testing.assert_allclose(
            on_gpu.get_property(name, crystal),
            crystal.calc.get_property(name, crystal),
            atol=tolerance,
        )
    np.testing.assert_allclose(
        on_gpu.get_descriptors(crystal),
        crystal.calc.get_descriptors(crystal),
        atol=tolerance,
    )


def test_atoms_at_one_place_are_named(potential: Potential, crystal: Atoms) -> None:
    crystal.positions[2] = crystal.positions[1] + crystal.cell[0]
    crystal.calc = Calculator(potential, "pbe")
    with pytest.raises(DataError, match=r"same place.*atoms 1 and 2"):
        crystal.get_forces()
    assert crystal.calc.results == {}


def test_numbers_that_are_not_finite_are_not_returned(
    potential: Potential, crystal: Atoms
) -> None:
    row = potential.config.elements.index("H")
    with torch.no_grad():
        potential.embedding[row] = torch.nan
    crystal.calc = Calculator(potential, "pbe")
    with pytest.raises(DataError, match=r"no finite energy.*H 4"):
        crystal.get_potential_energy()


def test_no_atoms(potential: Potential) -> None:
    for nothing in (Atoms(), Atoms(cell=[3, 3, 3], pbc=True)):
        nothing.calc = Calculator(potential, "pbe")
        assert nothing.get_potential_energy() == 0.0
        assert nothing.get_forces().shape == (0, 3)
    assert nothing.get_stresses().shape == (0, 6)
    np.testing.assert_array_equal(nothing.get_stress(), np.zeros(6))
    assert nothing.calc.get_descriptors(nothing).shape[0] == 0


def test_an_element_that_the_head_lacks(potential: Potential) -> None:
    silicon = bulk("Si")
    silicon.calc = Calculator(potential, "pbe")
    with pytest.raises(ConfigError, match=r"does not know an element.*Si"):
        silicon.get_potential_energy()


@pytest.mark.parametrize("suffix", ["xyz", "traj", "json"])
def test_results_survive_a_file(
    potential: Potential, crystal: Atoms, tmp_path: Path, suffix: str
) -> None:
    crystal.calc = Calculator(potential, "pbe")
    forces, stress = crystal.get_forces(), crystal.get_stress()
    write(tmp_path / f"one.{suffix}", crystal)
    again = read(tmp_path / f"one.{suffix}")
    np.testing.assert_allclose(again.get_forces(), forces, atol=1e-7)
    np.testing.assert_allclose(again.get_stress(), stress, atol=1e-7)
    assert len(crystal.calc.export_properties()) >= 6


def test_a_file_is_enough(
    potential: Potential, molecule: Atoms, tmp_path: Path
) -> None:
    save_potential(potential, tmp_path / "m.safetensors")
    from_file = Calculator(tmp_path / "m.safetensors", "pbe").evaluate(molecule)
    from_memory = Calculator(potential, "pbe").evaluate(molecule)
    np.testing.assert_allclose(from_file.energies, from_memory.energies, atol=1e-12)
