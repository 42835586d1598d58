"""Pairs looked at in chunks: the same numbers, twice differentiated, in less memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ase import Atoms
from torch import Tensor

from lamplighter.errors import ConfigError
from lamplighter.model import (
    Graph,
    Potential,
    collate,
    graph_from_atoms,
    pair_gradients,
    predict,
)
from lamplighter.model.recompute import EdgeChunks, recomputed

MakePotential = Callable[..., Potential]

KINDS: list[dict[str, object]] = [
    {},
    {"interaction": ("plain", "residual"), "mean_neighbors": 7.5, "l_max": 2},
    {"interaction": "density", "product_weights": "by_element", "cutoff_inside": True},
]


def batch_of(potential: Potential, crystal: Atoms, molecule: Atoms) -> Graph:
    """Different numbers of neighbours, so that there are several tables."""
    parts = [(crystal, "pbe"), (molecule, "other"), (Atoms("O"), "pbe")]
    return collate([graph_from_atoms(a, potential.config, h) for a, h in parts])


def gradients(
    potential: Potential, graph: Graph, chunk: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of energies, forces and virials, and its derivative by every weight."""
    potential.zero_grad(set_to_none=True)
    found = predict(potential, graph, training=True, edge_chunk=chunk)
    loss = (found.interaction_energy**2).sum() + (found.forces**2).sum()
    loss = loss + (found.virial**3).sum()
    loss.backward()
    weights = potential.named_parameters()
    return loss.detach(), {k: p.grad for k, p in weights if p.grad is not None}


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("chunk", [1, 40, 100_000])
def test_chunks_change_nothing(
    changes: dict[str, object],
    chunk: int,
    make_potential: MakePotential,
    crystal: Atoms,
    molecule: Atoms,
) -> None:
    potential = make_potential(**changes).requires_grad_(requires_grad=True)
    graph = batch_of(potential, crystal, molecule)
    whole, parts = (
        predict(potential, graph),
        predict(potential, graph, edge_chunk=chunk),
    )
    for name in ("energy", "forces", "virial", "pair_gradients"):
        torch.testing.assert_close(
            getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-11
        )
    loss, expected = gradients(potential, graph, 0)
    same, found = gradients(potential, graph, chunk)
    torch.testing.assert_close(same, loss)
    assert found.keys() == expected.keys()
    size = max(float(g.abs().max()) for g in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-9, atol=1e-11 * size, msg=name
        )


def test_frozen_weights_get_no_derivative(
    make_potential: MakePotential, crystal: Atoms, molecule: Atoms
) -> None:
    potential = make_potential(l_max=1).requires_grad_(requires_grad=False)
    potential.layers[1].interaction.radial.requires_grad_(requires_grad=True)
    graph = batch_of(potential, crystal, molecule)
    _, expected = gradients(potential, graph, 0)
    _, found = gradients(potential, graph, 40)
    assert found.keys() == expected.keys()
    assert all("layers.1.interaction.radial" in name for name in found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-9)


def test_weights_that_are_computed_from_others(
    make_potential: MakePotential, crystal: Atoms, molecule: Atoms
) -> None:
    """As low-rank changes are: derivatives reach what the weights are made of."""

    class Twice(torch.nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2.0 * weight

    potential = make_potential(l_max=1).requires_grad_(requires_grad=True)
    radial = potential.layers[0].interaction.radial
    torch.nn.utils.parametrize.register_parametrization(radial, "bias", Twice())
    graph = batch_of(potential, crystal, molecule)
    _, expected = gradients(potential, graph, 0)
    _, found = gradients(potential, graph, 40)
    (name,) = (n for n in expected if "parametrizations" in n)
    assert float(expected[name].abs().max()) > 0
    torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-9)


def test_energies_alone_give_derivatives_by_weights(
    make_potential: MakePotential, crystal: Atoms, molecule: Atoms
) -> None:
    potential = make_potential(l_max=1).requires_grad_(requires_grad=True)
    graph = batch_of(potential, crystal, molecule)
    weight = potential.layers[0].interaction.radial.radial
    (expected,) = torch.autograd.grad(potential(graph).sum(), weight)
    (found,) = torch.autograd.grad(potential(graph.in_chunks(40)).sum(), weight)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_no_atoms(potential: Potential) -> None:
    empty = graph_from_atoms(Atoms(), potential.config, "pbe")
    assert predict(potential, empty, edge_chunk=5).energy.tolist() == [0.0]


def test_an_engine_may_ask_for_chunks(potential: Potential, crystal: Atoms) -> None:
    graph = graph_from_atoms(crystal, potential.config, "pbe")
    energies, slopes = pair_gradients(potential, graph)
    same, parts = pair_gradients(potential, graph.in_chunks(50))
    torch.testing.assert_close(same, energies, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(parts, slopes, rtol=1e-11, atol=1e-11)


def test_a_chunk_of_no_pairs_is_refused(potential: Potential, crystal: Atoms) -> None:
    graph = graph_from_atoms(crystal, potential.config, "pbe")
    with pytest.raises(ConfigError, match="bad edge_chunk"):
        predict(potential, graph, edge_chunk=-1)


def test_parts_hold_every_row_once(potential: Potential, crystal: Atoms) -> None:
    slots = graph_from_atoms(crystal, potential.config, "pbe").slots
    parts = slots.parts(60)
    assert len(parts) > 1
    assert [p.begin for p in parts[1:]] == [p.end for p in parts[:-1]]
    assert parts[-1].end == len(slots.pair)
    assert all(n * width <= 60 or n == 1 for p in parts for n, width in p.shapes)


def test_a_recomputed_function_is_differentiated_twice_not_thrice() -> None:
    torch.manual_seed(3)
    weight = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def function(weight: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return torch.tanh(x @ weight), (x**3).sum(dim=1)

    def kept(weight: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return recomputed(function, [weight], [x], EdgeChunks(1))

    assert torch.autograd.gradcheck(kept, (weight, x))
    assert torch.autograd.gradgradcheck(kept, (weight, x))
    (first,) = torch.autograd.grad(kept(weight, x)[0].sum(), x, create_graph=True)
    with pytest.raises(ConfigError, match="third derivative"):
        torch.autograd.grad(first.sum(), x, create_graph=True)


def test_values_between_are_not_kept(
    make_potential: MakePotential, crystal: Atoms
) -> None:
    """No tensor that autograd keeps has as many rows as there are pairs, and width."""
    potential = make_potential(l_max=2).requires_grad_(requires_grad=True)
    graph = graph_from_atoms(crystal * (2, 1, 1), potential.config, "pbe")

    def widest(chunk: int) -> int:
        sizes = [0]

        def look(tensor: Tensor) -> Tensor:
            if len(tensor.shape) > 1 and len(tensor) >= graph.n_pairs:
                sizes.append(tensor.numel() // len(tensor))
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(look, lambda t: t):
            predict(potential, graph, training=True, edge_chunk=chunk)
        return max(sizes)

    geometry = (potential.config.l_max + 1) ** 2
    assert widest(0) > geometry
    assert widest(40) <= geometry
