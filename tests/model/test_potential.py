"""The potential as a whole: against its slow twin, symmetries, derivatives, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from scipy.spatial.transform import Rotation
from torch import Tensor

from lamplighter.errors import ConfigError
from lamplighter.model import (
    Calculator,
    ConditionSpec,
    Graph,
    Potential,
    collate,
    graph_from_atoms,
    pair_gradients,
    predict,
)

MakePotential = Callable[..., Potential]


CONDITIONS = (
    ConditionSpec(
        name="total_charge", kind="categorical", width=3, n_classes=5, offset=2
    ),
    ConditionSpec(name="total_spin", kind="continuous", width=2, default=1.0),
)


def energy(potential: Potential, atoms: Atoms, head: str = "pbe") -> float:
    graph = graph_from_atoms(atoms, potential.config, head)
    return float(predict(potential, graph).energy[0])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_l_max": 0, "l_max": 2},
        {"hidden_l_max": 2, "l_max": 2, "correlation": 2},
        {"n_layers": 3, "l_max": 1, "zbl": False},
        {"n_layers": 1, "distance_transform": "none", "correlation": 1},
        {"l_max": 0, "hidden_l_max": 0},
        {"interaction": "residual", "mean_neighbors": 7.5, "cutoff_inside": True},
        {
            "interaction": ("plain", "residual"),
            "product_weights": "by_element",
            "cutoff_inside": True,
            "distance_transform": "none",
        },
        {"interaction": "density", "product_weights": "by_element", "l_max": 2},
        {"interaction": "density_residual", "radial_basis": "gaussian"},
        {
            "interaction": "density_residual",
            "distance_transform": "soft",
            "cutoff_inside": True,
            "edge_channels": (6, 3),
            "correlation": (2, 3),
        },
        {"hidden_l_max": 3, "edge_l_max": 1, "correlation": 2},
        {"hidden_l_max": 2, "l_max": 1, "correlation": 2},
        {"cutoff_inside": True, "l_max": 1},
        {"radial_basis": "chebyshev", "n_radial": 3, "l_max": 1, "cutoff_inside": True},
        {"last_readout": "biased_mlp", "readout_activation": "tanh", "l_max": 1},
        {"last_readout": "linear", "l_max": 1},
        {"readouts": "last", "readout_activation": "abs", "l_max": 1},
        {"correlation": 4, "l_max": 2, "readout_activation": "none"},
        {"conditions": CONDITIONS, "l_max": 1},
        {"conditions": CONDITIONS, "condition_readout": True, "l_max": 1},
    ],
)
def test_energies_are_those_of_the_slow_twin(
    changes: dict[str, object],
    make_potential: MakePotential,
    slow_twin: ModuleType,
    crystal: Atoms,
    molecule: Atoms,
) -> None:
    potential = make_potential(**changes)
    molecule.info.update(charge=-1, spin=3)
    first = graph_from_atoms(crystal, potential.config, "pbe")
    second = graph_from_atoms(molecule, potential.config, "other")
    graph = collate([first, second])
    fast = potential(graph)
    slow = slow_twin.atomic_energies(potential, graph)
    torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-11)


def test_forces_are_finite_differences(potential: Potential, crystal: Atoms) -> None:
    crystal.calc = Calculator(potential, "pbe")
    numerical = calculate_numerical_forces(crystal, 1e-4)
    np.testing.assert_allclose(crystal.get_forces(), numerical, atol=2e-7)


def test_stress_is_a_finite_difference(potential: Potential, crystal: Atoms) -> None:
    crystal.calc = Calculator(potential, "pbe")
    numerical = calculate_numerical_stress(crystal, 1e-5)
    np.testing.assert_allclose(crystal.get_stress(), numerical, atol=1e-7)


def test_float32_is_near_float64(make_potential: MakePotential, crystal: Atoms) -> None:
    double, single = make_potential(), make_potential().float()
    graph = graph_from_atoms(crystal, double.config, "pbe")
    a, b = predict(double, graph), predict(single, graph)
    assert float(abs(a.energy - b.energy)) / len(crystal) < 1e-5
    torch.testing.assert_close(b.forces.double(), a.forces, rtol=0, atol=1e-3)


@pytest.mark.parametrize("inverted", [False, True])
def test_rotation_and_inversion(
    potential: Potential, crystal: Atoms, inverted: bool
) -> None:
    turn = Rotation.from_rotvec([0.4, -1.2, 0.7]).as_matrix() * (-1 if inverted else 1)
    turned = crystal.copy()
    turned.set_cell(crystal.cell.array @ turn.T)
    turned.positions = crystal.positions @ turn.T
    for atoms in (crystal, turned):
        atoms.calc = Calculator(potential, "pbe")
    assert turned.get_potential_energy() == pytest.approx(
        crystal.get_potential_energy(), abs=1e-11
    )
    np.testing.assert_allclose(
        turned.get_forces(), crystal.get_forces() @ turn.T, atol=1e-10
    )
    stress = turn @ crystal.get_stress(voigt=False) @ turn.T
    np.testing.assert_allclose(turned.get_stress(voigt=False), stress, atol=1e-11)


def test_translation_and_wrapping(potential: Potential, crystal: Atoms) -> None:
    moved = crystal.copy()
    moved.positions += [0.3, -2.0, 7.1]
    moved.wrap()
    assert energy(potential, moved) == pytest.approx(
        energy(potential, crystal), abs=1e-10
    )


def test_permutation(potential: Potential, crystal: Atoms) -> None:
    order = np.random.default_rng(0).permutation(len(crystal))
    a = predict(potential, graph_from_atoms(crystal, potential.config, "pbe"))
    b = predict(potential, graph_from_atoms(crystal[order], potential.config, "pbe"))
    torch.testing.assert_close(b.forces, a.forces[order], rtol=0, atol=1e-11)
    torch.testing.assert_close(
        b.atomic_energies, a.atomic_energies[order], rtol=0, atol=1e-11
    )


def test_replicas_are_extensive(potential: Potential, crystal: Atoms) -> None:
    twice = crystal * (2, 1, 1)
    assert energy(potential, twice) == pytest.approx(
        2 * energy(potential, crystal), abs=1e-9
    )


def test_batch_equals_singles(
    potential: Potential, crystal: Atoms, molecule: Atoms
) -> None:
    graphs = [
        graph_from_atoms(crystal, potential.config, "pbe"),
        graph_from_atoms(molecule, potential.config, "other"),
        graph_from_atoms(Atoms("O"), potential.config, "pbe"),
    ]
    batch = predict(potential, collate(graphs))
    singles = [predict(potential, g) for g in graphs]
    torch.testing.assert_close(batch.energy, torch.cat([s.energy for s in singles]))
    torch.testing.assert_close(batch.forces, torch.cat([s.forces for s in singles]))
    torch.testing.assert_close(batch.virial, torch.cat([s.virial for s in singles]))


def test_no_atoms_and_no_pairs(potential: Potential) -> None:
    empty = predict(potential, graph_from_atoms(Atoms(), potential.config, "pbe"))
    assert empty.energy.tolist() == [0.0]
    assert empty.forces.shape == (0, 3)
    lone = predict(potential, graph_from_atoms(Atoms("Mg"), potential.config, "pbe"))
    assert torch.isfinite(lone.energy).all()
    assert torch.all(lone.forces == 0.0)


def test_distant_parts_add_up(potential: Potential, molecule: Atoms) -> None:
    """Locality: beyond n_layers cutoffs nothing is felt, not even by a gradient."""
    water, magnesium = molecule[:3], molecule[3:]
    together = energy(potential, molecule)
    apart = energy(potential, water) + energy(potential, magnesium)
    assert together == pytest.approx(apart, abs=1e-11)


def test_energy_is_smooth_at_the_cutoff(potential: Potential) -> None:
    def force(distance: float) -> float:
        atoms = Atoms("MgO", [[0, 0, 0], [0, 0, distance]])
        graph = graph_from_atoms(atoms, potential.config, "pbe")
        return float(predict(potential, graph).forces[1, 2])

    inside, outside = force(4.0 - 1e-6), force(4.0 + 1e-6)
    assert abs(inside) < 1e-9
    assert outside == 0.0


def test_training_starts_species_blind(make_config: Callable[..., object]) -> None:
    """With the tiny initial embeddings the radial weights hardly know the species."""
    torch.manual_seed(0)
    potential = Potential(make_config()).double()  # type: ignore[arg-type]
    block = potential.layers[0].interaction
    basis = torch.ones(2, 5, dtype=torch.float64)
    species = (torch.tensor([0, 2]), torch.tensor([2, 0]))
    a, b = block.radial(block.tables(basis, species))
    assert float((a - b).detach().abs().max()) < 0.05
    assert float((a - b).detach().abs().max()) > 0.0


def test_source_and_target_are_different(potential: Potential) -> None:
    block = potential.layers[0].interaction
    basis = torch.ones(2, 5, dtype=torch.float64)
    species = (torch.tensor([0, 2]), torch.tensor([2, 0]))
    a, b = block.radial(block.tables(basis, species))
    assert float((a - b).detach().abs().max()) > 1e-3


def test_head_sees_only_its_own_readout(potential: Potential, crystal: Atoms) -> None:
    before = energy(potential, crystal, "pbe"), energy(potential, crystal, "other")
    last = potential.readouts[-1]
    with torch.no_grad():
        last.first[1] += 1.0
        last.second[1] -= 0.5
        potential.readouts[0].weight[1] += 1.0
    assert energy(potential, crystal, "pbe") == before[0]
    assert energy(potential, crystal, "other") != before[1]


def test_scale_and_shift_belong_to_the_head(
    make_potential: MakePotential, crystal: Atoms
) -> None:
    potential = make_potential()
    config = potential.config
    plain = dataclasses.replace(config.heads[1], scale=1.0, shift=0.0)
    other = Potential(dataclasses.replace(config, heads=(config.heads[0], plain)))
    other.double().load_state_dict(potential.state_dict())
    graph = graph_from_atoms(crystal, config, "other")
    torch.testing.assert_close(potential(graph), 0.7 * other(graph) + 0.1)


def test_beta_zero_is_constant_normalisation(
    potential: Potential, crystal: Atoms
) -> None:
    """With beta = 0, the network of the densities has no effect."""
    graph = graph_from_atoms(crystal, potential.config, "pbe")
    block = potential.layers[0].interaction
    with torch.no_grad():
        block.normalization.beta.fill_(0.0)
        before = potential(graph)
        for parameter in block.normalization.density.parameters():
            parameter.add_(1.0)
        # without gradients too: torch sums in another order with them
        after = potential(graph)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_loss_on_forces_has_the_right_gradient(
    potential: Potential, crystal: Atoms
) -> None:
    """The derivative of a loss on forces and virial, by finite differences."""
    graph = graph_from_atoms(crystal, potential.config, "pbe")
    parameter = potential.layers[1].interaction.radial.radial
    potential.requires_grad_(requires_grad=True)

    def loss() -> Tensor:
        p = predict(potential, graph, training=True)
        return (p.forces**2).sum() + (p.virial**2).sum() + p.interaction_energy.sum()

    (gradient,) = torch.autograd.grad(loss(), parameter)
    step = 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter[0, 0] += sign * step
        values.append(float(loss().detach()))
        with torch.no_grad():
            parameter[0, 0] -= sign * step
    numerical = (values[0] - values[1]) / (2 * step)
    assert float(gradient[0, 0]) == pytest.approx(numerical, rel=1e-5)


class GatherExchange:
    """Ghost rows are copies of their owners' rows; counts its calls."""

    def __init__(self, owners: Tensor) -> None:
        self.owners = owners
        self.calls = 0

    def forward(self, features: Tensor) -> Tensor:
        self.calls += 1
        return features.index_select(0, self.owners)


