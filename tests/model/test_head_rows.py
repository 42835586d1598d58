"""Heads as modules: what is kept stays to the bit, what is unknown is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lamplighter.errors import ConfigError
from lamplighter.model import (
    Calculator,
    HeadSpec,
    Potential,
    evaluate,
    graph_from_atoms,
    potential_from_bytes,
    potential_to_bytes,
    select,
)
from lamplighter.model.head_rows import (
    add_heads,
    copy_head,
    describe_head,
    drop_heads,
    fold_reference_bias,
    head_rows,
    initialise_head,
    order_heads,
    rename_heads,
)
from lamplighter.model.mace_import import import_mace
from lamplighter.model.reference_bias import ReferenceBias

MH1 = ("r2scan", "mp", "spice", "oc20", "omol", "omat")


def same(first, second, atoms, heads):
    """Whether all heads, some under new names, give the same bits."""
    for old, new in heads.items():
        (a,) = evaluate(first, [atoms], old)
        (b,) = evaluate(second, [atoms], new)
        np.testing.assert_array_equal(a.energies, b.energies)
        np.testing.assert_array_equal(a.forces, b.forces)
        np.testing.assert_array_equal(a.stress, b.stress)


@pytest.fixture(scope="module")
def six(checkpoint):
    """A checkpoint of mace-torch like MACE-MH-1, as six heads with MH-1's names."""
    potential = import_mace(checkpoint("mh1-narrow-old")).potential
    return rename_heads(potential, dict(zip(_names(potential), MH1, strict=True)))


def _names(potential):
    return [head.name for head in potential.config.heads]


@pytest.fixture
def cell(crystal, six):
    """A structure of elements that all six heads know."""
    known = six.config.elements
    atoms = crystal.copy()
    atoms.symbols[:] = [known[k % len(known)] for k in range(len(atoms))]
    return atoms


def test_a_seventh_head_leaves_the_six_to_the_bit(six, cell):
    assert tuple(_names(six)) == MH1
    spec = dataclasses.replace(
        six.config.head("omat"), name="mine", level_of_theory="SCAN", scale=0.3
    )
    seven = add_heads(six, [(spec, "omat")])
    assert _names(seven) == [*_names(six), "mine"]
    same(six, seven, cell, {name: name for name in MH1})
    before, after = (potential_from_bytes(potential_to_bytes(p)) for p in (six, seven))
    same(before, after, cell, {name: name for name in MH1})
    back = drop_heads(seven, ["mine"])
    same(six, back, cell, {name: name for name in MH1})
    energies = {head: next(evaluate(six, [cell], head)).energies.sum() for head in MH1}
    assert len({round(e, 6) for e in energies.values()}) == 6  # no two heads agree


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda p: copy_head(p, "pbe", "twin"), {"pbe": "pbe", "other": "other"}),
        (lambda p: drop_heads(p, ["pbe"]), {"other": "other"}),
        (lambda p: rename_heads(p, {"pbe": "PBE"}), {"pbe": "PBE", "other": "other"}),
        (
            lambda p: rename_heads(p, {"pbe": "other", "other": "pbe"}),
            {"pbe": "other", "other": "pbe"},
        ),
        (lambda p: order_heads(p, ["other", "pbe"]), {"pbe": "pbe", "other": "other"}),
        (lambda p: initialise_head(p, "pbe", seed=5), {"other": "other"}),
        (
            lambda p: describe_head(p, "pbe", licence="MIT", dispersion="d3bj:pbe"),
            {"pbe": "pbe", "other": "other"},
        ),
    ],
)
def test_kept_heads_stay_to_the_bit(potential, crystal, change, names):
    changed = change(potential)
    same(potential, changed, crystal, names)
    assert not changed.training
    before, after = (
        potential_from_bytes(potential_to_bytes(p)) for p in (potential, changed)
    )
    same(before, after, crystal, names)


@pytest.mark.parametrize("readout", ["mlp", "biased_mlp", "linear"])
def test_the_number_of_heads_changes_no_bit(make_potential, crystal, readout):
    """So wide that heads summed together would be split differently."""
    potential = make_potential(channels=64, readout_hidden=16, last_readout=readout)
    many = potential
    for k in range(5):
        many = initialise_head(copy_head(many, "pbe", f"{k}"), f"{k}", seed=k)
    shuffled = order_heads(many, ["2", "other", "0", "1", "pbe", "4", "3"])
    both = {"pbe": "pbe", "other": "other"}
    for changed in (many, shuffled, drop_heads(shuffled, ["0", "2"])):
        same(potential, changed, crystal, both)
    same(
        potential,
        drop_heads(shuffled, ["0", "1", "2", "3", "4", "pbe"]),
        crystal,
        {"other": "other"},
    )


def test_a_copy_is_the_head_under_another_name(potential, crystal):
    twin = copy_head(potential, "other", "twin")
    same(potential, twin, crystal, {"other": "twin"})
    spec = twin.config.head("twin")
    assert dataclasses.replace(spec, name="other") == potential.config.head("other")


