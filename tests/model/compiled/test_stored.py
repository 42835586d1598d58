"""Tables as bytes: what comes back is the same compiled potential."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

from lamplighter.errors import ArtifactError
from lamplighter.model import Graph, Potential, select
from lamplighter.model.compiled import (
    compile_potential,
    stored,
    tables_from_bytes,
    tables_to_bytes,
)


@pytest.fixture
def part(make_potential: Callable[..., Potential]) -> Potential:
    settings = {"l_max": 1, "correlation": 2, "interaction": "density_residual"}
    return select(make_potential(**settings), "pbe", ["O", "Mg"])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("most", [0, 2**30])
def test_the_same_numbers_come_back(
    part: Potential,
    random_graph: Callable[..., Graph],
    monkeypatch: pytest.MonkeyPatch,
    dtype: str,
    most: int,
) -> None:
    monkeypatch.setattr(stored, "MOST_BYTES", most)
    member = part.to(getattr(torch, dtype))
    compiled = compile_potential(member, dtype=dtype)
    content = tables_to_bytes(compiled, "this one")
    again = tables_from_bytes(content, member, "this one")
    assert again is not None
    assert again.settings == compiled.settings
    graph = random_graph(5, 2)
    for found, wanted in zip(
        again.evaluate(graph), compiled.evaluate(graph), strict=True
    ):
        assert torch.equal(found, wanted)
    radial = compiled.tables.numbers["layer0.radial"].nbytes
    assert (len(content) > 0.5 * radial) == (most > 0)


def test_tables_of_something_else_are_not_used(
    part: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tables_to_bytes(compile_potential(part), "this one")
    assert tables_from_bytes(content, part, "another one") is None
    monkeypatch.setattr(stored, "VERSION", stored.VERSION + 1)
    assert tables_from_bytes(content, part, "this one") is None


def test_damaged_tables(part: Potential) -> None:
    content = tables_to_bytes(compile_potential(part), "this one")
    for wrong in (b"", content[:40], content[:-8], b"\0" * 100):
        with pytest.raises(ArtifactError, match="tables of a compiled potential"):
            tables_from_bytes(wrong, part, "this one")
    about = {"version": stored.VERSION, "origin": "this one", "settings": {}}
    header = json.dumps({"__metadata__": {"lamplighter_tables": json.dumps(about)}})
    raw = len(header).to_bytes(8, "little") + header.encode()
    with pytest.raises(ArtifactError, match="are damaged"):
        tables_from_bytes(raw, part, "this one")
