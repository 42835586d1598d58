"""The declared rule over heads that chooses the weights of a run."""

from __future__ import annotations

import numpy as np
import pytest

from lamplighter.errors import ConfigError
from lamplighter.train.config import RunSettings
from lamplighter.train.errors_table import error_row
from lamplighter.train.selection import (
    check_patterns,
    head_score,
    head_weight,
    total_score,
)


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
    assert total_score(_rows(), run) == pytest.approx(score)


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
