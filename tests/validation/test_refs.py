"""Reference records and DFT force sets: what they hold, and what the loader refuses."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import yaml

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.properties import bands
from lamplighter.validation.refs import (
    Level,
    force_set,
    load_file,
    load_references,
    materials,
    same_level,
    select,
)
from lamplighter.validation.refs.force_sets import FOLDER
from lamplighter.validation.refs.levels import normalised

RECORD = {
    "quantity": "lattice_constant",
    "value": 4.255,
    "unit": "Å",
    "level": {"kind": "dft", "functional": "PBE"},
    "source": {"text": "somebody"},
    "licence": "fact",
    "obtained": "quoted",
    "verified": True,
}


def written(tmp_path, record=None, **header):
    content = {
        "format": 1,
        "material": "MgO",
        "structure": "rocksalt",
        "space_group": 225,
        "records": [RECORD if record is None else record],
    } | header
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def changed(**updates):
    return {k: v for k, v in (RECORD | updates).items() if v is not None}


# What the phonopy 4.10 example gives, computed independently of this package.
MGO = {
    "X": [8.455, 8.455, 12.173, 12.735, 12.735, 15.853],
    "L": [7.929, 7.929, 10.262, 10.262, 15.894, 16.470],
}


@pytest.fixture(scope="module")
def mgo():
    return force_set("MgO").phonons()


def test_mgo_force_set_gives_the_published_frequencies(mgo):
    found = bands.corner_frequencies(mgo, bands.default_path(mgo))
    assert found[bands.GAMMA][3:] == pytest.approx([11.198] * 3, abs=6e-4)
    for label, frequencies in MGO.items():
        assert found[label] == pytest.approx(frequencies, abs=6e-4)


def test_mgo_born_charges_split_the_optical_modes(mgo):
    born = force_set("MgO").born_charges()
    assert born is not None
    assert np.trace(born["dielectric"]) / 3 == pytest.approx(3.381, abs=1e-3)
    assert bands.longitudinal_optical(mgo, born) == pytest.approx(19.975, abs=1e-3)


@pytest.mark.parametrize(
    ("material", "gamma", "x_lowest", "l_lowest"),
    [("NaCl", 4.616, 2.414, 3.273), ("Si", 15.11, 4.39, 3.33)],
)
def test_other_force_sets_give_the_published_frequencies(
    material, gamma, x_lowest, l_lowest
):
    phonons = force_set(material).phonons()
    found = bands.corner_frequencies(phonons, bands.default_path(phonons))
    assert found[bands.GAMMA][3] == pytest.approx(gamma, abs=5e-3)
    assert found["X"][0] == pytest.approx(x_lowest, abs=5e-3)
    assert found["L"][0] == pytest.approx(l_lowest, abs=5e-3)


def test_force_sets_are_the_files_that_phonopy_ships():
    digest = hashlib.sha256((FOLDER / "MgO" / "FORCE_SETS").read_bytes()).hexdigest()
    assert digest == "a9c88d502ec38871fefaf4b7be521780a7ea2631c6cd650c814333e45833ffc0"
    assert "Redistribution and use" in (FOLDER / "LICENSE").read_text()
    assert "phonopy 4.10.0" in (FOLDER / "README.md").read_text()


def test_force_set_ignores_files_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "FORCE_SETS").write_text("nonsense")
    (tmp_path / "BORN").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    assert force_set("Si").phonons().force_constants is not None


def test_unknown_force_set_lists_what_there_is():
    with pytest.raises(ConfigError, match=r"LiF.*MgO, NaCl, Si"):
        force_set("LiF")


@pytest.mark.parametrize("material", ["MgO", "NaCl", "Si"])
def test_records_hold_what_the_force_set_gives(material):
    phonons = force_set(material).phonons()
    found = bands.corner_frequencies(phonons, bands.default_path(phonons))
    records = [
        record
        for record in load_references(material)
        if record.quantity.startswith("frequency_")
        and record.level.code == "VASP"
        and record.quantity not in {"frequency_Gamma_LO", "frequency_lowest"}
        and not record.quantity.startswith("frequency_difference")
    ]
    assert len(records) >= 8
    for record in records:
        _, corner, which = record.quantity.split("_")
        if corner == "Gamma":
            expected = found[bands.GAMMA][3]
        else:
            expected = found[corner][int(which) - 1]
        assert record.value == pytest.approx(expected, abs=6e-4), record.quantity


@pytest.mark.parametrize("material", materials())
def test_built_in_records_load_and_have_a_source(material):
    records = load_references(material, unverified="use")
    assert records
    for record in records:
        assert record.source.text
        assert record.licence
        assert record.material == material
        if record.role == "primary":
            assert record.verified, f"{record.quantity} gives verdicts unverified"


def test_one_primary_reference_per_quantity_and_level():
    for material in materials():
        seen = [
            (record.quantity, record.level.functional)
            for record in load_references(material, unverified="use")
            if record.role == "primary"
        ]
        assert len(seen) == len(set(seen)), material


def test_mgo_has_what_the_first_report_compares_with():
    verified = load_references("MgO")
    quantities = {record.quantity for record in verified if record.role == "primary"}
    assert quantities >= {
        "lattice_constant",
        "bulk_modulus",
        "C11",
        "C12",
        "C44",
        "frequency_Gamma_TO",
        "frequency_X_1",
        "frequency_L_1",
        "surface_energy_100",
    }


def test_unverified_values_are_skipped_refused_or_used():
    every = load_references("MgO", unverified="use")
    assert any(not record.verified for record in every)
    assert all(record.verified for record in load_references("MgO"))
    with pytest.raises(DataError, match=r"MgO\.yaml: values that were not checked"):
        load_references("MgO", unverified="refuse")


def test_select_puts_the_primary_reference_first():
    found = select(load_references("MgO"), "lattice_constant")
    assert found[0].role == "primary"
    assert found[0].value == 4.255
    assert len(found) >= 3


def test_unknown_material_lists_what_there_is():
    with pytest.raises(ConfigError, match=r"Unobtainium.*Al, .*Cu, .*MgO, .*Si"):
        load_references("Unobtainium")


def test_a_file_of_ones_own_loads(tmp_path):
    (record,) = load_file(written(tmp_path))
    assert record.value == 4.255
    assert record.level == Level(kind="dft", functional="PBE")
    assert record.role == "primary"
    assert str(record.level) == "PBE"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (changed(valu=1.0), r"mine\.yaml, record 1: unknown key; got: 'valu'"),
        (
            changed(unit="kbar"),
            "unknown unit of lattice_constant; got: .kbar",
        ),
        (changed(unit="GPa"), r"stands in another unit; got: .GPa.; wanted: .Å"),
        (changed(value=42.55), r"not plausible; got: 42.55 Å; wanted: 1.5 to 40 Å"),
        (changed(error=-0.1), "the error of lattice_constant is negative"),
        (changed(quantity="C44x"), r"unknown quantity; got: .C44x.*quantities:"),
        (changed(quantity="lattice_constants"), "did you mean .lattice_constant"),
        (changed(unit=None), r"mine\.yaml, record 1: a key is missing; wanted: 'unit'"),
        (changed(material="Si"), "unknown key; got: 'material'"),
        (changed(value="4.2"), "record 1, value is no number; got: '4.2'"),
        (changed(value=True), "record 1, value is no number; got: True"),
        (changed(value=float("nan")), "is not a finite number"),
        (changed(obtained="guessed"), "unknown obtained .*computed or quoted"),
        (changed(role="main"), "unknown role"),
        (changed(verified="maybe"), "is no truth value"),
        (changed(level={"kind": "dft"}), "DFT reference without a functional"),
        (
            changed(level={"kind": "guess"}),
            "unknown kind .*dft or theory or experiment",
        ),
        (changed(level={"kind": "experiment", "zpe": "?"}), "unknown zpe"),
        (changed(level={"kind": "dft", "xc": "PBE"}), "level: unknown key; got: 'xc'"),
        (changed(source={"doi": "1"}), "source: a key is missing; wanted: 'text'"),
        (changed(source="paper"), "source is no mapping"),
        (["a list"], "record 1 is no mapping"),
        (changed(error=float("nan")), "error of lattice_constant is negative or end"),
        (changed(value=10**400), "value is larger than any number"),
        (changed(licence=5), "record 1: licence is no text; got: 5"),
        (
            changed(level={"kind": "dft", "functional": 5}),
            "level: functional is no text",
        ),
        (changed(quantity=5), "record 1: quantity is no text; got: 5"),
        (
            changed(source={"text": "a", "doi": 10.1}),
            "record 1, source: doi is no text",
        ),
        (
            changed(level={"kind": "experiment", "temperature_K": "300"}),
            "record 1, level, temperature_K is no number; got: '300'",
        ),
        (changed(verified=False), "not checked against their source"),
    ],
)
def test_loader_refuses(tmp_path, record, message):
    with pytest.raises(DataError, match=message):
        load_file(written(tmp_path, record))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"records": None}, "records; got: None; wanted: a list"),
        ({"material": 5}, "material; got: 5; wanted: text"),
        ({"structure": ""}, "structure; got: ''; wanted: text"),
        ({"space_group": "Fm-3m"}, "space_group; got: 'Fm-3m'; wanted: 0 to 230"),
        ({"space_group": 500}, "space_group; got: 500"),
        ({"quantities": ["density"]}, "quantities; got: .'density'"),
    ],
)
def test_loader_refuses_heads(tmp_path, head, message):
    with pytest.raises(DataError, match=message):
        load_file(written(tmp_path, **head))


def test_two_values_cannot_both_give_the_verdict(tmp_path):
    more = changed(value=4.26)
    with pytest.raises(DataError, match="two primary values of lattice_constant at"):
        load_file(written(tmp_path, records=[changed(), more]))
    second = changed(value=4.26, role="secondary")
    assert len(load_file(written(tmp_path, records=[changed(), second]))) == 2


def test_loader_refuses_other_files(tmp_path):
    with pytest.raises(DataError, match="unknown format of reference records; got: 2"):
        load_file(written(tmp_path, format=2))
    with pytest.raises(DataError, match="unknown key; got: 'structures'"):
        load_file(written(tmp_path, structures=[]))
    with pytest.raises(DataError, match="cannot read the reference file"):
        load_file(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(DataError, match="cannot read the reference file"):
        load_file(broken)
    broken.write_text("- 1")
    with pytest.raises(DataError, match="holds no mapping"):
        load_file(broken)


@pytest.mark.parametrize(
    ("level", "functional", "same"),
    [
        ("PBE", "PBE", True),
        ("pbe", "GGA-PBE", True),
        ("PBE/PW800", "PBE", True),
        ("r2SCAN", "R2SCAN", True),
        ("PBE", "PBEsol", False),
        ("PBE-D3(BJ)", "PBE", False),
        ("PBE-D3(BJ)", "pbe-d3 (bj)", True),
        ("RPBE", "PBE", False),
        ("", "PBE", False),
    ],
)
def test_levels_match_by_functional(level, functional, same):
    reference = Level(kind="dft", functional=functional)
    assert same_level(level, reference) is same


def test_an_experiment_matches_no_level():
    assert not same_level("PBE", Level(kind="experiment", temperature_K=300.0))
    assert str(Level(kind="experiment", temperature_K=300.0)) == "experiment, 300 K"
    assert normalised("meta-GGA r2SCAN") == "r2scan"
