from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from lamplighter.errors import ConfigError
from lamplighter.validation.materials import structure_of
from lamplighter.validation.suite import SuiteConfig, suite_from_mapping
from lamplighter.validation.suite_text import suite_to_mapping
from lamplighter.validation.tasks import Shard, Task, kind_of, plan, select

EMT = {"kind": "ase", "name": "a", "calculator": "ase.calculators.emt:EMT"}
TWO = [EMT, {**EMT, "name": "b"}]
STRUCTURES = {"Cu": structure_of("Cu"), "Al": structure_of("Al")}


def config(**changes: Any) -> SuiteConfig:
    content = {
        "engines": TWO,
        "materials": ["Cu", "Al"],
        "properties": {"parity": {}, "bulk": {}, "phonon": {}},
    }
    return suite_from_mapping({**content, **changes}, Path("/suite"))


def labels(tasks: list[Task]) -> list[str]:
    return [task.label for task in tasks]


def test_parity_comes_first_and_properties_after_their_relaxation() -> None:
    tasks = plan(config(), STRUCTURES)
    assert labels(tasks)[:3] == ["parity Cu", "parity Al", "start Cu"]
    assert labels(tasks)[3:7] == [
        "bulk Cu a",
        "phonon Cu a",
        "bulk Cu b",
        "phonon Cu b",
    ]
    assert tasks[4].after == "start Cu"
    assert tasks[0].engines == ("a", "b")
    assert len({task.slug for task in tasks}) == len(tasks) == 12


def test_engines_that_relax_for_themselves_start_from_the_structure_as_given() -> None:
    tasks = plan(config(geometry="own"), STRUCTURES)
    assert not any(task.after or task.name == "start" for task in tasks)


def test_a_material_may_have_properties_and_settings_of_its_own() -> None:
    changed = config(
        properties={"bulk": {"points": 9}, "phonon": {}},
        materials=["Cu", {"name": "Al", "properties": {"bulk": {"span": 0.05}}}],
    )
    tasks = plan(changed, STRUCTURES)
    own = [task for task in tasks if task.material == "Al"]
    assert labels(own) == ["start Al", "bulk Al a", "bulk Al b"]
    assert (own[1].settings.points, own[1].settings.span) == (9, 0.05)


def test_properties_that_do_not_apply_are_left_out_or_refused() -> None:
    molecule = {"Cu": structure_of("Cu"), "CO": Atoms("CO", [[0, 0, 0], [0, 0, 1.1]])}
    both = config(materials=["Cu", "CO"])
    found = [t.label for t in plan(both, molecule) if t.material == "CO"]
    assert found == ["parity CO"]
    only = config(materials=["CO"], properties={"bulk": {}})
    with pytest.raises(ConfigError, match="bulk applies to none of the materials"):
        plan(only, {"CO": molecule["CO"]})
    named = config(materials=[{"name": "CO", "properties": ["bulk"]}])
    with pytest.raises(ConfigError, match="bulk does not apply to CO; got: a molecule"):
        plan(named, {"CO": molecule["CO"]})


def test_the_kind_of_a_material_is_told_by_its_periodicity_or_by_the_suite() -> None:
    material = config().materials[0]
    slab = Atoms("Cu", cell=[3, 3, 20], pbc=[True, True, False])
    assert kind_of(material, slab) == "slab"
    assert kind_of(material, structure_of("Cu")) == "crystal"
    assert kind_of(replace(material, kind="slab"), structure_of("Cu")) == "slab"
    with pytest.raises(ConfigError, match="unknown key 'gas' in material x: kind"):
        config(materials=[{"name": "x", "kind": "gas"}])


def test_parts_of_a_suite_bring_their_relaxations() -> None:
    tasks = plan(config(), STRUCTURES)
    assert labels(select(tasks, only=["phonon:Al"])) == [
        "start Al", "phonon Al a", "phonon Al b",
    ]  # fmt: skip
    assert labels(select(tasks, only=["b*:C*"], engines=["b"])) == [
        "start Cu", "bulk Cu b",
    ]  # fmt: skip
    assert labels(select(tasks, engines=["a", "b"], only=["parity"])) == [
        "parity Cu", "parity Al",
    ]  # fmt: skip


def test_shards_hold_every_task_once() -> None:
    tasks = plan(config(), STRUCTURES)
    parts = [select(tasks, shard=Shard(index=k, count=3)) for k in (1, 2, 3)]
    found = [t.label for part in parts for t in part if t.name != "start"]
    assert sorted(found) == sorted(t.label for t in tasks if t.name != "start")


def test_parts_that_do_not_exist_are_refused() -> None:
    tasks = plan(config(), STRUCTURES)
    with pytest.raises(
        ConfigError, match="meant by --only; got: phonn; wanted: one of"
    ):
        select(tasks, only=["phonn"])
    with pytest.raises(ConfigError, match="unknown engine; got: lmp; wanted: a, b"):
        select(tasks, engines=["lmp"])
    assert Shard.parse("3/16") == Shard(index=3, count=16)
    for text in ("0/3", "4/3", "three", "3/"):
        with pytest.raises(ConfigError, match="shard; got"):
            Shard.parse(text)


def test_a_suite_survives_the_way_through_its_manifest() -> None:
    suite = config(
        properties={"bulk": {"points": 9}, "surface": {"miller": [1, 1, 0]}},
        materials=["Cu", {"name": "Al", "kind": "crystal", "properties": ["bulk"]}],
        strict=True, level_of_theory="PBE", compare="cross",
        thresholds=[{"quantity": "C*", "kind": "relative", "warn": 0.1, "fail": 0.2}],
        time_limit=60, elements=["Cu"],
    )  # fmt: skip
    content, folder = suite_to_mapping(suite)
    assert suite_from_mapping(content, folder) == suite
    assert folder == Path("/suite")
