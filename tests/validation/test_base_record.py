"""The record of a property: round trip, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamplighter.errors import DataError
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
    status_of,
)

INFO = EngineInfo(kind="ase", name="emt", model="EMT", extra={"threads": "1"})


def example(checks: list[Check]) -> PropertyResult:
    return PropertyResult.conclude(
        "bulk",
        "Cu",
        INFO,
        method={"points": 11, "span": 0.06},
        values={"a": Quantity(value=3.61, unit="Å", error=1e-4)},
        arrays={"volume": np.linspace(10.0, 12.0, 3), "label": ["G", "X"]},
        checks=checks,
    )


def test_json_round_trip_is_exact(tmp_path):
    result = example([at_most("residual", 0.1 + 0.2, 1.0, "eV/Å")])
    path = result.save(tmp_path / "bulk.json")
    assert PropertyResult.load(path) == result
    assert result.status == "ok"
    assert result.values["a"].value == 3.61


def test_a_failed_hard_check_leaves_no_number_but_keeps_arrays():
    result = example([at_most("converged", math.nan, 1.0)])
    assert result.status == "invalid"
    assert result.values == {}
    assert result.arrays["volume"] == [10.0, 11.0, 12.0]
    assert [check.name for check in result.failed()] == ["converged"]
    assert PropertyResult.from_json(result.to_json()).status == "invalid"


def test_a_failed_soft_check_warns():
    result = example([at_least("r2", 0.9, 0.99, hard=False)])
    assert result.status == "warn"
    assert result.values


def test_status_prefers_the_worse():
    soft = Check(name="s", ok=False, hard=False)
    hard = Check(name="h", ok=False)
    assert status_of([]) == "ok"
    assert status_of([soft]) == "warn"
    assert status_of([soft, hard]) == "invalid"


def test_a_failure_cannot_be_hidden():
    with pytest.raises(DataError, match="failed a hard check"):
        PropertyResult(
            property="bulk",
            material="Cu",
            engine=INFO,
            checks=[Check(name="converged", ok=False)],
            status="ok",
        )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_quantity_refuses_what_is_not_finite(value):
    with pytest.raises(DataError, match="must be finite"):
        Quantity(value=value, unit="GPa")


def test_unknown_status_and_schema_are_refused():
    with pytest.raises(DataError, match="unknown status"):
        PropertyResult(property="p", material="m", engine=INFO, status="good")
    record = example([]).to_dict() | {"schema": 99}
    with pytest.raises(DataError, match="another schema"):
        PropertyResult.from_dict(record)
    with pytest.raises(DataError, match="not a property record"):
        PropertyResult.from_json("{")
