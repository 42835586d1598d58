"""DFT's force sets through our analysis: the frequencies known for them, row by row."""

import numpy as np
import pytest

from lamplighter.validation.properties.bands import (
    corner_frequencies,
    default_path,
    is_commensurate,
    longitudinal_optical,
    run_spectrum,
    with_charges,
)
from lamplighter.validation.refs import load_references
from lamplighter.validation.refs.force_sets import (
    FOLDER,
    FORCE_SETS,
    VOLUME_SETS,
    force_set,
)
from lamplighter.validation.refs.from_phonopy import _values as from_phonopy_values

K = [0.375, 0.375, 0.75]
# Frequencies in THz, ascending, without the three acoustic modes at Γ.
ROWS = [
    ("Al", "X", [5.756, 5.756, 9.972]),
    ("Al", "L", [4.140, 4.140, 9.706]),
    ("Al", K, [5.608, 7.147, 8.833]),
    ("Cr", "H", [7.166] * 3),
    ("Cr", "N", [5.598, 8.407, 10.664]),
    ("Cr", [0.25] * 3, [9.047] * 3),
    ("MgB2", "Γ", [9.95, 9.95, 11.98, 17.27, 17.27, 20.57]),
    ("MgO", "Γ", [11.198] * 3),
    ("MgO", "X", [8.455, 8.455, 12.173, 12.735, 12.735, 15.853]),
    ("MgO", "L", [7.929, 7.929, 10.262, 10.262, 15.894, 16.470]),
    ("NaCl", "Γ", [4.616] * 3),
    ("NaCl", "X", [2.414, 2.414, 4.066, 4.867, 4.867, 5.256]),
    ("NaCl", "L", [3.273, 3.273, 3.760, 3.760, 5.116, 6.242]),
    ("Si", "Γ", [15.11] * 3),
    ("Si", "X", [4.39, 4.39, 12.06, 12.06, 13.43, 13.43]),
    ("Si", "L", [3.33, 3.33, 11.14, 12.02, 14.33, 14.33]),
    (
        "ZnO",
        "Γ",
        [2.72, 2.72, 7.39, 10.58, 11.18, 11.18, 12.07, 12.07, 15.33],
    ),
]


@pytest.mark.parametrize(("material", "point", "expected"), ROWS)
def test_frequencies_of_the_dft_force_sets(material, point, expected):
    phonons = force_set(material).phonons()
    if isinstance(point, str):
        point = default_path(phonons).corners()[point]
    found = np.sort(phonons.run_qpoints([point]).frequencies[0])
    if not np.any(point):
        assert np.sort(np.abs(found))[:3] == pytest.approx([0] * 3, abs=0.01)
        found = np.sort(found[np.argsort(np.abs(found))[3:]])
    assert found == pytest.approx(sorted(expected), abs=0.01)


@pytest.mark.parametrize(
    ("material", "constant"),
    [("Al", 4.0443), ("Cr", 2.8127), ("MgO", 4.2556), ("NaCl", 5.6903)],
)
def test_lattice_constants_are_in_angstrom(material, constant):
    cell = force_set(material).phonons().unitcell.cell
    assert cell[0, 0] == pytest.approx(constant, abs=1e-4)


@pytest.mark.parametrize(
    ("number", "constant", "gamma", "x", "l"),
    [
        (0, 5.4479, 15.249, 4.319, 3.290),
        (1, 5.4662, 15.099, 4.403, 3.345),
        (2, 5.4843, 14.952, 4.478, 3.394),
    ],
)
def test_silicon_at_three_volumes(number, constant, gamma, x, l):
    phonons = VOLUME_SETS["Si"][number].phonons()
    assert phonons.unitcell.cell[0, 0] == pytest.approx(constant, abs=1e-4)
    corners = corner_frequencies(phonons, default_path(phonons))
    assert corners["Γ"][-1] == pytest.approx(gamma, abs=0.01)
    assert corners["X"][0] == pytest.approx(x, abs=0.01)
    assert corners["L"][0] == pytest.approx(l, abs=0.01)


@pytest.mark.parametrize(
    ("material", "longitudinal", "dielectric", "charge"),
    [("NaCl", 7.396, 2.435, 1.087), ("MgO", 19.975, 3.381, 1.972)],
)
def test_longitudinal_modes_and_charges(material, longitudinal, dielectric, charge):
    item = force_set(material)
    born = item.born_charges()
    found = longitudinal_optical(item.phonons(), born)
    assert found == pytest.approx(longitudinal, abs=0.01)
    assert np.diag(born["dielectric"]) == pytest.approx(dielectric, abs=1e-3)
    assert np.diag(born["born"][0]) == pytest.approx(charge, abs=1e-3)


@pytest.mark.parametrize(
    ("material", "heat", "entropy", "energy"),
    [("NaCl", 24.016, 37.46, -3.472), ("MgO", 18.884, 14.492, 5.230)],
)
def test_thermal_functions_at_300_kelvin(material, heat, entropy, energy):
    item = force_set(material)
    with with_charges(item.phonons(), item.born_charges()) as phonons:
        found = run_spectrum(phonons, mesh=21, temperature=300.0).thermal
    assert found.heat_capacity == pytest.approx(heat, abs=0.01)
    assert found.entropy == pytest.approx(entropy, abs=0.02)
    assert found.free_energy == pytest.approx(energy, abs=0.005)


@pytest.mark.parametrize("material", sorted(FORCE_SETS))
def test_every_set_has_force_constants_without_drift(material):
    phonons = force_set(material).phonons()
    constants = np.asarray(phonons.force_constants)
    assert np.abs(constants.sum(axis=1)).max() < 1e-8 * np.abs(constants).max()
    assert is_commensurate(phonons, (0.0, 0.0, 0.0))


RECORDED = [
    (material, record)
    for material in FORCE_SETS
    for record in load_references(material)
    if record.source.text.startswith("phonopy 4.10.0, ")
    and record.obtained == "computed"
    and "gruneisen" not in record.source.text
    and record.quantity.startswith(("frequency", "entropy", "free", "heat_capacity_3"))
    and not record.quantity.startswith("frequency_difference")
]


def test_there_are_records_of_every_force_set():
    counts = {m: sum(name == m for name, _ in RECORDED) for m in FORCE_SETS}
    assert min(counts.values()) >= 8, counts


@pytest.mark.parametrize("material", FORCE_SETS)
def test_records_are_what_the_force_sets_give(material):
    phonons = force_set(material).phonons()
    found = from_phonopy_values(phonons, FOLDER / material)
    corners = default_path(phonons).corners()
    for name, record in RECORDED:
        if name != material:
            continue
        if record.quantity in found:
            value = found[record.quantity][0]
        else:  # a corner that does not fit the supercell
            label, branch = record.quantity.split("_")[1:]
            at = phonons.run_qpoints([corners[label]]).frequencies[0]
            value = np.sort(at)[int(branch) - 1]
        limit = 0.02 if record.unit == "THz" else 0.003 * abs(record.value) + 1e-3
        assert value == pytest.approx(record.value, abs=limit), record.quantity
