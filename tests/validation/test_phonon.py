"""Phonons against closed formulae and DFT's own forces, and what makes them fail."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from phonopy import Phonopy

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.compare import compare, worst
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import EngineInfo, Result
from lamplighter.validation.properties import bands, phonon
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.crystal import conventional
from lamplighter.validation.properties.force_constants import (
    diagonal_supercell,
    force_constants,
)
from lamplighter.validation.properties.phonon import PhononSettings
from lamplighter.validation.properties.qha import QhaSettings
from lamplighter.validation.properties.repair import RepairSettings
from lamplighter.validation.properties.spectra import commensurate_points
from lamplighter.validation.refs import force_set, load_references
from lamplighter.validation.refs.force_sets import (
    Displaced,
    charges_of,
    to_ase,
    to_phonopy,
)

THZ = 15.633302
"""THz of sqrt(eV/Å^2/amu)."""

FAST = PhononSettings(supercell=(2, 2, 2), mesh=11, n_points=40, projected=False)


class DftForces:
    """An engine that answers with the force constants of the MgO reference.

    Energies and forces are those of the harmonic crystal around the reference's own
    cell; `noise` is added to the forces, and `softening` scales the force constants.
    """

    def __init__(self, *, noise=0.0, softening=1.0):
        self.phonons = force_set("MgO").phonons()
        self.random = np.random.default_rng(7)
        self.noise = noise
        full = self.phonons.force_constants
        if full.shape[0] != full.shape[1]:
            from phonopy.harmonic.force_constants import (
                compact_fc_to_full_fc,
            )

            full = compact_fc_to_full_fc(self.phonons.primitive, full)
        self.constants = softening * full
        self.ideal = to_ase(self.phonons.supercell)
        self.info = EngineInfo(
            kind="ase", name="dft", model="forces", extra={"level_of_theory": "PBE"}
        )

    def compute(self, atoms, want=()):  # noqa: ARG002
        forces = np.zeros((len(atoms), 3))
        if len(atoms) == len(self.ideal):
            moves = atoms.get_scaled_positions() - self.ideal.get_scaled_positions()
            moves = (moves - np.rint(moves)) @ self.ideal.cell.array
            forces = -np.einsum("ijab,jb->ia", self.constants, moves)
            forces += self.noise * self.random.standard_normal(forces.shape)
        return Result(
            energy=0.0,
            forces=forces,
            stress=np.zeros((3, 3)),
            energies=None,
            info=self.info,
            wall_s=0.0,
        )

    def compute_many(self, structures, want=()):
        return [self.compute(atoms, want) for atoms in structures]


def mgo():
    return to_ase(force_set("MgO").phonons().unitcell)


@pytest.fixture(scope="module")
def mgo_result():
    return phonon.run(mgo(), DftForces(), PhononSettings(mesh=21, n_points=60))


@pytest.fixture(scope="module")
def aluminium():
    return phonon.run(bulk("Al", "fcc", a=4.0), AseEngine(EMT()), FAST)


def test_nearest_neighbour_springs_give_the_closed_formulae():
    # fcc with central springs k: m w^2 = 8k (longitudinal) and 4k (transverse) at X,
    # 8k and 2k at L. A Morse well cut off before second neighbours is such a spring.
    depth, steepness, length = 0.4, 5.0, 2.7
    morse = MorsePotential(
        epsilon=depth, rho0=steepness, r0=length, rcut1=1.15, rcut2=1.35
    )
    crystal = bulk("Al", "fcc", a=length * math.sqrt(2), cubic=True)
    found = phonon.run(
        crystal,
        AseEngine(morse),
        PhononSettings(
            supercell=(2, 2, 2),
            displacement=0.005,
            check_displacement=0.0025,
            mesh=5,
            n_points=20,
        ),
    )
    spring = 2 * depth * (steepness / length) ** 2
    unit = THZ * math.sqrt(spring / 26.9815384)
    expected = {"X_1": 4, "X_2": 4, "X_3": 8, "L_1": 2, "L_2": 2, "L_3": 8}
    for name, factor in expected.items():
        value = found.values[f"frequency_{name}"]
        assert value.value == pytest.approx(unit * math.sqrt(factor), rel=2e-4)
        assert value.error < 1e-3 * value.value


def test_dft_forces_give_back_the_dft_frequencies(mgo_result):
    assert mgo_result.status == "ok"
    assert mgo_result.material == "MgO"
    assert mgo_result.method["n_atoms_supercell"] == 64
    np.testing.assert_allclose(
        mgo_result.arrays["frequencies"],
        mgo_result.arrays["reference_frequencies"],
        atol=1e-3,
    )
    references = load_references("MgO")
    found = compare(mgo_result, references)
    judged = [item for item in found if item.verdict != "info"]
    assert len(judged) >= 10
    assert worst(found) == "pass"
    apart = [item.delta for item in judged if item.quantity != "frequency_lowest"]
    assert max(map(abs, apart)) < 2e-3


def test_the_longitudinal_mode_is_the_models_forces_with_dft_charges(mgo_result):
    assert mgo_result.values["frequency_Gamma_LO"].value == pytest.approx(
        19.975, abs=2e-3
    )
    assert "DFT's Born charges" in mgo_result.method["non_analytical_term"]


def test_every_commensurate_wave_vector_is_compared(mgo_result):
    assert mgo_result.values["frequency_difference_largest"].value < 2e-3
    points = np.array(mgo_result.arrays["commensurate_qpoints"])
    # 32 primitive cells: Γ, and half of the rest and those that are their own negative.
    own = [q for q in points if np.allclose(2 * q, np.rint(2 * q))]
    assert 2 * len(points) - len(own) == 32
    shape = np.shape(mgo_result.arrays["commensurate_frequencies"])
    assert shape == (len(points), 6)


def test_the_displacements_of_the_reference_give_the_same(mgo_result):
    settings = PhononSettings(mesh=5, n_points=20, dataset="reference")
    found = phonon.run(mgo(), DftForces(), settings)
    assert found.method["n_displaced"] == len(force_set("MgO").displacements()) == 2
    for name in ("frequency_X_1", "frequency_L_3", "frequency_Gamma_TO"):
        assert found.values[name].value == pytest.approx(
            mgo_result.values[name].value, abs=1e-3
        )
    assert found.values["frequency_difference_mean"].value < 1e-3


def test_curves_of_the_result(mgo_result):
    arrays = mgo_result.arrays
    parts = arrays["dos_of_elements"]
    assert set(parts) == {"Mg", "O"}
    whole = np.array(arrays["dos"])
    together = np.sum(list(parts.values()), axis=0)
    assert np.trapezoid(together, arrays["dos_frequencies"]) == pytest.approx(
        6, rel=0.02
    )
    assert together[whole > 0.05] == pytest.approx(whole[whole > 0.05], abs=1e-6)
    # Each atom has three modes.
    three = np.trapezoid(parts["Mg"], arrays["dos_frequencies"])
    assert three == pytest.approx(3, rel=0.03)
    # The light atom moves more where the frequencies are high.
    upper = np.array(arrays["dos_frequencies"]) > 13.0
    assert sum(np.array(parts["O"])[upper]) > 1.2 * sum(np.array(parts["Mg"])[upper])
    temperatures = arrays["temperatures"]
    at = temperatures.index(300.0)
    assert arrays["entropy"][at] == pytest.approx(
        mgo_result.values["entropy_300K"].value
    )
    heat = np.array(arrays["heat_capacity"])
    assert heat[0] == 0.0
    assert np.all(np.diff(heat) > 0)
    assert heat[-1] < 24.944
    # S = -dF/dT, J/mol/K out of kJ/mol.
    slope = -1e3 * np.gradient(arrays["free_energy"], temperatures)
    assert slope[5:-1] == pytest.approx(arrays["entropy"][5:-1], rel=0.02)


def test_group_velocities_are_slopes_of_the_bands(mgo_result):
    arrays = mgo_result.arrays
    speeds = np.array(arrays["group_velocities"])
    bands_, x = np.array(arrays["frequencies"]), np.array(arrays["distances"])
    assert speeds.shape == bands_.shape
    # Γ to X: the highest acoustic branch goes along the path; THz Å is 100 m/s.
    slope = 100 * (bands_[3, 2] - bands_[1, 2]) / (x[3] - x[1])
    assert speeds[2, 2] == pytest.approx(abs(slope), rel=0.02)


def test_a_missing_data_set_is_said():
    with pytest.raises(ConfigError, match="no force set of this crystal"):
        phonon.run(bulk("Cu"), AseEngine(EMT()), PhononSettings(dataset="reference"))
    both = PhononSettings(dataset="reference", supercell=(2, 2, 2))
    with pytest.raises(ConfigError, match=r"got: supercell \(2, 2, 2\)"):
        phonon.run(mgo(), DftForces(), both)
    moves = [Displaced(atom=64, vector=(0.01, 0.0, 0.0))]
    with pytest.raises(DataError, match="not in the supercell; got: atoms"):
        force_constants(mgo(), np.diag([2, 2, 2]), DftForces(), 0.01, moves)


def test_too_soft_forces_fail_the_comparison():
    soft = phonon.run(
        mgo(), DftForces(softening=0.75), PhononSettings(mesh=5, n_points=20)
    )
    judged = [i for i in compare(soft, load_references("MgO")) if i.verdict != "info"]
    found = {item.quantity: item for item in judged}
    assert found["frequency_Gamma_TO"].relative == pytest.approx(
        math.sqrt(0.75) - 1, abs=1e-3
    )
    assert found["frequency_Gamma_TO"].verdict == "fail"


def test_band_arrays_are_what_the_plot_takes(mgo_result):
    arrays = mgo_result.arrays
    n_q = len(arrays["distances"])
    assert np.shape(arrays["frequencies"]) == (n_q, 6)
    assert np.shape(arrays["reference_frequencies"]) == (n_q, 6)
    assert len(arrays["ticks"]) == len(arrays["labels"])
    assert arrays["labels"][0] == "Γ"
    assert "U|K" in arrays["labels"]
    assert np.all(np.diff(arrays["distances"]) >= -1e-12)
    assert arrays["ticks"][-1] == pytest.approx(arrays["distances"][-1])
    (jump,) = arrays["breaks"]
    q = np.asarray(arrays["qpoints"])
    assert q[jump - 1] == pytest.approx([0.625, 0.25, 0.625])
    assert q[jump] == pytest.approx([0.375, 0.375, 0.75])
    assert arrays["reference_label"] == "PBE, VASP"


def test_result_survives_json(mgo_result):
    again = PropertyResult.from_json(mgo_result.to_json())
    assert again.values == mgo_result.values
    assert again.arrays["labels"] == mgo_result.arrays["labels"]


def test_density_of_states_counts_all_modes(mgo_result):
    frequencies = np.asarray(mgo_result.arrays["dos_frequencies"])
    total = np.trapezoid(mgo_result.arrays["dos"], frequencies)
    assert total == pytest.approx(6, rel=0.02)


def test_emt_aluminium_is_near_the_experiment(aluminium):
    assert aluminium.status == "ok"
    assert aluminium.method["n_displaced"] == 1
    assert aluminium.values["frequency_X_1"].value == pytest.approx(5.78, rel=0.05)
    assert aluminium.values["frequency_lowest"].value > 0.3
    # Dulong and Petit is the limit from below.
    heat = aluminium.values["heat_capacity_300K"].value
    assert 0.9 * 24.94 < heat < 24.94
    assert "frequency_Gamma_TO" not in aluminium.values


def test_primitive_and_conventional_cells_agree(aluminium):
    turned = bulk("Al", "fcc", a=4.0, cubic=True)
    turned.rotate(33, (1, 2, 3), rotate_cell=True)
    again = phonon.run(turned, AseEngine(EMT()), FAST)
    for name, value in aluminium.values.items():
        assert again.values[name].value == pytest.approx(value.value, abs=2e-3), name


def test_force_noise_shows_in_the_noise_floor():
    quiet, noisy = DftForces(), DftForces(noise=1e-3)
    matrix = np.diag([2, 2, 2])
    calm = force_constants(mgo(), matrix, quiet, 0.02)
    loud = force_constants(mgo(), matrix, noisy, 0.02)
    assert calm.noise < 0.02
    assert loud.noise > 5 * calm.noise
    assert loud.correction > 10 * calm.correction
    assert loud.residual_force == pytest.approx(3.5e-3, rel=0.5)


class Noisy(EMT):
    """EMT with random errors of the forces, eV/Å; they may sum to zero."""

    def __init__(self, size, *, balanced=False):
        super().__init__()
        self.size, self.balanced = size, balanced
        self.random = np.random.default_rng(3)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        errors = self.size * self.random.standard_normal((len(self.atoms), 3))
        if self.balanced:
            errors -= errors.mean(axis=0)
        self.results["forces"] = self.results["forces"] + errors


@pytest.mark.parametrize("balanced", [False, True])
def test_the_noise_floor_is_the_size_of_the_errors_of_modes(balanced):
    # One atom in the primitive cell: without their mean the forces keep the acoustic
    # modes at zero, and a floor that is taken from those alone says nothing.
    crystal = bulk("Al", "fcc", a=3.994, cubic=True)
    matrix = np.diag([3, 3, 3])
    exact = force_constants(crystal, matrix, AseEngine(EMT()), 0.01)
    points = commensurate_points(exact.phonons)
    right = np.sort(exact.phonons.run_qpoints(points).frequencies)
    assert exact.noise < 0.01
    for size in (1e-5, 1e-3):
        engine = AseEngine(Noisy(size, balanced=balanced))
        found = force_constants(crystal, matrix, engine, 0.01)
        wrong = np.sort(found.phonons.run_qpoints(points).frequencies)
        squares = wrong * np.abs(wrong) - right * np.abs(right)
        typical = np.sqrt(np.abs(squares).mean())
        assert 0.5 * typical < found.noise < 2 * typical


def test_isotopes_move_the_frequencies():
    heavy = bulk("Cu")
    heavy.set_masses([4 * 63.546])
    settings = dataclasses.replace(FAST, mesh=5, check_displacement=None)
    light = phonon.run(bulk("Cu"), AseEngine(EMT()), settings)
    found = phonon.run(heavy, AseEngine(EMT()), settings)
    for name in ("frequency_X_1", "frequency_L_3", "frequency_highest"):
        ratio = light.values[name].value / found.values[name].value
        assert ratio == pytest.approx(2.0, rel=1e-4)


def test_noisy_forces_are_invalid():
    found = phonon.run(mgo(), DftForces(noise=0.1), FAST_MGO)
    assert found.status == "invalid"
    assert found.values == {}
    assert {check.name for check in found.failed()} >= {"residual force"}


FAST_MGO = PhononSettings(mesh=5, n_points=20, check_displacement=None, projected=False)


def test_an_unstable_crystal_is_flagged_and_keeps_its_numbers():
    found = phonon.run(
        bulk("Al", "fcc", a=4.0),
        AseEngine(Upside()),
        PhononSettings(supercell=(2, 2, 2), mesh=5, n_points=20),
    )
    assert found.status == "warn"
    (check,) = found.failed()
    assert check.name == "imaginary modes"
    assert "unstable" in check.text
    assert found.values["frequency_lowest"].value < -0.5
    assert "entropy_300K" not in found.values


class Upside(EMT):
    """EMT with forces of the wrong sign: every mode is imaginary."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = -self.results["forces"]


