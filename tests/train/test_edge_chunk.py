"""`run: edge_chunk` reaches the training step and changes no number there."""

from __future__ import annotations

import copy

import pytest
import torch

from lamplighter.errors import ConfigError
from lamplighter.model import Graph
from lamplighter.train import read_frames
from lamplighter.train.config import LossSettings, OptimizerSettings, RunSettings
from lamplighter.train.data.dataset import make_items
from lamplighter.train.stepping import Stepper
from lamplighter.train.training import FREE_TO_CHANGE


def test_a_step_in_chunks_is_the_same_step(data_file, potential, monkeypatch):
    sizes = []
    in_chunks = Graph.in_chunks

    def spy(graph: Graph, size: int) -> Graph:
        sizes.append(size)
        return in_chunks(graph, size)

    monkeypatch.setattr(Graph, "in_chunks", spy)
    items = make_items(read_frames(data_file(n=3)), potential.config)
    moved = []
    for chunk in (0, 30):
        stepper = Stepper(
            copy.deepcopy(potential),
            LossSettings(),
            OptimizerSettings(),
            edge_chunk=chunk,
        )
        stepper.compute([items])
        moved.append([p.grad for p in stepper.potential.parameters()])
    assert sizes == [30]
    assert any(g is not None and float(g.abs().max()) > 1e-3 for g in moved[0])
    for one, other in zip(*moved, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(other, one, rtol=1e-8, atol=1e-10)


def test_a_negative_chunk_is_refused():
    with pytest.raises(ConfigError, match="edge_chunk"):
        RunSettings(edge_chunk=-1)


def test_a_run_may_go_on_with_another_chunk():
    assert "edge_chunk" in FREE_TO_CHANGE
