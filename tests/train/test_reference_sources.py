"""Where E0 comes from, what the data leave open, and what a trained bias becomes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import load_potential, predict, read_header
from lamplighter.train import NewHead, read_frames, references, train
from lamplighter.train.config import HeadData
from lamplighter.train.data.dataset import make_batch, make_items
from lamplighter.train.data.frame import Frame
from lamplighter.train.freeze import freeze_heads
from lamplighter.train.head_config import BiasSettings
from lamplighter.train.heads import fit_heads, train_reference_bias
from lamplighter.train.least_squares import LeastSquares
from lamplighter.train.lora import merged
from lamplighter.train.new_heads import fit_new_head, interaction_energies
from lamplighter.train.references import reference_energies

PLANTED = {"H": -13.6, "C": -1029.0, "O": -2042.1}
NUMBERS = {"H": 1, "C": 6, "O": 8}


def frame(formula, *, binding=0.0):
    n = len(formula)
    return Frame(
        numbers=np.array([NUMBERS[s] for s in formula]),
        positions=np.arange(3.0 * n).reshape(n, 3),
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
        energy=sum(PLANTED[s] for s in formula) + binding,
        forces=np.full((n, 3), 2.0),
        stress=None,
        head="h",
        level="L",
        config_type="IsolatedAtom" if n == 1 else "molecule",
        uid=formula,
        source=f"test: {formula}",
    )


def by_element(found):
    return {r.element: (r.energy, r.origin) for r in found}


class TestLeastSquares:
    """Equations in parts, and what they leave open."""

    def test_parts_give_what_all_equations_give(self, rng):
        rows, exact = rng.normal(size=(40, 4)), np.array([1.0, -2e3, 0.5, 7.0])
        noise = 1e-3 * rng.normal(size=40)
        system = LeastSquares(4)
        for part in np.split(np.arange(40), [1, 3, 20]):
            system.add(rows[part], (rows @ exact + noise)[part])
        found = system.solve()
        expected, squares, *_ = np.linalg.lstsq(rows, rows @ exact + noise)
        np.testing.assert_allclose(found.values, expected, atol=1e-10)
        covariance = squares[0] / 36 * np.linalg.inv(rows.T @ rows)
        np.testing.assert_allclose(
            found.uncertainties, np.sqrt(np.diag(covariance)), rtol=1e-7
        )
        assert (found.n_rows, len(found.null)) == (40, 0)

    def test_nearly_equal_compositions_keep_their_digits(self):
        """Normal equations would lose the second unknown altogether."""
        rows = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-6], [1.0, 1.0 - 1e-6]])
        system = LeastSquares(2)
        system.add(rows, rows @ [3.0, -5.0])
        np.testing.assert_allclose(system.solve().values, [3.0, -5.0], atol=1e-7)

    @pytest.mark.parametrize(
        ("rows", "said", "free"),
        [
            ([[1.0, 1.0, 0.0]], ["A - B", "C"], "ABC"),
            ([[1 / 3, 2 / 3, 0.0], [0.0, 0.0, 1.0]], ["2 A - B"], "AB"),
            ([[0.25, 0.25, 0.5]], ["2 A - C", "2 B - C"], "ABC"),
            ([[1.0, 0, 0], [0, 1.0, 0], [1.0, 1.0, 1.0]], [], ""),
        ],
    )
    def test_what_is_left_open_is_named(self, rows, said, free):
        system = LeastSquares(3)
        system.add(np.array(rows), np.ones(len(rows)))
        found = system.solve()
        assert found.combinations("ABC") == said
        assert found.free("ABC") == list(free)
        open_ = [name in free for name in "ABC"]
        assert np.isinf(found.uncertainties[open_]).all()

    def test_nothing_is_known_without_equations(self):
        found = LeastSquares(2).solve()
        assert found.combinations("AB") == ["A", "B"]


def test_compositions_that_are_not_independent_are_named_in_words():
    frames = [frame("HHO"), frame("HHOHHO"), frame("C")]
    with pytest.raises(DataError, match=r"atoms H, O;.*free to change: H - 2 O"):
        reference_energies(frames, head="h")


def test_the_foundation_fills_in_where_it_is_named_before_the_fit():
    frames = [frame("O"), frame("CO", binding=-11.0), frame("CHHHH")]
    found = by_element(
        reference_energies(
            frames,
            head="h",
            sources=("isolated", "foundation", "fit"),
            foundation={"C": -1000.0, "O": -1.0},
        )
    )
    assert found["O"] == (PLANTED["O"], "isolated atom")
    assert found["C"] == (-1000.0, "foundation")
    expected = PLANTED["H"] + (PLANTED["C"] + 1000.0) / 4
    assert found["H"][0] == pytest.approx(expected)
    assert found["H"][1] == "fit"


def test_the_foundation_settles_what_the_fit_leaves_open():
    frames = [frame("HHO", binding=-9.0), frame("HHOHHO", binding=-18.0), frame("CC")]
    foundation = {"H": PLANTED["H"], "O": PLANTED["O"]}
    found = by_element(
        reference_energies(
            frames,
            head="h",
            sources=("isolated", "fit", "foundation"),
            foundation=foundation,
        )
    )
    assert {k: origin for k, (_, origin) in found.items()} == {
        "H": "fit (minimum norm)",
        "C": "fit",
        "O": "fit (minimum norm)",
    }
    total = 2 * found["H"][0] + found["O"][0]
    assert total == pytest.approx(2 * PLANTED["H"] + PLANTED["O"] - 9.0)
    assert found["C"][0] == pytest.approx(PLANTED["C"])


@pytest.mark.parametrize(
    ("sources", "foundation", "said"),
    [
        (("isolated",), {}, "no source knows the free atoms C, O"),
        (("isolated", "foundation"), {"C": -1.0}, "no source knows the free atoms O"),
        (("isolated", "fit", "foundation"), {"C": -1.0}, "free atoms O"),
    ],
)
def test_an_element_that_no_source_knows_is_refused(sources, foundation, said):
    with pytest.raises(DataError, match=said):
        reference_energies(
            [frame("CO"), frame("H")],
            head="h",
            sources=sources,
            foundation=foundation,
        )


def test_frames_become_equations_in_parts(monkeypatch):
    formulas = ["HH", "HHO", "CO", "COO", "CHHHH", "H", "OO"]
    binding = list(np.linspace(-1, 1, len(formulas)))
    frames = [frame(f) for f in formulas]
    whole = reference_energies(frames, head="h", interaction=binding)
    monkeypatch.setattr(references, "CHUNK", 2)
    parts = reference_energies(frames, head="h", interaction=binding)
    for a, b in zip(whole, parts, strict=True):
        assert a.energy == pytest.approx(b.energy, abs=1e-8)
        assert a.uncertainty == pytest.approx(b.uncertainty, rel=1e-6, abs=1e-9)


def head(**changes):
    return HeadData(name="pbe", level="PBE", files=(Path("x"),), **changes)


def test_the_foundation_is_the_head_of_another_potential(base, data_file):
    frames = read_frames(data_file(n=2))[2:]
    settings = head(
        reference_sources=("isolated", "foundation"),
        reference_model=base,
        reference_head="hot",
    )
    (fitted,) = fit_heads([settings], {"pbe": frames})
    expected = read_header(base).config.head("hot").reference_energies
    assert fitted.spec.reference_energies == dict(expected)
    assert {r.origin for r in fitted.references} == {"foundation"}
    assert fitted.spec.learnt == {
        "energy": 1.0,
        "forces": 1.0,
        "stress": 1.0,
        "hessian": 1.0,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "takes E0 from a foundation that it does not name"),
        ({"reference_model": "base", "reference_head": "x"}, "'pbe', 'hot'"),
        ({"reference_model": "base"}, "a head must be named"),
    ],
)
def test_a_foundation_that_is_not_there_is_refused(base, changes, said, data_file):
    if "reference_model" in changes:
        changes = {**changes, "reference_model": base}
    settings = head(reference_sources=("foundation",), **changes)
    with pytest.raises(ConfigError, match=said):
        fit_heads([settings], {"pbe": read_frames(data_file(n=1))})


@pytest.mark.parametrize("sources", [(), ("fit", "fit")])
def test_sources_are_named_once(sources):
    with pytest.raises(ConfigError, match="reference_sources"):
        head(reference_sources=sources)


def test_a_new_head_takes_its_atoms_from_the_one_it_starts_from(base, data_file):
    potential = load_potential(base)
    frames = read_frames(data_file(n=2))
    new = NewHead(
        name="new",
        level="NEW",
        files=(Path("x"),),
        start_from="hot",
        reference_sources=("foundation",),
        properties=("energy", "forces"),
        forces_weight=3.0,
        weight=2.0,
    )
    spec = fit_new_head(new, frames, potential).spec
    hot = potential.config.head("hot")
    assert dict(spec.reference_energies) == dict(hot.reference_energies)
    assert (spec.scale, spec.shift) == (hot.scale, hot.shift)
    assert spec.learnt == {"energy": 2.0, "forces": 6.0}


def test_interaction_energies_of_many_equal_those_of_each(base, data_file, monkeypatch):
    potential = load_potential(base)
    frames = read_frames(data_file(n=4))
    single = [
        predict(
            potential,
            make_batch(make_items([f], potential.config, as_head="hot")).graph,
        )
        .interaction_energy.detach()
        .item()
        for f in frames
    ]
    many = interaction_energies(potential, frames, "hot")
    np.testing.assert_allclose(many, single, atol=1e-12)
    monkeypatch.setattr("lamplighter.train.new_heads.MOST_PAIRS", 100)
    np.testing.assert_allclose(
        interaction_energies(potential, frames, "hot"), single, atol=1e-12
    )


class TestTrainedBias:
    """A correction of E0 that is trained, kept, resumed, and folded into E0."""

    @pytest.fixture
    def config(self, tiny_config):
        """Head pbe starts from wrong atoms and may correct them; hot may not."""
        wrong = {"O": -10.6, "Mg": -20.4}
        bias = BiasSettings(trainable=True, prior=0.5)
        pbe, hot = tiny_config.heads
        return dataclasses.replace(
            tiny_config,
            heads=(
                dataclasses.replace(pbe, reference_energies=wrong, reference_bias=bias),
                dataclasses.replace(hot, properties=("energy", "forces"), weight=2.0),
            ),
        )

    def test_it_moves_towards_the_data_and_ends_in_e0(self, config):
        config = dataclasses.replace(
            config,
            optimizer=dataclasses.replace(
                config.optimizer, learning_rate=0.04, schedule="constant"
            ),
            run=dataclasses.replace(
                config.run, max_steps=40, validate_every=40, selection="last"
            ),
        )
        result = train(config)
        header = read_header(result.model)
        pbe, hot = header.config.heads
        assert -10.5 < pbe.reference_energies["O"] < -9.0
        assert -20.3 < pbe.reference_energies["Mg"] < -19.0
        assert dict(hot.reference_energies) == pytest.approx({"O": -15.0, "Mg": -30.0})
        assert "reference_bias.weight" not in load_potential(result.model).state_dict()
        assert hot.learnt == {"energy": 2.0, "forces": 2.0}

    def test_an_interrupted_run_resumes_with_it(self, config, tmp_path):
        from lamplighter.train.loop import Trainer
        from lamplighter.train.prepare import prepare
        from lamplighter.train.stopping import StopFlag, TrainingInterruptedError
        from lamplighter.train.training import build_job

        few = dataclasses.replace(config.run, max_steps=4)
        config = dataclasses.replace(config, run=few)
        whole = train(dataclasses.replace(config, output=tmp_path / "whole"))
        job, _ = build_job(config, prepare(config.heads, config.split, config.limits))
        config.output.mkdir()
        stop = StopFlag()
        stop.reason = "the test"
        with pytest.raises(TrainingInterruptedError):
            Trainer(job).run(stop)
        resumed = train(config)
        first, second = (read_header(r.model).config for r in (whole, resumed))
        assert first.heads == second.heads
        a, b = (load_potential(r.model).state_dict() for r in (whole, resumed))
        assert all(torch.equal(a[name], b[name]) for name in a)

    def test_only_known_elements_of_heads_that_ask_are_corrected(self, base):
        potential = load_potential(base)
        asking = head(reference_bias=BiasSettings(trainable=True, prior=0.5))
        train_reference_bias(potential, [asking])
        width = potential.reference_bias.width
        assert width.tolist() == [[0.5, 0.5], [0.0, 0.0]]

    @pytest.mark.parametrize("values", [{"prior": 0.0}, {"strength": -1.0}])
    def test_senseless_settings_are_refused(self, values):
        with pytest.raises(ConfigError, match="reference_bias"):
            BiasSettings(**values)


def test_frozen_heads_do_not_move_and_the_others_do(base, data_file):
    potential = load_potential(base).requires_grad_(requires_grad=True)
    before = {k: v.clone() for k, v in potential.state_dict().items()}
    freeze_heads(potential, ["pbe"])
    optimizer = torch.optim.AdamW(
        [p for p in potential.parameters() if p.requires_grad],
        lr=0.01,
        weight_decay=0.5,
    )
    batch = make_batch(make_items(read_frames(data_file(n=2)), potential.config))
    for _ in range(2):
        optimizer.zero_grad()
        predict(potential, batch.graph, training=True).forces.square().sum().backward()
        optimizer.step()
    after = merged(potential).state_dict()
    assert not torch.equal(after["embedding"], before["embedding"])
    for name in (k for k in before if k.startswith("readouts.")):
        assert torch.equal(after[name][0], before[name][0])
        assert not torch.equal(after[name][1], before[name][1])


def test_an_unknown_head_is_not_frozen(base):
    with pytest.raises(ConfigError, match="'pbe', 'hot'"):
        freeze_heads(load_potential(base), ["scan"])


def test_a_fit_without_an_equation_to_spare_is_uncertain():
    found = reference_energies([frame("CO", binding=-1.0), frame("O")], head="h")
    assert math.isinf(found[0].uncertainty)
