"""A committee: means, deviations, and members that do not belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.io import read, write

from lamplighter.errors import ConfigError
from lamplighter.model import (
    Calculator,
    CommitteeCalculator,
    ConditionSpec,
    Potential,
    save_potential,
)

CHARGE = ConditionSpec(
    name="total_charge", kind="categorical", width=3, n_classes=5, offset=2
)


@pytest.fixture
def members(make_potential: Callable[..., Potential]) -> list[Potential]:
    return [make_potential(seed=seed) for seed in (0, 5, 9)]


def test_means_and_deviations(members: list[Potential], crystal: Atoms) -> None:
    committee = CommitteeCalculator(members, "pbe")
    single = [Calculator(member, "pbe") for member in members]
    for name in Calculator.implemented_properties:
        values = [calculator.get_property(name, crystal) for calculator in single]
        mean = committee.get_property(name, crystal)
        np.testing.assert_allclose(mean, sum(values) / 3, atol=1e-12)
        if name in ("free_energy", "stresses"):
            continue
        variance = sum((value - mean) ** 2 for value in values) / 2
        deviation = committee.get_property(f"{name}_std", crystal)
        np.testing.assert_allclose(deviation, np.sqrt(variance), atol=1e-12)
        assert np.max(deviation) > 1e-6
    norm = np.sqrt((committee.results["forces_std"] ** 2).sum(axis=1))
    np.testing.assert_allclose(
        committee.get_property("forces_norm_std", crystal), norm, atol=1e-14
    )


def test_equal_members_agree(potential: Potential, crystal: Atoms) -> None:
    committee = CommitteeCalculator([potential, potential], "pbe")
    crystal.calc = committee
    one = Calculator(potential, "pbe").evaluate(crystal)
    assert crystal.get_potential_energy() == pytest.approx(one.energy)
    assert committee.results["energy_std"] < 1e-12
    assert np.max(committee.results["forces_std"]) < 1e-12


def test_deviation_of_a_force_does_not_turn(
    members: list[Potential], molecule: Atoms
) -> None:
    committee = CommitteeCalculator(members, "pbe")
    before = committee.get_property("forces_norm_std", molecule)
    turned = molecule.copy()
    turned.rotate(40, (1, 2, 3))
    after = committee.get_property("forces_norm_std", turned)
    np.testing.assert_allclose(after, before, atol=1e-11)


def test_without_a_volume(members: list[Potential], molecule: Atoms) -> None:
    committee = CommitteeCalculator(members, "pbe")
    with pytest.raises(PropertyNotImplementedError, match="three directions"):
        committee.get_property("stress", molecule)
    with pytest.raises(PropertyNotImplementedError):
        committee.get_property("stress_std", molecule)
    assert committee.get_property("energy_std", molecule) > 0.0


def test_no_atoms(members: list[Potential]) -> None:
    committee = CommitteeCalculator(members, "pbe")
    nothing = Atoms()
    assert committee.get_property("energy_std", nothing) == 0.0
    assert committee.get_property("forces_norm_std", nothing).shape == (0,)


def test_charge_of_info_is_not_stale(
    make_potential: Callable[..., Potential], molecule: Atoms
) -> None:
    pair = [make_potential(seed=k, conditions=(CHARGE,)) for k in (0, 1)]
    molecule.calc = CommitteeCalculator(pair, "pbe")
    neutral = molecule.get_potential_energy()
    molecule.info["charge"] = 1
    assert molecule.get_potential_energy() != pytest.approx(neutral, abs=1e-6)


def test_files_and_ase_output(
    members: list[Potential], crystal: Atoms, tmp_path: Path
) -> None:
    files = [tmp_path / f"{k}.safetensors" for k in range(3)]
    for file, member in zip(files, members, strict=True):
        save_potential(member, file)
    crystal.calc = CommitteeCalculator(files, "pbe")
    forces = crystal.get_forces()
    for name in ("one.xyz", "one.traj"):
        write(tmp_path / name, crystal)
        np.testing.assert_allclose(
            read(tmp_path / name).get_forces(), forces, atol=1e-7
        )


def test_fewer_than_two(potential: Potential) -> None:
    with pytest.raises(ConfigError, match="fewer than two"):
        CommitteeCalculator([potential], "pbe")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"level_of_theory": "RPBE"}, "level of theory"),
        ({"dispersion": "included"}, "dispersion"),
        ({"reference_energies": {"O": -3.0, "Mg": -4.0}}, "elements"),
    ],
)
def test_members_of_different_heads(
    make_potential: Callable[..., Potential], change: dict[str, object], what: str
) -> None:
    first = make_potential()
    pbe, other = first.config.heads
    second = make_potential(heads=(replace(pbe, **change), other))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"differ in the {what}.*model 1"):
        CommitteeCalculator([first, second], "pbe")


def test_members_with_single_heads_of_different_names(
    make_potential: Callable[..., Potential],
) -> None:
    pbe, other = make_potential().config.heads
    pair = [make_potential(heads=(head,)) for head in (pbe, other)]
    with pytest.raises(ConfigError, match="differ in the name of the head"):
        CommitteeCalculator(pair)


def test_members_with_different_conditions(
    make_potential: Callable[..., Potential],
) -> None:
    with pytest.raises(ConfigError, match="differ in the conditions"):
        CommitteeCalculator(
            [make_potential(), make_potential(conditions=(CHARGE,))], "pbe"
        )
