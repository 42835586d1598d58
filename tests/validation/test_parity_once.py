"""Points of parity are tried once for each set of elements; kinks are told."""

from __future__ import annotations

import dataclasses
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from lamplighter.validation.engines import AseEngine, EngineInfo
from lamplighter.validation.engines.family import Family
from lamplighter.validation.execution import Bench
from lamplighter.validation.parity_points_once import points_once
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.properties.parity_terms import FLOAT64, _smallest
from lamplighter.validation.report.html import render
from lamplighter.validation.report.junit import write_junit
from lamplighter.validation.report.parity_points import parity_points
from lamplighter.validation.store import origin
from lamplighter.validation.suite import (
    EngineSpec,
    MaterialSpec,
    ModelSpec,
    SuiteConfig,
)

STRUCTURES = {
    "Mg": bulk("Mg"),
    "MgO": bulk("MgO", "rocksalt", a=4.2),
    "water": molecule("H2O"),
    "brucite": Atoms("MgO2H2", cell=[5, 5, 5], pbc=True),
    "Cu": bulk("Cu"),
}


def settings_of(heads=None, **given) -> dict[str, ParitySettings]:
    heads = heads or {}
    names = [name for name in STRUCTURES if not given or name in given]
    asked = {name: given.get(name, ParitySettings()) for name in names}
    config = SuiteConfig(
        model=ModelSpec(file=Path("m.safetensors"), head="pbe"),
        properties={"bulk": None},
        engines=(EngineSpec(kind="ase"),),
        materials=tuple(MaterialSpec(name=n, head=heads.get(n, "")) for n in names),
    )
    return points_once(config, STRUCTURES, asked)


def hosts(**keys) -> dict[str, str]:
    return {name: s.points_on for name, s in settings_of(**keys).items()}


def test_a_set_of_elements_stands_for_its_parts():
    found = hosts()
    assert list(found) == list(STRUCTURES)
    assert found == {
        "Mg": "brucite", "MgO": "brucite", "water": "brucite", "brucite": "", "Cu": "",
    }  # fmt: skip


def test_another_head_is_another_potential():
    found = hosts(heads={"Mg": "rpbe", "water": "rpbe"})
    assert found["Mg"] == found["water"] == ""
    assert found["MgO"] == "brucite"


def test_less_is_not_taken_for_more():
    quick, full = ParitySettings(), ParitySettings(points="full")
    none, loose = ParitySettings(points="none"), ParitySettings(tolerances=FLOAT64)
    assert hosts(Mg=full, MgO=quick) == {"Mg": "", "MgO": ""}
    assert hosts(Mg=quick, MgO=full) == {"Mg": "MgO", "MgO": ""}
    assert hosts(Mg=quick, MgO=none) == {"Mg": "", "MgO": ""}
    assert hosts(Mg=quick, MgO=loose) == {"Mg": "", "MgO": ""}
    assert hosts(water=quick, Cu=quick) == {"water": "", "Cu": ""}


def test_what_is_tried_elsewhere_says_so_and_the_report_shows_both():
    engine = AseEngine(EMT())
    few = {"rattled": bulk("Cu", cubic=True)}
    settings = ParitySettings(directions=0, invariances=False)
    host = parity.run(few, engine, engine, settings)
    guest = parity.run(
        few, engine, engine, dataclasses.replace(settings, points_on="host")
    )
    assert guest.arrays["points"] == []
    assert guest.method["points_on"] == "host"
    results = [
        dataclasses.replace(host, material="host"),
        dataclasses.replace(guest, material="guest"),
    ]
    rows = parity_points(results)
    assert len(rows) == len(host.arrays["points"]) > 10
    assert {row["material"] for row in rows} == {"host"}
    assert all(row["also_for"] == ["guest"] for row in rows)
    by_key = {row["key"]: row for row in rows}
    assert by_key["extensivity"]["unit"] == "of limit"
    assert by_key["free atoms"]["unit"] == "eV"
    assert by_key["restart"]["verdict"] == "not applicable"


