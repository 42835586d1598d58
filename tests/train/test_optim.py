"""Optimisers: groups, decay, formulas, restart; parts of a batch; mixed precision."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from lamplighter.errors import ConfigError
from lamplighter.train.config import OptimizerSettings
from lamplighter.train.loop import Trainer
from lamplighter.train.optim import Optimizers, is_matrix
from lamplighter.train.prepare import prepare
from lamplighter.train.stepping import Stepper
from lamplighter.train.stopping import StopFlag
from lamplighter.train.training import build_job

METHODS = {
    "adamw": {},
    "adam": {"amsgrad": True},
    "schedule-free": {"schedule": "constant"},
    "muon": {},
}


class Toy(nn.Module):
    """Weights of every kind, with a minimum at 1."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)

        def weight(*shape):
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return nn.Parameter(values)

        self.embedding = weight(2, 4)
        self.matrix = weight(4, 6)
        self.bias = weight(6)
        self.nothing = weight(0, 3)
        self.unused = weight(2)

    def loss(self):
        parts = (self.embedding, self.matrix, self.bias, self.nothing)
        return sum(((p - 1.0) ** 2).sum() for p in parts)


def settings(method="adamw", **values):
    defaults = {"learning_rate": 0.05, "weight_decay": 0.0}
    return OptimizerSettings(method=method, **(defaults | METHODS[method] | values))


def steps(module, optimizers, n):
    for _ in range(n):
        optimizers.zero_grad()
        module.loss().backward()
        optimizers.set_rate(0.05)
        optimizers.step()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_minimum(method):
    toy = Toy()
    untouched = toy.unused.detach().clone()
    optimizers = Optimizers(toy, settings(method))
    steps(toy, optimizers, 400)
    values = optimizers.averaged() or [p.detach() for p in optimizers.parameters]
    found = dict(zip(("embedding", "matrix", "bias"), values, strict=False))
    for name, value in found.items():
        assert float((value - 1.0).abs().max()) < 0.15, name
    assert torch.equal(toy.unused, untouched)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_bit_for_bit(method):
    toy = Toy()
    optimizers = Optimizers(toy, settings(method))
    steps(toy, optimizers, 5)
    packed = {k: v.clone() for k, v in optimizers.pack().items()}
    middle = {k: v.clone() for k, v in toy.state_dict().items()}
    steps(toy, optimizers, 5)
    other = Toy()
    other.load_state_dict(middle)
    resumed = Optimizers(other, settings(method))
    resumed.unpack(packed)
    steps(other, resumed, 5)
    for name, value in toy.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_schedule_free_follows_its_formulas():
    toy = Toy()
    optimizers = Optimizers(
        toy, settings("schedule-free", weight_decay=0.1, beta2=0.99)
    )
    x = z = toy.bias.detach().numpy().copy()
    v, total, largest = np.zeros(6), 0.0, 0.0
    for k, rate in enumerate((0.01, 0.05, 0.03), start=1):
        y = 0.1 * z + 0.9 * x
        g = 2 * (y - 1.0)
        v = 0.99 * v + 0.01 * g**2
        largest = max(largest, rate)
        total += largest**2
        z = z - rate * (g / (np.sqrt(v / (1 - 0.99**k)) + 1e-8) + 0.1 * y)
        c = largest**2 / total
        x = (1 - c) * x + c * z
        optimizers.zero_grad()
        toy.loss().backward()
        optimizers.set_rate(rate)
        optimizers.step()
    index = [id(p) for p in optimizers.parameters].index(id(toy.bias))
    np.testing.assert_allclose(optimizers.averaged()[index], x, rtol=1e-12)
    np.testing.assert_allclose(toy.bias.detach(), 0.1 * z + 0.9 * x, rtol=1e-12)


def test_muon_turns_the_matrices_and_adam_the_rest():
    toy = Toy()
    names = [n for n, p in toy.named_parameters() if is_matrix(n, p)]
    assert names == ["matrix"]
    before = toy.matrix.detach().clone()
    steps(toy, Optimizers(toy, settings("muon")), 1)
    sizes = torch.linalg.svdvals(toy.matrix.detach() - before)
    # Orthogonalised: all directions move alike, whatever the gradient.
    assert float(sizes.max() / sizes.min()) < 2.5


def test_muon_without_a_torch_that_has_it_is_refused(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ConfigError, match=r"no Muon.*2\.9 or newer.*adamw"):
        Optimizers(Toy(), settings("muon"))


def test_decay_is_decoupled_with_adamw_and_part_of_the_gradient_with_adam():
    moved = {}
    for method in ("adamw", "adam"):
        toy = Toy()
        before = toy.bias.detach().clone()
        optimizers = Optimizers(toy, settings(method, weight_decay=0.1))
        optimizers.zero_grad()
        toy.bias.grad = torch.zeros_like(toy.bias)
        optimizers.set_rate(0.05)
        optimizers.step()
        moved[method] = (toy.bias.detach() - before) / before
    assert torch.allclose(moved["adamw"], torch.full((6,), -0.005).double())
    assert not torch.allclose(moved["adam"], moved["adamw"])