def test_a_head_that_starts_anew_depends_on_the_seed_alone(potential, crystal):
    first, again, another = (
        initialise_head(potential, "pbe", seed=seed) for seed in (5, 5, 6)
    )
    same(first, again, crystal, {"pbe": "pbe"})
    for name, value in head_rows(first, "pbe").items():
        assert not torch.equal(value, head_rows(potential, "pbe")[name])
        assert not torch.equal(value, head_rows(another, "pbe")[name])


def test_rows_of_a_head_are_all_that_differs(potential):
    rows = head_rows(potential, "other")
    assert set(rows) == {
        "readouts.0.weight",
        "readouts.1.first",
        "readouts.1.second",
    }
    state = potential.state_dict()
    assert all(torch.equal(value, state[name][1]) for name, value in rows.items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: copy_head(p, "scan", "x"), "'scan'.*one of 'pbe', 'other'"),
        (lambda p: copy_head(p, "pbe", "other"), "each name once"),
        (lambda p: drop_heads(p, ["scan"]), "one of 'pbe', 'other'"),
        (lambda p: drop_heads(p, ["pbe", "pbe"]), "named twice"),
        (lambda p: drop_heads(p, ["pbe", "other"]), "needs a head"),
        (lambda p: rename_heads(p, {"scan": "x"}), "one of 'pbe', 'other'"),
        (lambda p: rename_heads(p, {"pbe": "other"}), "each name once"),
        (lambda p: order_heads(p, ["pbe"]), "no other"),
        (lambda p: order_heads(p, ["pbe", "scan"]), "one of 'pbe', 'other'"),
        (lambda p: initialise_head(p, "scan", seed=1), "one of 'pbe', 'other'"),
        (lambda p: describe_head(p, "scan", licence=""), "one of 'pbe', 'other'"),
        (lambda p: describe_head(p, "pbe", scale=2.0), "not a description"),
        (lambda p: describe_head(p, "pbe", dispersion="d3"), "d3bj:pbe"),
        (lambda p: head_rows(p, None), "must be named"),
    ],
)
def test_what_is_unknown_is_refused(potential, change, said):
    with pytest.raises(ConfigError, match=said):
        change(potential)


def test_an_element_that_a_head_lacks_never_has_the_energy_zero(crystal, make_config):
    """Neither in a structure that asks for it, nor behind the back of the check."""
    known = HeadSpec(
        name="pbe",
        level_of_theory="PBE",
        reference_energies={"O": -3.0, "Mg": -4.0},
    )
    config = make_config()
    potential = Potential(
        dataclasses.replace(config, heads=(known, config.heads[1]))
    ).double()
    with pytest.raises(ConfigError, match=r"(?s)pbe.*H"):
        Calculator(potential, "pbe").get_potential_energy(crystal)
    graph_of_other = _graph(potential, crystal, "other")
    heads = torch.zeros_like(graph_of_other.heads)
    sneaked = dataclasses.replace(graph_of_other, heads=heads)
    assert potential.reference_energies(sneaked).isnan().sum() == 1
    with pytest.raises(ConfigError, match=r"(?s)cannot select.*H"):
        select(potential, "pbe", ["H", "O"])


def _graph(potential, atoms, head):
    return graph_from_atoms(atoms, potential.config, head)


class TestReferenceBias:
    """The trained correction of E0, as part of a potential."""

    @pytest.fixture
    def biased(self, make_potential):
        """A potential whose head pbe has been corrected for O."""
        potential = make_potential()
        width = torch.zeros(2, 3, dtype=torch.float64)
        width[0] = 0.2
        bias = ReferenceBias(width, torch.tensor([3.0, 0.0], dtype=torch.float64))
        with torch.no_grad():
            bias.weight[0, 1] = 0.5
        potential.reference_bias = bias
        return potential

    def test_it_is_added_to_every_atom_of_its_head(self, biased, potential, crystal):
        (plain,) = evaluate(potential, [crystal], "pbe")
        (found,) = evaluate(biased, [crystal], "pbe")
        expected = plain.energies + 0.1 * (crystal.numbers == 8)
        np.testing.assert_allclose(found.energies, expected, rtol=1e-13)
        np.testing.assert_array_equal(found.forces, plain.forces)
        same(biased, potential, crystal, {"other": "other"})

    @pytest.mark.parametrize(
        "fold",
        [
            fold_reference_bias,
            lambda p: potential_from_bytes(potential_to_bytes(p)),
            lambda p: order_heads(p, ["other", "pbe"]),
            lambda p: drop_heads(copy_head(p, "pbe", "x"), ["x"]),
        ],
    )
    def test_folding_it_into_e0_changes_no_number(self, biased, crystal, fold):
        plain = fold(biased)
        assert "reference_bias.weight" not in plain.state_dict()
        assert plain.config.head("pbe").reference_energies == pytest.approx(
            {"H": -1.0, "O": -2.9, "Mg": -4.0}, abs=1e-15
        )
        for head in ("pbe", "other"):
            (a,) = evaluate(biased, [crystal], head)
            (b,) = evaluate(plain, [crystal], head)
            np.testing.assert_allclose(a.energies, b.energies, atol=1e-13)
            np.testing.assert_allclose(a.forces, b.forces, atol=1e-14)

    def test_its_prior_is_the_sum_of_squares_in_units_of_the_width(self, biased):
        assert biased.reference_bias.prior().item() == pytest.approx(3.0 * 0.25 / 2)
