"""The kernels for GPUs, in Triton's interpreter on the CPU, against those of torch."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from compiled_kinds import KINDS, lowered

from lamplighter.errors import OptionalDependencyError
from lamplighter.model import Graph, Potential, select
from lamplighter.model.compiled.kernels import TensorPotential, TorchOperators
from lamplighter.model.compiled.kernels import triton_operators as module
from lamplighter.model.compiled.kernels.pairs import Atoms, block_of

# Triton decides between GPU and interpreter when it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton", reason="Triton is made for Linux only")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FEW = ("mh1_wide_edges", "three_layers")


def operators() -> module.TritonOperators:
    return module.TritonOperators()


@pytest.mark.parametrize("kind", FEW)
def test_potentials_agree(
    make_potential: Callable[..., Potential],
    random_graph: Callable[..., Graph],
    kind: str,
) -> None:
    settings = {"l_max": 2, "correlation": 2, **KINDS[kind]}
    potential = select(make_potential(**settings), "other", ["O", "Mg"])
    tables = lowered(potential, 65, 2).tables
    graph = random_graph(3, 2)
    expected = TensorPotential(tables, torch.float64).evaluate(graph)
    there = TensorPotential(tables, torch.float64, DEVICE, operators())
    found = [values.cpu() for values in there.evaluate(graph)]
    assert float(expected[1].abs().max()) > 1e-3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.fixture
def scene(make_potential: Callable[..., Potential], random_graph: Callable[..., Graph]):
    """A second layer, pairs of all of its atoms, and random numbers of every kind."""
    part = select(make_potential(l_max=2, correlation=2), "pbe", ["O", "Mg"])
    tensors = TensorPotential(lowered(part, 33).tables, torch.float64, DEVICE).tensors
    graph, layer = random_graph(3, 2), tensors.layers[1]
    own = torch.arange(graph.n_own + 1)
    atoms = Atoms(
        species=graph.species.to(DEVICE),
        first=torch.searchsorted(graph.centers, own).to(DEVICE),
        centers=graph.centers.to(DEVICE),
        neighbors=graph.neighbors.to(DEVICE),
        vectors=graph.pair_vectors.to(DEVICE),
    )
    block = block_of(atoms, tensors, 0, graph.n_own)
    generator = torch.Generator().manual_seed(5)

    def random(*shape: int) -> torch.Tensor:
        numbers = torch.randn(shape, generator=generator, dtype=torch.float64)
        return numbers.to(DEVICE)

    return tensors, layer, block, graph, random


def test_sums_and_what_they_give_back(scene) -> None:
    _, layer, block, graph, random = scene
    u = random(graph.n_atoms, (layer.l_edge + 1) ** 2, layer.edge)
    g = random(graph.n_own, layer.n_rows, layer.edge)
    turned = block.turned(layer)
    results = []
    for operators_ in (TorchOperators(), operators()):
        du = torch.zeros_like(u)
        back = operators_.sums_back(layer, block, turned, u, g, du)
        results.append((operators_.sums(layer, block, turned, u), *back, du))
    for one, other in zip(*results, strict=True):
        assert float(one.abs().max()) > 1e-3
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [TorchOperators, operators])
def test_what_is_given_back_is_the_derivative(scene, kind) -> None:
    """Every argument of the sums and of the product, by finite differences."""
    tensors, layer, block, graph, random = scene
    these = kind()
    u = random(graph.n_atoms, (layer.l_edge + 1) ** 2, layer.edge)
    g = random(graph.n_own, layer.n_rows, layer.edge)
    turned, step = block.turned(layer), 1e-5
    du = torch.zeros_like(u)
    dturned, _ = these.sums_back(layer, block, turned, u, g, du)
    for values, gradient in ((u, du), (turned, dturned)):
        direction = random(*values.shape)
        ends = []
        for sign in (1.0, -1.0):
            moved = values + sign * step * direction
            arguments = (turned, moved) if values is u else (moved, u)
            ends.append(float((g * these.sums(layer, block, *arguments)).sum()))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-7)
    b = random(graph.n_own, (tensors.l_max + 1) ** 2, tensors.channels)
    given = random(graph.n_own, (layer.l_out + 1) ** 2, tensors.channels)
    species = graph.species[: graph.n_own].to(DEVICE)
    back = these.product_back(layer.product, b, species, given)
    direction = random(*b.shape)
    ends = [
        float((given * these.product(layer.product, b + x * direction, species)).sum())
        for x in (step, -step)
    ]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert slope == pytest.approx(float((back * direction).sum()), rel=1e-7)


def test_gradients_of_neighbours_in_any_order_of_programs(scene, monkeypatch) -> None:
    """Atomics depend on the order of programs in the last bit; gathering does not."""
    if DEVICE != "cpu":
        pytest.skip("the order of programs is the GPU's")
    from triton.runtime.interpreter import interpreter_builder

    _, layer, block, graph, random = scene
    u = random(graph.n_atoms, (layer.l_edge + 1) ** 2, layer.edge)
    g = random(graph.n_own, layer.n_rows, layer.edge)
    # several pairs that end at each atom, so that there is an order
    turned = block.turned(layer) * random(len(block.distances), 1)
    set_place = interpreter_builder.set_grid_idx

    def backwards(x: int, y: int, z: int) -> None:
        set_place(interpreter_builder.grid_dim[0] - 1 - x, y, z)

    same = []
    for deterministic in (False, True):
        these = module.TritonOperators(deterministic=deterministic)
        found = []
        for place in (set_place, backwards):
            monkeypatch.setattr(interpreter_builder, "set_grid_idx", place)
            du = torch.ones_like(u)
            found.append((*these.sums_back(layer, block, turned, u, g, du), du))
        same.append(all(torch.equal(*pair) for pair in zip(*found, strict=True)))
        expected = torch.ones_like(u)
        TorchOperators().sums_back(layer, block, turned, u, g, expected)
        torch.testing.assert_close(found[0][-1], expected, rtol=1e-12, atol=1e-12)
    assert same == [False, True]


def test_copies_of_operators() -> None:
    other = copy.deepcopy(module.TritonOperators(deterministic=True))
    assert other.deterministic


def test_nothing_gives_nothing(scene) -> None:
    tensors, layer, _, _, random = scene
    none = torch.zeros(0, dtype=torch.int64, device=DEVICE)
    atoms = Atoms(
        species=none,
        first=torch.zeros(1, dtype=torch.int64, device=DEVICE),
        centers=none,
        neighbors=none,
        vectors=torch.zeros(0, 3, dtype=torch.float64, device=DEVICE),
    )
    block = block_of(atoms, tensors, 0, 0)
    turned = block.turned(layer)
    u = random(0, (layer.l_edge + 1) ** 2, layer.edge)
    for these in (TorchOperators(), operators()):
        sums = these.sums(layer, block, turned, u)
        assert sums.shape == (0, layer.n_rows, layer.edge)
        dturned, dr = these.sums_back(layer, block, turned, u, sums, u)
        assert (dturned.shape, dr.shape) == ((0, layer.n_turns), (0,))
        b = random(0, (tensors.l_max + 1) ** 2, tensors.channels)
        product = these.product(layer.product, b, none)
        assert product.shape == (0, (layer.l_out + 1) ** 2, tensors.channels)
        assert these.product_back(layer.product, b, none, product).shape == b.shape


def test_without_triton_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "from lamplighter.model.compiled.kernels.triton_operators import *\n"
        "TritonOperators()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert OptionalDependencyError.__name__ in done.stderr
    assert "pip install 'lamplighter[gpu]'" in done.stderr
