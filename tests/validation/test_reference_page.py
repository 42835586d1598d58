"""Every block of docs/validation_references.md and docs/validation_report.md runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from doc_pages import code_blocks

from lamplighter import cli
from lamplighter.validation.refs import load_file, load_references, materials
from lamplighter.validation.runner import run_suite
from lamplighter.validation.suite import suite_from_mapping
from lamplighter.validation.thresholds import threshold_for

DOCS = Path(__file__).parents[2] / "docs"
EMT = {
    "kind": "ase",
    "calculator": "ase.calculators.emt:EMT",
    "elements": ["Cu"],
    "cutoff": 6.0,
    "level_of_theory": "PBE",
}


def commands(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines if line.strip()]
    assert all(line[0] == "lamplighter" for line in words)
    return [line[1:] for line in words]


def run_page(name: str) -> dict[str, list[str]]:
    """Run shell and Python blocks of a page in order; return the others by language."""
    names: dict[str, object] = {}
    others: dict[str, list[str]] = {}
    for language, block in code_blocks((DOCS / name).read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(block, name, "exec"), names)
        elif language == "sh":
            for words in commands(block):
                assert cli.run(words) in {0, 1}, words
        else:
            others.setdefault(language, []).append(block)
    return others


@pytest.mark.slow
def test_the_page_of_references_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    others = run_page("validation_references.md")
    shown = capsys.readouterr().out
    for part in ("75.3 ± 0.6", "532", "161.2", "3 records of MgO, r2SCAN"):
        assert part in shown
    references, example, limits = map(yaml.safe_load, others["yaml"])
    assert references == {"references": ["builtin", "mine.yaml"]}
    Path("example.yaml").write_text(yaml.safe_dump(example), encoding="utf-8")
    assert [r.quantity for r in load_file("example.yaml")] == ["bulk_modulus", "C44"]
    Path("limits.yaml").write_text("format: 1\nthresholds: []")
    content = {"model": {"file": "m", "head": "pbe"}} | limits
    suite = suite_from_mapping(content, tmp_path)
    assert [t.head for t in suite.thresholds] == ["pbe", "*", "*"]


def test_the_page_counts_its_references():
    text = (DOCS / "validation_references.md").read_text(encoding="utf-8")
    pattern = r"About (\d+) of them, for more than (\d+) materials"
    count, kinds = re.search(pattern, text).groups()
    found = [r for m in materials() for r in load_references(m, unverified="use")]
    assert abs(len(found) - int(count)) < 60
    assert len({r.material for r in found}) > int(kinds)


def test_the_page_of_tolerances_states_those_of_the_package():
    text = (DOCS / "validation_references.md").read_text(encoding="utf-8")
    for quantity, row in (
        ("lattice_constant", "0.5 / 1 %"),
        ("bulk_modulus", "5 / 15 %"),
        ("frequency_X_1", "5 / 10 %"),
        ("surface_energy_100", "8 / 25 %"),
        ("vacancy_formation_energy", "0.2 / 0.5 eV"),
    ):
        limit = threshold_for(quantity)
        assert limit is not None
        unit = "eV" if "vacancy" in quantity else "%"
        assert limit.both(unit) == f"±{row}"
        assert f"| {row} |" in text


@pytest.fixture
def finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = {
        "engines": [EMT | {"name": "ase"}, EMT | {"name": "second"}],
        "materials": ["Cu"],
        "properties": {"bulk": {"points": 7}},
    }
    run_suite(suite_from_mapping(suite, tmp_path), tmp_path / "run")


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_the_page_of_reports_runs(capsys):
    others = run_page("validation_report.md")
    assert others == {}
    assert "Cu lattice_constant {'ase': 3.5" in capsys.readouterr().out
    for name in ("copy.html", "comparison.html", "again.html", "mine.html"):
        assert Path(name).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert Path("junit.xml").is_file()


def test_pictures_of_the_pages_exist():
    for page in ("validation_references.md", "validation_report.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            assert (DOCS / picture).is_file(), picture
