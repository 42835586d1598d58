"""One folder, many runs: what an earlier suite left there is not passed off as ours."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation import registry
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.jobs import RunOptions
from lamplighter.validation.materials import structure_of
from lamplighter.validation.merge import load_run, merge
from lamplighter.validation.properties.bulk import BulkSettings
from lamplighter.validation.report.view import read_run
from lamplighter.validation.runner import run_suite
from lamplighter.validation.store import Store, load_result
from lamplighter.validation.suite import suite_from_mapping

EMT = {"kind": "ase", "calculator": "ase.calculators.emt:EMT", "elements": ["Cu"]}
SUITE: dict[str, Any] = {
    "engines": [EMT | {"level_of_theory": "PBE", "cutoff": 6.0}],
    "materials": ["Cu"],
    "properties": {"relaxation": {}, "bulk": {"points": 7}},
}


def run(folder: Path, options: RunOptions | None = None, **changes: Any) -> Any:
    config = suite_from_mapping(SUITE | changes, folder.parent)
    return run_suite(config, folder, options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def test_results_of_an_earlier_suite_are_not_shown_as_ours(folder: Path) -> None:
    changed = {"relaxation": {}, "bulk": {"points": 9}}
    run(folder, RunOptions(only=("relaxation",)), properties=changed)
    assert load_run(folder).missing == ("bulk Cu ase",)
    assert read_run(folder).missing == ("bulk Cu ase",)
    assert [r.property for r in read_run(folder).results] == ["relaxation"]
    run(folder, properties=changed)
    (bulk,) = (r for r in read_run(folder).results if r.property == "bulk")
    assert (bulk.method["points"], read_run(folder).missing) == (9, ())


def test_another_structure_is_another_suite(folder: Path) -> None:
    stretched = structure_of("Cu")
    stretched.set_cell(1.01 * stretched.cell.array, scale_atoms=True)
    stretched.write(folder.parent / "cu.xyz")
    material = {"name": "Cu", "structure": "cu.xyz"}
    run(folder, RunOptions(only=("relaxation",)), materials=[material])
    assert read_run(folder).missing == ("bulk Cu ase",)


def test_what_is_still_valid_stays_when_a_suite_grows(folder: Path) -> None:
    before = (folder / "tasks/bulk_Cu_ase.json").read_bytes()
    grown = {**SUITE["properties"], "locality": {}}
    run(folder, RunOptions(only=("locality",)), properties=grown)
    view = read_run(folder)
    assert (view.missing, len(view.results)) == ((), 3)
    assert (folder / "tasks/bulk_Cu_ase.json").read_bytes() == before
    assert view.seconds["bulk Cu ase"] > 0


def test_stale_records_are_not_merged(folder: Path, tmp_path: Path) -> None:
    changed = {"relaxation": {}, "bulk": {"points": 9}}
    run(folder, RunOptions(only=("relaxation",)), properties=changed)
    assert merge([folder], tmp_path / "whole").missing == ("bulk Cu ase",)
    assert not (tmp_path / "whole/tasks/bulk_Cu_ase.json").exists()


def test_a_folder_without_origins_is_read_as_before(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["origins"]
    path.write_text(json.dumps(manifest))
    for record in (folder / "tasks").iterdir():
        content = json.loads(record.read_text())
        del content["origin"]
        record.write_text(json.dumps(content))
    assert (load_run(folder).missing, read_run(folder).missing) == ((), ())


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"\xff\xfe", b'{"schema": 1, ', b'{"schema": 1}', b""]
)
def test_a_damaged_result_counts_as_absent(folder: Path, content: bytes) -> None:
    record = json.loads((folder / "tasks/bulk_Cu_ase.json").read_text())
    whole = (folder / record["file"]).read_bytes()
    (folder / record["file"]).write_bytes(content)
    assert load_result(folder / record["file"]) is None
    with pytest.raises(DataError, match="record"):
        read_run(folder)
    run(folder)
    assert (folder / record["file"]).read_bytes() == whole


@pytest.mark.parametrize(
    "content", ["[]", "null", '{"task": "x", "state": "done", "file": 5, "seconds": 1}']
)
def test_a_damaged_record(folder: Path, content: str) -> None:
    (folder / "tasks/bulk_Cu_ase.json").write_text(content)
    assert load_run(folder).missing == ("bulk Cu ase",)
    with pytest.raises(DataError, match=r"cannot be read.*remove it"):
        read_run(folder)


def test_no_references_stay_none_when_a_run_is_read_back(tmp_path: Path) -> None:
    properties = {"bulk": {"points": 7}}
    result = run(tmp_path / "run", references=[], properties=properties)
    assert result.comparisons == ()
    assert load_run(tmp_path / "run").result.comparisons == ()
    assert read_run(tmp_path / "run").comparisons == ()


def test_a_missing_file_of_references_is_said_before_anything_is_computed(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match="cannot read the reference file"):
        run(tmp_path / "run", references=["gone.yaml"])
    assert not (tmp_path / "run").exists()


def test_a_selection_that_leaves_nothing(tmp_path: Path) -> None:
    two = [EMT | {"name": "one"}, EMT | {"name": "two"}]
    options = RunOptions(only=("parity",), engines=("one",))
    with pytest.raises(ConfigError, match="leave nothing of the suite"):
        run(tmp_path / "run", options, engines=two, properties=["parity", "bulk"])


@pytest.mark.parametrize("seconds", [-5.0, math.nan, math.inf, 1e300])
def test_times_that_cannot_be_waited_for(seconds: float) -> None:
    with pytest.raises(ConfigError, match="time_limit"):
        RunOptions(time_limit=seconds)
    with pytest.raises(ConfigError, match="number of processes"):
        RunOptions(jobs=-1)


def test_the_next_version_of_a_plug_in_computes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = EngineInfo(kind="ase", name="ase", model="m")

    def path(name: str) -> Path:
        atoms = structure_of("Cu")
        return Store(tmp_path).path(name, "Cu", info, BulkSettings(), atoms)

    monkeypatch.setattr(registry, "_entry_points", lambda: {"density": object()})
    monkeypatch.setattr(registry, "_package", lambda _: "density 1.0")
    first = path("density")
    assert path("density") == first
    monkeypatch.setattr(registry, "_package", lambda _: "density 1.1")
    assert path("density") != first
    assert (registry.package_of("bulk"), registry.package_of("nonesuch")) == ("", "")
