from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from lamplighter.errors import CheckFailedError, ConfigError, EngineError
from lamplighter.validation import cards, runner, tasks
from lamplighter.validation.engines import AseEngine, EngineInfo, Result
from lamplighter.validation.engines.base import WANT_DEFAULT
from lamplighter.validation.materials import structure_of
from lamplighter.validation.open_engines import ModelCard
from lamplighter.validation.properties.base import Check, PropertyResult, Quantity
from lamplighter.validation.properties.bulk import BulkSettings
from lamplighter.validation.properties.elastic import ElasticSettings
from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.refs import force_set
from lamplighter.validation.report import check_document, render
from lamplighter.validation.report.collect import suite_document
from lamplighter.validation.report.document import finite
from lamplighter.validation.report.terminal import verdict_lines
from lamplighter.validation.runner import RunOptions
from lamplighter.validation.store import Store
from lamplighter.validation.suite import (
    EngineSpec,
    MaterialSpec,
    ModelSpec,
    SuiteConfig,
)
from lamplighter.validation.tasks import START

CARD = ModelCard(
    file=Path("m.safetensors"), sha256="ab", head="pbe", level_of_theory="PBE",
    dispersion="none", licence="MIT", source="", heads=("pbe",), elements=("Cu",),
    cutoff=5.0, n_layers=1, dtype="float64", lamplighter_version="0.1.0",
)  # fmt: skip


class Emt:
    """EMT as an engine that counts its evaluations, and may be off or break."""

    def __init__(self, name: str, *, error: float = 0.0, broken: bool = False) -> None:
        info = EngineInfo(kind=name, name=name, model="emt", head="pbe")
        self._engine = AseEngine(EMT(), info)
        self.info = info
        self.calls = 0
        self._error, self._broken = error, broken

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        self.calls += 1
        if self._broken:
            msg = "LAMMPS stopped; fix: start it again"
            raise EngineError(msg)
        result = self._engine.compute(atoms, want)
        return replace(result, forces=result.forces + self._error)

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        return [self.compute(atoms, want) for atoms in structures]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> list[Emt]:
    """Two engines in the place of a potential and its ML-IAP file."""
    opened = [Emt("ase"), Emt("lammps")]

    @contextlib.contextmanager
    def engines(*_: Any) -> Iterator[list[Emt]]:
        yield opened

    monkeypatch.setattr(runner, "engines", engines)
    monkeypatch.setattr(cards, "read_card", lambda _: CARD)
    return opened


def suite(**changes: Any) -> SuiteConfig:
    given: dict[str, Any] = {
        "model": ModelSpec(file=Path("m.safetensors"), head="pbe"),
        "materials": (MaterialSpec(name="Cu"),),
        "properties": {
            "parity": ParitySettings(directions=0, invariances=False),
            "bulk": BulkSettings(points=7),
        },
    }
    return SuiteConfig(**{**given, **changes})


@pytest.mark.usefixtures("pair")
def test_a_suite_runs_parity_first_and_then_every_engine(tmp_path: Path) -> None:
    result = runner.run_suite(suite(), tmp_path)
    assert [(r.property, r.engine.name) for r in result.results] == [
        ("bulk", "ase"), ("bulk", "lammps"),
    ]  # fmt: skip
    assert len(result.parity) == 1
    assert result.parity[0].status == "ok"
    assert len(result.parity[0].arrays["rows"]) == 6
    assert result.exit_code == 0
    names = sorted(p.name.rsplit("_", 1)[0] for p in (tmp_path / "results").iterdir())
    assert names == [
        "bulk_Cu_ase", "bulk_Cu_lammps", "parity_Cu_lammps", "start_Cu_ase",
    ]  # fmt: skip


def test_finished_results_are_used_again(pair: list[Emt], tmp_path: Path) -> None:
    first = runner.run_suite(suite(), tmp_path)
    (tmp_path / "results").joinpath(
        next(p.name for p in (tmp_path / "results").glob("bulk_Cu_lammps*"))
    ).unlink()
    calls = pair[0].calls, pair[1].calls
    again = runner.run_suite(suite(), tmp_path)
    assert again.results == first.results
    assert again.seconds["parity Cu"] == 0.0
    assert again.seconds["bulk Cu ase"] == 0.0
    assert again.seconds["bulk Cu lammps"] > 0.0
    assert pair[0].calls == calls[0]
    assert pair[1].calls > calls[1]


@pytest.mark.usefixtures("pair")
def test_other_settings_are_computed_anew(tmp_path: Path) -> None:
    runner.run_suite(suite(), tmp_path)
    changed = suite(properties={"bulk": BulkSettings(points=9)})
    result = runner.run_suite(changed, tmp_path)
    assert len(result.results[0].arrays["volumes"]) == 9


@pytest.mark.usefixtures("pair")
def test_shared_geometry_hands_over_one_relaxed_crystal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Atoms] = []
    original = Store.path

    def path(store: Store, name: str, *rest: Any) -> Path:
        if name == "bulk":
            starts.append(rest[-1])
        return original(store, name, *rest)

    monkeypatch.setattr(Store, "path", path)
    only = {"bulk": BulkSettings(points=7)}
    runner.run_suite(suite(properties=only), tmp_path / "a")
    assert starts[0] == starts[1]
    # EMT's copper is smaller than the built-in start.
    assert starts[0].cell.volume / len(starts[0]) < 3.63**3 / 4
    starts.clear()
    runner.run_suite(suite(properties=only, geometry="own"), tmp_path / "b")
    assert starts[0].cell.volume == pytest.approx(3.63**3)


