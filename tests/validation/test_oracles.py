"""The tools without a neural network: ASE and LAMMPS from the same parameters."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from classical import POTENTIALS, StillingerWeber, difficult, embedded_atom

from lamplighter.validation.engines import (
    AseEngine,
    LammpsEngine,
    LammpsFileEngine,
    LammpsLibEngine,
    pair_style,
)
from lamplighter.validation.engines.base import WANT_ALL
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.parity import ParitySettings

LIMIT = 1e-9

ENGINES = {
    "process": LammpsEngine,
    "file": LammpsFileEngine,
    "library": LammpsLibEngine,
}
FEW = ("rattled", "triclinic -1", "slab")  # ranks that share a core are slow


@pytest.fixture(scope="module", params=POTENTIALS)
def oracle(request, tmp_path_factory):
    """A potential, hard structures, and what ASE says about them."""
    potential = POTENTIALS[request.param](tmp_path_factory.mktemp("potential"))
    structures = difficult(potential.crystal(), potential.elements)
    engine = AseEngine(potential.calculator())
    reference = {
        name: engine.compute(atoms, WANT_ALL) for name, atoms in structures.items()
    }
    return potential, structures, reference


@pytest.mark.parametrize(
    "kind", [*ENGINES, pytest.param("2 ranks", marks=pytest.mark.mpi)]
)
def test_lammps_is_ase(oracle, kind):
    potential, structures, reference = oracle
    style = pair_style(potential.lines, potential.elements)
    two = kind == "2 ranks"
    engine = LammpsFileEngine(style, ranks=2) if two else ENGINES[kind](style)
    names = FEW if two else tuple(structures)
    found = engine.compute_many([structures[name] for name in names], WANT_ALL)
    engine.close()
    for name, ours in zip(names, found, strict=True):
        theirs = reference[name]
        n = len(theirs.forces)
        assert abs(ours.energy - theirs.energy) / n < LIMIT, name
        assert np.abs(ours.forces - theirs.forces).max() < LIMIT, name
        assert (ours.stress is None) == (theirs.stress is None) == (name == "molecule")
        if theirs.stress is not None:
            assert np.abs(ours.stress - theirs.stress).max() < LIMIT, name
        assert abs(ours.energies.sum() - ours.energy) / n < LIMIT, name
        if theirs.energies is not None:
            assert np.abs(ours.energies - theirs.energies).max() < LIMIT, name
        # Equal zeros would prove nothing.
        assert np.abs(theirs.forces).max() > 1e-2, name


def test_the_preflight_passes_for_each_potential(oracle):
    potential, structures, _ = oracle
    few = {name: structures[name] for name in ("triclinic +1", "slab")}
    with LammpsEngine(pair_style(potential.lines, potential.elements)) as engine:
        result = parity.run(
            few,
            AseEngine(potential.calculator()),
            engine,
            # a table's energy is exact to 1e-10 only
            ParitySettings(points="none"),
        )
    assert result.status == "ok", result.failed()


def test_the_reference_of_stillinger_and_weber_is_its_own_derivative():
    atoms = bulk("Si", a=5.43, cubic=True)
    atoms.rattle(0.1, seed=3)
    atoms.calc = StillingerWeber()
    forces, stress = atoms.get_forces(), atoms.get_stress()
    np.testing.assert_allclose(
        forces[:2], calculate_numerical_forces(atoms, iatoms=[0, 1]), atol=1e-6
    )
    np.testing.assert_allclose(stress, calculate_numerical_stress(atoms), atol=1e-7)
    perfect = bulk("Si", a=5.431)
    perfect.calc = StillingerWeber()
    assert perfect.get_potential_energy() / 2 == pytest.approx(-4.3366, abs=1e-4)


def test_a_coarse_table_is_not_the_function_it_tabulates(tmp_path):
    """The limit of 1e-9 sees what a table of 500 points costs."""
    coarse = embedded_atom(tmp_path, n_r=501, n_rho=501)
    atoms = difficult(coarse.crystal(), coarse.elements)["rattled"]
    with LammpsEngine(pair_style(coarse.lines, coarse.elements)) as engine:
        ours = engine.compute(atoms)
    theirs = AseEngine(coarse.calculator()).compute(atoms)
    assert LIMIT < np.abs(ours.forces - theirs.forces).max() < 1e-3
