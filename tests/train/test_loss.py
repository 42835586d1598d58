"""Weights stand outside the Huber function; what is absent or weighs 0 is nowhere."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from lamplighter.model import (
    Potential,
    Prediction,
    predict,
)
from lamplighter.train import read_frames
from lamplighter.train.config import HeadData, LossSettings
from lamplighter.train.data.dataset import make_batch, make_items
from lamplighter.train.loss import (
    LossCounts,
    batch_loss,
    compute_loss,
    force_delta,
    huber,
)

SETTINGS = LossSettings()


@pytest.fixture
def frames(data_file):
    return read_frames(data_file(n=3))


def _batch(frames, potential, *, head=None, loss=None):
    heads = () if head is None else (head,)
    return make_batch(make_items(frames, potential.config, heads=heads, loss=loss))


def _gradient(potential, batch, settings=SETTINGS):
    potential.zero_grad(set_to_none=True)
    compute_loss(potential, batch, settings).total.backward()
    zero = torch.zeros(1, dtype=torch.float64)
    return torch.cat(
        [zero if p.grad is None else p.grad.ravel() for p in potential.parameters()]
    )


def _head(**kwargs):
    return HeadData(name="pbe", level="PBE", files=(Path("x"),), **kwargs)


def test_huber_is_a_parabola_then_a_line():
    x = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64)
    expected = torch.nn.functional.huber_loss(
        x, torch.zeros_like(x), reduction="none", delta=0.7
    )
    assert torch.allclose(huber(x, 0.7), expected)


def test_force_delta_shrinks_with_the_reference_force():
    forces = torch.tensor([[50.0, 0, 0], [0, 150.0, 0], [0, 0, 250.0], [400.0, 0, 0]])
    expected = torch.tensor([[1.0], [0.7], [0.4], [0.1]])
    assert torch.allclose(force_delta(forces, 1.0), expected)


def test_terms_equal_their_formulas(frames, potential):
    batch = _batch(frames, potential)
    live = predict(potential, batch.graph)
    prediction = Prediction(*(getattr(live, f.name).detach() for f in fields(live)))
    terms = batch_loss(batch, prediction, SETTINGS)
    energy = forces = stress = 0.0
    for k, frame in enumerate(frames):
        atoms = batch.graph.frames == k
        de = (prediction.energy[k] - frame.energy) / frame.n_atoms
        energy += float(huber(de, 0.01))
        reference = torch.tensor(frame.forces)
        df = prediction.forces[atoms] - reference
        forces += float(huber(df, force_delta(reference, 0.01)).sum())
        if frame.stress is not None:
            s = -prediction.virial[k] / frame.volume - torch.tensor(frame.stress)
            stress += float(huber(s, 0.01).sum())
    n_own, n_frames = batch.graph.n_own, len(frames)
    assert float(terms.energy) == pytest.approx(energy / n_frames, rel=1e-9)
    assert float(terms.forces) == pytest.approx(10 * forces / (3 * n_own), rel=1e-9)
    assert float(terms.stress) == pytest.approx(10 * stress / (9 * n_frames), rel=1e-9)


@pytest.mark.parametrize("term", ["energy", "forces", "stress"])
def test_weight_zero_removes_a_term(frames, potential, term):
    settings = dataclasses.replace(SETTINGS, **{f"{term}_weight": 0.0})
    terms = compute_loss(potential, _batch(frames, potential), settings)
    assert float(getattr(terms, term).detach()) == 0.0
    others = {"energy", "forces", "stress"} - {term}
    assert all(float(getattr(terms, o).detach()) > 0 for o in others)


@pytest.mark.parametrize("term", ["energy", "forces", "stress"])
def test_doubling_a_weight_doubles_its_gradient(frames, potential, term):
    alone = {f"{o}_weight": 0.0 for o in ("energy", "forces", "stress")}
    batch = _batch(frames, potential)
    single, double = (
        _gradient(
            potential,
            batch,
            dataclasses.replace(SETTINGS, **(alone | {f"{term}_weight": weight})),
        )
        for weight in (1.5, 3.0)
    )
    assert single.abs().max() > 1e-6
    assert torch.allclose(double, 2 * single, rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    "heavier",
    [
        {"head": _head(weight=2.0)},
        {"loss": LossSettings(config_type_weights={"*": 2.0})},
        {
            "head": _head(weight=0.5),
            "loss": LossSettings(config_type_weights={"*": 4.0}),
        },
    ],
)
def test_head_and_config_type_weights_count(frames, potential, heavier):
    plain = _gradient(potential, _batch(frames, potential))
    weighted = _gradient(potential, _batch(frames, potential, **heavier))
    assert torch.allclose(weighted, 2 * plain, rtol=1e-10, atol=1e-15)


def test_the_first_matching_pattern_counts(frames, potential):
    loss = LossSettings(config_type_weights={"ratt*": 3.0, "*": 0.0})
    batch = _batch(frames, potential, loss=loss)
    expected = [3.0 if f.config_type == "rattle" else 0.0 for f in frames]
    assert batch.weights[:, 0].tolist() == expected


def test_absent_labels_are_masked_not_zero(frames, potential):
    bare = [dataclasses.replace(f, stress=None) for f in frames]
    with_zero = [
        f
        if f.stress is None
        else dataclasses.replace(f, stress=torch.zeros(3, 3).numpy())
        for f in frames
    ]
    batch = _batch(bare, potential)
    assert not batch.has_stress.any()
    assert float(compute_loss(potential, batch, SETTINGS).stress.detach()) == 0.0
    zeros = compute_loss(potential, _batch(with_zero, potential), SETTINGS)
    assert float(zeros.stress.detach()) > 0.0


def test_frames_without_forces_do_not_pull(frames, potential):
    bare = [dataclasses.replace(f, forces=None) for f in frames]
    terms = compute_loss(potential, _batch(bare, potential), SETTINGS)
    assert float(terms.forces.detach()) == 0.0


def test_the_energy_target_keeps_its_digits(frames, potential):
    """Total energies of thousands of eV must not cost digits in float32."""
    deep = {"O": -2042.123456, "Mg": -5441.654321}
    head = dataclasses.replace(potential.config.heads[0], reference_energies=deep)
    config = dataclasses.replace(potential.config, heads=(head,))
    single = Potential(config)
    shifted = []
    for frame in frames:
        symbols = frame.atoms().get_chemical_symbols()
        old = sum({"O": -10.0, "Mg": -20.0}[s] for s in symbols)
        new = sum(deep[s] for s in symbols)
        shifted.append(dataclasses.replace(frame, energy=frame.energy - old + new))
    plain = Potential(potential.config)
    plain.load_state_dict(single.state_dict())
    losses = []
    for model, data in ((plain, frames), (single, shifted)):
        items = make_items(data, model.float().config, dtype=torch.float32)
        batch = make_batch(items)
        losses.append(float(compute_loss(model, batch, SETTINGS).energy.detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_gradients_equal_finite_differences(frames, potential):
    batch = _batch(frames, potential)
    settings = LossSettings(energy_delta=10.0, forces_delta=10.0, stress_delta=10.0)
    compute_loss(potential, batch, settings).total.backward()
    weight = potential.embedding
    for index in ((0, 1), (1, 3)):
        step = 1e-5
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[index] += sign * step
            values.append(
                float(compute_loss(potential, batch, settings).total.detach())
            )
            with torch.no_grad():
                weight[index] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert float(weight.grad[index]) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_losses_of_the_parts_of_a_batch_add_up(frames, potential):
    whole = _batch(frames, potential)
    parts = [_batch(frames[:1], potential), _batch(frames[1:], potential)]
    counts = LossCounts.of(parts[0]).plus(LossCounts.of(parts[1]))
    assert counts == LossCounts.of(whole)
    one = compute_loss(potential, whole, SETTINGS)
    for name in ("energy", "forces", "stress", "total"):
        terms = [compute_loss(potential, part, SETTINGS, counts) for part in parts]
        found = sum(float(getattr(t, name).detach()) for t in terms)
        assert found == pytest.approx(float(getattr(one, name).detach()), rel=1e-12)
