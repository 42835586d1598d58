"""Low-rank changes and moving rows: nothing changes at the start, all is merged."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from ase.build import bulk, molecule

from lamplighter.errors import ConfigError
from lamplighter.model import (
    HeadSpec,
    Potential,
    PotentialConfig,
    graph_from_atoms,
    load_potential,
    predict,
    save_potential,
)
from lamplighter.train import FinetuneConfig, NewHead
from lamplighter.train.finetune_config import FreezeSettings, LoraSettings
from lamplighter.train.lora import LowRank, low_rank_fits, merged, weight_called
from lamplighter.train.new_heads import add_heads
from lamplighter.train.trainable import apply_plan, plan_weights

HEADS = tuple(
    HeadSpec(name=name, level_of_theory=name, reference_energies={"H": 0.0, "O": -1.0})
    for name in ("one", "two")
)
SHAPE = PotentialConfig(
    elements=("H", "O"),
    heads=HEADS,
    cutoff=4.0,
    n_radial=4,
    radial_hidden=(8, 8),
    density_hidden=(8,),
    l_max=2,
    channels=8,
    edge_channels=4,
    correlation=2,
    readout_hidden=4,
    density_alpha=3.0,
)
KINDS = {
    "mh1": SHAPE,
    "by_element": dataclasses.replace(
        SHAPE, interaction=("density", "residual"), product_weights="by_element"
    ),
    "last_only": dataclasses.replace(
        SHAPE, readouts="last", last_readout="biased_mlp", interaction="plain"
    ),
}


def _config(**changes):
    head = NewHead(name="new", level="N", files=(Path("f"),), start_from="one")
    return FinetuneConfig(base=Path("b"), output=Path("o"), heads=(head,), **changes)


def _enlarged(shape=SHAPE, dtype=torch.float64):
    torch.manual_seed(3)
    base = Potential(shape).to(dtype)
    spec = dataclasses.replace(HEADS[0], name="new")
    return add_heads(base, [(spec, "one")])


def _water(potential, head):
    atoms = molecule("H2O")
    return graph_from_atoms(atoms, potential.config, head).to(dtype=potential.dtype)


def _outputs(potential):
    frozen = copy.deepcopy(potential).requires_grad_(requires_grad=True)
    found = []
    for head in potential.config.heads:
        prediction = predict(frozen, _water(potential, head.name))
        found += [prediction.energy.detach(), prediction.forces.detach()]
    return found


def _apply(potential, **changes):
    config = _config(**changes)
    moving = apply_plan(potential, plan_weights(config, potential), config)
    return config, moving


def _shake(potential, size=0.1):
    """Move everything that moves, as an optimiser would."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in potential.parameters():
            if value.requires_grad:
                noise = torch.randn(value.shape, generator=generator)
                value.add_(size * noise.to(value))