def with_ghosts(graph: Graph, n_extra: int) -> tuple[Graph, Tensor]:
    """Return the graph with every neighbour a ghost of its own, and the owners."""
    n_own = graph.n_own
    owners = torch.cat([torch.arange(n_own), graph.neighbors])
    owners = torch.cat([owners, torch.zeros(n_extra, dtype=torch.int64)])
    return Graph.build(
        pair_vectors=graph.pair_vectors,
        centers=graph.centers,
        neighbors=n_own + torch.arange(graph.n_pairs),
        species=graph.species[owners],
        frames=graph.frames,
        heads=graph.heads,
    ), owners


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_ghosts_with_exchange_change_nothing(
    n_layers: int, make_potential: MakePotential, crystal: Atoms
) -> None:
    potential = make_potential(n_layers=n_layers)
    graph = graph_from_atoms(crystal, potential.config, "pbe")
    ghostly, owners = with_ghosts(graph, 3)
    exchange = GatherExchange(owners)
    energies, gradient = pair_gradients(potential, ghostly, exchange)
    expected_energies, expected = pair_gradients(potential, graph)
    torch.testing.assert_close(energies, expected_energies)
    torch.testing.assert_close(gradient, expected)
    assert exchange.calls == potential.n_exchanges == n_layers - 1


