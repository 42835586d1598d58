"""Surface energies against known numbers, and the checks that refuse wrong ones."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal as make_crystal

from lamplighter.errors import ConfigError, DataError
from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.compare import compare
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import EngineInfo
from lamplighter.validation.properties import facets, slabs, surface
from lamplighter.validation.properties.cleave import cleaver, plane_name
from lamplighter.validation.properties.surface import SurfaceSettings
from lamplighter.validation.properties.thickness import fit_thickness
from lamplighter.validation.refs import load_references
from lamplighter.validation.refs.loader import RECORDS_FOLDER
from lamplighter.validation.relax import relax_crystal

CU_111 = 1.0437
"""J/m^2 of EMT copper, from slabs of 6 to 30 layers."""


@pytest.fixture(scope="module")
def copper():
    return surface.run(
        bulk("Cu", "fcc", a=3.6), AseEngine(EMT()), SurfaceSettings(miller=(1, 1, 1))
    )


def mgo(a=4.25):
    return bulk("MgO", "rocksalt", a=a, cubic=True)


class Counting(Calculator):
    """An energy of a fixed amount per bond of 2.1 Å: every term is known.

    Bonds are those within 2.5 Å; forces and stress vanish.
    """

    implemented_properties: ClassVar = ["energy", "forces", "stress"]

    def __init__(self, energy=-1.0):
        super().__init__()
        self.energy, self.calls = energy, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        bonds = len(neighbor_list("i", self.atoms, 2.5)) / 2
        self.calls += 1
        self.results = {
            "energy": self.energy * bonds,
            "forces": np.zeros((len(self.atoms), 3)),
            "stress": np.zeros(6),
        }


def test_emt_copper_has_the_known_surface_energy(copper):
    assert copper.status == "ok"
    energy = copper.values["surface_energy_111"]
    assert energy.value == pytest.approx(CU_111, abs=2e-4)
    assert energy.unit == "J/m^2"
    assert energy.error < 1e-3
    assert copper.values["cleavage_energy_111"].value > energy.value
    assert copper.values["cleavage_energy_111"].value < 1.01 * energy.value


def test_the_surface_energy_does_not_depend_on_thickness(copper):
    gamma = np.asarray(copper.arrays["gamma"])
    assert gamma == pytest.approx(np.full(3, CU_111), abs=3e-4)
    thick = surface.run(
        bulk("Cu", "fcc", a=3.6),
        AseEngine(EMT()),
        SurfaceSettings(miller=(1, 1, 1), min_length=22.0),
    )
    assert thick.arrays["layers"][0] > copper.arrays["layers"][-1]
    assert thick.values["surface_energy_111"].value == pytest.approx(
        copper.values["surface_energy_111"].value, abs=2e-4
    )


def test_a_slab_of_another_lattice_trips_the_slope_check():
    # 1.2 % too large a lattice: the slope is the energy of the stretched crystal, and
    # the surface energy of each slab alone grows with its thickness.
    engine = AseEngine(EMT())
    crystal = relax_crystal(bulk("Cu", "fcc", a=3.6), engine)
    stretched = crystal.atoms.copy()
    stretched.set_cell(1.012 * stretched.cell.array, scale_atoms=True)
    strain_energy = engine.compute(stretched).energy - crystal.energy
    lattice = 1.012 * crystal.atoms.cell.lengths()[0] * np.sqrt(2)
    counts, energies = [6, 10, 14], []
    for layers in counts:
        slab = fcc111("Cu", (1, 1, layers), a=lattice, vacuum=6.0, periodic=True)
        energies.append(engine.compute(slab).energy)
    area = slabs.face_area(slab)
    fit = fit_thickness(counts, energies, area, crystal.energy)
    assert strain_energy > 2e-3
    assert fit.slope_error == pytest.approx(strain_energy, rel=1e-3)
    assert fit.gamma * J_M2_PER_EV_A2 == pytest.approx(CU_111, rel=0.05)
    assert np.all(np.diff(fit.each) > 0)
    assert fit.change > 0.01
    wrong = facets.Facet(
        termination=slabs.Termination(
            slabs=(slab,), n_layers=(14,), area=area, dipole=None, equal_faces=True
        ),
        cleaved=fit,
        relaxed=fit,
        cleaved_energies=energies,
        relaxed_energies=energies,
        displacement=0.0,
        force=0.0,
        converged=True,
    )
    failed = [c for c in facets.facet_checks(wrong, SurfaceSettings()) if not c.ok]
    assert [check.name for check in failed] == ["slope of E(N)", "thickness"]
    assert failed[0].hard
    assert failed[0].value == pytest.approx(1000 * strain_energy, rel=1e-3)


def test_the_fit_finds_a_known_line():
    fit = fit_thickness(
        [4, 6, 8], [2 * 9 * 0.05 - 5.0 * n for n in (4, 6, 8)], 9.0, -5.0
    )
    assert fit.gamma == pytest.approx(0.05)
    assert fit.slope == pytest.approx(-5.0)
    assert fit.slope_error == pytest.approx(0.0, abs=1e-12)
    assert fit.residual == pytest.approx(0.0, abs=1e-12)
    assert fit.each == pytest.approx([0.05] * 3)


def test_cutting_bonds_costs_their_energy():
    # MgO(100): one bond of 1 eV is cut per ion of a face, two ions in a^2/2; two faces.
    found = surface.run(mgo(4.2), AseEngine(Counting()), SurfaceSettings())
    expected = 2 * 1.0 / 2 / (4.2**2 / 2) * J_M2_PER_EV_A2
    assert found.status == "ok"
    assert found.material == "MgO"
    assert found.values["surface_energy_100"].value == pytest.approx(expected)
    assert found.values["cleavage_energy_100"].value == pytest.approx(expected)
    assert found.arrays["layers"] == [6, 8, 10]
    assert found.arrays["n_atoms"] == [12, 16, 20]
    assert found.method["equal_faces"] is True
    (verdict,) = [
        item
        for item in compare(found, load_references("MgO"), level_of_theory="PBE")
        if item.quantity == "surface_energy_100" and item.verdict != "info"
    ]
    assert verdict.verdict == "fail"


def test_polar_surface_is_refused_without_a_calculation():
    calculator = Counting()
    found = surface.run(mgo(), AseEngine(calculator), SurfaceSettings(miller=(1, 1, 1)))
    assert found.status == "invalid"
    assert found.values == {}
    (check,) = found.failed()
    assert check.name == "polar surface"
    assert "Tasker" in check.text
    # Charges of 2 e, alternate planes a/(2 sqrt 3) apart in an area of sqrt(3)/4 a^2.
    pairs, a = 5, 4.25
    dipole = pairs * 2 * (a / (2 * 3**0.5)) / (3**0.5 / 4 * a**2)
    assert check.value >= dipole * (1 - 1e-6)
    assert calculator.calls < 10


def test_faces_without_a_common_symmetry_give_only_a_sum():
    # Zincblende GaAs(110) has equal faces, AlN-like wurtzite (001) has not: take an
    # ordered layer crystal of three elements, whose (001) faces differ.
    crystal = Atoms(
        "CuAgAu",
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.33], [0, 0, 0.66]],
        cell=[2.9, 2.9, 6.3],
        pbc=True,
    )
    cuts = slabs.terminations(crystal, (0, 0, 1), [10.0] * 3, 12.0)
    assert not any(cut.equal_faces for cut in cuts)
    assert all(
        cut.equal_faces for cut in slabs.terminations(mgo(), (1, 0, 0), [10.0], 12.0)
    )
    values = facets.facet_values(_made(cuts[0]), (0, 0, 1))
    assert set(values) == {"surface_energy_sum_001", "cleavage_energy_sum_001"}
    assert values["surface_energy_sum_001"].value == pytest.approx(
        2 * 0.05 * J_M2_PER_EV_A2
    )
    (failed,) = [
        c for c in facets.facet_checks(_made(cuts[0]), SurfaceSettings()) if not c.ok
    ]
    assert (failed.name, failed.hard) == ("equal faces", False)


def _made(cut, **updates):
    fit = fit_thickness(
        [3, 6, 9], [0.1 * cut.area - n for n in (3, 6, 9)], cut.area, -1
    )
    given = {
        "termination": cut,
        "cleaved": fit,
        "relaxed": fit,
        "cleaved_energies": [0.0],
        "relaxed_energies": [0.0],
        "displacement": 0.0,
        "force": 0.0,
        "converged": True,
    }
    return facets.Facet(**(given | updates))


@pytest.mark.parametrize(
    ("updates", "name", "hard"),
    [
        ({"displacement": 1.2}, "displacement", False),
        ({"converged": False}, "slab relaxation", True),
    ],
)
def test_reconstruction_and_no_convergence_are_flagged(updates, name, hard):
    (cut,) = slabs.terminations(mgo(), (1, 0, 0), [4.0], 12.0)
    (failed,) = [
        c
        for c in facets.facet_checks(_made(cut, **updates), SurfaceSettings())
        if not c.ok
    ]
    assert (failed.name, failed.hard) == (name, hard)


@pytest.mark.parametrize(
    ("crystal", "miller", "area", "n_cuts"),
    [
        (mgo(4.0), (1, 0, 0), 8.0, 1),
        (mgo(4.0), (1, 1, 0), 8.0 * 2**0.5, 1),
        (mgo(4.0), (1, 1, 1), 4.0 * 3**0.5, 1),
        (bulk("Cu", "fcc", a=4.0), (1, 1, 1), 4.0 * 3**0.5, 1),
        (bulk("Cu", "fcc", a=4.0), (2, 1, 1), 8.0 * 6**0.5, 1),
        (bulk("Si", "diamond", a=4.0), (1, 1, 1), 4.0 * 3**0.5, 2),
    ],
)
def test_slabs_are_the_smallest_and_keep_the_crystal(crystal, miller, area, n_cuts):
    cuts = slabs.terminations(crystal, miller, [8.0] * 3, 12.0)
    assert len(cuts) == n_cuts
    for cut in cuts:
        assert cut.area == pytest.approx(area)
        per_atom = []
        for slab in cut.slabs:
            heights = slab.positions[:, 2]
            assert slab.cell[2, 2] - np.ptp(heights) == pytest.approx(12.0)
            assert abs(slab.cell.array[2, :2]).max() == 0
            assert np.ptp(heights) > 8.0 - 4.0
            per_atom.append(len(slab) / area)
        assert np.diff(per_atom) == pytest.approx(np.full(2, np.diff(per_atom)[0]))


def test_oblique_cells_are_reduced_and_keep_their_hand():
    first, second = np.array([3.0, 0, 0]), np.array([8.9, 3.0, 0])
    a, b = slabs.shortest_vectors(first, second)
    assert np.linalg.norm(a) == pytest.approx(3.0)
    assert np.linalg.norm(b) == pytest.approx(np.hypot(0.1, 3.0))
    assert np.cross(a, b)[2] == pytest.approx(np.cross(first, second)[2])


def test_nominal_charges_come_from_valences_or_composition():
    expected = np.where(mgo().numbers == 12, 2.0, -2.0)
    assert slabs.nominal_charges(mgo()) == pytest.approx(expected)
    assert slabs.nominal_charges(bulk("Cu")) is None
    assert slabs.nominal_charges(bulk("CuAu", "cesiumchloride", a=3.0)) is None
    # Electronegativities of no salt: charges of 4 e would make SiGe(111) polar.
    assert slabs.nominal_charges(bulk("SiGe", "zincblende", a=5.5)) is None
    silicide = make_crystal(
        ["Si", "Ni"],
        [(0, 0, 0), (0.5, 0.5, 0)],
        spacegroup=221,
        cellpar=[3.5] * 3 + [90] * 3,
    )
    assert slabs.nominal_charges(silicide) is None
    assert slabs.nominal_charges(bulk("SiC", "zincblende", a=4.36)) == pytest.approx(
        [4.0, -4.0]
    )


def test_an_element_in_two_states_does_not_hide_a_polar_plane():
    magnetite = make_crystal(
        ["Fe", "Fe", "O"],
        [(0.125, 0.125, 0.125), (0.5, 0.5, 0.5), (0.2549, 0.2549, 0.2549)],
        spacegroup=227,
        setting=2,
        cellpar=[8.394] * 3 + [90] * 3,
    )
    cuts = slabs.terminations(magnetite, (1, 1, 1), [8.0], 12.0)
    check = facets.polarity_of(cuts)
    assert not check.ok
    assert check.hard
    charges = slabs.nominal_charges(magnetite)
    assert sum(charges) == pytest.approx(0.0, abs=1e-9)
    assert len({round(q, 6) for q in charges}) == 3


def test_a_compound_without_charges_is_not_called_harmless():
    (cut,) = slabs.terminations(mgo(), (1, 0, 0), [4.0], 12.0)
    assert cut.ionic
    check = facets.polarity_of([dataclasses.replace(cut, dipole=None)])
    assert (check.ok, check.hard) == (False, False)
    assert "NOT tested" in check.text
    element = dataclasses.replace(cut, dipole=None, ionic=False)
    assert facets.polarity_of([element]).ok


def test_atoms_far_apart_and_vicinal_planes_can_be_cut():
    # Nearest atoms of caesium are 5.3 Å apart; steps of (20 1 1) are 0.09 Å high.
    (cut,) = slabs.terminations(bulk("Cs", a=6.16), (1, 1, 0), [10.0], 12.0)
    assert len(cut.slabs[0]) >= 3
    assert len(cleaver(bulk("Cu", a=3.6), (20, 1, 1)).cuts()) == 1
    assert plane_name((20, 1, 1)) == "20_1_1"


def test_a_slab_that_is_no_part_of_the_crystal_is_refused():
    (cut,) = slabs.terminations(mgo(), (1, 0, 0), [4.0], 12.0)
    broken = cut.slabs[0].copy()
    broken.positions[0] += [0.3, 0, 0]
    with pytest.raises(DataError, match="no part of the crystal"):
        slabs._check_slab(broken, mgo(), (1, 0, 0))
    with pytest.raises(DataError, match="no part of the crystal"):
        slabs._check_slab(broken[1:], mgo(), (1, 0, 0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"miller": (0, 0, 0)}, "no plane has these Miller indices"),
        ({"miller": (1, 0, -1, 0)}, "leave out the third of four hexagonal indices"),
        ({"miller": (2, 0, 0)}, "without a common divisor"),
        ({"miller": (1, 0)}, "three whole numbers"),
        ({"miller": (0.5, 0, 0)}, "three whole numbers"),
        ({"max_slope_error": 0.0}, "max_slope_error of the surface settings"),
        ({"n_thicknesses": 2}, "too few thicknesses"),
        ({"vacuum": -1.0}, "vacuum of the surface settings must be positive"),
        ({"min_length": 0.0}, "min_length of the surface settings"),
        ({"fmax": float("nan")}, "fmax of the surface settings"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SurfaceSettings(**settings)


def test_vacuum_must_exceed_the_range_of_the_model():
    info = EngineInfo(kind="ase", name="ase", model="m", cutoff=6.0)
    assert facets.vacuum_of(info, SurfaceSettings()) == 12.0
    far = EngineInfo(kind="ase", name="ase", model="m", cutoff=11.0)
    assert facets.vacuum_of(far, SurfaceSettings()) == 13.0
    with pytest.raises(ConfigError, match=r"within the range of the model; got: 5.0 Å"):
        facets.vacuum_of(info, SurfaceSettings(vacuum=5.0))


def test_the_mgo_reference_follows_from_its_slab_energies():
    file = RECORDS_FOLDER.parent / "slab_energies" / "MgO_100_PBE.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    area = data["lattice_constant"] ** 2 / 2
    records = {
        record.quantity: record
        for record in load_references("MgO")
        if record.quantity.endswith("_energy_100") and record.role == "primary"
    }
    for key, quantity in (
        ("relaxed", "surface_energy_100"),
        ("cleaved", "cleavage_energy_100"),
    ):
        fit = fit_thickness(data["layers"], data[key], area, data["bulk_energy"])
        record = records[quantity]
        assert fit.each[-1] * J_M2_PER_EV_A2 == pytest.approx(record.value, abs=6e-4)
        assert abs(fit.gamma * J_M2_PER_EV_A2 - record.value) < 1.2 * record.error
        assert 0.87 < record.value < 0.92
