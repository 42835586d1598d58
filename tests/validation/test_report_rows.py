from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamplighter.validation.compare import Comparison, compare
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import Check, PropertyResult, Quantity
from lamplighter.validation.refs import Level, ReferenceValue, Source
from lamplighter.validation.report.curves import figures
from lamplighter.validation.report.rows import (
    engine_limit,
    label_of,
    method_text,
    property_tables,
    reference_rows,
)
from lamplighter.validation.report.summaries import summary

ASE = EngineInfo(kind="ase", name="ase", model="m")
LAMMPS = replace(ASE, kind="lammps", name="lammps")
NAMES = ("ase", "lammps")


def reference(value: float, **changes: Any) -> ReferenceValue:
    given: dict[str, Any] = {
        "quantity": "bulk_modulus", "material": "MgO", "structure": "rocksalt",
        "space_group": 225, "value": value, "unit": "GPa", "licence": "fact",
        "level": Level(kind="dft", functional="PBE", code="VASP"),
        "source": Source(text="somebody", doi="10.1/x"), "obtained": "quoted",
        "verified": True,
    }  # fmt: skip
    return ReferenceValue(**{**given, **changes})


def result(engine: EngineInfo, value: float, *, ok: bool = True) -> PropertyResult:
    return PropertyResult.conclude(
        "bulk", "MgO", engine, method={"points": 11, "cell": [[1.0]], "x": None},
        values={"bulk_modulus": Quantity(value=value, unit="GPa", error=0.5)},
        checks=[Check(name="relaxation", ok=ok, text="not converged")],
    )  # fmt: skip


def table(
    results: list[PropertyResult], references: list[ReferenceValue]
) -> dict[str, Any]:
    found: list[Comparison] = [
        item
        for one in results
        for item in compare(one, references, level_of_theory="PBE")
    ]
    (only,) = property_tables(results, found, NAMES, "PBE")
    return only


@pytest.mark.parametrize(
    ("value", "verdict"), [(152.0, "pass"), (160.0, "near"), (190.0, "miss")]
)
def test_physics_verdicts_follow_the_comparison(value: float, verdict: str) -> None:
    rows = table([result(ASE, value), result(LAMMPS, value)], [reference(150.0)])[
        "rows"
    ]
    (row,) = rows
    assert row["verdict"] == verdict
    assert row["delta_physics"] == pytest.approx(value - 150.0)
    assert row["tolerance"] == "±5 / 15 %"
    assert row["reference_text"] == "PBE, VASP; somebody"
    assert row["engine_verdict"] == "pass"


def test_the_worse_engine_gives_the_verdict() -> None:
    (row,) = table([result(ASE, 150.0), result(LAMMPS, 190.0)], [reference(150.0)])[
        "rows"
    ]
    assert row["verdict"] == "miss"
    assert row["engine_verdict"] == "fail"
    assert row["delta_engine"] == pytest.approx(40.0)
    assert row["engine_limit"] == pytest.approx(0.45)


def test_engines_may_differ_by_what_fits_amplify() -> None:
    assert engine_limit("GPa", 10.0) == 0.3
    assert engine_limit("GPa", 1000.0) == 3.0
    assert engine_limit("THz", 1000.0) == 0.01
    close = table([result(ASE, 150.0), result(LAMMPS, 150.4)], [])["rows"][0]
    assert close["engine_verdict"] == "pass"
    assert close["verdict"] == "info"
    assert close["reference"] is None


def test_one_engine_has_no_engine_difference() -> None:
    (row,) = table([result(ASE, 150.0)], [reference(150.0)])["rows"]
    assert row["delta_engine"] is None
    assert row["engine_verdict"] == "none"
    assert row["engines"] == {"ase": 150.0, "lammps": None}


def test_a_judged_reference_is_shown_before_others() -> None:
    references = [
        reference(160.0, level=Level(kind="experiment")),
        reference(140.0, role="secondary"),
        reference(150.0),
    ]
    (row,) = table([result(ASE, 150.0)], references)["rows"]
    assert row["reference"] == 150.0


def test_without_a_judged_one_the_same_level_comes_first() -> None:
    references = [
        reference(160.0, level=Level(kind="experiment")),
        reference(140.0, role="secondary", verified=False),
    ]
    (row,) = table([result(ASE, 150.0)], references)["rows"]
    assert row["reference"] == 140.0
    assert row["verdict"] == "info"
    assert row["tolerance"] == ""
    assert row["reference_text"].endswith("not verified")