class Jump(AseEngine):
    """Lennard-Jones, with a potential of this project's claim to be smooth."""

    def __init__(self, *, own: bool, height: float, at: float, power: int = 0) -> None:
        info = EngineInfo(kind="ase", name="jump", model="LJ")
        super().__init__(LennardJones(sigma=2.3, epsilon=0.2, rc=6.0), info)
        self.height, self.at, self.power = height, at, power
        if own:
            self.family = Family(
                head="a", heads=("a",), reference_energies={}, open=lambda _: None
            )

    def compute(self, atoms, want=("energy", "forces", "stress")):
        result = super().compute(atoms, want)
        beyond = atoms.get_distance(0, 1) - self.at
        extra = self.height * beyond**self.power if beyond > 0 else 0.0
        return dataclasses.replace(result, energy=result.energy + extra)


def verdict(engine) -> tuple[set[str], list[str]]:
    atoms = Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]], cell=[20, 20, 20], pbc=True)
    settings = ParitySettings(invariances=False, points="none", seed=3)
    result = parity.run({"pair": atoms}, engine, engine, settings)
    return {c.name for c in result.failed()}, result.arrays["rows"][0]["kinks"]


@pytest.mark.parametrize("at", [2.5 + 4e-4, 2.5 + 1.2e-3])
def test_a_jump_of_a_potential_of_ours_is_not_stepped_over(at):
    """Wherever it lies in the reach of the rule, near or far."""
    failed, _ = verdict(Jump(own=True, height=1e-4, at=at))
    assert "parity of slope" in failed
    # A foreign one may have it, and it is told.
    failed, kinks = verdict(Jump(own=False, height=1e-4, at=at))
    assert "parity of slope" not in failed
    assert "slope" in kinks


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda h: 4.0 * h**4, 0.25),  # of the rule: half the step
        (lambda h: 40.0 * h**4, 40.0 / 4**4),  # a quarter of it
        (lambda h: 4000.0 * h**4, 4000.0),  # too much for that
        (lambda h: 4.0 if h > 0.6 else 0.0, 4.0),  # a jump that half a step misses
        (lambda h: 2.0 / h, 2.0),  # a jump that every step crosses
        (lambda _: 2.0, 2.0),  # a wrong force
        (lambda h: 2.0 * h**2, 2.0),  # a wrong derivative that is wrong by less
        (lambda _: 0.5, 0.5),
    ],
)
def test_only_an_error_of_the_rule_falls_as_it_does(error, expected):
    found, kink = _smallest(error, 1.0, 1.0, True)
    assert found == pytest.approx(expected)
    assert not kink


def test_where_kinks_are_allowed_the_shorter_step_is_told():
    assert _smallest(lambda h: 4.0 if h > 0.6 else 0.5, 1.0, 1.0, False) == (0.5, True)
    assert _smallest(lambda _: 2.0, 1.0, 1.0, False) == (2.0, False)
    assert _smallest(lambda _: 0.5, 1.0, 1.0, False) == (0.5, False)
    for smooth in (True, False):
        value, kink = _smallest(lambda _: np.nan, 1.0, 1.0, smooth)
        assert np.isnan(value)
        assert not kink


def test_parity_asks_the_deployed_engine_itself(tmp_path):
    """The reference may remember; what is under test may not."""
    from types import SimpleNamespace

    from lamplighter.validation.engines import CachedEngine

    opened = {
        ("", name): CachedEngine(AseEngine(EMT()), tmp_path) for name in ("a", "b")
    }
    bench = Bench(opened)

    def engines(task):
        job = SimpleNamespace(
            card=SimpleNamespace(head=""),
            task=SimpleNamespace(name=task, engines=("a", "b")),
        )
        return [isinstance(bench.engine(job, name), CachedEngine) for name in "ab"]

    assert engines("parity") == [True, False]
    assert engines("bulk") == [True, True]


