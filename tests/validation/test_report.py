from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamplighter.errors import DataError
from lamplighter.validation.report import (
    check_document,
    plots,
    render,
    report_from_json,
    write_report,
)
from lamplighter.validation.report import figures as figures_module
from lamplighter.validation.report.document import finite
from lamplighter.validation.report.figures import PLOTS
from lamplighter.validation.report.html import (
    format_delta,
    format_number,
    format_small,
    overview,
)
from lamplighter.validation.report.style import to_svg
from lamplighter.validation.report.terminal import verdict_lines

_VOID = {"meta", "link", "br", "hr", "img", "input"}


def _sample(name: str = "report_document") -> Any:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SAMPLE = _sample()
FIGURES = _sample("report_figures").figures()


def without_plots() -> dict[str, Any]:
    """Return a document that is quick to render."""
    return {**finite(SAMPLE.document()), "plots": {}}


def whole() -> dict[str, Any]:
    """Return a document with a figure of every kind."""
    document: dict[str, Any] = SAMPLE.document()
    return document | {"figures": FIGURES}


@pytest.fixture(scope="module")
def page() -> str:
    return render(finite(whole()))


class Nesting(HTMLParser):
    """Collects tags, ids and references of a page, and its nesting errors."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href"}:
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_page_is_well_formed_with_unique_ids(page: str) -> None:
    seen = Nesting()
    seen.feed(page)
    assert seen.wrong == []
    assert seen.open == []
    assert len(seen.ids) == len(set(seen.ids))


def test_page_refers_to_nothing_outside_itself(page: str) -> None:
    seen = Nesting()
    seen.feed(page)
    assert seen.links
    assert all(link.startswith(("#", "data:image/png")) for link in seen.links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "<script" not in page
    assert len(page.encode()) < 5_000_000


def test_links_of_the_page_lead_somewhere(page: str) -> None:
    seen = Nesting()
    seen.feed(page)
    wanted = {link[1:] for link in seen.links if link.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert wanted <= set(seen.ids)


def test_sections_come_in_the_order_of_a_reading(page: str) -> None:
    order = [
        'class="verdict', 'id="parity"', 'id="physics"', 'id="training"',
        'id="figures"', 'id="checks"', 'id="provenance"', 'id="references"',
    ]  # fmt: skip
    places = [page.index(mark) for mark in order]
    assert places == sorted(places)


def test_every_kind_of_figure_is_drawn_once(page: str) -> None:
    drawn = re.findall(r'id="figure-([a-z_]+)[-"]', page)
    assert sorted(drawn) == sorted(PLOTS)


def test_figures_stand_with_the_table_of_their_property(page: str) -> None:
    physics, figures = page.index('id="physics"'), page.index('id="figures"')
    for key in ("bulk", "phonon", "dos-phonon-MgO", "wulff-phonon-MgO"):
        assert physics < page.index(f'id="figure-{key}"') < figures
    for key in ("learning_curve", "dynamics", "surface"):
        assert page.index(f'id="figure-{key}"') > figures


def test_coordinates_are_short_and_numbers_of_axes_whole() -> None:
    document = without_plots()
    vacancy = next(one for one in FIGURES if one["kind"] == "vacancy")
    text = render(document | {"figures": finite([vacancy])})
    assert ">0.005<" in text
    assert not re.search(r' d="[^"]*\d\.\d{3}', text)


def test_a_page_stays_small_enough_for_an_email(monkeypatch: Any) -> None:
    monkeypatch.setattr(figures_module, "MAX_BYTES", 60_000)
    text = render(finite(whole()))
    assert "Left out: the page would be too large" in text
    assert len(text.encode()) < 150_000


def test_raw_results_are_linked_beside_the_page() -> None:
    document = without_plots()
    document["files"] = [{"task": "bulk MgO ase", "file": "results/bulk.json"}]
    assert '<a href="results/bulk.json">bulk MgO ase</a>' in render(document)


def test_tolerances_missing_tasks_and_errors_are_shown() -> None:
    document = without_plots()
    document["missing"] = ["elastic MgO lammps"]
    document["thresholds"] = [
        {"quantity": "C*", "limits": "±10 / 25 %", "floor": "", "against": "dft",
         "scope": "head pbe", "origin": "limits.yaml"}
    ]  # fmt: skip
    row = document["properties"][0]["rows"][1]
    row |= {"errors": {"ase": 0.5}, "reference_level": "PBE", "reference_error": 0.2}
    text = render(document)
    for part in ("1 tasks have no result", "elastic MgO lammps", "limits.yaml"):
        assert part in text
    assert "± 0.5" in text
    assert "± 0.2" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(4.56e-5, "1/K", "4.6e−5"), (-2e-6, "1/K", "−2.0e−6"), (0.0, "1/K", "0.00")],
)
def test_small_numbers_are_not_rounded_to_nothing(
    value: float, unit: str, text: str
) -> None:
    assert format_number(value, unit) == text


def test_many_materials_get_an_overview() -> None:
    document = without_plots()
    assert overview(document) is None
    tables = document["properties"]
    document["properties"] = [
        *tables,
        *({**table, "material": "NaCl"} for table in tables[:1]),
        {**tables[0], "material": "Si", "rows": []},
    ]
    found = overview(document)
    assert found is not None
    assert found["columns"] == ["bulk", "phonon"]
    cells = {line["material"]: line["cells"] for line in found["rows"]}
    assert [cell["verdict"] for cell in cells["MgO"]] == ["near", "miss"]
    assert [cell["verdict"] for cell in cells["NaCl"]] == ["near", ""]
    assert [cell["verdict"] for cell in cells["Si"]] == ["info", ""]
    assert 'href="#table-4"' in render(document)


def test_numbers_of_the_document_reach_the_page(page: str) -> None:
    for text in ("4.2549", "158.9", "+8.3", "−1.145", "ab" * 32, "slope of E(N)"):
        assert text in page
    assert "relax the bulk more tightly" in page


def test_a_value_over_its_parity_limit_is_marked_as_failing() -> None:
    document = without_plots()
    document["parity"]["rows"][0]["values"]["forces"] = 2e-8
    assert "cell-fail" not in render(without_plots()).split("<body>")[1]
    assert render(document).split("<body>")[1].count("cell-fail") == 1


def test_text_of_the_document_is_escaped() -> None:
    document = without_plots()
    document["title"] = "<script>alert(1)</script>"
    assert "<script>" not in render(document)


def test_files_are_written_and_the_page_can_be_made_again(tmp_path: Path) -> None:
    html, data = write_report(SAMPLE.document(), tmp_path)
    again = report_from_json(data, tmp_path / "again.html")
    assert html.read_text() == again.read_text()
    assert {p.name for p in tmp_path.iterdir()} == {
        "report.html", "report.json", "again.html",
    }  # fmt: skip


def test_numbers_survive_the_json_file_exactly(tmp_path: Path) -> None:
    document = without_plots()
    phonon = SAMPLE.plots()["phonon"]
    _, data = write_report(document | {"plots": {"phonon": phonon}}, tmp_path)
    read = json.loads(data.read_text())
    expected = np.asarray(phonon["bands"]["ase"])
    np.testing.assert_array_equal(read["plots"]["phonon"]["bands"]["ase"], expected)


def test_nan_becomes_null_and_a_dash(tmp_path: Path) -> None:
    document = without_plots()
    document["properties"][0]["rows"][0]["engines"]["lammps"] = float("nan")
    html, data = write_report(document, tmp_path)
    row = json.loads(data.read_text())["properties"][0]["rows"][0]
    assert row["engines"]["lammps"] is None
    assert "–" in html.read_text()


def test_a_refused_document_leaves_no_file(tmp_path: Path) -> None:
    document = SAMPLE.document()
    del document["verdict"]
    with pytest.raises(DataError, match=r"report\.verdict"):
        write_report(document, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema_version",), 2, "schema_version 2"),
        (("title",), 3, r"report\.title; got: int"),
        (("verdict", "state"), "great", "'pass' or 'miss' or 'fail'"),
        (("properties", 0, "rows", 0, "verdict"), "good", r"rows\[0\]\.verdict"),
        (("parity", "rows", 0, "n_atoms"), True, "got: bool"),
    ],
)
def test_wrong_documents_are_refused_by_place(
    path: tuple[Any, ...], value: object, message: str
) -> None:
    document = without_plots()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(DataError, match=message):
        check_document(document)


def test_something_else_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{not json")
    with pytest.raises(DataError, match="cannot read the report document"):
        report_from_json(tmp_path / "x.json", tmp_path / "x.html")
    with pytest.raises(DataError, match="not a report document at report; got: list"):
        check_document([])


def test_number_formats() -> None:
    assert format_number(0.8714, "J/m²") == "0.871"
    assert format_number(-1234.56, "GPa") == "−1234.6"
    assert format_number(float("inf"), "GPa") == "–"
    assert format_number(11.1981, "THz") == "11.198"
    assert format_number(2.0, "meV/Å") == "2.0"
    assert format_small(-4.56e-9) == "4.6e−9"
    assert format_small(1.0) == "1"
    assert format_delta(0.0, "GPa") == "+0.0"
    assert format_delta(None) == "–"


def test_phonon_lines_are_not_drawn_across_a_jump_of_the_path() -> None:
    data = SAMPLE.plots()["phonon"] | {"breaks": [60]}
    axes = plots.phonon_bands(data).axes[0]
    longest = max(axes.lines, key=lambda line: len(line.get_xdata()))
    y = np.asarray(longest.get_ydata(), dtype=float)
    assert np.flatnonzero(np.isnan(y)).tolist() == [60]


def test_learning_curve_draws_every_head_and_the_new_one_in_orange() -> None:
    data = SAMPLE.plots()["learning_curve"]
    axes = plots.learning_curve(data).axes[0]
    assert len(axes.lines) == len(data["heads"])
    new = axes.lines[list(data["heads"]).index("pbesol")]
    assert new.get_color() == "#d55e00"


def test_stress_fit_goes_through_its_intercept() -> None:
    curve = {
        "component": "C11", "engine": "ase", "ions": "relaxed", "slope": 100.0,
        "strain": [-0.01, 0.01], "stress": [-0.9, 1.1], "intercept": 0.1,
    }  # fmt: skip
    axes = plots.stress_strain({"curves": [curve]}).axes[0]
    fit = next(line for line in axes.lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(fit.get_ydata(), [-0.9, 1.1])


def test_drawing_needs_no_engine() -> None:
    code = (
        "import sys, lamplighter.validation.report; "
        "heavy = {'torch', 'ase', 'phonopy', 'lammps', 'pymatgen'} & set(sys.modules); "
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_svg_is_the_same_twice() -> None:
    data = SAMPLE.plots()["elastic"]
    first = to_svg(plots.stress_strain(data), "k", "text")
    assert first == to_svg(plots.stress_strain(data), "k", "text")
    assert 'aria-label="text"' in first


def test_lines_in_the_terminal_name_the_material_where_there_are_several() -> None:
    document = SAMPLE.document()
    label = document["properties"][0]["rows"][0]["label"]
    assert f"  {label} " in "\n".join(verdict_lines(document))
    materials = {table["material"] for table in document["properties"]}
    assert len(materials) == 1
    document["properties"][-1]["material"] = "brucite"
    lines = "\n".join(verdict_lines(document))
    assert f"  {materials.pop()}: {label} " in lines
    assert "  brucite: " in lines
