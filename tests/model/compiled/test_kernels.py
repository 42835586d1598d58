"""The compiled potential on tensors says what the native one says, to rounding."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from ase import Atoms
from compiled_kinds import KINDS, lowered
from torch.utils._python_dispatch import TorchDispatchMode

from lamplighter.errors import CheckFailedError, DataError, EngineError
from lamplighter.model import Calculator, Graph, Potential, select
from lamplighter.model.compiled import compile_potential
from lamplighter.model.compiled.check import Reference
from lamplighter.model.compiled.device import DevicePotential, operators_for
from lamplighter.model.compiled.kernels import (
    TensorPotential,
    TorchOperators,
    pairs,
)
from lamplighter.model.compiled.potential import TOLERANCES


def both(potential: Potential, count: int = 65, order: int = 3):
    native = lowered(potential, count, order)
    return native, TensorPotential(native.tables, torch.float64)


def without_baseline(native, graph):
    energies, gradients = native.evaluate(graph)
    known = native.config.heads[0].reference_energies
    baseline = torch.tensor([known[e] for e in native.config.elements])
    return energies - baseline.double()[graph.species[: graph.n_own]], gradients


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_agree_with_the_native_library(
    make_potential: Callable[..., Potential],
    random_graph: Callable[..., Graph],
    kind: str,
    order: int,
) -> None:
    settings = {"l_max": 2, "correlation": 2, **KINDS[kind]}
    potential = select(make_potential(**settings), "other", ["O", "Mg"])
    native, tensors = both(potential, order=order)
    graph = random_graph(7, 2)
    energies, gradients = without_baseline(native, graph)
    found, found_gradients = tensors.evaluate(graph)
    assert float(gradients.abs().max()) > 1e-3
    scale = max(1.0, float(gradients.abs().max()))
    torch.testing.assert_close(found, energies, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        found_gradients, gradients, rtol=1e-11, atol=1e-12 * scale
    )


def test_blocks_of_atoms_change_nothing(
    potential: Potential, random_graph: Callable[..., Graph], monkeypatch
) -> None:
    _, tensors = both(select(potential, "pbe", ["O", "Mg"]))
    graph = random_graph(9, 2)
    whole = tensors.evaluate(graph)
    kernels = "lamplighter.model.compiled.kernels"
    monkeypatch.setattr(f"{kernels}.pairs.CHUNK", 7)
    monkeypatch.setattr(f"{kernels}.operators._MOST", 64)
    for one, other in zip(tensors.evaluate(graph), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


def test_gradients_are_the_derivatives_of_the_energies(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    _, tensors = both(select(potential, "pbe", ["O", "Mg"]))
    graph = random_graph(5, 2)
    gradients = tensors.evaluate(graph)[1]
    for pair, axis in ((0, 0), (4, 1), (9, 2)):
        shift = torch.zeros_like(graph.pair_vectors)
        shift[pair, axis] = 1e-4
        up, down = (
            tensors.evaluate(graph.with_pair_vectors(graph.pair_vectors + s * shift))[0]
            for s in (1.0, -1.0)
        )
        slope = float((up - down).sum()) / 2e-4
        assert slope == pytest.approx(float(gradients[pair, axis]), rel=1e-5, abs=1e-6)


def test_single_precision_is_near(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    native, double = both(select(potential, "pbe", ["O", "Mg"]))
    single = TensorPotential(native.tables, torch.float32)
    graph = random_graph(7, 2)
    for one, other in zip(single.evaluate(graph), double.evaluate(graph), strict=True):
        assert one.dtype == torch.float64
        assert not torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n", "n_own"), [(3, 3), (4, 0), (0, 0)])
def test_atoms_without_pairs_and_ranks_without_atoms(
    potential: Potential, n: int, n_own: int
) -> None:
    native, tensors = both(select(potential, "pbe", ["O", "Mg"]))
    graph = Graph.build(
        pair_vectors=torch.zeros(0, 3, dtype=torch.float64),
        centers=torch.zeros(0, dtype=torch.int64),
        neighbors=torch.zeros(0, dtype=torch.int64),
        species=torch.arange(n) % 2,
        frames=torch.zeros(n_own, dtype=torch.int64),
        heads=torch.tensor([0]),
    )
    energies, gradients = tensors.evaluate(graph)
    expected, _ = without_baseline(native, graph)
    torch.testing.assert_close(energies, expected)
    assert energies.shape == (n_own,)
    assert gradients.shape == (0, 3)


def test_atoms_that_are_too_close(potential: Potential) -> None:
    _, tensors = both(select(potential, "pbe", ["O", "Mg"]))
    vector = torch.tensor([[0.01, 0.0, 0.0]], dtype=torch.float64)
    graph = Graph.build(
        pair_vectors=torch.cat([vector, -vector]),
        centers=torch.tensor([0, 1]),
        neighbors=torch.tensor([1, 0]),
        species=torch.tensor([0, 1]),
        frames=torch.zeros(2, dtype=torch.int64),
        heads=torch.tensor([0]),
    )
    with pytest.raises(DataError, match="too close"):
        tensors.evaluate(graph)


def test_a_device_has_the_answers_of_the_native_library(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    compiled = compile_potential(part, dtype="float32")
    there = DevicePotential(compiled, "cpu")
    graph = random_graph(7, 2)
    for one, other in zip(there.evaluate(graph), compiled.evaluate(graph), strict=True):
        assert one.dtype == torch.float64
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert there.check(Reference(part)).within(TOLERANCES[torch.float32])


def test_a_device_that_computes_something_else_is_refused(potential: Potential) -> None:
    class Wrong(TorchOperators):
        def product(self, terms, b, species):
            return 1.01 * super().product(terms, b, species)

    part = select(potential, "pbe", ["O", "Mg"])
    there = DevicePotential(compile_potential(part), "cpu", Wrong())
    with pytest.raises(CheckFailedError, match="does not agree with the reference"):
        there.check(Reference(part))


def test_kernels_are_those_of_the_device() -> None:
    assert isinstance(operators_for("cpu"), TorchOperators)
    if find_spec("triton"):
        assert type(operators_for("cuda:0")).__name__ == "TritonOperators"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gpu_has_the_answers_of_the_processor(
    potential: Potential, crystal: Atoms, dtype: str
) -> None:
    results = []
    for device in ("cpu", "cuda"):
        crystal.calc = Calculator(potential, "pbe", dtype, device, backend="compiled")
        results.append((crystal.get_potential_energy(), crystal.get_forces()))
    tolerance = {"float64": 1e-9, "float32": 1e-3}[dtype]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_geometry_is_kept_or_made_again(
    make_potential: Callable[..., Potential],
    random_graph: Callable[..., Graph],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"l_max": 2, "correlation": 2, **KINDS["three_layers"]}
    _, tensors = both(select(make_potential(**settings), "other", ["O", "Mg"]))
    graph, kernels = random_graph(9, 2), "lamplighter.model.compiled.kernels"
    monkeypatch.setattr(f"{kernels}.pairs.CHUNK", 30)
    made: list[int] = []
    block_of = pairs.block_of

    def counted(*arguments):
        made.append(arguments[2])
        return block_of(*arguments)

    monkeypatch.setattr(f"{kernels}.pairs.block_of", counted)
    kept = tensors.evaluate(graph)
    blocks = len(set(made))
    assert len(made) == blocks > 1
    monkeypatch.setattr(f"{kernels}.pairs.KEPT_BYTES", 0)
    for one, other in zip(tensors.evaluate(graph), kept, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert len(made) == blocks + 2 * 3 * blocks


class OtherOrder(TorchDispatchMode):
    """Adds rows in an order of its own, as the atomics of a GPU do."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)
        self.additions = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in {torch.ops.aten.index_add, torch.ops.aten.index_add_}:
            out, dim, rows, values = args
            order = torch.randperm(len(rows), generator=self.generator)
            args = (out, dim, rows[order], values.index_select(dim, order))
            self.additions += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["mp0", "three_layers", "mh1_wide_edges"])
