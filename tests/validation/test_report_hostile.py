"""Reports of runs with unusual names, heads and engines, and of comparisons lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties.base import Check, PropertyResult
from lamplighter.validation.report.collect import run_document, suite_document
from lamplighter.validation.report.document import finite
from lamplighter.validation.report.html import render
from lamplighter.validation.report.junit import write_junit
from lamplighter.validation.report.terminal import verdict_lines
from lamplighter.validation.report.view import RunView, read_run
from lamplighter.validation.runner import run_suite
from lamplighter.validation.suite import suite_from_mapping

NAME = '<script>alert(1)</script> $\\bad{$ "q" & x'
EMT = {"kind": "ase", "calculator": "ase.calculators.emt:EMT", "elements": ["Cu"]}
SUITE = {
    "engines": [
        EMT | {"name": "one", "level_of_theory": "PBE", "cutoff": 6.0},
        EMT | {"name": "two", "level_of_theory": "PBE", "cutoff": 6.0},
    ],
    "materials": ["Cu"],
    "properties": {"parity": {"directions": 0}, "bulk": {"points": 7}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("run")
    return run_suite(suite_from_mapping(SUITE, folder), folder), folder


@pytest.fixture(scope="module")
def view(finished: tuple[Any, Path]) -> RunView:
    return read_run(finished[1])


def renamed(view: RunView, material: str, ending: str) -> RunView:
    def change(result: PropertyResult) -> PropertyResult:
        engine = replace(result.engine, name=result.engine.name + ending)
        return replace(result, material=material, engine=engine)

    return replace(
        view,
        materials=(material,),
        engines=tuple(replace(e, name=e.name + ending) for e in view.engines),
        results=tuple(map(change, view.results)),
        parity=tuple(map(change, view.parity)),
        comparisons=tuple(replace(c, material=material) for c in view.comparisons),
    )


def test_names_are_text_on_the_page_and_in_its_figures(view: RunView) -> None:
    document = run_document(renamed(view, NAME, " $\\frac$ <b>"))
    assert document["plots"]["bulk"]
    page = render(finite(document))
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "$\\frac$" in page


def test_junit_holds_no_character_that_xml_lacks(view: RunView, tmp_path: Path) -> None:
    document = run_document(renamed(view, f"{NAME}\x01", ""), title="a\x00b\x1b[31m")
    path = write_junit(finite(document), tmp_path / "junit.xml")
    root = ET.parse(path).getroot()
    assert root.get("name") == "a?b?[31m"
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite)
        for kind in ("failure", "error", "skipped"):
            count = suite.get("skipped" if kind == "skipped" else f"{kind}s")
            assert int(count or 0) == len(suite.findall(f"testcase/{kind}"))


def test_a_material_with_another_head_is_held_against_its_level(
    finished: tuple[Any, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(finished[1], tmp_path / "run")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["levels"]["Cu"] = "r2SCAN"
    path.write_text(json.dumps(manifest))
    view = read_run(folder)
    assert {c.verdict for c in view.comparisons} == {"info"}
    assert "the model is r2SCAN" in view.comparisons[0].note


def test_other_heads_and_their_levels_are_told(view: RunView) -> None:
    def head(result: PropertyResult) -> PropertyResult:
        return replace(result, engine=replace(result.engine, head="wb97m-v"))

    mixed = replace(
        view,
        card={**view.card, "head": "pbe"},
        results=tuple(map(head, view.results)),
        levels={"Cu": "wB97M-V"},
    )
    document = run_document(mixed)
    table = document["properties"][0]
    assert (table["head"], table["level"]) == ("wb97m-v", "wB97M-V")
    assert {"label": "head of Cu", "value": "wb97m-v, wB97M-V", "code": False} in (
        document["model"]
    )
    labels = [item["label"] for item in document["model"]]
    assert labels.index("head of Cu") == labels.index("level of theory") + 1
    assert document["title"].endswith(", pbe, wb97m-v")
    assert document["verdict"]["headline"].endswith("miss wB97M-V.")
    assert "Physics against wB97M-V: " in " ".join(document["verdict"]["details"])
    page = render(finite(document))
    assert "Head <code>wb97m-v</code>, wB97M-V." in page
    assert "Head <code>" not in render(finite(run_document(view)))


def test_a_run_in_memory_knows_the_levels_of_its_materials(
    finished: tuple[Any, Path],
) -> None:
    result, _ = finished
    assert result.levels["Cu"] == "PBE"
    other = replace(result, levels={"Cu": "r2SCAN"})
    assert suite_document(other)["properties"][0]["level"] == "r2SCAN"


def test_engines_are_called_by_their_names(view: RunView) -> None:
    document = finite(run_document(view))
    lines = "\n".join(verdict_lines(document))
    assert "Parity: two against one, largest differences" in lines
    assert "Physics: two against the references" in lines
    assert " vs one " in lines
    assert document["verdict"]["headline"].startswith("two gives the numbers of one.")
    assert "LAMMPS" not in lines
    page = render(document)
    assert "Parity: does two give the numbers of one?" in page
    ours = replace(
        view,
        engines=(
            EngineInfo(kind="ase", name="ase", model="m"),
            EngineInfo(kind="lammps", name="lammps", model="m"),
        ),
        results=(),
        comparisons=(),
    )
    told = finite(run_document(ours))
    assert told["verdict"]["headline"].startswith("LAMMPS gives the model's numbers.")
    assert "does LAMMPS give the model's numbers?" in render(told)


def test_with_one_engine_of_two_the_column_is_that_of_the_numbers(
    view: RunView,
) -> None:
    first = tuple(r for r in view.results if r.engine.name == "one")
    document = finite(run_document(replace(view, results=first)))
    lines = verdict_lines(document)
    assert "Physics: one against the references" in lines
    (row,) = [line for line in lines if line.startswith("  lattice constant a Å ")]
    assert row.split()[5] not in {"–", ""}
    assert "vs " not in "".join(line for line in lines if "quantity" in line)


def test_a_long_table_of_parity_is_folded_unless_something_is_wrong(
    view: RunView,
) -> None:
    document = finite(run_document(view))
    page = render(document)
    assert "structures agree: show every difference" not in page
    document["parity"]["rows"] *= 3
    page = render(document)
    assert "<details>\n<summary>All 18 structures agree: show every" in page
    document["parity"]["rows"][0] = {
        **document["parity"]["rows"][0],
        "verdict": "fail",
    }
    assert "<details open>\n<summary>1 of 18 structures differ<" in render(document)


@pytest.mark.parametrize(
    ("verdict", "copies", "expected"),
    [
        ("pass", 1, "<details open>\n<summary>1 of 1 pass, none fails<"),
        ("pass", 3, "<details>\n<summary>1 of 1 pass, none fails<"),
        ("fail", 3, "<details open>\n<summary>1 of 1 fail<"),
    ],
)
def test_points_of_parity_are_folded_with_the_table(
    view: RunView, verdict: str, copies: int, expected: str
) -> None:
    document = finite(run_document(view))
    document["parity"]["rows"] *= copies
    point = {
        "number": 1,
        "key": "ranks",
        "label": "2 ranks",
        "material": "Cu",
        "verdict": verdict,
        "value": 0.5,
        "limit": 1.0,
        "unit": "of limit",
        "at_least": False,
        "structure": "rattled",
        "also_for": [],
        "text": "",
    }
    document["parity"]["points"] = [point]
    assert expected in render(document)


def test_a_lost_comparison_hides_no_other(view: RunView) -> None:
    check = Check(name="calculation", ok=False, text="the process died")
    lost = PropertyResult.conclude(
        *("parity", "Al", view.parity[0].engine),
        method={},
        checks=[check],
        arrays={"columns": [], "rows": []},
    )
    document = run_document(replace(view, parity=(lost, *view.parity)))
    assert document["parity"]["columns"]
    assert document["verdict"]["headline"] == (
        "Parity was not tested: a comparison gave no result."
    )
    assert document["verdict"]["state"] == "fail"