def test_patterns_set_rates_and_decay_and_freeze():
    toy = Toy()
    start = {k: v.clone() for k, v in toy.state_dict().items()}
    optimizers = Optimizers(
        toy,
        settings(
            weight_decay=0.5,
            no_decay=("bias",),
            rate_factors={"emb*": 0.5},
            frozen=("matrix",),
        ),
    )
    optimizers.zero_grad()
    for p in optimizers.parameters:
        p.grad = torch.zeros_like(p)
    optimizers.set_rate(0.1)
    optimizers.step()
    left = {k: v / start[k] for k, v in toy.state_dict().items() if v.numel()}
    assert torch.equal(left["matrix"], torch.ones(4, 6).double())
    assert torch.equal(left["bias"], torch.ones(6).double())
    assert torch.allclose(left["embedding"], torch.tensor(1 - 0.05 * 0.5).double())
    assert torch.allclose(left["unused"], torch.tensor(1 - 0.1 * 0.5).double())


@pytest.mark.parametrize("name", ["frozen", "no_decay", "rate_factors"])
def test_a_pattern_that_fits_nothing_is_refused(name):
    value = {"readout*": 0.1} if name == "rate_factors" else ("readout*",)
    with pytest.raises(ConfigError, match=rf"{name} has a pattern.*'readout\*'"):
        Optimizers(Toy(), settings(**{name: value}))


def test_freezing_everything_is_refused():
    with pytest.raises(ConfigError, match="no weight left to train"):
        Optimizers(Toy(), settings(frozen=("*",)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "schedule-free"}, "schedule and beta1 with method schedule-free"),
        (
            {"method": "schedule-free", "schedule": "constant", "amsgrad": True},
            "amsgrad",
        ),
        ({"rate_factors": {"a": 0.0}}, "rate_factors: a.*use frozen"),
        ({"beta1": 1.0}, "beta1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        OptimizerSettings(**values)


def _job(config):
    return build_job(config, prepare(config.heads, config.split, config.limits))[0]


def _gradients(config, cuts):
    job = _job(config)
    stepper = Stepper(job.potential, job.loss, job.optimizer)
    items = list(job.train[::2])
    edges = [0, *cuts, len(items)]
    parts = [items[a:b] for a, b in itertools.pairwise(edges)]
    record = stepper.compute(parts)
    return record, [p.grad for p in stepper.optimizers.parameters]


def test_a_batch_in_parts_has_the_gradient_of_the_whole(tiny_config):
    whole, expected = _gradients(tiny_config, [])
    parted, found = _gradients(tiny_config, [1, 1, 9])
    assert torch.allclose(whole.terms, parted.terms, rtol=1e-12)
    assert float(whole.norm) == pytest.approx(float(parted.norm), rel=1e-12)
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-14)


def _with(config, **parts):
    changed = {
        name: dataclasses.replace(getattr(config, name), **values)
        for name, values in parts.items()
    }
    return dataclasses.replace(config, **changed)


def test_mixed_precision_keeps_what_float32_would_round_off(tiny_config):
    job = _job(_with(tiny_config, run={"dtype": "mixed"}))
    assert job.potential.dtype == torch.float32
    stepper = Stepper(job.potential, job.loss, job.optimizer, mixed=True)
    before = stepper.weights.embedding.detach().clone()
    for k in range(1, 4):
        stepper.compute([[job.train[0]]])
        stepper.move(1e-10, k)
    moved = stepper.weights.embedding.detach() - before
    assert moved.dtype == torch.float64
    assert 0.0 < float(moved.abs().max()) < 1e-9
    assert torch.equal(stepper.potential.embedding.detach(), before.float())
    (mine,) = {p.dtype for p in stepper.average.module.parameters()}
    assert mine == torch.float64


def test_mixed_precision_trains_like_float64_and_goes_on_bit_for_bit(tiny_config):
    runs = {}
    for name, dtype in (("double", "float64"), ("mixed", "mixed"), ("halves", "mixed")):
        config = _with(
            dataclasses.replace(tiny_config, output=tiny_config.output.with_name(name)),
            run={"dtype": dtype, "max_steps": 12, "validate_every": 6},
            loss={"forces_delta": 1.0, "energy_delta": 1.0},
        )
        config.output.mkdir()
        if name == "halves":
            # No time at all: ends after a step, with a checkpoint.
            Trainer(_job(_with(config, run={"max_minutes": 1e-9}))).run(StopFlag())
        trainer = Trainer(_job(config))
        outcome = trainer.run(StopFlag())
        assert outcome.reason == "steps"
        runs[name] = (trainer, outcome.state.best_score)
    assert runs["mixed"][1] == pytest.approx(runs["double"][1], rel=1e-2)
    one, other = (runs[k][0].stepper.weights.state_dict() for k in ("mixed", "halves"))
    assert {v.dtype for v in one.values() if v.is_floating_point()} == {torch.float64}
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert runs["mixed"][0].best.dtype == torch.float32
