"""Error tables and the learning curve say what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamplighter.train.config import RunSettings
from lamplighter.train.errors_table import ErrorTable, error_row
from lamplighter.train.report import plot_learning_curve
from lamplighter.train.selection import head_score, total_score

NONE = np.empty(0)


def _row(head="pbe", energy=0.002, forces=0.05, reference=1.0, stress=0.01):
    return error_row(
        head=head,
        config_type="all",
        energy=np.array([energy, -energy]),
        forces=np.array([forces, -forces, forces]),
        reference_forces=np.full(3, reference),
        stress=np.array([stress]),
    )


def test_rows_have_the_units_of_their_names():
    row = _row()
    assert row.energy_rmse == pytest.approx(2.0)
    assert row.force_rmse == pytest.approx(50.0)
    assert row.force_percent == pytest.approx(5.0)
    assert row.stress_rmse == pytest.approx(1.602176634)


def test_absent_labels_give_no_number():
    row = error_row(
        head="pbe",
        config_type="atoms",
        energy=np.array([0.1]),
        forces=NONE,
        reference_forces=NONE,
        stress=NONE,
    )
    assert row.force_rmse is None
    assert row.force_percent is None
    assert row.stress_rmse is None
    assert ErrorTable(rows=(row,)).cells()[0][6:] == ["-"] * 8


def test_structures_at_rest_have_no_percent():
    assert _row(reference=0.001).force_percent is None


def test_the_text_is_aligned():
    text = ErrorTable(rows=(_row(), _row(head="a-longer-name"))).text()
    header, units, first, second = text.splitlines()
    assert header.index("config_type") == first.index("all") == second.index("all")
    assert header.split()[3:6] == ["E", "mae", "E"]
    assert units.split()[:3] == ["meV/atom"] * 3


def test_targets_score_one():
    settings = RunSettings(force_target=0.05, energy_target=0.002)
    assert head_score(_row(), settings) == pytest.approx(1.0)
    rows = {"a": _row("a"), "b": _row("b", energy=0.006, forces=0.15)}
    scores = {name: head_score(row, settings) for name, row in rows.items()}
    assert scores["b"] == pytest.approx(3.0)
    assert total_score(scores, settings) == pytest.approx(2.0)
    worst = RunSettings(force_target=0.05, energy_target=0.002, selection="worst")
    assert total_score(scores, worst) == pytest.approx(3.0)


@pytest.mark.parametrize("events", [(), ("train",), ("train", "validation", "end")])
def test_the_learning_curve_is_drawn_from_what_there_is(tmp_path, events):
    train = {"event": "train", "energy": 1.0, "forces": 2.0, "stress": 0.0}
    heads = {
        "pbe": {"force_percent": 4.0, "energy_rmse": 3.0},
        "atoms": {"force_percent": None, "energy_rmse": 1.0},
    }
    records = [
        *({**train, "step": s} for s in (10, 20)),
        *({"event": "validation", "step": s, "heads": heads} for s in (0, 20)),
        {"event": "end", "step": 20, "best_step": 20},
    ]
    path = tmp_path / "curve.png"
    plot_learning_curve([r for r in records if r["event"] in events], path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_group_has_no_energy_error():
    row = error_row(
        head="x",
        config_type="all",
        energy=NONE,
        forces=NONE,
        reference_forces=NONE,
        stress=NONE,
    )
    assert math.isnan(row.energy_rmse)
    assert ErrorTable(rows=(row,)).cells()[0][3] == "-"
