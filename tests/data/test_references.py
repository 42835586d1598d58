"""DFT references from labelled frames: the fit, the formulas, the shipped records."""

from decimal import Decimal

import check_references
import numpy as np
import pytest
import reference_families
import reference_fit
from ase.calculators.lj import LennardJones
from ase.io import read
from ase.units import GPa
from catalogue import PUBLISHED, STRUCTURES
from check_references import REFERENCES, frames_in, frequencies
from labelled_frames import stress_matrix
from make_reference_structures import (
    BRUCITE,
    BRUCITE_RELAXED,
    MAGNESIUM,
    SHEAR,
    SHIFT_HYDROXIDE,
    brucite,
    magnesium,
    reference_structures,
)
from reference_families import FAMILIES
from reference_fit import NoReferenceError, fit_surface, slopes_of

from lamplighter.validation.refs import load_references

SOURCE = "data/generate/check_references.py"
LJ = {"sigma": 2.93, "epsilon": 0.3, "rc": 9.0, "smooth": True}
"""Close-packed with its minimum near the cells of magnesium."""


def labelled(atoms, calculator, *, pulay=0.0):
    """The structure as a frame of an ASE calculator, with a wrong pressure added."""
    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.info["REF_stress"] = stress_matrix(atoms.get_stress()) + pulay * np.eye(3)
    atoms.calc = None
    return atoms


@pytest.fixture(scope="module")
def metal():
    """Every cell of magnesium with Lennard-Jones labels and 0.3 GPa of Pulay stress."""
    centre = magnesium(*MAGNESIUM)
    centre.info = {"uid": "x", "config_type": "reference_mg", "kpts": "11x11x6"}
    cells = [a for a in reference_structures() if "_mg" in a.info["config_type"]]
    calculator = LennardJones(**LJ)
    return [labelled(a, calculator, pulay=0.3 * GPa) for a in [centre, *cells]]


def energy_of(atoms):
    atoms = atoms.copy()
    atoms.calc = LennardJones(**LJ)
    return atoms.get_potential_energy()


def curvature(atoms, strain, step=2e-3):
    """Second derivative of the energy with a strain over the volume, GPa; clamped."""
    energies = []
    for size in (-step, 0, step):
        copy = atoms.copy()
        copy.set_cell(atoms.cell.array @ (np.eye(3) + size * strain), scale_atoms=True)
        energies.append(energy_of(copy))
    return np.dot(energies, [1, -2, 1]) / step**2 / atoms.get_volume() / GPa


def test_the_fit_finds_the_minimum_and_takes_the_pulay_stress_out(metal):
    chosen = reference_families.members(metal, "reference_mg")
    surface = fit_surface(chosen, FAMILIES["reference_mg"])
    assert surface.pulay / GPa == pytest.approx(0.3, abs=0.03)
    a, c = surface.coordinates(surface.minimum())
    relaxed = magnesium(a, c)
    relaxed.calc = LennardJones(**LJ)
    assert np.abs(relaxed.get_stress()).max() / GPa < 0.05
    assert surface.energy(surface.minimum()) == pytest.approx(
        relaxed.get_potential_energy(), abs=1e-4
    )


def test_elastic_constants_are_second_derivatives_of_the_energy(metal):
    found = {
        n: f.value for n, f in check_references.magnesium_references(metal).items()
    }
    relaxed = magnesium(found["lattice_constant"], found["lattice_constant_c"])
    unit = np.eye(3)
    along = np.outer(unit[2], unit[2])
    shear = (np.outer(unit[1], unit[2]) + np.outer(unit[2], unit[1])) / 2
    across = np.outer(unit[0], unit[0])
    assert found["C33"] == pytest.approx(curvature(relaxed, along), rel=0.03)
    start = magnesium(*MAGNESIUM)  # shears are those of the cell that was sheared
    assert found["C44"] == pytest.approx(curvature(start, shear), rel=0.02)
    assert found["C11_clamped"] == pytest.approx(curvature(relaxed, across), rel=0.04)
    # Uniform: 2 C11 + 2 C12 + 4 C13 + C33 is nine times the Voigt bulk modulus.
    voigt = 2 * (found["C11"] + found["C12"]) + 4 * found["C13"] + found["C33"]
    assert voigt == pytest.approx(curvature(relaxed, unit), rel=0.03)
    assert found["bulk_modulus"] == pytest.approx(voigt / 9, rel=0.02)
    assert found["C11"] < found["C11_clamped"]
    assert found["C11"] - found["C12"] < found["C11_clamped"] - found["C12_clamped"]


