"""Parts of a potential are exact: heads, elements, one charge and spin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms

from lamplighter.errors import ConfigError
from lamplighter.model import Calculator, ConditionSpec, Potential, select
from lamplighter.model.select import select_part

MakePotential = Callable[..., Potential]
CONDITIONS = (
    ConditionSpec(
        name="total_charge", kind="categorical", width=3, n_classes=5, offset=2
    ),
    ConditionSpec(name="total_spin", kind="continuous", width=2, default=1.0),
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"interaction": "plain", "product_weights": "by_element", "l_max": 2},
        {"interaction": "density_residual", "product_weights": "by_element"},
        {"last_readout": "biased_mlp", "l_max": 1},
    ],
)
def test_several_heads_of_every_kind_of_part(
    make_potential: MakePotential, crystal: Atoms, changes: dict[str, object]
) -> None:
    potential = make_potential(**changes)
    oxide = crystal[:-1]
    part = select_part(potential, ["other", "pbe"], ["O", "Mg"])
    assert [h.name for h in part.config.heads] == ["other", "pbe"]
    assert part.config.elements == ("O", "Mg")
    for head in ("pbe", "other"):
        oxide.calc = Calculator(potential, head)
        expected = oxide.get_potential_energy(), oxide.get_forces()
        oxide.calc = Calculator(part, head)
        assert oxide.get_potential_energy() == pytest.approx(expected[0], abs=1e-11)
        np.testing.assert_allclose(oxide.get_forces(), expected[1], atol=1e-12)


@pytest.mark.parametrize("readout", [False, True])
@pytest.mark.parametrize("values", [{"charge": -1.0, "spin": 2.0}, {}])
def test_fixed_conditions_are_exact(
    make_potential: MakePotential,
    crystal: Atoms,
    values: dict[str, float],
    readout: bool,
) -> None:
    potential = make_potential(
        conditions=CONDITIONS, condition_readout=readout, l_max=1
    )
    crystal.info.update(values)
    crystal.calc = Calculator(potential, "other")
    expected = crystal.get_potential_energies(), crystal.get_forces()
    named = {f"total_{name}": value for name, value in values.items()}
    part = select(potential, "other", ["H", "O", "Mg"], named)
    assert part.config.conditions == ()
    crystal.calc = Calculator(part)
    np.testing.assert_allclose(
        crystal.get_potential_energies(), expected[0], atol=1e-12
    )
    np.testing.assert_allclose(crystal.get_forces(), expected[1], atol=1e-12)


def test_charge_changes_energy_and_forces(
    make_potential: MakePotential, crystal: Atoms
) -> None:
    potential = make_potential(conditions=CONDITIONS, l_max=1)
    results = []
    for charge in (0, 1):
        crystal.info["charge"] = charge
        crystal.calc = Calculator(potential, "pbe")
        results.append((crystal.get_potential_energy(), crystal.get_forces()))
    assert abs(results[0][0] - results[1][0]) > 1e-3
    assert np.abs(results[0][1] - results[1][1]).max() > 1e-3


def test_unknown_conditions_are_refused(
    make_potential: MakePotential, potential: Potential
) -> None:
    with pytest.raises(ConfigError, match="does not depend on this condition"):
        select(potential, "pbe", ["O"], {"total_charge": 1.0})
    charged = make_potential(conditions=CONDITIONS, l_max=1)
    with pytest.raises(ConfigError, match="whole number"):
        select(charged, "pbe", ["O"], {"total_charge": 7.0})
