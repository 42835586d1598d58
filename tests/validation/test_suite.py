from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from lamplighter.errors import ConfigError, DataError
from lamplighter.resources import base_model
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.materials import parity_structures, structure_of
from lamplighter.validation.properties.base import Check, PropertyResult, Quantity
from lamplighter.validation.properties.phonon import PhononSettings
from lamplighter.validation.store import Store
from lamplighter.validation.suite import (
    EngineSpec,
    ModelSpec,
    read_suite,
    suite_from_mapping,
)

MODEL = ModelSpec(file=Path("m.safetensors"), head="pbe")
INFO = EngineInfo(kind="ase", name="ase", model="m", model_sha256="ab", head="pbe")


def mapping(**changes: Any) -> dict[str, Any]:
    return {"model": {"file": "m.safetensors", "head": "pbe"}, **changes}


def test_a_suite_is_read_with_paths_from_its_own_folder(tmp_path: Path) -> None:
    text = """\
model: {file: m.safetensors, head: pbe}
engines: [ase, {kind: lammps, name: two, ranks: 2, artifact: sub/m.pt}]
materials: [MgO, {name: NaCl, structure: nacl.cif}]
properties: {phonon: {displacement: 3e-2, supercell: [2, 2, 2]}, bulk: {}}
geometry: own
references: [builtin, mine.yaml]
strict: true
"""
    (tmp_path / "suite.yaml").write_text(text)
    suite = read_suite(tmp_path / "suite.yaml")
    assert suite.model.file == tmp_path / "m.safetensors"
    assert suite.engines == (
        EngineSpec(kind="ase"),
        EngineSpec(
            kind="lammps", name="two", ranks=2, artifact=tmp_path / "sub" / "m.pt"
        ),
    )
    assert suite.materials[0].structure is None
    assert suite.materials[1].structure == tmp_path / "nacl.cif"
    assert list(suite.properties) == ["bulk", "phonon"]
    expected = PhononSettings(displacement=0.03, supercell=(2, 2, 2))
    assert suite.properties["phonon"] == expected
    assert suite.references == ("builtin", str(tmp_path / "mine.yaml"))
    assert suite.geometry == "own"
    assert suite.strict


def test_a_suite_can_name_the_shipped_model(tmp_path: Path) -> None:
    suite = suite_from_mapping(
        mapping(model={"file": "model:base", "head": "pbe"}), tmp_path
    )
    assert suite.model.file == base_model()
    with pytest.raises(ConfigError, match="wanted: model:base"):
        suite_from_mapping(
            mapping(model={"file": "model:best", "head": "pbe"}), tmp_path
        )


def test_what_is_left_out_has_defaults() -> None:
    suite = suite_from_mapping(mapping(), Path())
    assert [engine.name for engine in suite.engines] == ["ase", "lammps"]
    assert [material.name for material in suite.materials] == ["MgO"]
    assert list(suite.properties) == ["parity", "bulk", "elastic", "phonon", "surface"]
    assert suite.geometry == "shared"
    assert not suite.strict


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": ["ase"]}, "unknown key 'engine'.*did you mean 'engines'"),
        ({"properties": {"fonon": {}}}, "unknown key 'fonon'.*did you mean 'phonon'"),
        ({"properties": {"phonon": {"displ": 1}}}, "unknown key 'displ' in prop"),
        (
            {"properties": {"phonon": {"displacement": "far"}}},
            "phonon: displ.*a number",
        ),
        ({"properties": {"phonon": {"mesh": 2.5}}}, "phonon: mesh.*something like"),
        ({"properties": {"phonon": {"nac": 1}}}, "phonon: nac.*true, false"),
        ({"properties": {}}, "no properties"),
        ({"properties": {"parity": {}}, "engines": ["ase"]}, "parity compares two"),
        ({"engines": "ase"}, "engines.*a list"),
        ({"engines": [{"kind": "vasp"}]}, "unknown engine.*vasp"),
        ({"engines": [{"kind": "lammps", "ranks": 0}]}, "ranks; got: 0"),
        ({"engines": [{"kind": "lammps", "ranks": "two"}]}, "engines: ranks"),
        ({"engines": ["ase", "ase"]}, "engines.*named apart"),
        ({"materials": []}, "materials.*one or more"),
        ({"materials": [{"structure": "x.cif"}]}, "materials: key 'name' is missing"),
        ({"geometry": "both"}, "geometry; got: both"),
        ({"model": {"file": "m", "head": "pbe", "dtype": "float16"}}, "dtype"),
        ({"model": {"file": "m"}}, "model: key 'head' is missing"),
        ({"model": {"file": "m", "head": 3}}, "model: head.*text"),
        ({"strict": "yes please"}, "strict.*true, false"),
    ],
)
def test_wrong_suites_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        suite_from_mapping(mapping(**changes), Path())


