"""Neighbour lists, slots, and configurations that are refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import (
    ConditionSpec,
    Graph,
    HeadSpec,
    PotentialConfig,
    graph_from_atoms,
    neighbor_pairs,
)
from lamplighter.model.slots import sum_slots


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=0, max_size=30))
def test_slots_sum_like_a_scattered_addition(counts: list[int]) -> None:
    centers = torch.repeat_interleave(
        torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64)
    )
    graph = Graph.build(
        pair_vectors=torch.zeros(len(centers), 3),
        centers=centers,
        neighbors=centers,
        species=torch.zeros(len(counts), dtype=torch.int64),
        frames=torch.zeros(len(counts), dtype=torch.int64),
        heads=torch.tensor([0]),
    )
    values = torch.arange(1.0, len(centers) + 1, dtype=torch.float64)
    padded = torch.cat([values, values.new_zeros(1)])[graph.slots.pair]
    expected = torch.zeros(len(counts), dtype=torch.float64)
    expected.index_add_(0, centers, values)
    torch.testing.assert_close(sum_slots(padded, graph), expected)
    assert len(graph.slots.pair) <= 2 * len(centers) + 5 * len(counts)


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("MgO", "rocksalt", a=4.2),
        Atoms("OH2", [[0, 0, 0], [0.9, 0, 0], [0, 0.9, 0]]),
        Atoms("MgO", [[0, 0, 0], [1.8, 0, 0]], cell=[3, 4, 9], pbc=[True, True, False]),
    ],
)
def test_pairs_are_those_of_ase(atoms: Atoms) -> None:
    i, j, d = neighbor_pairs(atoms, 4.0)
    first, second, vectors = neighbor_list("ijD", atoms, 4.0)
    key = np.lexsort(np.column_stack([first, second, np.round(vectors, 6)]).T)
    ours = np.lexsort(np.column_stack([i, j, np.round(d, 6)]).T)
    np.testing.assert_array_equal(i[ours], first[key])
    np.testing.assert_array_equal(j[ours], second[key])
    np.testing.assert_allclose(d[ours], vectors[key], atol=1e-12)
    assert np.all(np.diff(i) >= 0)


CHARGE = ConditionSpec(
    name="total_charge", kind="categorical", width=2, n_classes=5, offset=2
)


def test_structures_without_a_neighbour_list_are_refused() -> None:
    atoms = bulk("MgO", "rocksalt", a=4.2)
    atoms.positions[0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        neighbor_pairs(atoms, 4.0)
    with pytest.raises(DataError, match="no cell vector"):
        neighbor_pairs(Atoms("O", pbc=True), 4.0)
    flat = Atoms("O", cell=[[1, 0, 0], [1, 0, 0], [0, 0, 1]], pbc=True)
    with pytest.raises(DataError, match="no volume"):
        neighbor_pairs(flat, 4.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutoff": 0.0}, "cutoff"),
        ({"l_max": 4}, "l_max"),
        ({"correlation": 0}, "correlation"),
        ({"hidden_l_max": 4}, "hidden_l_max"),
        ({"radial_hidden": ()}, "radial_hidden"),
        ({"elements": ("O", "H", "Mg")}, "by atomic number"),
        ({"elements": ("H", "Xx")}, "chemical symbols"),
        ({"heads": ()}, "at least one head"),
        ({"distance_transform": "hard"}, "one of agnesi, soft, none"),
        ({"radial_basis": "spline"}, "one of bessel"),
        ({"correlation": (3, 3, 3)}, "one value, or 2"),
        ({"correlation": (3, 5)}, "1 to 4"),
        ({"edge_channels": (4, 0)}, "a positive number"),
        ({"edge_l_max": -1}, "0 or more"),
        ({"interaction": ("plain", "other")}, "one of nonlinear_residual"),
        ({"condition_readout": True}, "false without conditions"),
        ({"conditions": (CHARGE, CHARGE)}, "each name once"),
    ],
)
def test_bad_settings_are_refused_by_name(
    make_config: Callable[..., PotentialConfig],
    changes: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(**changes)


def test_bad_heads_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        HeadSpec(name="", level_of_theory="PBE", reference_energies={})
    with pytest.raises(ConfigError, match="reference energy"):
        HeadSpec(
            name="a", level_of_theory="PBE", reference_energies={"O": float("nan")}
        )
    with pytest.raises(ConfigError, match="scale"):
        HeadSpec(name="a", level_of_theory="PBE", reference_energies={}, scale=0.0)


def test_configuration_survives_json(
    make_config: Callable[..., PotentialConfig],
) -> None:
    config = make_config()
    assert PotentialConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="not the configuration"):
        PotentialConfig.from_dict({**config.to_dict(), "chanels": 3})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "other"}, "categorical or continuous"),
        ({"width": 0}, "positive width"),
        ({"name": ""}, "bad condition"),
        ({"n_classes": 0}, "no class"),
    ],
)
def test_bad_conditions_are_refused(changes: dict[str, object], message: str) -> None:
    fields = {"name": "total_charge", "kind": "categorical", "width": 2, "n_classes": 3}
    with pytest.raises(ConfigError, match=message):
        ConditionSpec(**{**fields, **changes})


@pytest.mark.parametrize("info", [{"charge": 3}, {"total_charge": 0.5}])
def test_unknown_charges_are_refused(
    make_config: Callable[..., PotentialConfig], info: dict[str, float]
) -> None:
    atoms = Atoms("H", info=info)
    with pytest.raises(ConfigError, match="a whole number from -2 to 2"):
        graph_from_atoms(atoms, make_config(conditions=(CHARGE,)), "pbe")
    for odd in ("x", None, [1, 2]):
        atoms.info = {"charge": odd}
        with pytest.raises(ConfigError, match="total_charge of a structure"):
            graph_from_atoms(atoms, make_config(conditions=(CHARGE,)), "pbe")
    spin = ConditionSpec(name="total_spin", kind="continuous", width=2)
    with pytest.raises(ConfigError, match="a finite number"):
        spin.check(float("nan"))


def test_a_condition_without_default_has_to_be_given(
    make_config: Callable[..., PotentialConfig],
) -> None:
    heat = ConditionSpec(name="elec_temp", kind="continuous", width=2, default=None)
    config = make_config(conditions=(heat,))
    with pytest.raises(ConfigError, match="depends on elec_temp, which is not given"):
        graph_from_atoms(Atoms("H"), config, "pbe")
    graph = graph_from_atoms(Atoms("H", info={"elec_temp": 300.0}), config, "pbe")
    assert graph.conditions.tolist() == [[300.0]]


def test_charge_comes_from_the_structure(
    make_config: Callable[..., PotentialConfig],
) -> None:
    config = make_config(conditions=(CHARGE,))
    for info, value in (({}, 0.0), ({"charge": -1}, -1.0), ({"total_charge": 2}, 2.0)):
        graph = graph_from_atoms(Atoms("H", info=info), config, "pbe")
        assert graph.conditions.tolist() == [[value]]
