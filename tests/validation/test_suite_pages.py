"""What docs/validation_suites.md, _plugins.md and _benchmarks.md say happens."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from doc_pages import code_blocks, run_shell

from lamplighter.resources import base_model
from lamplighter.validation.benchmarks import CATALOGUE
from lamplighter.validation.registry import Property
from lamplighter.validation.suite import suite_from_mapping
from lamplighter.validation.suite_text import suite_to_mapping

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    return [block for name, block in code_blocks(text) if name == language]


def test_the_suite_of_the_page_is_one() -> None:
    suite = suite_from_mapping(
        yaml.safe_load(blocks("validation_suites.md", "yaml")[0]), Path("/s")
    )
    assert len(suite.materials) == 5
    assert suite.time_limit == 3600
    assert suite_from_mapping(*suite_to_mapping(suite)) == suite


def test_the_shipped_suite_is_one() -> None:
    folder = DOCS.parent / "examples" / "validate-base"
    content = yaml.safe_load((folder / "suite.yaml").read_text())
    suite = suite_from_mapping(content, folder)
    assert suite.model is not None
    assert suite.model.file.is_file()
    names = [material.name for material in suite.materials]
    assert names == ["MgO", "Mg", "brucite", "ice", "MgO(100)", "water_dimer"]
    assert all("parity" in (m.properties or {}) for m in suite.materials)


@pytest.mark.slow
def test_the_page_of_suites_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = "validation_suites.md"
    (tmp_path / "copper.yaml").write_text(blocks(page, "yaml")[1])
    for block in blocks(page, "sh"):
        printed = run_shell(block)
        assert "report:" in printed
    whole = json.loads((tmp_path / "whole" / "report.json").read_text())
    assert whole["verdict"]["state"] in {"pass", "miss"}
    names = [p.name for p in (tmp_path / "run" / "results").iterdir()]
    merged = [p.name for p in (tmp_path / "whole" / "results").iterdir()]
    assert sorted(names) == sorted(merged)
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), {})


def test_the_property_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from ase.build import bulk
    from ase.calculators.emt import EMT

    from lamplighter.validation.engines import AseEngine

    (block,) = blocks("validation_plugins.md", "python")
    module = ModuleType("my_package")
    # dataclass(slots=True) looks its module up.
    monkeypatch.setitem(sys.modules, "my_package", module)
    exec(compile(block, "page", "exec"), module.__dict__)
    density = module.DENSITY
    assert isinstance(density, Property)
    copper = bulk("Cu", a=3.61)
    result = density.run(copper, AseEngine(EMT()), density.settings())
    assert result.values["density"].value == pytest.approx(8.96, abs=0.05)
    heavy = density.run(copper, AseEngine(EMT()), density.settings(max_density=5.0))
    assert heavy.status == "invalid"


@pytest.mark.slow
def test_the_page_of_benchmarks_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(base_model(), tmp_path / "base.safetensors")
    first, second = blocks("validation_benchmarks.md", "sh")
    run_shell(first)
    record = json.loads((tmp_path / "score.json").read_text())
    assert record["results"][0]["version"] == "1"
    assert 0 <= record["scores"]["overall"] <= 1
    assert "exit code 2" in run_shell(second)
    for block in blocks("validation_benchmarks.md", "python"):
        exec(compile(block, "page", "exec"), {})


def test_the_page_of_benchmarks_lists_them_all() -> None:
    text = (DOCS / "validation_benchmarks.md").read_text()
    for name, protocol in CATALOGUE.items():
        line = next(
            line for line in text.splitlines() if line.startswith(f"| `{name}`")
        )
        assert f"| {protocol.domain} |" in line
