"""The ASE calculator with the compiled backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import Calculator, CommitteeCalculator, ConditionSpec, Potential


@pytest.fixture
def small(make_potential: Callable[..., Potential]) -> Potential:
    return make_potential(l_max=1, correlation=2)


def test_all_properties_agree(small: Potential, crystal: Atoms) -> None:
    reference = Calculator(small, "other")
    compiled = Calculator(small, "other", backend="compiled")
    reference.calculate(crystal)
    compiled.calculate(crystal)
    assert compiled.backend == "compiled"
    assert set(compiled.results) == set(reference.results)
    for name, value in reference.results.items():
        found = compiled.results[name]
        assert np.shape(found) == np.shape(value)
        np.testing.assert_allclose(found, value, rtol=1e-7, atol=2e-6)


def test_heads_and_elements_come_as_they_are_needed(
    small: Potential, crystal: Atoms, molecule: Atoms
) -> None:
    compiled = Calculator(small, "pbe", backend="compiled", head_from_info=True)
    reference = Calculator(small, "pbe", head_from_info=True)
    nothing, oxygen = Atoms(), Atoms("O", pbc=False)
    for atoms, head in (
        (nothing, "pbe"),
        (oxygen, "pbe"),
        (molecule, "pbe"),
        (crystal, "other"),
        (molecule, "other"),
    ):
        atoms.info["head"] = head
        found, wanted = compiled.evaluate(atoms), reference.evaluate(atoms)
        np.testing.assert_allclose(found.energies, wanted.energies, rtol=1e-7)
        np.testing.assert_allclose(found.forces, wanted.forces, atol=2e-6)
        assert (found.stress is None) == (wanted.stress is None)


def test_conditions_are_part_of_the_question(
    make_potential: Callable[..., Potential], molecule: Atoms
) -> None:
    charge = ConditionSpec(name="total_charge", kind="continuous", width=4)
    potential = make_potential(l_max=1, correlation=1, conditions=(charge,))
    compiled = Calculator(potential, "pbe", backend="compiled")
    reference = Calculator(potential, "pbe")
    energies = []
    for value in (0, 1):
        molecule.info["charge"] = value
        energies.append(compiled.evaluate(molecule).energy)
        assert energies[-1] == pytest.approx(reference.evaluate(molecule).energy)
    assert energies[0] != pytest.approx(energies[1])


def test_committees(make_potential: Callable[..., Potential], crystal: Atoms) -> None:
    members = [make_potential(seed, l_max=1, correlation=1) for seed in (0, 1)]
    answers = []
    for backend in ("reference", "compiled"):
        committee = CommitteeCalculator(members, "pbe", backend=backend)
        committee.calculate(crystal)
        answers.append(committee.results["forces_std"])
    np.testing.assert_allclose(answers[1], answers[0], atol=5e-6)


def test_what_needs_the_reference(small: Potential, crystal: Atoms) -> None:
    compiled = Calculator(small, "pbe", backend="compiled")
    with pytest.raises(ConfigError, match="descriptors needs the reference backend"):
        compiled.get_descriptors(crystal)
    with pytest.raises(ConfigError, match="a Hessian needs the reference backend"):
        compiled.get_hessian(crystal)
    with pytest.raises(ConfigError, match="runs on a processor"):
        Calculator(small, "pbe", device="meta", backend="compiled")


def test_two_atoms_at_one_place(small: Potential) -> None:
    compiled = Calculator(small, "pbe", backend="compiled")
    with pytest.raises(DataError, match="at the same place"):
        compiled.evaluate(Atoms("O2", [[0.0, 0, 0], [0, 0, 1e-9]]))
    with pytest.raises(ConfigError, match="Fe"):
        compiled.evaluate(Atoms("Fe"))
