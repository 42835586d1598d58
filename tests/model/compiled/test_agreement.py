"""A compiled potential says what the reference says."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from compiled_kinds import KINDS, lowered

from lamplighter.model import Graph, Potential, pair_gradients, select
from lamplighter.model.compiled import CompiledPotential, compile_potential
from lamplighter.model.compiled.library import available
from lamplighter.model.compiled.lower import lower
from lamplighter.model.compiled.radial_tables import Knots


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_agree(
    make_potential: Callable[..., Potential],
    random_graph: Callable[..., Graph],
    kind: str,
) -> None:
    settings = {"l_max": 2, "correlation": 2, **KINDS[kind]}
    potential = select(make_potential(**settings), "other", ["O", "Mg"])
    graph = random_graph(7, 2)
    energies, gradients = pair_gradients(potential, graph)
    found, found_gradients = lowered(potential).evaluate(graph)
    scale = max(1.0, float(gradients.abs().max()))
    assert float(gradients.abs().max()) > 1e-3
    torch.testing.assert_close(found, energies, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(found_gradients, gradients, rtol=0.0, atol=2e-6 * scale)


def test_gradients_are_the_derivatives_of_the_energies(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    compiled = lowered(select(potential, "pbe", ["O", "Mg"]), 129)
    graph = random_graph(5, 2)
    gradients = compiled.evaluate(graph)[1]
    step = 1e-4
    for pair, axis in ((0, 0), (4, 1), (9, 2)):
        shift = torch.zeros_like(graph.pair_vectors)
        shift[pair, axis] = step
        up, down = (
            compiled.evaluate(graph.with_pair_vectors(graph.pair_vectors + s * shift))[
                0
            ]
            for s in (1.0, -1.0)
        )
        slope = float((up - down).sum()) / (2 * step)
        assert slope == pytest.approx(float(gradients[pair, axis]), rel=1e-5, abs=1e-6)


def test_energies_do_not_change_under_rotation(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    compiled = lowered(select(potential, "pbe", ["O", "Mg"]), 65)
    graph = random_graph(6, 2)
    turn = torch.linalg.qr(
        torch.randn(3, 3, generator=torch.Generator().manual_seed(3))
    )
    matrix = turn.Q.double()  # a reflection or a rotation: both are symmetries
    turned = graph.with_pair_vectors(graph.pair_vectors @ matrix)
    energies, gradients = compiled.evaluate(graph)
    again, turned_gradients = compiled.evaluate(turned)
    # Q is orthogonal to single precision only
    torch.testing.assert_close(again, energies, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        turned_gradients, gradients @ matrix, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_knots_are_chosen_for_the_tolerance(
    make_potential: Callable[..., Potential], dtype: str
) -> None:
    # without a transform of the distance the tables have to be fine
    potential = make_potential(distance_transform="none", l_max=1, correlation=2)
    compiled = compile_potential(potential, "pbe", ["O", "Mg"], dtype=dtype)
    settings = compiled.settings
    assert settings is not None
    limit = {"float64": (1e-8, 1e-6), "float32": (1e-4, 1e-4)}[dtype]
    assert settings.deviation.energy <= limit[0]
    assert settings.deviation.forces <= limit[1]
    assert settings.knots >= 65
    assert settings.order == {"float64": 3, "float32": 2}[dtype]


@pytest.mark.parametrize("n", [0, 1])
def test_atoms_without_pairs(
    potential: Potential, random_graph: Callable[..., Graph], n: int
) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    graph = random_graph(n, 2)
    found, gradients = lowered(part, 65).evaluate(graph)
    assert gradients.shape == (0, 3)
    torch.testing.assert_close(found, pair_gradients(part, graph)[0])


def test_a_rank_with_ghosts_only(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    graph = random_graph(4, 2, n_own=0)
    energies, gradients = lowered(select(potential, "pbe", ["O", "Mg"]), 65).evaluate(
        graph
    )
    assert energies.shape == (0,)
    assert gradients.shape == (0, 3)


def test_numbers_of_threads_agree_and_repeat(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    tables = lower(part, Knots(count=65, order=3, cutoff=4.0))
    graph = random_graph(27, 2)
    answers = []
    for threads in (1, 2, 2, 5):
        one = CompiledPotential(part.config, tables, torch.float64, threads=threads)
        answers += [one.evaluate(graph), one.evaluate(graph)]
    for energies, gradients in answers[1:]:
        torch.testing.assert_close(energies, answers[0][0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients, answers[0][1], rtol=1e-10, atol=1e-11)
    assert all(torch.equal(answers[2][1], one[1]) for one in answers[3:6])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_deterministic_bits_are_those_of_any_number_of_threads(
    potential: Potential, random_graph: Callable[..., Graph], dtype: torch.dtype
) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    tables = lower(part, Knots(count=65, order=3, cutoff=4.0))
    graph = random_graph(150, 2)

    def answers(*, deterministic: bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
        made = [
            CompiledPotential(
                part.config, tables, dtype, threads=n, deterministic=deterministic
            )
            for n in (1, 2, 3, 5, 8, 11)
        ]
        return [one.evaluate(graph) for one in made]

    first, *others = answers(deterministic=True)
    for energies, gradients in others:
        assert torch.equal(energies, first[0])
        assert torch.equal(gradients, first[1])
    free, *others = answers(deterministic=False)
    assert any(not torch.equal(x[1], free[1]) for x in others)  # so it is needed
    torch.testing.assert_close(free[1], first[1], rtol=1e-4, atol=1e-4)


def test_torch_asks_for_determinism(potential: Potential) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    tables = lower(part, Knots(count=65, order=3, cutoff=4.0))
    assert not CompiledPotential(part.config, tables, torch.float64).deterministic
    torch.use_deterministic_algorithms(True)
    try:
        one = CompiledPotential(part.config, tables, torch.float64)
    finally:
        torch.use_deterministic_algorithms(False)
    assert one.deterministic
    assert pickle.loads(pickle.dumps(one)).deterministic


def test_blocks_of_all_sizes_agree(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    # one species: blocks are cut by the number of threads, atoms of a block are taken
    # in fours, twos and ones, pairs in bundles
    part = select(potential, "pbe", ["O"])
    tables = lower(part, Knots(count=65, order=3, cutoff=4.0))
    for n in (1, 2, 3, 5, 14, 27):
        graph = random_graph(n, 1)
        energies, gradients = pair_gradients(part, graph)
        for threads in (1, 3):
            one = CompiledPotential(part.config, tables, torch.float64, threads=threads)
            found, found_gradients = one.evaluate(graph)
            torch.testing.assert_close(found, energies, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(found_gradients, gradients, rtol=1e-4, atol=1e-4)


def test_instruction_sets_agree(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    part = select(potential, "pbe", ["O", "Mg"])
    tables = lower(part, Knots(count=65, order=3, cutoff=4.0))
    graph = random_graph(9, 2)
    assert "portable" in available()
    answers = [
        CompiledPotential(part.config, tables, torch.float64, isa=name).evaluate(graph)
        for name in available()
    ]
    for energies, gradients in answers[1:]:
        torch.testing.assert_close(energies, answers[0][0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients, answers[0][1], rtol=1e-10, atol=1e-10)


def test_copies_and_pickles_are_potentials_of_their_own(
    potential: Potential, random_graph: Callable[..., Graph]
) -> None:
    first = lowered(select(potential, "pbe", ["O", "Mg"]), 65)
    graph = random_graph(5, 2)
    energies = first.evaluate(graph)[0]
    others = [copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    del first
    for other in others:
        np.testing.assert_array_equal(other.evaluate(graph)[0], energies)
