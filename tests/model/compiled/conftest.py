"""The potentials of tests/model are those of the compiled ones too."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from lamplighter.model import Graph, Potential


@pytest.fixture(autouse=True)
def _the_default_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for by the environment."""
    monkeypatch.delenv("LAMPLIGHTER_BACKEND", raising=False)


@pytest.fixture
def random_graph() -> Callable[..., Graph]:
    """Return a function that makes atoms at random places, all of them neighbours."""

    def make(
        n: int, n_elements: int, *, seed: int = 0, n_own: int | None = None
    ) -> Graph:
        generator = torch.Generator().manual_seed(seed)
        places = 1.3 * torch.rand(n, 3, generator=generator, dtype=torch.float64)
        side = max(3, math.ceil(n ** (1 / 3)))
        grid = torch.cartesian_prod(*[torch.arange(float(side))] * 3)
        places += 1.4 * grid[:n].double()
        own = n if n_own is None else n_own
        i, j = torch.meshgrid(torch.arange(own), torch.arange(n), indexing="ij")
        vectors = places[j] - places[i]
        near = (i != j) & (vectors.norm(dim=2) < 4.0)
        return Graph.build(
            pair_vectors=vectors[near],
            centers=i[near],
            neighbors=j[near],
            species=torch.arange(n) % n_elements,
            frames=torch.zeros(own, dtype=torch.int64),
            heads=torch.tensor([0]),
        )

    return make


@pytest.fixture
def potential(make_potential: Callable[..., Potential]) -> Potential:
    """Return the standard potential, smaller still."""
    return make_potential(l_max=2, correlation=2)
