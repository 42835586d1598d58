"""The potential behind TorchSim's interface, judged by TorchSim's own validator."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch_sim
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from torch_sim.models.interface import validate_model_outputs
from torch_sim.models.lennard_jones import LennardJonesModel

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import (
    Calculator,
    ConditionSpec,
    HeadSpec,
    Potential,
    save_potential,
)
from lamplighter.model.torchsim import LamplighterModel

CPU = torch.device("cpu")
# the elements that TorchSim's validators use
E0 = {"O": -2.0, "Mg": -3.0, "Si": -1.0, "Fe": -2.5}


@pytest.fixture
def metals(make_potential: Callable[..., Potential]) -> Potential:
    heads = tuple(
        HeadSpec(name=name, level_of_theory=name, reference_energies=E0, scale=scale)
        for name, scale in (("pbe", 1.0), ("scan", 0.8))
    )
    return make_potential(elements=tuple(E0), heads=heads)


@pytest.fixture
def systems() -> list[Atoms]:
    found = [bulk("MgO", "rocksalt", a=4.2), bulk("Si") * (2, 1, 1)]
    for atoms in found:
        atoms.rattle(0.1, seed=1)
    return found


def _state(systems: list[Atoms], dtype: torch.dtype = torch.float64) -> object:
    return torch_sim.io.atoms_to_state(systems, CPU, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torchsim_accepts_the_model(metals: Potential, dtype: torch.dtype) -> None:
    model = LamplighterModel(metals, "pbe", dtype)
    validate_model_outputs(model, CPU, dtype)
    assert model.memory_scales_with == "n_atoms_x_density"


@pytest.mark.parametrize("head", ["pbe", "scan"])
def test_numbers_are_those_of_the_calculator(
    metals: Potential, systems: list[Atoms], head: str
) -> None:
    found = LamplighterModel(metals, head)(_state(systems))
    calculator = Calculator(metals, head)
    first = 0
    for k, atoms in enumerate(systems):
        wanted = calculator.evaluate(atoms)
        assert float(found["energy"][k]) == pytest.approx(wanted.energy, abs=1e-10)
        forces = found["forces"][first : first + len(atoms)].numpy()
        np.testing.assert_allclose(forces, wanted.forces, atol=1e-11)
        np.testing.assert_allclose(
            found["stress"][k].numpy(), wanted.stress, atol=1e-12
        )
        first += len(atoms)
    assert not any(tensor.requires_grad for tensor in found.values())


def test_the_sign_of_the_stress_is_that_of_torchsim() -> None:
    argon = bulk("Ar", a=5.0, cubic=True) * (2, 2, 2)
    sigma, epsilon = 3.4, 0.0104
    model = LennardJonesModel(
        sigma=sigma,
        epsilon=epsilon,
        cutoff=4.5,
        dtype=torch.float64,
        compute_stress=True,
    )
    theirs = model(_state([argon]))["stress"][0].numpy()
    argon.calc = LennardJones(sigma=sigma, epsilon=epsilon, rc=4.5)
    ase = argon.get_stress(voigt=False)
    # ours is that of ASE: test_numbers_are_those_of_the_calculator. The size differs:
    # TorchSim 0.3 returns twice the stress of this model.
    assert np.trace(theirs) * np.trace(ase) > 0.0
    assert abs(ase[0, 0]) > 1e-4


def test_cells_with_columns(metals: Potential, systems: list[Atoms]) -> None:
    skewed = systems[0]
    strain = np.array([[0.0, 0.1, 0.2], [0.0, 0.0, 0.05], [0.0, 0.0, 0.0]])
    skewed.set_cell(skewed.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    found = LamplighterModel(metals, "pbe")(_state([skewed]))
    wanted = Calculator(metals, "pbe").evaluate(skewed)
    assert float(found["energy"][0]) == pytest.approx(wanted.energy, abs=1e-10)


def test_a_state_as_a_mapping(metals: Potential, systems: list[Atoms]) -> None:
    state = _state(systems)
    model = LamplighterModel(metals, "pbe")
    names = ("positions", "cell", "pbc", "atomic_numbers", "system_idx")
    found = model({name: getattr(state, name) for name in names})
    torch.testing.assert_close(found["energy"], model(state)["energy"])


def test_what_is_not_asked_for_is_left_out(
    metals: Potential, systems: list[Atoms]
) -> None:
    model = LamplighterModel(metals, "pbe", compute_forces=False, compute_stress=False)
    found = model(_state(systems))
    assert list(found) == ["energy"]
    model.compute_forces = model.compute_stress = True
    full = model(_state(systems))
    assert list(full) == ["energy", "forces", "stress"]
    torch.testing.assert_close(found["energy"], full["energy"])


def test_molecules_have_no_stress(metals: Potential, systems: list[Atoms]) -> None:
    for atoms in systems:
        atoms.pbc = False
        atoms.cell = None
    found = LamplighterModel(metals, "pbe")(_state(systems))
    assert found["stress"].isnan().all()
    wanted = Calculator(metals, "pbe").evaluate(systems[1]).energy
    assert float(found["energy"][1]) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torchsim_moves_atoms(
    metals: Potential, systems: list[Atoms], dtype: torch.dtype
) -> None:
    for atoms in systems:  # away from the faces, where TorchSim wraps
        atoms.positions += atoms.cell.array.sum(0) / 8
        atoms.wrap()
    model = LamplighterModel(metals, "pbe", dtype)
    state = _state(systems, dtype)
    torch.manual_seed(0)
    moved = torch_sim.integrate(
        state,
        model,
        integrator=torch_sim.integrators.nve,
        n_steps=5,
        temperature=50.0,
        timestep=0.001,
    )
    assert moved.positions.dtype == dtype
    assert 0.0 < float((moved.positions - state.positions).abs().max()) < 0.1
    torch.testing.assert_close(moved.energy, model(moved)["energy"])


def test_charge_of_a_state(
    make_potential: Callable[..., Potential], systems: list[Atoms]
) -> None:
    charge = ConditionSpec(
        name="total_charge", kind="categorical", width=3, n_classes=5, offset=2
    )
    potential = make_potential(conditions=(charge,))
    pair = [systems[0], systems[0]]
    state = _state(pair)
    model = LamplighterModel(potential, "pbe")
    before = model(state)["energy"]
    torch.testing.assert_close(before[0], before[1])
    object.__setattr__(state, "charge", torch.tensor([0.0, 2.0]))
    after = model(state)["energy"]
    torch.testing.assert_close(after[0], before[0])
    systems[0].info["charge"] = 2
    wanted = Calculator(potential, "pbe").evaluate(systems[0]).energy
    assert float(after[1]) == pytest.approx(wanted, abs=1e-10)
    assert abs(float(after[1] - before[1])) > 1e-6


def test_a_spin_of_zero_is_a_spin_that_nobody_said(
    make_potential: Callable[..., Potential], systems: list[Atoms]
) -> None:
    """TorchSim writes 0 where a structure does not say; multiplicities begin at 1."""
    spin = ConditionSpec(name="total_spin", kind="continuous", width=3, default=1.0)
    potential = make_potential(conditions=(spin,))
    state = _state([systems[0]] * 3)
    object.__setattr__(state, "spin", torch.tensor([0.0, 1.0, 3.0]))
    energy = LamplighterModel(potential, "pbe")(state)["energy"]
    wanted = Calculator(potential, "pbe").evaluate(systems[0]).energy
    assert energy[:2].tolist() == pytest.approx([wanted] * 2, abs=1e-10)
    assert abs(float(energy[2]) - wanted) > 1e-6


def test_refusals(metals: Potential, systems: list[Atoms]) -> None:
    with pytest.raises(ConfigError, match="a head must be named"):
        LamplighterModel(metals)
    with pytest.raises(ConfigError, match="unknown dtype"):
        LamplighterModel(metals, "pbe", torch.float16)
    model = LamplighterModel(metals, "pbe")
    with pytest.raises(ConfigError, match="not of the kind of the model"):
        model(_state(systems, torch.float32))
    with pytest.raises(ConfigError, match="does not know an element"):
        model(_state([bulk("Cu")]))
    systems[0].positions[1] = systems[0].positions[0]
    with pytest.raises(DataError, match="same place"):
        model(_state(systems))


@pytest.mark.parametrize("forces", [True, False])
def test_numbers_that_are_not_finite(
    metals: Potential, systems: list[Atoms], forces: bool
) -> None:
    with torch.no_grad():
        metals.embedding[metals.config.elements.index("Si")] = torch.nan
    model = LamplighterModel(metals, "pbe", compute_forces=forces, compute_stress=False)
    with pytest.raises(DataError, match=r"energy that is not finite.*systems \[1\]"):
        model(_state(systems))


def test_a_model_file(metals: Potential, systems: list[Atoms], tmp_path) -> None:
    save_potential(metals, tmp_path / "m.safetensors")
    model = LamplighterModel(tmp_path / "m.safetensors", "scan")
    same = LamplighterModel(metals, "scan")
    a, b = model(_state(systems)), same(_state(systems))
    torch.testing.assert_close(a["forces"], b["forces"])


def test_without_the_package() -> None:
    code = (
        "import sys; sys.modules['torch_sim'] = None\n"
        "from lamplighter.errors import OptionalDependencyError\n"
        "try:\n    import lamplighter.model.torchsim\n"
        "except OptionalDependencyError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'lamplighter[torchsim]'" in done.stdout
