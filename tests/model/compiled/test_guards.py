"""What cannot be compiled or evaluated is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lamplighter.errors import (
    CheckFailedError,
    ConfigError,
    DataError,
    EngineError,
    UnsupportedModelError,
)
from lamplighter.model import Graph, Potential, select
from lamplighter.model.compiled import CompiledPotential, compile_potential, library
from lamplighter.model.compiled import lower as lowering
from lamplighter.model.compiled import potential as making
from lamplighter.model.compiled.check import Deviation
from lamplighter.model.compiled.lower import lower
from lamplighter.model.compiled.radial_tables import Knots
from lamplighter.model.compiled.tables import Tables

KNOTS = Knots(count=17, order=2, cutoff=4.0)


@pytest.fixture
def part(make_potential: Callable[..., Potential]) -> Potential:
    return select(make_potential(l_max=1, correlation=2), "pbe", ["O", "Mg"])


def _built(part: Potential, tables: Tables) -> CompiledPotential:
    return CompiledPotential(part.config, tables, torch.float64, threads=1)


def _changed(tables: Tables, name: str, place: int, value: float) -> Tables:
    """Return tables with one other entry."""
    numbers, integers = dict(tables.numbers), dict(tables.integers)
    of = integers if name in integers else numbers
    of[name] = of[name].copy()  # type: ignore[assignment]
    of[name][place] = value
    return Tables(numbers, integers)


@pytest.mark.parametrize(
    ("name", "place", "value", "problem"),
    [
        ("shape", 3, 15, "shape of the potential"),
        ("shape", 2, 4, "shape of the potential"),
        ("numbers", 4, 0.5, "do not end at the cutoff"),
        ("layer0.shape", 0, 1, "shape of layer0"),
        ("layer1.shape", 5, 9, "shape of layer1"),
        ("layer1.shape", 7, 4, "shape of layer1"),
        ("layer1.paths", 0, 2, "a path of layer1"),
        ("layer1.couplings", 0, 99, "has no path"),
        ("layer1.couplings", 1, 7, "outside of its path"),
        ("layer0.nodes", 0, 99, "not known yet"),
        ("layer0.terms", 0, -1, "a term of layer0"),
        ("layer0.rows", 3, 10**6, "outside of its terms"),
    ],
)
def test_bad_tables(
    part: Potential, name: str, place: int, value: float, problem: str
) -> None:
    with pytest.raises(EngineError, match=problem):
        _built(part, _changed(lower(part, KNOTS), name, place, value))


def test_a_product_of_too_many_factors(part: Potential) -> None:
    tables = lower(part, KNOTS)
    nodes = tables.integers["layer0.nodes"].copy().reshape(-1, 2)
    n_in = (part.config.l_max + 1) ** 2
    # each node the square of the one before: 2, 4, 8, 16 factors
    nodes[1:4] = np.arange(n_in, n_in + 3)[:, None]
    bad = Tables(tables.numbers, {**tables.integers, "layer0.nodes": nodes.ravel()})
    with pytest.raises(EngineError, match="too many factors"):
        _built(part, bad)


def test_missing_and_short_tables(part: Potential) -> None:
    tables = lower(part, KNOTS)
    numbers = dict(tables.numbers)
    del numbers["layer1.up.0"]
    with pytest.raises(EngineError, match=r"no table layer1\.up\.0"):
        _built(part, Tables(numbers, tables.integers))
    numbers = {**tables.numbers, "layer0.radial": np.zeros(3)}
    with pytest.raises(EngineError, match=r"layer0\.radial has 3 numbers, not"):
        _built(part, Tables(numbers, tables.integers))
    integers = {**tables.integers, "layer0.paths": np.zeros(4, dtype=np.int64)}
    with pytest.raises(EngineError, match="records of 3"):
        _built(part, Tables(tables.numbers, integers))


@pytest.mark.parametrize(
    ("field", "values", "problem"),
    [
        ("species", [0, 7, 0], "unknown species"),
        ("neighbors", None, "not among the atoms"),
    ],
)
def test_bad_atoms(
    part: Potential,
    random_graph: Callable[..., Graph],
    field: str,
    values: list[int] | None,
    problem: str,
) -> None:
    graph = random_graph(3, 2)
    wrong = graph.neighbors + 5 if values is None else torch.tensor(values)
    native = _built(part, lower(part, KNOTS))._native
    arrays = {"species": graph.species, "neighbors": graph.neighbors} | {field: wrong}
    first = np.searchsorted(graph.centers.numpy(), np.arange(4))
    with pytest.raises(EngineError, match=problem):
        native.evaluate(
            arrays["species"].numpy(),
            first,
            arrays["neighbors"].numpy(),
            graph.pair_vectors.numpy(),
            making.NothingToExchange(),
        )


def test_pairs_have_to_be_those_of_the_atoms(
    part: Potential, random_graph: Callable[..., Graph]
) -> None:
    graph = random_graph(3, 2)
    native = _built(part, lower(part, KNOTS))._native
    n = graph.n_pairs
    for first, problem in (
        ([0, 1, 2, n - 1], "are not all pairs"),
        ([0, n, 1, n], "not grouped by atom"),
    ):
        with pytest.raises(EngineError, match=problem):
            native.evaluate(
                graph.species.numpy(),
                np.array(first),
                graph.neighbors.numpy(),
                graph.pair_vectors.numpy(),
                making.NothingToExchange(),
            )


def test_stages_have_an_order(part: Potential) -> None:
    native = _built(part, lower(part, KNOTS))._native
    for function in (
        native._library.lamplighter_forward,
        native._library.lamplighter_backward,
    ):
        for layer in (0, 1, 2, -1):
            with pytest.raises(EngineError, match="out of its turn"):
                native._check(function(native._evaluation, layer))


def test_atoms_that_are_too_close(
    part: Potential, random_graph: Callable[..., Graph]
) -> None:
    graph = random_graph(3, 2)
    near = graph.with_pair_vectors(graph.pair_vectors * 1e-3)
    with pytest.raises(DataError, match=r"closer than the tables reach.*0\.02"):
        _built(part, lower(part, KNOTS)).evaluate(near)


def test_only_one_head_without_conditions_can_be_lowered(potential: Potential) -> None:
    with pytest.raises(ConfigError, match="several heads"):
        lower(potential, KNOTS)
    one = select(potential, "pbe", ["O", "Mg"])
    with pytest.raises(ConfigError, match=r"torch\.float32"):
        lower(one.to(torch.float32), KNOTS)


def test_an_unknown_part_is_refused_by_name(part: Potential) -> None:
    class Adapted(nn.Linear):
        """A module that lowering has never heard of."""

    network = part.layers[0].interaction.radial
    network.linears[0] = Adapted(8, 8).double()
    with pytest.raises(UnsupportedModelError, match=r"layer 0.*Adapted interaction"):
        lower(part, KNOTS)


def test_tables_that_fill_the_memory(
    part: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="tables of 2 elements are too large"):
        lower(part, KNOTS)


def test_a_tolerance_that_is_not_reached(
    part: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = {torch.float64: Deviation(energy=0.0, forces=1e-30)}
    monkeypatch.setattr(making, "TOLERANCES", limit)
    monkeypatch.setattr(making, "_MOST", 129)
    limit[torch.float64] = dataclasses.replace(limit[torch.float64], energy=1e-30)
    with pytest.raises(CheckFailedError, match="does not agree with the reference"):
        compile_potential(part)


def test_threads_are_positive(part: Potential) -> None:
    with pytest.raises(ConfigError, match="bad threads"):
        CompiledPotential(part.config, lower(part, KNOTS), torch.float64, threads=0)


def test_instruction_sets_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.load_library("portable") is library.load_library("portable")
    monkeypatch.setenv("LAMPLIGHTER_ISA", "portable")
    assert library.load_library() is library.load_library("portable")
    monkeypatch.setenv("LAMPLIGHTER_ISA", "mmx")
    with pytest.raises(ConfigError, match=r"unknown instruction set.*'mmx'"):
        library.load_library()
    monkeypatch.setattr(library, "_processor_flags", frozenset)
    assert list(library.available()) == ["portable"]
    with pytest.raises(ConfigError, match="cannot be used here"):
        library.load_library("avx2")


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    monkeypatch.setattr(library, "_recorded", lambda _: [])
    with pytest.raises(
        EngineError, match=r"library of the compiled potential is missing"
    ):
        library.load_library()


def test_a_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "ABI_VERSION", 7)
    library._opened.cache_clear()
    try:
        with pytest.raises(EngineError, match="another version"):
            library.load_library("portable")
    finally:
        library._opened.cache_clear()