@pytest.mark.parametrize(
    ("structure", "symbol", "corner"),
    [
        (bulk("Fe", "bcc", a=2.86), "I", "H"),
        (bulk("CsCl", "cesiumchloride", a=4.1), "P", "M"),
        (bulk("Si", "diamond", a=5.43), "F", "L"),
        (bulk("Mg", "hcp", a=3.2, c=5.2), "P", "A"),
    ],
)
def test_paths_of_other_lattices_end_at_the_zone_boundary(structure, symbol, corner):
    from phonopy import Phonopy

    from lamplighter.validation.properties.crystal import conventional
    from lamplighter.validation.properties.force_constants import centring
    from lamplighter.validation.refs.force_sets import to_phonopy

    cell = conventional(structure)
    assert centring(cell) == symbol
    phonons = Phonopy(
        to_phonopy(cell),
        np.diag([2, 2, 2]),
        primitive_matrix=centring(cell),
        log_level=0,
    )
    corners = bands.default_path(phonons).corners()
    assert corners["Γ"] == (0.0, 0.0, 0.0)
    # A zone-boundary corner is half a reciprocal vector: doubled, it is one.
    assert 2 * np.asarray(corners[corner]) == pytest.approx(
        np.rint(2 * np.asarray(corners[corner]))
    )
    assert bands.is_commensurate(phonons, corners[corner])
    assert not bands.is_commensurate(phonons, (0.1, 0.0, 0.0))


