"""The declared rule over heads that chooses the weights of a run."""

from __future__ import annotations

import numpy as np
import pytest

from lamplighter.errors import ConfigError
from lamplighter.train.config import RunSettings
from lamplighter.train.errors_table import error_row
from lamplighter.train.selection import (
    check_patterns,
    check_scores,
    head_score,
    head_weight,
    total_score,
)
from lamplighter.train.stopping import TrainingDivergedError


def _rows():
    """Scores 1 and 3 with targets of 10 meV/atom: no forces, so energies alone."""
    return {
        head: error_row(
            head=head,
            config_type="all",
            energy=np.array([error, -error]),
            forces=np.empty(0),
            reference_forces=np.empty(0),
            stress=np.empty(0),
        )
        for head, error in (("pbe", 0.01), ("scan", 0.03))
    }


@pytest.mark.parametrize(
    ("selection", "heads", "score"),
    [
        ("mean", {}, 2.0),
        ("worst", {}, 3.0),
        ("mean", {"*": 1.0}, 2.0),
        ("mean", {"pbe": 3.0, "*": 1.0}, 1.5),
        ("mean", {"scan": 2.0}, 3.0),
        ("worst", {"pbe": 5.0, "scan": 1.0}, 5.0),
    ],
)
def test_heads_count_as_declared(selection, heads, score):
    run = RunSettings(selection=selection, selection_heads=heads, energy_target=0.01)
    scores = {head: head_score(row, run) for head, row in _rows().items()}
    assert total_score(scores, run) == pytest.approx(score)


def test_the_first_pattern_that_fits_counts():
    run = RunSettings(selection_heads={"p*": 3.0, "*": 1.0})
    assert [head_weight(h, run) for h in ("pbe", "scan")] == [3.0, 1.0]
    only = RunSettings(selection_heads={"p*": 3.0})
    assert head_weight("scan", only) == 0.0
    assert head_weight("scan", RunSettings()) == 1.0


def test_a_score_is_in_targets():
    run = RunSettings(energy_target=0.02)
    assert head_score(_rows()["pbe"], run) == pytest.approx(0.5)


def test_a_pattern_without_a_head_is_refused():
    run = RunSettings(selection_heads={"pbe": 1.0, "scna": 1.0})
    with pytest.raises(ConfigError, match=r"not validated; got: 'scna'.*pbe, scan"):
        check_patterns(run, {"pbe", "scan"})


def test_a_weight_of_zero_is_refused():
    with pytest.raises(ConfigError, match="selection_heads: pbe; got: 0"):
        RunSettings(selection_heads={"pbe": 0.0})


def test_a_head_is_scored_by_what_it_learns():
    run = RunSettings(energy_target=0.01, force_target=0.05)
    row = error_row(
        head="pbe",
        config_type="all",
        energy=np.array([0.04, -0.04]),
        forces=np.full(6, 0.1),
        reference_forces=np.ones(6),
        stress=np.empty(0),
    )
    assert head_score(row, run) == pytest.approx((4.0 + 2.0) / 2)
    assert head_score(row, run, ["energy", "forces"]) == pytest.approx(3.0)
    assert head_score(row, run, ["forces", "stress"]) == pytest.approx(2.0)
    assert head_score(row, run, ["energy"]) == pytest.approx(4.0)
    assert head_score(row, run, ["stress"]) == pytest.approx(3.0)


def test_scores_that_are_no_numbers_end_a_run():
    check_scores({"pbe": 1.0}, step=4, kept="here")
    with pytest.raises(TrainingDivergedError, match=r"of scan, hot are not.*step 4.*h"):
        check_scores(
            {"pbe": 1.0, "scan": float("nan"), "hot": float("inf")}, step=4, kept="here"
        )
