"""The catalogue of quantities, and what the built-in records hold."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from lamplighter.errors import DataError
from lamplighter.validation.refs import load_file, load_references, materials
from lamplighter.validation.refs.quantities import CATALOGUE, UNITS, kind_of, outliers

HEADER = {"format": 1, "material": "X", "structure": "fcc", "space_group": 225}
RECORD = {
    "quantity": "bulk_modulus",
    "value": 100.0,
    "unit": "GPa",
    "level": {"kind": "dft", "functional": "PBE"},
    "source": {"text": "somebody"},
    "licence": "fact",
    "obtained": "quoted",
    "verified": True,
}


def written(tmp_path, *records, **header):
    path = tmp_path / "x.yaml"
    content = HEADER | header | {"records": [RECORD | r for r in records]}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_every_material_of_the_plan_has_records():
    wanted = "Si C Al Cu Ni Fe Mo W Ti Mg MgO NaCl LiF Ge Ag Au Pt Pd Pb Nb Ta Na Li"
    assert set(wanted.split()) <= set(materials())
    assert len(materials()) >= 55


@pytest.mark.parametrize(
    ("material", "quantity", "level", "value"),
    [
        ("C", "C11", "experiment, 298 K", 1079),
        ("W", "C44", "experiment, 298 K", 160),
        ("Ti", "C33", "experiment, 298 K", 181),
        ("Mg", "volume_per_atom", "PBE, WIEN2k", 22.9355),
        ("Ni", "lattice_constant", "PBE, WIEN2k", 3.5183),
        ("Fe", "C11", "PBE, VASP", 296.7),
        ("Fe", "vacancy_formation_energy", "PBE, VASP", 2.02),
        ("Mo", "surface_energy_110", "PBE, VASP", 2.82),
        ("Cu", "surface_energy_320", "PBE, VASP", 1.624),
        ("Cu", "surface_energy_mean", "RPA, VASP", 2.04),
        ("LiF", "frequency_Gamma_TO", "PBE, VASP, phonon database", 8.23),
        ("Al", "entropy_298.15K", "experiment, 298.15 K", 28.30),
        ("Cu", "lattice_constant_300K", "PBEsol, VASP, 300 K", 3.5847),
        ("dimers", "dimer_distance_N_N", "PBE, VASP", 1.114),
    ],
)
def test_values_of_the_tables(material, quantity, level, value):
    found = [
        record.value
        for record in load_references(material)
        if record.quantity == quantity and str(record.level) == level
    ]
    assert value in found


def test_values_from_memory_are_left_out_unless_asked_for():
    every = load_references("W", unverified="use")
    cold = [r for r in every if r.level.temperature_K == 4]
    assert [r.value for r in cold] == [532, 205, 163]
    assert not any(r.verified for r in cold)
    assert not set(cold) & set(load_references("W"))


def test_temperature_and_zero_point_motion_of_experiments_are_stated():
    for material in materials():
        for record in load_references(material, unverified="use"):
            if record.level.kind == "experiment" and record.verified:
                assert record.level.zpe != "none", (material, record.quantity)


def test_nothing_from_memory_is_called_verified():
    for material in materials():
        for record in load_references(material):
            text = f"{record.source.text} {record.note}"
            assert "memory" not in text, (material, record.quantity)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.pattern)
def test_every_kind_of_the_catalogue_is_whole(kind):
    assert kind.unit in UNITS
    assert kind.low < kind.high
    re.compile(kind.pattern)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        ("C14", "GPa"),
        ("C44_clamped", "GPa"),
        ("surface_energy_-110", "J/m^2"),
        ("surface_energy_10-10", "J/m^2"),
        ("heat_capacity_300K", "J/mol/K"),
        ("heat_capacity_p_298.15K", "J/mol/K"),
        ("frequency_lowest", "THz"),
        ("bulk_modulus_derivative", ""),
    ],
)
def test_names_of_results_are_known(quantity, unit):
    kind = kind_of(quantity)
    assert kind is not None
    assert kind.unit == unit


def test_a_value_far_from_the_others_is_refused(tmp_path):
    level = {"kind": "experiment"}
    near = written(tmp_path, {"value": 100.0}, {"value": 120.0, "level": level})
    assert len(load_file(near)) == 2
    far = {"value": 14.1, "level": level}
    near_by = {"value": 140.0, "role": "secondary"}
    path = written(tmp_path, {"value": 141.0}, near_by, far)
    with pytest.raises(DataError, match=r"bulk_modulus of X 14\.1 GPa .*against 140"):
        load_file(path)


def test_outliers_of_other_structures_do_not_mix():
    record = load_references("Si")[0]
    other = replace(record, structure="beta-tin", value=2 * record.value)
    assert outliers([record, other]) == []
    assert len(outliers([record, replace(record, value=2 * record.value)])) == 2


def test_a_file_may_declare_quantities_of_a_plug_in(tmp_path):
    record = {"quantity": "twin_energy", "value": 0.2, "unit": "J/m^2"}
    with pytest.raises(DataError, match="unknown quantity; got: 'twin_energy'"):
        load_file(written(tmp_path, record))
    path = written(tmp_path, record, quantities={"twin_energy": "J/m^2"})
    assert load_file(path)[0].value == 0.2
    path = written(tmp_path, record, quantities={"twin_energy": "GPa"})
    with pytest.raises(DataError, match="stands in another unit"):
        load_file(path)