def test_an_invalid_calculation_shows_no_number() -> None:
    bad = [result(ASE, 150.0, ok=False), result(LAMMPS, 150.0, ok=False)]
    (row,) = table(bad, [reference(150.0)])["rows"]
    assert row["verdict"] == "invalid"
    assert row["engines"] == {"ase": None, "lammps": None}
    assert row["reference"] == 150.0
    assert row["delta_physics"] is None
    assert "not converged" in row["note"]


def test_one_invalid_engine_is_enough() -> None:
    (row,) = table(
        [result(ASE, 150.0), result(LAMMPS, 150.0, ok=False)], [reference(150.0)]
    )["rows"]
    assert row["verdict"] == "invalid"


def test_references_are_listed_once_with_source_and_licence() -> None:
    results = [result(ASE, 150.0), result(LAMMPS, 150.0)]
    references = [reference(150.0), reference(149.0, verified=False)]
    found = [
        c for one in results for c in compare(one, references, level_of_theory="PBE")
    ]
    rows = reference_rows(found)
    assert [row["value"] for row in rows] == ["150", "149"]
    assert rows[0]["source"] == "somebody, doi:10.1/x"
    assert [row["verified"] for row in rows] == [True, False]


def test_method_is_one_line_without_matrices() -> None:
    assert method_text(result(ASE, 1.0)) == "points 11"


@pytest.mark.parametrize(
    ("quantity", "label"),
    [
        ("frequency_X_3", "ω X, branch 3"),
        ("frequency_Gamma_TO", "ω Γ, TO"),
        ("surface_energy_100", "surface energy γ(100)"),
        ("cleavage_energy_sum_111", "cleavage energy γ(111)"),
        ("C11_clamped", "C11, clamped ions"),
        ("heat_capacity_300K", "heat capacity at 300 K"),
        ("poisson_ratio", "poisson ratio"),
    ],
)
def test_labels(quantity: str, label: str) -> None:
    assert label_of(quantity) == label


def line(
    quantity: str, value: float, delta: float, unit: str = "J/m²", verdict: str = "pass"
) -> dict[str, Any]:
    return {
        "quantity": quantity, "unit": unit, "verdict": verdict, "reference": value,
        "delta_physics": delta,
    }  # fmt: skip


def test_a_table_of_facets_says_whether_their_order_is_kept() -> None:
    kept = [
        line("surface_energy_111", 1.32, -0.1),
        line("surface_energy_100", 1.47, -0.1),
        line("surface_energy_110", 1.57, -0.1),
    ]
    assert summary(kept) == "The order of the 3 facets is that of the reference."
    kept[2]["delta_physics"] = -0.3
    assert "differs: (100) and (110) exchanged" in summary(kept)
    kept[2] |= {"reference": 1.48, "delta_physics": -0.12}  # too near to have an order
    assert "is that of the reference" in summary(kept)
    assert summary(kept[:2]) == ""


def test_a_table_of_phonons_says_the_mean_error() -> None:
    rows = [
        line("frequency_X_1", 5.0, 0.2, "THz"),
        line("frequency_X_3", 7.0, -0.1, "THz"),
        line("frequency_L_1", 3.0, 0.3, "THz"),
        line("frequency_L_3", 3.0, 9.0, "THz", "info"),
        line("frequency_lowest", 0.0, 1.0, "THz"),
    ]
    assert summary(rows) == (
        "3 frequencies: mean |Δω| 0.20 THz, on average 0.13 THz above the reference."
    )


def test_figures_come_from_arrays_of_both_engines() -> None:
    arrays = {
        "distances": [0.0, 1.0], "ticks": [0.0, 1.0],
        "labels": ["Γ", "X"], "breaks": [],
        "frequencies": [[0.0], [1.0]], "reference_frequencies": [[0.0], [1.1]],
        "reference_label": "PBE, VASP",
    }  # fmt: skip
    results = [
        PropertyResult.conclude(
            "phonon", "MgO", engine, method={}, checks=[], arrays=arrays
        )
        for engine in (ASE, LAMMPS)
    ]
    found = figures(results, "MgO")["phonon"]
    assert list(found["bands"]) == ["ase", "lammps", "reference"]
    assert found["reference_label"] == "PBE, VASP"
    assert figures(results, "NaCl") == {}