def test_supercell_is_long_enough_between_faces():
    cell = bulk("Mg", "hcp", a=3.2, c=5.2)
    assert np.diag(diagonal_supercell(cell, 15.0)).tolist() == [6, 6, 3]
    assert np.diag(diagonal_supercell(cell, 1.0)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"displacement": 0.0}, "displacement of the phonon settings must be positive"),
        ({"displacement": -0.1}, "must be positive; got: -0.1"),
        ({"displacement": float("nan")}, "must be positive"),
        ({"mesh": 0}, "mesh of the phonon settings"),
        ({"supercell": (2, 0, 2)}, "supercell of the phonon settings"),
        ({"dataset": "theirs"}, "got: theirs; wanted: own or reference"),
        ({"check_displacement": 0.02}, "check_displacement equals displacement"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        PhononSettings(**settings)


def test_a_force_set_of_another_crystal_is_refused():
    with pytest.raises(ConfigError, match=r"another crystal; got: MgO, .*wanted: Al"):
        phonon.run(bulk("Al"), AseEngine(EMT()), PhononSettings(reference="MgO"))


def test_another_structure_of_the_same_formula_gets_no_reference():
    cesium_chloride = bulk("MgO", "cesiumchloride", a=2.65)
    assert phonon._reference_of(cesium_chloride, PhononSettings()) is None
    assert phonon._reference_of(mgo(), PhononSettings(reference="none")) is None
    found = phonon._reference_of(mgo(), PhononSettings())
    assert found is not None


def test_optical_modes_at_gamma_have_names_in_any_crystal():
    # Two atoms that are no cubic salt: the degenerate pair and the third mode.
    settings = dataclasses.replace(FAST, mesh=5, check_displacement=None)
    found = phonon.run(bulk("Cu", "hcp", a=2.54, c=4.15), AseEngine(EMT()), settings)
    four, five, six = (found.values[f"frequency_Gamma_{n}"].value for n in (4, 5, 6))
    assert four == pytest.approx(five, abs=1e-3)
    assert six > 1.3 * four
    assert found.values["frequency_Gamma_TO"].value == four
    assert "frequency_Gamma_3" not in found.values


def test_longitudinal_modes_of_wurtzite_are_the_polar_ones():
    # The highest mode, B1 at 15.33 THz, has no dipole.
    item = force_set("ZnO")
    modes = bands.longitudinal_modes(item.phonons(), item.born_charges())
    assert modes == {
        "frequency_Gamma_LO_a": pytest.approx(15.19, abs=0.05),
        "frequency_Gamma_LO_c": pytest.approx(15.84, abs=0.01),
    }
    cubic = force_set("NaCl")
    assert bands.longitudinal_modes(cubic.phonons(), cubic.born_charges()) == {
        "frequency_Gamma_LO": pytest.approx(7.396, abs=1e-3)
    }


def test_born_charges_go_by_element_in_another_cell():
    item = force_set("ZnO")
    unit = conventional(bulk("ZnO", "wurtzite", a=3.287, c=5.305, u=0.379))
    assert str(unit.symbols) == "ZnOZnO"
    phonons = Phonopy(to_phonopy(unit), np.eye(3), primitive_matrix="P", log_level=0)
    born = charges_of(item, unit, phonons)
    signs = [np.sign(charge[0, 0]) for charge in born["born"]]
    assert signs == [1, -1, 1, -1]
    assert [np.sign(z[0, 0]) for z in item.born_charges()["born"]] == [1, 1, -1, -1]
    own = to_ase(item.phonons().unitcell)
    assert charges_of(item, own, item.phonons())["born"][1, 0, 0] > 0
    assert charges_of(None, own, item.phonons()) is None


def test_born_charges_that_differ_need_the_cell_of_the_force_set(monkeypatch):
    item = force_set("ZnO")
    charges = dict(item.born_charges())
    charges["born"] = charges["born"] * np.array([1.0, 1.1, 1.0, 1.1])[:, None, None]
    monkeypatch.setattr(type(item), "born_charges", lambda _: charges)
    unit = conventional(bulk("ZnO", "wurtzite", a=3.287, c=5.305, u=0.379))
    phonons = Phonopy(to_phonopy(unit), np.eye(3), primitive_matrix="P", log_level=0)
    with pytest.raises(ConfigError, match="atoms of Zn have different Born charges"):
        charges_of(item, unit, phonons)


@pytest.mark.parametrize("kind", [PhononSettings, QhaSettings, RepairSettings])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mesh": 1}, "mesh of phonons; got: 1; wanted: a whole number of at least 2"),
        ({"supercell": (2, 2)}, r"supercell of phonons; got: \(2, 2\); wanted: three"),
        ({"supercell": (2, 2, 2.5)}, "three whole numbers"),
    ],
)
def test_grids_that_give_nothing_are_refused(kind, settings, message):
    with pytest.raises(ConfigError, match=message):
        kind(**settings)


def test_a_mesh_of_gamma_alone_is_refused():
    with pytest.raises(ConfigError, match="mesh of wave vectors is Γ alone; got: 1"):
        bands.run_spectrum(force_set("Si").phonons(), mesh=1, temperature=300.0)


def test_a_reference_of_another_shape_lies_at_the_models_wave_vectors():
    # c/a of model and reference differ; by their own lengths the segments would get
    # other numbers of points, and the two curves no common wave vectors.
    theirs = force_set("MgB2").phonons()
    unit = to_ase(theirs.unitcell)
    unit.set_cell(unit.cell.array * [[1.0], [1.0], [1.25]], scale_atoms=True)
    mine = Phonopy(
        to_phonopy(unit), theirs.supercell_matrix, primitive_matrix="P", log_level=0
    )
    mine.force_constants = theirs.force_constants
    path = bands.default_path(mine)
    one = bands.run_bands(mine, path, n_points=60)
    two = bands.run_bands(theirs, path, n_points=60, shape=mine)
    assert two.qpoints == pytest.approx(one.qpoints)
    assert two.distances == pytest.approx(one.distances)
    alone = bands.run_bands(theirs, path, n_points=60)
    assert len(alone.qpoints) != len(one.qpoints)