def test_parity_with_another_reference_is_another_result(tmp_path):
    """A run that goes on must not show what an earlier suite was compared with."""
    from lamplighter.validation.jobs import Jobs, RunOptions
    from lamplighter.validation.tasks import plan

    config = SuiteConfig(
        model=ModelSpec(file=Path("m.safetensors"), head="pbe"),
        engines=(EngineSpec(kind="ase", name="a"), EngineSpec(kind="ase", name="b")),
        materials=(MaterialSpec(name="Cu"),),
        properties={"parity": ParitySettings()},
    )
    info = EngineInfo(kind="ase", name="a", model="LJ")
    (task,) = plan(config, STRUCTURES)

    class Card:
        head = "pbe"

    def path(structure=STRUCTURES["Cu"], **changed):
        infos = {
            ("pbe", "a"): dataclasses.replace(info, **changed),
            ("pbe", "b"): dataclasses.replace(info, name="b"),
        }
        jobs = Jobs(
            config, {"": Card}, {"Cu": structure}, infos, ["Cu"], tmp_path, RunOptions()
        )
        return jobs.make(task, None).path

    assert path() == path()
    assert path(extra={"backend": "compiled"}) != path()
    assert path(model_sha256="ab") != path()


@pytest.mark.parametrize("name", ["initial_charges", "initial_magmoms"])
def test_charges_and_moments_are_part_of_a_structure(name):
    plain, zero, some = (bulk("Cu") for _ in range(3))
    zero.set_array(name, np.zeros(1))
    some.set_array(name, np.ones(1))
    assert origin(plain) == origin(zero)
    assert origin(plain) != origin(some)


def page_with_points() -> dict[str, object]:
    engine = AseEngine(EMT())
    settings = ParitySettings(directions=0, invariances=False)
    result = parity.run({"rattled": bulk("Cu", cubic=True)}, engine, engine, settings)
    path = Path(__file__).with_name("report_document.py")
    document = runpy.run_path(str(path))["document"]()
    points = parity_points([dataclasses.replace(result, material="Cu")])
    points[0] |= {"verdict": "fail", "text": "types <exchanged>", "value": 7.0}
    points[1]["also_for"] = points[0]["also_for"] = ["Cu2O"]
    document["parity"]["points"] = points
    return document


def test_points_are_on_the_page():
    page = render(page_with_points())
    table = page[page.index("Points of Cu") : page.index('id="physics"')]
    assert "for Cu2O as well" in table
    assert table.count('<th scope="row">') == 13
    assert "types &lt;exchanged&gt;" in table
    assert 'class="chip fail"' in table
    assert "not applicable" in table
    assert "is not LAMMPS" in table


def test_points_are_cases_of_junit(tmp_path):
    path = write_junit(page_with_points(), tmp_path / "j.xml")
    suites = {s.get("name"): s for s in ET.parse(path).getroot()}
    suite = suites["parity points"]
    counts = {key: suite.get(key) for key in ("tests", "failures", "skipped")}
    assert counts == {"tests": "13", "failures": "1", "skipped": "10"}
    (failed,) = suite.findall(".//failure")
    assert "types <exchanged>" in failed.get("message")


def test_a_molecule_does_not_stand_for_a_crystal(monkeypatch):
    """In a molecule nothing is repeated, and nothing moves in a periodic box."""
    hydroxide = Atoms("MgO2H2", positions=3.0 * np.eye(5)[:, :3])
    monkeypatch.setitem(STRUCTURES, "water", hydroxide)
    quick = ParitySettings()
    assert hosts(Mg=quick, water=quick) == {"Mg": "", "water": ""}
    monkeypatch.setitem(STRUCTURES, "water", molecule("H2O"))
    assert hosts(water=quick, brucite=quick) == {"water": "brucite", "brucite": ""}
