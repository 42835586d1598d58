"""Many structures in one evaluation equal the same structures one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import (
    Calculator,
    ConditionSpec,
    Evaluation,
    Potential,
    evaluate,
)

CHARGE = ConditionSpec(
    name="total_charge", kind="categorical", width=3, n_classes=5, offset=2
)


@pytest.fixture
def structures(crystal: Atoms, molecule: Atoms) -> list[Atoms]:
    slab = bulk("MgO", "rocksalt", a=4.2) * (1, 1, 2)
    slab.pbc = [True, True, False]
    slab.rattle(0.1, seed=5)
    return [crystal, Atoms("Mg"), molecule, Atoms(), slab, crystal[[1, 0]]]


def _assert_equal(found: Evaluation, wanted: Evaluation) -> None:
    np.testing.assert_allclose(found.energies, wanted.energies, atol=1e-11)
    for name in ("forces", "stress", "stresses"):
        a, b = getattr(found, name), getattr(wanted, name)
        if b is None:
            assert a is None
        else:
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("max_pairs", [1, 300, 100_000])
def test_a_batch_equals_singles(
    potential: Potential, structures: list[Atoms], max_pairs: int
) -> None:
    found = list(evaluate(potential, structures, "pbe", max_pairs=max_pairs))
    assert len(found) == len(structures)
    calculator = Calculator(potential, "pbe")
    for one, atoms in zip(found, structures, strict=True):
        _assert_equal(one, calculator.evaluate(atoms))
        assert (one.stress is not None) == atoms.pbc.all()


def test_a_head_for_each_structure(
    potential: Potential, structures: list[Atoms]
) -> None:
    heads = ["pbe", "other"] * 3
    found = evaluate(potential, structures, heads)
    for one, atoms, head in zip(found, structures, heads, strict=True):
        _assert_equal(one, Calculator(potential, head).evaluate(atoms))


@pytest.mark.parametrize(("n", "match"), [(5, "fewer heads"), (7, "more heads")])
def test_a_list_of_heads_of_another_length(
    potential: Potential, structures: list[Atoms], n: int, match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        list(evaluate(potential, structures, ["pbe"] * n))


def test_charges_of_a_batch(
    make_potential: Callable[..., Potential], molecule: Atoms
) -> None:
    potential = make_potential(conditions=(CHARGE,))
    ions = [molecule.copy() for _ in range(3)]
    for charge, ion in enumerate(ions):
        ion.info["charge"] = charge
    found = list(evaluate(potential, ions, "pbe"))
    assert len({round(one.energy, 6) for one in found}) == 3
    for one, ion in zip(found, ions, strict=True):
        _assert_equal(one, Calculator(potential, "pbe").evaluate(ion))


def test_energies_alone(potential: Potential, structures: list[Atoms]) -> None:
    full = list(evaluate(potential, structures, "other"))
    short = list(evaluate(potential, structures, "other", properties=["energy"]))
    for a, b in zip(short, full, strict=True):
        np.testing.assert_allclose(a.energies, b.energies, atol=1e-12)
        assert a.energy == pytest.approx(b.energy)
        assert a.forces is a.stress is a.stresses is None


def test_structures_are_read_as_they_are_needed(
    potential: Potential, molecule: Atoms
) -> None:
    read = 0

    def stream() -> Iterator[Atoms]:
        nonlocal read
        for _ in range(50):
            read += 1
            yield molecule

    found = evaluate(potential, stream(), "pbe", max_pairs=20)
    assert read == 0
    next(found)
    assert 0 < read < 10
    assert sum(1 for _ in found) == 49
    assert read == 50


def test_nothing_to_evaluate(potential: Potential) -> None:
    assert list(evaluate(potential, [], "pbe")) == []
    assert list(evaluate(potential, [], [])) == []
    (nothing,) = evaluate(potential, [Atoms()], "pbe")
    assert nothing.energy == 0.0
    assert nothing.forces is not None
    assert nothing.forces.shape == (0, 3)


@pytest.mark.parametrize("properties", [["charges"], []])
def test_unknown_properties(potential: Potential, properties: list[str]) -> None:
    with pytest.raises(ConfigError, match="unknown properties"):
        evaluate(potential, [], "pbe", properties=properties)


def test_bad_arguments(potential: Potential, molecule: Atoms) -> None:
    with pytest.raises(ConfigError, match="max_pairs"):
        evaluate(potential, [molecule], "pbe", max_pairs=0)
    with pytest.raises(ConfigError, match="a head must be named"):
        list(evaluate(potential, [molecule]))
    double = molecule + molecule
    with pytest.raises(DataError, match="same place"):
        list(evaluate(potential, [molecule, double], "pbe"))