def test_a_deterministic_run_does_not_depend_on_the_order_of_additions(
    make_potential: Callable[..., Potential],
    random_graph: Callable[..., Graph],
    kind: str,
) -> None:
    settings = {"l_max": 2, "correlation": 2, **KINDS[kind]}
    part = select(make_potential(**settings), "other", ["O", "Mg"])
    native, plain = both(part)
    graph = random_graph(9, 2)
    ordered = TensorPotential(
        native.tables, torch.float64, operators=TorchOperators(deterministic=True)
    )
    expected = plain.evaluate(graph)
    differs = []
    for potential in (plain, ordered):
        runs = []
        for seed in range(3):
            with OtherOrder(seed):
                runs.append(potential.evaluate(graph))
        for one in runs:
            for found, wanted in zip(one, expected, strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-12)
        differs.append(any(not torch.equal(one[1], runs[0][1]) for one in runs))
    assert differs == [True, False]


def test_arrays_that_do_not_fit(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    """Each would read other rows of the tables in silence."""
    _, tensors = both(select(potential, "pbe", ["O", "Mg"]))
    graph = random_graph(3, 2)
    for field, values, problem in (
        ("species", torch.tensor([0, 2, 0]), "an atom of unknown species"),
        ("species", torch.tensor([0, -1, 0]), "an atom of unknown species"),
        ("neighbors", graph.neighbors + 1, "a neighbour that is not among"),
        ("centers", graph.centers + 1, "a centre that is not among"),
        ("centers", graph.centers.flip(0), "not grouped by atom"),
        ("neighbors", graph.neighbors[:-1], "of different pairs"),
    ):
        wrong = dataclasses.replace(graph, **{field: values})
        with pytest.raises(EngineError, match=problem):
            tensors.evaluate(wrong)


def test_a_place_that_is_no_number(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    _, tensors = both(select(potential, "pbe", ["O", "Mg"]))
    graph = random_graph(3, 2)
    vectors = graph.pair_vectors.clone()
    vectors[1, 2] = float("nan")
    with pytest.raises(DataError, match="too close"):
        tensors.evaluate(graph.with_pair_vectors(vectors))


@pytest.mark.parametrize("what", ["energies", "gradients"])
def test_what_is_no_number_does_not_agree(potential: Potential, what: str) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    there = DevicePotential(compile_potential(part), "cpu")
    evaluate = there.evaluate

    def broken(graph, exchange=None):
        energies, gradients = evaluate(graph, exchange)
        (energies if what == "energies" else gradients)[-1:] = float("nan")
        return energies, gradients

    there.evaluate = broken
    with pytest.raises(CheckFailedError, match="nan"):
        there.check(Reference(part))


def test_copies_and_pickles_of_what_is_on_a_device(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    there = DevicePotential(compile_potential(part), "cpu", deterministic=True)
    expected = there.evaluate(random_graph(4, 2))
    for other in (copy.deepcopy(there), pickle.loads(pickle.dumps(there))):
        assert other.deterministic
        for one, wanted in zip(
            other.evaluate(random_graph(4, 2)), expected, strict=True
        ):
            torch.testing.assert_close(one, wanted, rtol=0, atol=0)
