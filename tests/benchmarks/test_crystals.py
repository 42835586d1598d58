"""The comparison with matcalc: its potentials, its arithmetic, its stored results."""

import copy
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "crystals.json"


def load(name, monkeypatch):
    """Return a script as a module; `run.py` is a name that other folders have too."""
    folder = ROOT / "benchmarks" / "crystals"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location(
        f"crystals_{name}", folder / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cases(monkeypatch):
    return load("cases", monkeypatch)


@pytest.fixture
def driver(monkeypatch):
    return load("run", monkeypatch)


@pytest.mark.parametrize("name", ["MgO", "Mg"])
def test_pair_potentials_are_their_own_derivatives(cases, name):
    case = cases.CASES[name]
    atoms = case.start.copy()
    atoms.rattle(0.05, seed=2)
    atoms.calc = case.calculator()
    force = atoms.get_forces()[1, 2]
    stress = atoms.get_stress(voigt=False)
    assert np.abs(atoms.get_forces().sum(axis=0)).max() < 1e-10
    step, energies, strained = 1e-4, [], []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[1, 2] += sign * step
        moved.calc = case.calculator()
        energies.append(moved.get_potential_energy())
        sheared = atoms.copy()
        shear = np.eye(3)
        shear[0, 1] = shear[1, 0] = sign * step / 2
        sheared.set_cell(atoms.cell @ shear, scale_atoms=True)
        sheared.calc = case.calculator()
        strained.append(sheared.get_potential_energy())
    assert force == pytest.approx(-(energies[0] - energies[1]) / 2 / step, abs=1e-6)
    slope = (strained[0] - strained[1]) / (2 * step) / atoms.get_volume()
    assert stress[0, 1] == pytest.approx(slope, abs=1e-6)


def test_wave_vectors_fit_the_supercell(driver):
    matrix = np.array([[-2, 2, 2], [2, -2, 2], [2, 2, -2]])
    points = driver.commensurate(matrix)
    assert points @ matrix.T == pytest.approx(np.rint(points @ matrix.T), abs=1e-5)
    # 32 in all; Γ is left out, q and -q count once.
    assert len(points) == 19


def test_the_stored_results_are_within_the_limits(driver):
    stored = json.loads(RESULTS.read_text("utf-8"))
    assert set(stored["differences"]) == {"Si", "Cu", "MgO", "Mg"}
    for name, row in stored["differences"].items():
        mine, theirs = stored["lamplighter"][name], stored["matcalc"][name]
        assert mine["status"] == {"elastic": "ok", "phonon": "ok"}
        again = driver.compare(mine, theirs)
        assert again == pytest.approx(row)
        assert driver.agree(again)
        assert again["bulk"] < 0.005
        assert again["shear"] < 0.005
        assert again["heat_capacity_300K"] < 1e-3
    assert stored["agree"]


def test_a_difference_is_seen(driver):
    stored = json.loads(RESULTS.read_text("utf-8"))
    mine, theirs = stored["lamplighter"]["Si"], stored["matcalc"]["Si"]
    stiffer = copy.deepcopy(theirs)
    stiffer["elastic"]["C"][3][3] *= 1.02
    assert not driver.agree(driver.compare(mine, stiffer))
    softer = copy.deepcopy(theirs)
    softer["phonon"]["frequencies"][4][2] -= 0.03
    assert not driver.agree(driver.compare(mine, softer))
    clamped = {**theirs, "elastic": theirs["elastic_clamped"]}
    assert driver.compare(mine, clamped)["elastic"] > 0.5
