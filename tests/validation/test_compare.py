"""The verdict on a number: which references count, and how much is allowed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.compare import (
    Threshold,
    compare,
    default_thresholds,
    load_thresholds,
    threshold_for,
    worst,
)
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import Check, PropertyResult, Quantity
from lamplighter.validation.refs import Level, load_references
from lamplighter.validation.refs.loader import ReferenceValue, Source
from lamplighter.validation.suite import suite_from_mapping
from lamplighter.validation.suite_text import suite_to_mapping
from lamplighter.validation.thresholds import with_defaults


def reference(**updates):
    return replace(
        ReferenceValue(
            quantity="lattice_constant",
            material="MgO",
            structure="rocksalt",
            space_group=225,
            value=4.0,
            unit="Å",
            level=Level(kind="dft", functional="PBE"),
            source=Source(text="somebody"),
            licence="fact",
            obtained="quoted",
            verified=True,
        ),
        **updates,
    )


def result(value=4.0, *, quantity="lattice_constant", unit="Å", level="PBE", checks=()):
    info = EngineInfo(
        kind="ase", name="ase", model="m", extra={"level_of_theory": level}
    )
    return PropertyResult.conclude(
        "bulk",
        "MgO",
        info,
        method={},
        checks=list(checks),
        values={quantity: Quantity(value=value, unit=unit)},
    )


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (4.0, "pass"),
        (4.019, "pass"),
        (3.981, "pass"),
        (4.021, "warn"),
        (4.039, "warn"),
        (4.041, "fail"),
        (3.959, "fail"),
    ],
)
def test_lattice_constant_may_be_off_by_one_percent(value, verdict):
    (found,) = compare(result(value), [reference()])
    assert found.verdict == verdict
    assert found.delta == pytest.approx(value - 4.0)
    assert found.relative == pytest.approx(value / 4.0 - 1)
    assert found.tolerance == pytest.approx(0.04)
    assert found.tolerance_text == "±1 %"


@pytest.mark.parametrize(
    ("quantity", "limit"),
    [
        ("lattice_constant", 0.01),
        ("bulk_modulus", 0.15),
        ("frequency_Gamma_TO", 0.10),
        ("frequency_X_1", 0.10),
        ("frequency_L_3", 0.10),
        ("surface_energy_100", 0.25),
    ],
)
def test_built_in_limits_are_those_of_the_first_release(quantity, limit):
    threshold = threshold_for(quantity)
    assert threshold is not None
    assert threshold.kind == "relative"
    assert threshold.fail == limit


def test_every_primary_reference_has_a_threshold():
    for record in load_references("MgO"):
        if record.role == "primary":
            assert threshold_for(record.quantity) is not None, record.quantity


def test_another_functional_an_experiment_and_a_second_source_only_inform():
    records = [
        reference(level=Level(kind="dft", functional="PBEsol")),
        reference(level=Level(kind="experiment", temperature_K=300.0)),
        reference(role="secondary"),
    ]
    found = compare(result(9.0), records)
    assert [item.verdict for item in found] == ["info"] * 3
    assert found[0].note == "the model is PBE, the reference PBEsol"
    assert found[1].note == "an experiment: for information"
    assert found[2].note == "stands beside the primary reference"
    assert all(item.tolerance is None for item in found)
    assert worst(found) == "info"


def test_each_head_is_held_against_its_own_functional():
    records = load_references("MgO")
    for level, value in (("PBE", 4.255), ("PBEsol", 4.2194), ("r2SCAN", 4.2125)):
        found = compare(result(4.2, level=level), records)
        (judged,) = [item for item in found if item.verdict != "info"]
        assert judged.reference.value == value


def test_without_a_level_of_theory_nothing_is_judged():
    (found,) = compare(result(9.0, level=""), [reference()])
    assert (found.verdict, found.note) == (
        "info",
        "the model's level of theory is not known",
    )
    (found,) = compare(result(9.0, level=""), [reference()], level_of_theory="pbe")
    assert found.verdict == "fail"


def test_unverified_reference_says_so():
    (found,) = compare(result(), [reference(verified=False)])
    assert (found.verdict, found.note) == ("pass", "the reference is not verified")


def test_quantity_without_a_threshold_informs():
    found = compare(
        result(quantity="colour", unit=""), [reference(quantity="colour", unit="")]
    )
    assert found[0].verdict == "info"
    assert found[0].note == "no threshold for this quantity"


def test_other_materials_and_quantities_are_left_out():
    records = [reference(material="NaCl"), reference(quantity="bulk_modulus")]
    assert compare(result(), records) == []


def test_invalid_result_fails_with_the_reason():
    broken = Check(name="relaxation", ok=False, text="not converged in 300 steps")
    records = [
        reference(),
        reference(role="secondary"),
        reference(quantity="frequency_X_1"),
        reference(level=Level(kind="experiment")),
    ]
    (found,) = compare(result(checks=[broken]), records)
    assert found.verdict == "fail"
    assert found.value is None
    assert found.note == "invalid bulk calculation: not converged in 300 steps"
    assert worst([found]) == "fail"


def test_a_soft_check_does_not_hide_the_numbers():
    soft = Check(name="thickness", ok=False, hard=False)
    (found,) = compare(result(checks=[soft]), [reference()])
    assert found.verdict == "pass"


def test_units_must_agree():
    with pytest.raises(DataError, match="units of lattice_constant differ; got: nm"):
        compare(result(unit="nm"), [reference()])


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0, "pass"), (5.0, "pass"), (-0.04, "pass"), (-0.3, "fail")],
)
def test_imaginary_modes_fail_where_the_reference_has_none(value, verdict):
    record = reference(quantity="frequency_lowest", value=0.0, unit="THz")
    (found,) = compare(result(value, quantity="frequency_lowest", unit="THz"), [record])
    assert found.verdict == verdict
    assert found.relative is None


def test_own_thresholds_replace_the_built_in_ones():
    loose = Threshold(quantity="lattice*", kind="absolute", warn=1.0, fail=2.0)
    (found,) = compare(result(5.5), [reference()], [loose])
    assert (found.verdict, found.tolerance_text) == ("warn", "±2 Å")


def own(**updates):
    given = {"quantity": "*", "kind": "relative", "warn": 0.001, "fail": 0.002}
    return Threshold(**(given | updates))


@pytest.mark.parametrize(
    ("scope", "value", "verdict"),
    [
        ({}, 4.01, "fail"),
        ({"head": "pbe"}, 4.01, "fail"),
        ({"head": "r2scan"}, 4.01, "pass"),
        ({"head": "p*", "family": "bulk", "material": "MgO"}, 4.01, "fail"),
        ({"family": "elastic"}, 4.01, "pass"),
        ({"material": "NaCl"}, 4.01, "pass"),
    ],
)
def test_limits_of_one_head_family_or_material(scope, value, verdict):
    info = EngineInfo(kind="ase", name="ase", model="m", head="pbe")
    given = replace(result(value), engine=info)
    limits = with_defaults([own(**scope)])
    (found,) = compare(given, [reference()], limits, level_of_theory="PBE")
    assert found.verdict == verdict
    assert found.threshold.origin == ("" if verdict == "fail" else "built in")


def test_a_floor_keeps_small_references_from_tight_limits():
    stiffness = threshold_for("C44")
    assert stiffness.limits(160.0) == (16.0, 40.0)
    assert stiffness.limits(2.0) == (1.0, 3.0)
    assert stiffness.both("GPa", 160.0) == "±10 / 25 %"
    assert stiffness.both("GPa", 2.0) == "±1 / 3 GPa"
    assert threshold_for("C44").scope() == "all"
    assert own(head="pbe", family="elastic").scope() == "head pbe, family elastic"


def test_cross_judges_experiments_and_other_functionals_by_their_own_limits():
    records = [
        reference(level=Level(kind="dft", functional="PBEsol")),
        reference(level=Level(kind="experiment"), role="secondary"),
    ]
    inform = compare(result(4.1), records)
    assert [item.verdict for item in inform] == ["info", "info"]
    judged = compare(result(4.1), records, cross=True)
    assert [item.verdict for item in judged] == ["fail", "warn"]
    assert [item.tolerance_text for item in judged] == ["±1 %", "±3 %"]


def test_cross_still_asks_for_a_threshold():
    record = reference(level=Level(kind="experiment"), quantity="colour", unit="")
    (found,) = compare(result(quantity="colour", unit=""), [record], cross=True)
    assert (found.verdict, found.note) == ("info", "no threshold for this quantity")


def test_a_calculation_of_another_state_is_for_information() -> None:
    hot = Level(kind="dft", functional="PBE", temperature_K=300, zpe="included")
    wet = Level(kind="dft", functional="PBE", zpe="included")
    for level, at in ((hot, "at 300 K"), (wet, "with zero-point motion")):
        (found,) = compare(result(4.5), [reference(level=level)])
        assert (found.verdict, found.tolerance) == ("info", None)
        assert f"the reference is {at}, the number of the static" in found.note
    named = {"quantity": "lattice_constant_300K", "level": hot}
    same = result(4.5, quantity="lattice_constant_300K")
    assert compare(same, [reference(**named)])[0].verdict == "fail"
    cold = replace(hot, temperature_K=100)
    (found,) = compare(same, [reference(**(named | {"level": cold}))])
    assert (found.verdict, found.note) == (
        "info",
        "the reference is at 100 K, the number at 300 K",
    )
    room = replace(hot, temperature_K=298.15)
    assert compare(same, [reference(**(named | {"level": room}))])[0].verdict == "fail"


def test_what_is_better_than_a_functional_informs_all_but_its_like() -> None:
    record = reference(level=Level(kind="theory", functional="CCSD(T)"))
    (found,) = compare(result(4.5), [record])
    assert (found.verdict, found.note) == (
        "info",
        "the model is PBE, the reference CCSD(T)",
    )
    assert compare(result(4.5, level="ccsd-t"), [record])[0].verdict == "fail"


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ({"kind": "dft", "functional": "DLPNO-CCSD(T)"}, "not of kind dft.*theory"),
        ({"kind": "dft", "functional": "DMC"}, "not of kind dft.*theory"),
        ({"kind": "theory", "functional": "PBE0-D4"}, "not of kind theory.*dft"),
        ({"kind": "theory"}, "THEORY reference without a functional"),
        ({"kind": "experiment", "functional": "PBE"}, "experiment has no functional"),
        ({"kind": "experiment", "temperature_K": -1.0}, "a number of K"),
        ({"kind": "experiment", "temperature_K": float("nan")}, "a number of K"),
    ],
)
def test_levels_that_do_not_exist(level, message):
    with pytest.raises(DataError, match=message):
        Level(**level)


def test_a_fraction_of_zero_is_no_limit() -> None:
    record = reference(quantity="gap", value=0.0)
    given = result(1e-9, quantity="gap")
    limit = own(quantity="gap", kind="relative", warn=0.1, fail=0.2)
    (found,) = compare(given, [record], [limit])
    assert (found.verdict, found.relative) == ("info", None)
    assert "zero allows nothing" in found.note
    floored = replace(limit, floor_warn=0.1, floor_fail=0.3)
    (found,) = compare(given, [record], [floored])
    assert (found.verdict, found.tolerance_text) == ("pass", "±0.3 Å")


def test_the_text_of_a_limit_is_the_limit_that_was_used() -> None:
    limit = own(quantity="gap", kind="relative", warn=0.1, fail=0.2, floor_fail=3.0)
    record = reference(quantity="gap", value=1.0)
    (found,) = compare(result(3.9, quantity="gap"), [record], [limit])
    assert (found.verdict, found.tolerance, found.tolerance_text) == (
        *("warn", 3.0),
        "±3 Å",
    )


def test_worst_orders_the_verdicts():
    good, bad = compare(result(4.0), [reference()]), compare(result(9.0), [reference()])
    assert worst(good) == "pass"
    assert worst([*good, *bad]) == "fail"
    assert worst([]) == "info"


def test_comparison_is_json():
    (found,) = compare(result(4.1), [reference()])
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["reference"] == 4.0
    assert record["level"] == "PBE"
    assert record["verdict"] == "fail"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 2\nthresholds: []", "is no file of thresholds"),
        ("- 1", "is no file of thresholds"),
        ("a: [", "cannot read thresholds"),
        (
            "format: 1\nthresholds: [{quantity: a, kind: relative, warn: 1}]",
            r"threshold 1: wrong keys; got: \['kind', 'quantity', 'warn'\]",
        ),
        (
            "format: 1\nthresholds: [{quantity: a, kind: relative, warn: a, fail: 1}]",
            "threshold 1: warn is no number; got: 'a'",
        ),
        (
            (
                "format: 1\nthresholds:\n- {quantity: a, kind: relative, warn: 0,"
                " fail: 1, against: theory}"
            ),
            "unknown against of threshold for a; got: theory",
        ),
        (
            (
                "format: 1\nthresholds:\n- {quantity: a, kind: relative, warn: 0,"
                " fail: 1, floor_warn: 1}"
            ),
            "threshold of a is out of order; got: floor_warn 1",
        ),
        (
            "format: 1\nthresholds: [{quantity: a, kind: other, warn: 1, fail: 2}]",
            "unknown kind of threshold for a; got: other",
        ),
        (
            "format: 1\nthresholds: [{quantity: a, kind: relative, warn: 2, fail: 1}]",
            "threshold of a is out of order",
        ),
    ],
)
def test_threshold_files_are_refused(tmp_path, text, message):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_thresholds(path)


def test_default_thresholds_are_read_once():
    assert default_thresholds() is default_thresholds()
    assert len(default_thresholds()) > 5


def test_a_suite_brings_its_own_limits(tmp_path):
    path = tmp_path / "limits.yaml"
    row = "{quantity: 'C*', kind: relative, warn: 0.2, fail: 0.4}"
    path.write_text(f"format: 1\nthresholds: [{row}]")
    content = {
        "model": {"file": "m.safetensors", "head": "pbe"},
        "thresholds": [
            "limits.yaml",
            {"quantity": "B*", "kind": "absolute", "warn": 1, "fail": 2},
        ],
        "compare": "cross",
    }
    suite = suite_from_mapping(content, tmp_path)
    assert suite.compare == "cross"
    assert [t.origin for t in suite.thresholds] == ["limits.yaml", "the suite"]
    again, folder = suite_to_mapping(suite)
    assert suite_from_mapping(again, folder).thresholds == suite.thresholds
    with pytest.raises(ConfigError, match="compare; got: all; wanted: level or cross"):
        suite_from_mapping(content | {"compare": "all"}, tmp_path)