@pytest.mark.parametrize("shape", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_start_is_the_base_bit_for_bit(shape, dtype):
    potential = _enlarged(shape, dtype)
    before = _outputs(potential)
    _apply(potential, method="lora", lora=LoraSettings(rank=2))
    after = _outputs(potential)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("shape", KINDS.values(), ids=KINDS)
def test_every_linear_map_of_the_trunk_is_changed(shape):
    potential = _enlarged(shape)
    config = _config(method="lora", lora=LoraSettings(rank=1))
    plan = plan_weights(config, potential)
    low = set(plan.names("low rank"))
    for name, value in potential.named_parameters():
        matrix = value.dim() >= 2 and min(value.shape[-2:]) > 2
        if matrix and not name.startswith("readouts."):
            assert name in low, name
    assert plan.names("fixed") == []
    direct = set(plan.names("moves"))
    assert all(n in direct for n, p in potential.named_parameters() if p.dim() < 2)
    for part in (".linear_up.weights.0", ".product.weights.", ".radial."):
        assert any(part in name for name in low), part


@pytest.mark.parametrize("shape", KINDS.values(), ids=KINDS)
def test_every_moving_weight_gets_a_gradient(shape):
    potential = _enlarged(shape)
    _apply(potential, method="lora", lora=LoraSettings(rank=2))
    _shake(potential)
    atoms = bulk("HO", "zincblende", a=3.4)
    energy = sum(
        potential(graph_from_atoms(atoms, potential.config, head.name)).sum()
        for head in potential.config.heads
    )
    energy.backward()
    for name, value in potential.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, name
            assert value.grad.abs().max() > 0, name
        else:
            assert value.grad is None, name


def test_merged_equals_unmerged_and_is_an_ordinary_model(tmp_path):
    potential = _enlarged()
    _apply(potential, method="lora", lora=LoraSettings(rank=2, alpha=0.7))
    start = _outputs(potential)
    _shake(potential)
    changed = _outputs(potential)
    assert (changed[1] - start[1]).abs().max() > 1e-3
    plain = merged(potential)
    assert set(plain.state_dict()) == set(_enlarged().state_dict())
    path = tmp_path / "model.safetensors"
    save_potential(plain, path)
    loaded = load_potential(path)
    for found in (plain, loaded):
        for a, b in zip(changed, _outputs(found), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert torch.equal(_outputs(potential)[0], changed[0]), "merging changed it"


def test_changes_survive_a_copy_and_a_checkpoint():
    potential = _enlarged()
    _apply(potential, method="lora", lora=LoraSettings(rank=2))
    twin = copy.deepcopy(potential)
    _shake(twin)
    assert torch.equal(_outputs(potential)[1], _outputs(_enlarged())[1])
    potential.load_state_dict(twin.state_dict())
    assert torch.equal(_outputs(potential)[1], _outputs(twin)[1])


def test_the_changed_trunk_is_equivariant():
    """Factors act on channels, never on the components of a degree."""
    potential = _enlarged()
    _apply(potential, method="lora", lora=LoraSettings(rank=2))
    _shake(potential, 0.3)
    atoms = molecule("CH3OH")
    atoms.numbers[atoms.numbers == 6] = 8
    turned = atoms.copy()
    turned.rotate(37.0, (1.0, 2.0, -0.5))
    first, second = (
        predict(potential, graph_from_atoms(a, potential.config, "new"))
        for a in (atoms, turned)
    )
    torch.testing.assert_close(first.energy, second.energy, rtol=0, atol=1e-10)
    lengths = [p.forces.detach().norm(dim=1) for p in (first, second)]
    torch.testing.assert_close(*lengths, rtol=0, atol=1e-9)


def test_the_rank_bounds_the_change():
    weight = torch.randn(6, 9, dtype=torch.float64)
    change = LowRank(weight, 2, 1.0)
    with torch.no_grad():
        change.up.normal_()
    difference = (change(weight) - weight).detach()
    assert torch.linalg.matrix_rank(difference, atol=1e-10) == 2


def test_a_step_has_the_same_size_at_every_rank():
    weight = torch.zeros(40, 50, dtype=torch.float64)
    sizes = []
    for rank in (1, 4, 16):
        change = LowRank(weight, rank, 0.5)
        with torch.no_grad():
            change.up.add_(1e-3 * torch.sign(torch.randn_like(change.up)))
        sizes.append(float(change(weight).detach().square().mean().sqrt()))
    assert sizes == pytest.approx([0.5e-3] * 3, rel=0.3)


@pytest.mark.parametrize(
    ("shape", "rank", "fits"),
    [
        ((8,), 1, False),
        ((), 1, False),
        ((8, 8), 3, True),
        ((8, 8), 4, False),
        ((5, 8, 8), 3, True),
        ((1, 1, 64), 1, False),
        ((1, 23, 64), 4, True),
    ],
)
def test_factors_are_used_where_they_save_numbers(shape, rank, fits):
    assert low_rank_fits(torch.zeros(shape), rank) is fits


def test_readouts_alone_leave_the_trunk_and_the_old_heads_bit_identical():
    potential = _enlarged()
    before = {k: v.clone() for k, v in potential.state_dict().items()}
    old = _outputs(potential)
    _, moving = _apply(potential, method="heads")
    _shake(potential)
    after = merged(potential)
    for name, value in after.state_dict().items():
        if name.startswith("readouts."):
            assert torch.equal(value[:2], before[name][:2]), name
            assert not torch.equal(value[2], before[name][2]), name
        else:
            assert torch.equal(value, before[name]), name
    new = _outputs(after)
    assert all(torch.equal(a, b) for a, b in zip(old[:4], new[:4], strict=True))
    assert not torch.equal(old[4], new[4])
    rows = [v[2].numel() for k, v in before.items() if k.startswith("readouts.")]
    assert moving.moving == sum(rows)
    assert moving.weights == sum(v.numel() for v in before.values())


def test_readouts_of_all_heads_can_move():
    potential = _enlarged()
    before = potential.state_dict()["readouts.0.weight"].clone()
    _apply(potential, method="heads", readouts="all")
    _shake(potential)
    assert bool((weight_called(potential, "readouts.0.weight") != before).all())


def test_layers_and_patterns_of_the_trunk_can_be_held():
    potential = _enlarged()
    freeze = FreezeSettings(layers=1, patterns=("layers.1.*.radial.*",))
    before = {k: v.clone() for k, v in potential.state_dict().items()}
    _apply(potential, method="frozen_trunk", freeze=freeze)
    _shake(potential)
    moved = {
        name
        for name, value in merged(potential).state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert "embedding" not in moved
    assert not any(name.startswith("layers.0.") for name in moved)
    assert not any(".radial." in name for name in moved)
    assert "layers.1.linear_up.weights.0" in moved
    assert "readouts.0.weight" in moved


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (
            FreezeSettings(layers=3),
            "than the potential has; got: 3; wanted: 0 to 2",
        ),
        (FreezeSettings(patterns=("layer.*",)), r"fits no weight.*'layer\.\*'.*layers"),
        (FreezeSettings(patterns=("readouts.*",)), "fits no weight of the trunk"),
    ],
)
def test_what_cannot_be_held_is_refused(freeze, message):
    config = _config(method="frozen_trunk", freeze=freeze)
    with pytest.raises(ConfigError, match=message):
        plan_weights(config, _enlarged())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "frozen_trunk"}, "method frozen_trunk.*wanted: freeze"),
        ({"freeze": FreezeSettings(layers=1)}, "freeze of method full.*frozen_trunk"),
        (
            {"method": "heads", "freeze": FreezeSettings(layers=1)},
            "freeze of method heads",
        ),
    ],
)
def test_contradictions_of_method_and_freeze_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        _config(**changes)


def test_wrong_numbers_are_refused():
    with pytest.raises(ConfigError, match="lora: rank; got: 0"):
        LoraSettings(rank=0)
    with pytest.raises(ConfigError, match="lora: alpha; got: 0"):
        LoraSettings(alpha=0.0)
    with pytest.raises(ConfigError, match="freeze: layers; got: -1"):
        FreezeSettings(layers=-1)


def test_the_factors_depend_on_the_seed_alone():
    first, second = _enlarged(), _enlarged()
    _apply(first, method="lora")
    torch.rand(7)
    _apply(second, method="lora")
    state = second.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in first.state_dict().items())