def test_exchange_is_called_without_atoms(potential: Potential) -> None:
    """A process without atoms takes part in the exchange, forward and backward."""
    none = torch.empty(0, dtype=torch.int64)
    graph = Graph.build(
        pair_vectors=torch.empty(0, 3, dtype=torch.float64),
        centers=none,
        neighbors=none,
        species=torch.tensor([0, 1]),
        frames=none,
        heads=torch.tensor([0]),
    )
    seen: list[tuple[int, ...]] = []

    class Spy:
        def forward(self, features: Tensor) -> Tensor:
            assert features.requires_grad
            features.register_hook(lambda g: seen.append(tuple(g.shape)))
            return features * 1.0

    energies, gradient = pair_gradients(potential, graph, Spy())
    assert energies.shape == (0,)
    assert gradient.shape == (0, 3)
    assert seen == [(2, 16)]


def test_unknown_head_and_element_are_refused(potential: Potential) -> None:
    with pytest.raises(ConfigError, match=r"unknown head.*'pbe', 'other'"):
        graph_from_atoms(Atoms("O"), potential.config, "pbe0")
    with pytest.raises(ConfigError, match="a head must be named"):
        graph_from_atoms(Atoms("O"), potential.config, None)
    with pytest.raises(ConfigError, match=r"does not know an element.*Si"):
        graph_from_atoms(Atoms("SiO"), potential.config, "pbe")
