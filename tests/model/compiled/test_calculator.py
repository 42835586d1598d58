"""The ASE calculator with the compiled backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from lamplighter.errors import ConfigError, DataError, UnsupportedModelError
from lamplighter.model import Calculator, CommitteeCalculator, ConditionSpec, Potential
from lamplighter.model.compiled import evaluator


@pytest.fixture
def small(make_potential: Callable[..., Potential]) -> Potential:
    return make_potential(l_max=1, correlation=2)


def test_all_properties_agree(small: Potential, crystal: Atoms) -> None:
    reference = Calculator(small, "other", backend="reference")
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
    reference = Calculator(small, "pbe", backend="reference", head_from_info=True)
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
    reference = Calculator(potential, "pbe", backend="reference")
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
    with pytest.raises(ConfigError, match="does not run on this device"):
        Calculator(small, "pbe", device="meta", backend="compiled")


def test_it_is_the_default(
    small: Potential, crystal: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, compiled = (
        Calculator(small, "pbe", backend=b).evaluate(crystal)
        for b in ("auto", "compiled")
    )
    np.testing.assert_array_equal(default.forces, compiled.forces)
    reference = Calculator(small, "pbe", backend="reference").evaluate(crystal)
    assert not np.array_equal(default.forces, reference.forces)
    monkeypatch.setenv("LAMPLIGHTER_BACKEND", "reference")
    asked = Calculator(small, "pbe")
    assert asked.backend == "reference"
    np.testing.assert_array_equal(asked.evaluate(crystal).forces, reference.forces)
    monkeypatch.setenv("LAMPLIGHTER_BACKEND", "fast")
    with pytest.raises(ConfigError, match=r"'fast'.*variable LAMPLIGHTER_BACKEND"):
        Calculator(small, "pbe")


def test_the_default_gives_what_the_compiled_potential_lacks(
    small: Potential, crystal: Atoms
) -> None:
    default = Calculator(small, "pbe")
    assert default.get_descriptors(crystal).shape[0] == len(crystal)
    assert default.get_hessian(crystal).ndim == 4
    with pytest.raises(ConfigError, match="Fe"):
        default.evaluate(Atoms("Fe"))
    near = Atoms("O2", [[0.0, 0, 0], [0, 0, 0.015]])  # beyond the tables
    assert np.isfinite(default.evaluate(near).energy)


@pytest.mark.parametrize("what", ["part", "elements", "number"])
def test_the_default_falls_back_with_a_line(
    small: Potential, crystal: Atoms, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    wanted = Calculator(small, "pbe", backend="reference").evaluate(crystal)
    if what == "part":

        def refuse(*_: object, **__: object) -> None:
            message = "no such part"
            raise UnsupportedModelError(message)

        monkeypatch.setattr(evaluator, "compile_potential", refuse)
    name = {"elements": "MOST_ELEMENTS", "number": "MOST_COMPILED"}.get(what)
    if name:
        monkeypatch.setattr(evaluator, name, 0)
    default = Calculator(small, "pbe")
    with pytest.warns(RuntimeWarning, match="Lamplighter: the reference evaluates"):
        found = default.evaluate(crystal)
    np.testing.assert_array_equal(found.forces, wanted.forces)


def test_two_atoms_at_one_place(small: Potential) -> None:
    compiled = Calculator(small, "pbe", backend="compiled")
    with pytest.raises(DataError, match="at the same place"):
        compiled.evaluate(Atoms("O2", [[0.0, 0, 0], [0, 0, 1e-9]]))
    with pytest.raises(ConfigError, match="Fe"):
        compiled.evaluate(Atoms("Fe"))


def test_float32_adds_up_in_float64(small: Potential, molecule: Atoms) -> None:
    """Matrices are single precision; what is summed over atoms and pairs is not."""
    compiled = Calculator(small, "pbe", backend="compiled", dtype="float32")
    exact = Calculator(small, "pbe", backend="compiled")
    found, wanted = compiled.evaluate(molecule), exact.evaluate(molecule)
    assert found.forces.dtype == found.energies.dtype == np.float64
    size = np.abs(wanted.forces).max()
    assert size > 0.01
    assert np.abs(found.forces.sum(axis=0)).max() < 1e-12 * max(1.0, size)
    torque = np.cross(molecule.positions, found.forces).sum(axis=0)
    assert np.abs(torque).max() < 1e-4 * max(1.0, size)
    deviation = np.abs(found.forces - wanted.forces).max()
    assert 0.0 < deviation < 1e-4 * max(1.0, size)
