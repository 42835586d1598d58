"""Suite files that people get wrong, one way or another."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from lamplighter.commands.suite import _settings
from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.materials import structure_of
from lamplighter.validation.suite import read_suite, suite_from_mapping
from lamplighter.validation.tasks import plan
from lamplighter.validation.thresholds import load_thresholds
from lamplighter.validation.yaml_text import read_yaml

EMT = {"kind": "ase", "calculator": "ase.calculators.emt:EMT", "elements": ["Cu"]}
BASE: dict[str, Any] = {
    "engines": [EMT],
    "materials": ["Cu"],
    "properties": {"bulk": {"points": 7}},
}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"time_limit": None}, "time_limit; got: None"),
        ({"time_limit": math.inf}, "time_limit; got: inf"),
        ({"time_limit": 1e300}, "at most 1e[+]09"),
        ({"time_limit": 10**400}, "wrong value for time_limit"),
        ({"elements": None}, "elements; got: None"),
        ({"elements": ["Mg", "Xx"]}, "elements; got: Xx"),
        ({"elements": ["Mg", "Mg"]}, "elements; got: Mg, Mg"),
        ({"strict": None}, "strict; got: None"),
        ({"level_of_theory": None}, "level_of_theory; got: None"),
        ({"references": [{"file": "a"}]}, "wrong value for references"),
        ({"references": [5]}, "references; got: 5"),
        ({"references": ["builtin", "builtin"]}, "references; .* named apart"),
        ({"properties": {"bulk": {"points": None}}}, "bulk: points; got: None"),
        ({"materials": [{"name": "", "structure": "x"}]}, "materials: name; got: ''"),
        ({"materials": [{"name": "a\nb", "structure": "x"}]}, "materials: name"),
        ({"materials": [{"name": "model", "structure": "x"}]}, "can be called 'model'"),
        ({"materials": [{"name": "a", "structure": ["x"]}]}, "structure; got: .'x'"),
        ({"engines": [EMT | {"name": "one\x1b[31m"}]}, "engines: name"),
    ],
)
def test_values_that_cannot_be_meant(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        suite_from_mapping(BASE | given, Path())


@pytest.mark.parametrize(
    ("key", "value"), [("quantity", 5), ("head", None), ("kind", ["relative"])]
)
def test_words_of_thresholds_are_text(key: str, value: object) -> None:
    limit = {"quantity": "a", "kind": "relative", "warn": 0, "fail": 1} | {key: value}
    with pytest.raises(DataError, match=f"{key} is no text"):
        suite_from_mapping(BASE | {"thresholds": [limit]}, Path())


def test_a_file_without_a_list_of_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text("format: 1\nthresholds:\n")
    with pytest.raises(DataError, match="thresholds is no list; got: None"):
        load_thresholds(path)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(BASE) + "properties: [elastic]\n")
    with pytest.raises(ConfigError, match="'properties' stands twice"):
        read_suite(path)
    merged = read_yaml("a: &a {x: 1}\nb: {<<: *a, x: 2}\n")
    assert merged == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "a: " + "[" * 100_000 + "]" * 100_000,
        "- " * 100_000,
        "a: 2020-99-99",
    ],
)
def test_yaml_that_is_an_attack_or_a_slip(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot read the suite"):
        read_suite(path)


def test_names_that_give_two_tasks_one_file(tmp_path: Path) -> None:
    cell = tmp_path / "cu.xyz"
    structure_of("Cu").write(cell)
    given = BASE | {
        "materials": [
            {"name": "my Cu", "structure": "cu.xyz"},
            {"name": "my_Cu", "structure": "cu.xyz"},
        ]
    }
    config = suite_from_mapping(given, tmp_path)
    structures = {m.name: structure_of(m.name, m.structure) for m in config.materials}
    with pytest.raises(ConfigError, match=r"would share one file.*rename"):
        plan(config, structures)


def test_a_home_folder_in_paths_is_found() -> None:
    config = suite_from_mapping(BASE | {"references": ["~/mine.yaml"]}, Path("/x"))
    assert config.references == (str(Path.home() / "mine.yaml"),)


def test_a_setting_given_twice() -> None:
    with pytest.raises(ConfigError, match="--set; got: points twice"):
        _settings(["points=7", "points=9"])
    with pytest.raises(ConfigError, match="'a' stands twice"):
        _settings(["x={a: 1, a: 2}"])