def test_files_that_hold_no_suite_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("model: [unclosed")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "empty.yaml").write_text("materials: [MgO]\n")
    with pytest.raises(ConfigError, match="cannot read the suite"):
        read_suite(tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="cannot read the suite"):
        read_suite(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="wrong value for the suite"):
        read_suite(tmp_path / "list.yaml")
    with pytest.raises(ConfigError, match="names no model"):
        read_suite(tmp_path / "empty.yaml")


def test_materials_are_built_in_or_read(tmp_path: Path) -> None:
    crystal = structure_of("MgO")
    crystal.write(tmp_path / "x.cif")
    assert structure_of("any", tmp_path / "x.cif").get_chemical_formula() == "Mg4O4"
    with pytest.raises(ConfigError, match="unknown material; got: Unobtainium"):
        structure_of("Unobtainium")
    with pytest.raises(DataError, match="cannot read the structure of any"):
        structure_of("any", tmp_path / "none.cif")
    Atoms("H", positions=[[0, 0, 0]], pbc=True).write(tmp_path / "h.xyz")
    with pytest.raises(DataError, match="structure of any has no cell"):
        structure_of("any", tmp_path / "h.xyz")


def test_parity_structures_cover_what_interfaces_get_wrong() -> None:
    found = parity_structures(structure_of("MgO"))
    assert len(found) == 6
    tilted = found["triclinic, rotated"]
    assert np.abs(tilted.cell.array).min() > 0.1
    signs = np.sign(tilted.cell.angles() - 90)
    assert {-1.0, 1.0} <= set(signs)
    small = found["cell smaller than the cutoff"]
    assert small.cell.lengths().max() < 4
    assert found["slab with vacuum"].cell.lengths()[2] > 20
    assert found["cluster, elements reversed"].get_chemical_symbols()[0] == "O"
    assert len(found["isolated atom"]) == 1
    for atoms in found.values():
        distances = atoms.get_all_distances(mic=True)
        assert distances[distances > 0].min(initial=9) > 1.6


def test_parity_structures_are_always_the_same() -> None:
    first = parity_structures(structure_of("MgO"))
    again = parity_structures(structure_of("MgO"))
    assert all(first[name] == again[name] for name in first)


def _result() -> PropertyResult:
    return PropertyResult.conclude(
        "phonon", "MgO", INFO, method={}, values={"x": Quantity(value=1.0, unit="Å")},
        checks=[Check(name="c", ok=True)],
    )  # fmt: skip


def test_the_store_finds_what_it_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    path = store.path("phonon", "MgO", INFO, PhononSettings(), structure_of("MgO"))
    assert store.load(path) is None
    store.save(path, _result())
    assert store.load(path) == _result()
    assert path.name.startswith("phonon_MgO_ase_")


def test_the_name_of_a_result_changes_with_everything_it_depends_on() -> None:
    store = Store(Path("results"))
    crystal = structure_of("MgO")
    moved = crystal.copy()
    moved.positions[0, 0] += 1e-6
    settings = PhononSettings()
    paths = {
        store.path("phonon", "MgO", INFO, settings, crystal),
        store.path("phonon", "MgO", INFO, settings, moved),
        store.path("phonon", "MgO", INFO, replace(settings, mesh=5), crystal),
        store.path("phonon", "MgO", replace(INFO, head="r2scan"), settings, crystal),
        store.path(
            "phonon", "MgO", replace(INFO, model_sha256="cd"), settings, crystal
        ),
        store.path("phonon", "MgO", replace(INFO, dtype="float32"), settings, crystal),
        store.path("bulk", "MgO", INFO, settings, crystal),
        store.path("phonon", "MgO", INFO, settings, {"a": crystal}),
        store.path("phonon", "MgO", INFO, settings, {"b": crystal}),
    }
    assert len(paths) == 9
    assert store.path("phonon", "MgO", INFO, settings, crystal.copy()) in paths


@pytest.mark.parametrize("content", ["", "{", "{}", '{"schema": 99}', '{"schema": 1}'])
def test_a_damaged_result_counts_as_absent(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    assert Store(tmp_path).load(tmp_path / "r.json") is None