def test_relaxed_c66_and_the_optical_mode_agree_with_a_relaxation(metal):
    modes = check_references.metal_shears(metal)
    optical = check_references.metal_optical(metal)
    start, spring = magnesium(*MAGNESIUM), []
    for shift in (-0.01, 0.01):
        moved = start.copy()
        moved.positions[1, 0] += shift
        moved.calc = LennardJones(**LJ)
        spring.append(moved.get_forces()[1, 0])
    spring = (spring[0] - spring[1]) / 0.02
    omega = np.sqrt(2 * spring / 24.305)
    assert optical == pytest.approx(omega * 15.633302, rel=0.02)
    sheared = next(
        a
        for a in metal
        if a.info["config_type"].endswith("shear") and abs(a.cell[0, 1]) > 1e-9
    )
    relaxed = sheared.copy()
    relaxed.calc = LennardJones(**LJ)
    for _ in range(30):
        relaxed.positions[1] += relaxed.get_forces()[1] / (2 * spring)
        relaxed.positions[0] += relaxed.get_forces()[0] / (2 * spring)
    stress = relaxed.get_stress()[5] / SHEAR / GPa
    assert modes.c66 == pytest.approx(stress, rel=0.02)


def test_a_frequency_is_the_textbook_s():
    # CO: 1857 N/m and 6.856 amu give 2144 1/cm, 64.28 THz.
    spring = 1857 / 16.0218
    (found,) = frequencies(np.array([[spring]]), np.array([[6.856]]))
    assert found == pytest.approx(64.28, abs=0.02)
    assert frequencies(np.array([[-spring]]), np.array([[6.856]]))[0] == -found


def test_hydroxide_modes_of_springs_are_those_of_the_dynamical_matrix():
    bond, ionic, layer = 45.0, 9.0, 0.4
    springs = [(1, 3, bond), (2, 4, bond), (0, 1, ionic), (0, 2, ionic), (3, 4, layer)]
    matrix = np.zeros((5, 5))
    for i, j, k in springs:
        matrix[np.ix_([i, j], [i, j])] += k * np.array([[1, -1], [-1, 1]])
    frames = []
    for pair in ([3, 4], [1, 2]):
        frame = brucite(*BRUCITE_RELAXED)
        moves = np.zeros(5)
        moves[pair] = SHIFT_HYDROXIDE
        frame.positions[:, 2] += moves
        frame.info["config_type"] = "reference_brucite_gamma"
        frame.arrays["REF_forces"] = np.zeros((5, 3))
        frame.arrays["REF_forces"][:, 2] = -matrix @ moves
        frames.append(frame)
    masses = np.diag([24.305, 15.999, 15.999, 1.008, 1.008])
    square, modes = np.linalg.eig(np.linalg.solve(masses, matrix))
    odd = np.abs(modes[1] - modes[2]) < 1e-9  # both O move the same way
    wanted = np.sort(15.633302 * np.sqrt(np.abs(square[odd])))[1:]
    assert check_references.brucite_stretch(frames) == pytest.approx(wanted, rel=1e-5)


def test_the_symmetric_modes_take_the_masses_of_bond_coordinates():
    bond, height = 45.0, 18.0
    force_constants = np.array([[height, 0.0], [0.0, bond]]) * 2
    even = np.array([[15.999 + 1.008, 1.008], [1.008, 1.008]]) * 2
    # The same springs in Cartesian coordinates of one layer.
    cartesian = np.array([[height + bond, -bond], [-bond, bond]])
    wanted = frequencies(cartesian, np.diag([15.999, 1.008]))
    assert frequencies(force_constants, even) == pytest.approx(wanted)


def test_slopes_are_the_derivatives_of_the_energy():
    family = FAMILIES["reference_brucite"]
    calculator = LennardJones(sigma=1.2, epsilon=0.4, rc=6.0, smooth=True)
    start = np.array(BRUCITE)

    def energy(point):
        atoms = brucite(*point)
        atoms.calc = calculator
        return atoms.get_potential_energy()

    frame = labelled(brucite(*start), calculator)
    found = slopes_of(frame, family).slopes
    for index, width in enumerate(family.steps):
        move = np.eye(4)[index] * 1e-4
        slope = (energy(start + move) - energy(start - move)) / 2e-4 * width
        assert found[index] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_a_foreign_cell_is_refused():
    frame = magnesium(*MAGNESIUM)
    frame.positions[1, 0] += 0.01
    frame.info = {"uid": "x01", "REF_energy": 0.0}
    with pytest.raises(
        NoReferenceError, match=r"x01 differs from its family by 1.0e-0"
    ):
        slopes_of(frame, FAMILIES["reference_mg"])


