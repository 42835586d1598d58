"""Every weight of the loss multiplies a gradient; every mask takes it away."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import HeadSpec, Potential, PotentialConfig, hessian, predict
from lamplighter.train import read_frames
from lamplighter.train.config import HeadData, LossSettings
from lamplighter.train.data.dataset import make_batch, make_items
from lamplighter.train.data.hessian import HessianRows, collate_rows
from lamplighter.train.head_config import BiasSettings
from lamplighter.train.heads import train_reference_bias
from lamplighter.train.hessian_loss import predicted_rows
from lamplighter.train.loss import LossCounts, compute_loss, cost

ALL = LossSettings(virial_weight=3.0, hessian_weight=2.0)
TERMS = ("energy", "forces", "stress", "virial", "hessian")


def head(**changes):
    return HeadData(name="pbe", level="PBE", files=(Path("x"),), **changes)


@pytest.fixture
def potential():
    torch.manual_seed(3)
    atoms = {"O": -10.0, "Mg": -20.0}
    spec = HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=atoms)
    config = PotentialConfig(
        elements=("O", "Mg"),
        heads=(spec,),
        cutoff=4.0,
        n_radial=4,
        radial_hidden=(8,),
        l_max=1,
        channels=4,
        edge_channels=4,
        correlation=2,
        density_alpha=2.0,
    )
    return Potential(config).double()


@pytest.fixture
def frames(data_file):
    """Crystals and molecules; every second one has two rows of a Hessian."""
    return with_rows(read_frames(data_file(n=2)))


def with_rows(frames):
    rng = np.random.default_rng(5)
    result = []
    for k, frame in enumerate(frames):
        if frame.n_atoms > 1 and k % 2:
            values = rng.normal(size=(2, frame.n_atoms, 3))
            values -= values.mean(axis=1, keepdims=True)
            rows = HessianRows(
                atoms=np.array([0, 1]), components=np.array([2, 0]), values=values
            )
            frame = dataclasses.replace(frame, hessian=rows)  # noqa: PLW2901
        result.append(frame)
    return result


def batch_of(frames, potential, *, heads=(), loss=None):
    return make_batch(make_items(frames, potential.config, heads=heads, loss=loss))


def gradient(potential, batch, settings, counts=None):
    potential.zero_grad(set_to_none=True)
    compute_loss(potential, batch, settings, counts).total.backward()
    return torch.cat(
        [
            torch.zeros(p.numel()) if p.grad is None else p.grad.flatten()
            for p in potential.parameters()
        ]
    )


def alone(term, **changes):
    off = {f"{name}_weight": 0.0 for name in TERMS if name != term}
    return dataclasses.replace(ALL, **(off | changes))


def doubled(single, double):
    assert single.abs().max() > 1e-9
    torch.testing.assert_close(double, 2 * single, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("term", "kind"),
    [
        *((term, kind) for term in TERMS for kind in ("huber", "mse", "mae")),
        ("forces", "l2"),
    ],
)
def test_doubling_a_global_weight_doubles_its_gradient(frames, potential, term, kind):
    named = "stress" if term == "virial" else term
    batch = batch_of(frames, potential)
    single, double = (
        gradient(
            potential,
            batch,
            alone(term, **{f"{term}_weight": w, f"{named}_kind": kind}),
        )
        for w in (1.5, 3.0)
    )
    doubled(single, double)


@pytest.mark.parametrize("term", ["energy", "forces", "stress", "hessian"])
def test_doubling_a_weight_of_a_head_doubles_its_property(frames, potential, term):
    settings = alone(term)
    plain, heavy = (
        gradient(potential, batch_of(frames, potential, heads=(head(**w),)), settings)
        for w in ({}, {f"{term}_weight": 2.0})
    )
    doubled(plain, heavy)


@pytest.mark.parametrize("delta", [0.01, 1e6])
def test_weights_of_head_frame_and_config_type_count_for_every_term(
    frames, potential, delta
):
    """On the line of the Huber functions, and on their parabola.

    A weight inside them would double a gradient on the line too.
    """
    settings = dataclasses.replace(ALL, **{f"{term}_delta": delta for term in TERMS})
    heavier = [dataclasses.replace(f, weight=2.0) for f in frames]
    by_type = LossSettings(config_type_weights={"*": 2.0})
    plain = gradient(potential, batch_of(frames, potential), settings)
    for batch in (
        batch_of(frames, potential, heads=(head(weight=2.0),)),
        batch_of(heavier, potential),
        batch_of(frames, potential, loss=by_type),
    ):
        doubled(plain, gradient(potential, batch, settings))


def test_the_weight_of_one_frame_is_that_of_its_part_of_the_gradient(frames, potential):
    counts = LossCounts.of(batch_of(frames, potential))
    one, rest = frames[3:4], [*frames[:3], *frames[4:]]
    parts = [
        gradient(potential, batch_of(part, potential), ALL, counts)
        for part in (one, rest)
    ]
    heavy = [*frames[:3], dataclasses.replace(frames[3], weight=7.0), *frames[4:]]
    found = gradient(potential, batch_of(heavy, potential), ALL)
    torch.testing.assert_close(found, 7 * parts[0] + parts[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("term", ["energy", "forces", "stress", "hessian"])
def test_a_property_that_a_head_does_not_learn_is_nowhere(frames, potential, term):
    kept = tuple(p for p in ("energy", "forces", "stress", "hessian") if p != term)
    masked = batch_of(frames, potential, heads=(head(properties=kept),))
    without = dataclasses.replace(ALL, **{f"{term}_weight": 0.0})
    if term == "stress":
        without = dataclasses.replace(without, virial_weight=0.0)
    expected = gradient(potential, batch_of(frames, potential), without)
    found = gradient(potential, masked, ALL)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


def test_the_virial_term_equals_its_formula(frames, potential):
    batch = batch_of(frames, potential)
    settings = alone("virial")
    found = compute_loss(potential, batch, settings).virial.item()
    virials = predict(potential, batch.graph).virial.detach()
    total = 0.0
    for frame, virial in zip(frames, virials, strict=True):
        if frame.stress is not None:
            labelled = -torch.tensor(frame.stress) * frame.volume
            difference = (virial - labelled) / frame.n_atoms
            total += cost(difference, "huber", 0.01).mean().item()
    assert found == pytest.approx(3.0 * total / len(frames), rel=1e-10)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("huber", [0.045, 0.005]), ("mse", [0.25, 0.01]), ("mae", [0.5, 0.1])],
)
def test_what_a_difference_costs(kind, expected):
    x = torch.tensor([-0.5, 0.1])
    torch.testing.assert_close(cost(x, kind, 0.1), torch.tensor(expected))


def test_lengths_of_force_differences(frames, potential):
    batch = batch_of(frames, potential)
    found = compute_loss(potential, batch, alone("forces", forces_kind="l2"))
    difference = predict(potential, batch.graph).forces.detach() - batch.forces
    expected = 10.0 * difference.norm(dim=1).mean().item()
    assert found.forces.item() == pytest.approx(expected, rel=1e-12)


def test_a_virial_is_a_stress_of_the_other_sign(data_file):
    def as_virial(frames):
        for atoms in frames:
            if "REF_stress" in atoms.info:
                stress = atoms.info.pop("REF_stress")
                atoms.info["REF_virial"] = -stress * atoms.get_volume()

    plain = read_frames(data_file("plain.xyz", n=2))
    found = read_frames(data_file("virial.xyz", n=2, change=as_virial))
    for a, b in zip(plain, found, strict=True):
        assert (a.stress is None) == (b.stress is None)
        if a.stress is not None:
            np.testing.assert_allclose(b.stress, a.stress, atol=1e-8)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("REF_virial", np.eye(3), "REF_virial says the same as REF_stress"),
        ("weight", -1.0, "weight is not a weight"),
        ("weight", [1.0, 2.0], "weight is not a weight"),
    ],
)
def test_labels_that_contradict_are_refused(data_file, key, value, said):
    path = data_file(change=lambda frames: frames[3].info.update({key: value}))
    with pytest.raises(DataError, match=said):
        read_frames(path)


@pytest.mark.parametrize("properties", [(), ("energy", "energy"), ("spin",)])
def test_properties_that_are_none_are_refused(properties):
    with pytest.raises(ConfigError, match="properties"):
        head(properties=properties)


class TestHessianRows:
    """Rows of the Hessian as labels, as predictions, and through a file."""

    def test_predictions_equal_the_rows_of_the_hessian(self, frames, potential):
        labelled = [f for f in frames if f.hessian is not None]
        one = dataclasses.replace(
            labelled[0],
            hessian=HessianRows(
                atoms=np.array([1]),
                components=np.array([1]),
                values=np.zeros((1, labelled[0].n_atoms, 3)),
            ),
        )
        mixed = [one, *labelled[1:]]
        items = make_items(mixed, potential.config)
        labels = collate_rows(
            [(i.graph, f.hessian, 1.0) for i, f in zip(items, mixed, strict=True)],
            torch.float64,
        )
        found = predicted_rows(potential, labels).detach().numpy()
        first = 0
        for frame in mixed:
            full = hessian(potential, frame.atoms())
            atoms = slice(first, first + frame.n_atoms)
            rows = frame.hessian
            for k, (i, a) in enumerate(zip(rows.atoms, rows.components, strict=True)):
                np.testing.assert_allclose(found[k, atoms], full[i, a], atol=1e-10)
            if len(rows) == 1:
                assert not found[1, atoms].any()
            first += frame.n_atoms
        assert np.abs(found).max() > 1e-3

    def test_the_term_equals_its_formula(self, frames, potential):
        batch = batch_of(frames, potential)
        found = compute_loss(potential, batch, ALL).hessian.item()
        total = 0.0
        for frame in frames:
            if frame.hessian is not None:
                rows = frame.hessian
                full = hessian(potential, frame.atoms())[rows.atoms, rows.components]
                difference = torch.tensor(full - rows.values)
                total += cost(difference, "huber", 0.1).mean().item()
        assert found == pytest.approx(2.0 * total / len(frames), rel=1e-9)

    def test_its_gradient_equals_finite_differences(self, frames, potential):
        """With torch's own LayerNorm it is off by two percent here."""
        batch = batch_of(frames[3:4], potential)
        settings = alone("hessian", hessian_kind="mse")
        found = gradient(potential, batch, settings)
        direction = torch.randn(len(found), dtype=torch.float64)
        values = []
        for step in (1e-5, -2e-5):
            flat = torch.nn.utils.parameters_to_vector(potential.parameters())
            torch.nn.utils.vector_to_parameters(
                flat + step * direction, potential.parameters()
            )
            values.append(compute_loss(potential, batch, settings).total.item())
        slope = (values[0] - values[1]) / 2e-5
        assert slope == pytest.approx((found @ direction).item(), rel=1e-5)

    def test_frames_without_rows_have_no_term(self, frames, potential):
        bare = [dataclasses.replace(f, hessian=None) for f in frames]
        assert compute_loss(potential, batch_of(bare, potential), ALL).hessian is None

    def test_atoms_without_pairs_have_rows_of_zeros(self, frames, potential):
        atom = dataclasses.replace(
            frames[0],
            hessian=HessianRows(
                atoms=np.array([0]),
                components=np.array([0]),
                values=np.zeros((1, 1, 3)),
            ),
        )
        terms = compute_loss(potential, batch_of([atom], potential), ALL)
        assert terms.hessian.item() == 0.0

    @staticmethod
    def write(frames, *, index, columns):
        atoms = frames[3]
        atoms.info["REF_hessian_index"] = index
        atoms.arrays["REF_hessian"] = columns

    def test_rows_are_read_from_a_file(self, data_file):
        values = np.array([[[1.0, 2, 3], [-1, -2, -3]], [[0, 5.0, 0], [0, -5, 0]]])
        columns = values.swapaxes(0, 1).reshape(2, 6)
        path = data_file(
            change=lambda f: self.write(f, index=[0, 2, 1, 1], columns=columns)
        )
        frames = read_frames(path)
        rows = frames[3].hessian
        np.testing.assert_array_equal(rows.values, values)
        assert rows.atoms.tolist() == [0, 1]
        assert rows.components.tolist() == [2, 1]
        assert frames[2].hessian is None

    @pytest.mark.parametrize(
        ("index", "columns", "said"),
        [
            ([0, 2], np.ones((2, 3)), "does not sum to zero"),
            ([0, 3], np.zeros((2, 3)), "rows that do not exist"),
            ([0, 1, 0, 1], np.zeros((2, 6)), "or one twice"),
            ([0, 1, 0], np.zeros((2, 3)), "do not fit"),
            ([0, 1, 1, 1], np.zeros((2, 3)), "do not fit"),
        ],
    )
    def test_bad_rows_are_refused(self, data_file, index, columns, said):
        path = data_file(change=lambda f: self.write(f, index=index, columns=columns))
        with pytest.raises(DataError, match=said):
            read_frames(path)