def test_engines_that_disagree_fail_the_suite(pair: list[Emt], tmp_path: Path) -> None:
    pair[1]._error = 1e-3
    result = runner.run_suite(
        suite(properties={"parity": ParitySettings(directions=0)}), tmp_path
    )
    assert result.parity[0].status == "invalid"
    assert result.state == "fail"
    assert result.exit_code == 1
    lines = verdict_lines(suite_document(result))
    assert "LAMMPS does not give the model's numbers." in lines
    assert list((tmp_path / "parity-failures").rglob("*.extxyz"))


def test_a_broken_engine_is_recorded_and_tried_again_when_asked(
    pair: list[Emt], tmp_path: Path
) -> None:
    pair[1]._broken = True
    only = suite(properties={"bulk": BulkSettings(points=7)})
    result = runner.run_suite(only, tmp_path)
    good, bad = result.results
    assert good.status == "ok"
    assert bad.status == "invalid"
    assert "start it again" in bad.checks[0].text
    assert result.exit_code == 1
    pair[1]._broken = False
    assert runner.run_suite(only, tmp_path).results[1].status == "invalid"
    again = RunOptions(retry_failed=True)
    assert runner.run_suite(only, tmp_path, again).results[1].status == "ok"
    assert runner.run_suite(only, tmp_path).results[1].status == "ok"
    assert not list((tmp_path / "failures").iterdir())


@pytest.mark.usefixtures("pair")
def test_physics_counts_only_in_a_strict_suite(tmp_path: Path) -> None:
    # EMT's copper is 1 % smaller and softer than PBE's.
    result = runner.run_suite(suite(), tmp_path)
    missed = [replace(c, verdict="fail") for c in result.comparisons]
    assert missed
    missed_result = replace(result, comparisons=tuple(missed))
    assert missed_result.state == "miss"
    assert missed_result.exit_code == 0
    assert replace(missed_result, config=suite(strict=True)).exit_code == 1


@pytest.mark.usefixtures("pair")
def test_elements_that_the_head_lacks_are_refused(tmp_path: Path) -> None:
    changed = suite(materials=(MaterialSpec(name="MgO"),))
    with pytest.raises(
        ConfigError, match=r"head 'pbe' lacks elements of MgO; got: Mg, O"
    ):
        runner.run_suite(changed, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_crystal_that_does_not_relax_is_a_clear_error() -> None:
    class Pulling(Emt):
        def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
            found = super().compute(atoms, want)
            return replace(
                found, stress=None if found.stress is None else found.stress + 1
            )

    with pytest.raises(CheckFailedError, match="does not relax with this potential"):
        runner.relaxed_start(structure_of("Cu"), Pulling("ase"))


def test_a_crystal_that_does_not_relax_makes_every_property_invalid(
    pair: list[Emt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = replace(START, fmax=1e-30, max_steps=1)
    monkeypatch.setattr(tasks, "START", impossible)
    properties = {"bulk": BulkSettings(points=7), "elastic": ElasticSettings()}
    result = runner.run_suite(suite(properties=properties), tmp_path)
    assert [r.status for r in result.results] == ["invalid"] * 4
    assert "does not relax" in result.results[0].checks[0].text
    assert result.exit_code == 1
    assert pair[1].calls == 0


def test_engines_in_two_threads_do_not_share_the_object_of_a_force_set() -> None:
    def both(_: int) -> tuple[int, int]:
        barrier.wait()
        return id(force_set("MgO").phonons()), id(force_set("MgO").phonons())

    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(both, range(2))
    assert first[0] == first[1]
    assert second[0] == second[1]
    assert first[0] != second[0]


def test_two_bulk_moduli_that_disagree_make_the_constants_invalid() -> None:
    def one(name: str, quantity: str, value: float) -> PropertyResult:
        return PropertyResult.conclude(
            name, "Cu", EngineInfo(kind="ase", name="ase", model="m"), method={},
            values={quantity: Quantity(value=value, unit="GPa")},
            checks=[Check(name="x", ok=True)],
        )  # fmt: skip

    bulk = one("bulk", "bulk_modulus", 100.0)
    good = one("elastic", "bulk_modulus_reuss", 101.0)
    bad = one("elastic", "bulk_modulus_reuss", 110.0)
    assert runner.with_agreement([bulk, good])[1].status == "ok"
    assert runner.with_agreement([bulk, bad])[1].status == "invalid"
    assert runner.with_agreement([bulk]) == [bulk]


@pytest.mark.usefixtures("pair")
@pytest.mark.slow
def test_the_document_of_a_whole_suite_is_a_valid_report(tmp_path: Path) -> None:
    properties = {
        "parity": ParitySettings(directions=1),
        "bulk": BulkSettings(points=7),
        "elastic": ElasticSettings(),
    }
    config = suite(
        properties=properties,
        engines=(EngineSpec(kind="ase"), EngineSpec(kind="lammps")),
    )
    result = runner.run_suite(config, tmp_path)
    document = check_document(finite(suite_document(result)))
    assert {table["property"] for table in document["properties"]} == {
        "bulk",
        "elastic",
    }
    assert set(document["plots"]) == {"bulk", "elastic"}
    page = render(document)
    assert "figure-elastic" in page
    assert "lattice constant a" in page
    lines = "\n".join(verdict_lines(document))
    assert "lattice constant a Å" in lines
    assert max(map(len, lines.splitlines())) < 100