def test_too_few_frames_are_refused(metal):
    with pytest.raises(NoReferenceError, match="2 frames of reference_mg, wanted 5"):
        check_references.magnesium_references(metal[:2])
    with pytest.raises(NoReferenceError, match="0 sheared cells of magnesium"):
        check_references.metal_shears(metal[:4])
    with pytest.raises(NoReferenceError, match="magnesium lacks its displaced cell"):
        check_references.metal_optical(metal[:4])
    with pytest.raises(NoReferenceError, match="relaxed dimer is missing"):
        check_references.dimer_references(metal)


def test_a_mesh_changes_nothing_where_there_are_no_electrons(metal):
    found = check_references.mesh_change(metal)
    assert found == pytest.approx({"C33": 1.0, "C13": 1.0})
    lacking = [a for a in metal if a.info["config_type"] != "reference_mg_mesh"]
    with pytest.raises(NoReferenceError, match="0 frames of reference_mg_mesh"):
        check_references.mesh_change(lacking)


def test_the_report_names_every_value_and_what_lacks(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("sys.argv", ["check_references.py", str(tmp_path)])
    assert check_references.main() == 1
    assert "ice: 0 frames of reference_ice, wanted 9 or more" in caplog.text
    caplog.clear()
    monkeypatch.setattr("sys.argv", ["check_references.py"])
    assert check_references.main() == 0
    assert "water_dimer binding_energy 0.2213 eV" in caplog.text


def test_a_slope_without_a_minimum_is_refused():
    family = FAMILIES["reference_mg"]
    frames = []
    for point in [MAGNESIUM, (3.15, 5.2), (3.25, 5.2), (3.2, 5.12), (3.2, 5.28)]:
        frame = magnesium(*point)
        frame.info = {"uid": "x", "REF_energy": -3.0 * point[0] - point[1] ** 2}
        frame.arrays["REF_forces"] = np.zeros((2, 3))
        slopes = np.array(
            [-3.0 * point[0] / 2, -3.0 * point[0] / 2, -2 * point[1] ** 2]
        )
        frame.info["REF_stress"] = np.diag(slopes) / frame.get_volume()
        frames.append(frame)
    with pytest.raises((NoReferenceError, np.linalg.LinAlgError)):
        reference_fit.fit_surface(frames, family).minimum()


def test_an_unrelaxed_dimer_is_refused():
    frames = [a.copy() for a in read(STRUCTURES / "reference_mol.xyz", ":")]
    for frame in frames:
        frame.info["REF_energy"] = -1.0
        frame.arrays["REF_forces"] = np.full((len(frame), 3), 0.02)
    with pytest.raises(NoReferenceError, match=r"a force of 0.0200 eV/Å is left"):
        check_references.dimer_references(frames)


def test_the_structures_are_what_the_script_makes():
    made = reference_structures()
    kept = read(STRUCTURES / "reference.xyz", ":")
    assert len(made) == len(kept)
    for first, second in zip(made, kept, strict=True):
        assert first.info == second.info
        np.testing.assert_allclose(first.positions, second.positions, atol=1e-8)
        np.testing.assert_allclose(first.cell.array, second.cell.array, atol=1e-8)


@pytest.fixture(scope="module")
def shipped():
    return frames_in(PUBLISHED)


@pytest.mark.parametrize("material", list(REFERENCES))
def test_the_shipped_records_are_what_the_frames_give(material, shipped):
    records = [
        record
        for record in load_references(material)
        if record.source.text.endswith(SOURCE)
    ]
    assert records
    found = REFERENCES[material](shipped)
    for record in records:
        value = found[record.quantity]
        assert record.unit == value.unit
        last = Decimal(str(record.value)).as_tuple().exponent
        assert record.value == pytest.approx(value.value, abs=0.51 * 10.0**last)
        if record.error is not None and value.error is not None:
            assert record.error >= value.error - 0.51 * 10.0**last