class TestPrior:
    """The term that holds a trainable correction of E0."""

    @pytest.fixture
    def biased(self, potential):
        settings = BiasSettings(trainable=True, prior=0.5, strength=3.0)
        train_reference_bias(potential, [head(reference_bias=settings)])
        with torch.no_grad():
            potential.reference_bias.weight.copy_(torch.tensor([[0.4, -0.2]]))
        return potential

    def test_it_equals_its_formula_once_for_all_parts(self, frames, biased):
        expected = 3.0 * (0.4**2 + 0.2**2) / 2
        whole = batch_of(frames, biased)
        assert compute_loss(biased, whole, ALL).prior.item() == pytest.approx(expected)
        counts = LossCounts.of(whole)
        parts = (batch_of(frames[:2], biased), batch_of(frames[2:], biased))
        total = sum(compute_loss(biased, p, ALL, counts).prior.item() for p in parts)
        assert total == pytest.approx(expected)

    def test_doubling_its_strength_doubles_its_gradient(self, frames, biased):
        batch = batch_of(frames, biased)
        off = dataclasses.replace(ALL, **{f"{t}_weight": 0.0 for t in TERMS})
        single = gradient(biased, batch, off)
        biased.reference_bias.strength.mul_(2)
        doubled(single, gradient(biased, batch, off))

    def test_without_a_correction_there_is_no_term(self, frames, potential):
        train_reference_bias(potential, [head()])
        terms = compute_loss(potential, batch_of(frames, potential), ALL)
        assert terms.prior is None
        assert "reference_bias.weight" not in potential.state_dict()
