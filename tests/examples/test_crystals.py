"""Examples of crystals: relaxation, dispersion, pressure, elasticity, phonons."""

import importlib.util
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.io.lammpsdata import read_lammps_data
from ase.optimize import BFGS
from doc_pages import code_blocks
from example_shell import shell

from lamplighter import Calculator
from lamplighter.resources import base_model

LAMMPS_EXAMPLES = Path(
    os.environ.get("LAMPLIGHTER_LAMMPS_EXAMPLES", "/usr/share/lammps/examples")
)


def numbers(text, start):
    """The numbers of the last line that starts so, units left out."""
    line = [x for x in text.splitlines() if x.startswith(start)][-1]
    return [float(x) for x in re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e-?\d+)?", line)]


def test_relax(run_readme):
    folder, said = run_readme("relax")
    wide = numbers(said, "positions:")
    energy, pressure, edge = numbers(said, "cell:")
    assert wide[1] < -30000.0
    assert abs(pressure) < 1.0
    assert energy < wide[0]

    crystal = bulk("MgO", "rocksalt", a=4.25)
    crystal.calc = Calculator(base_model(), head="pbe")
    BFGS(FrechetCellFilter(crystal), logfile=None).run(fmax=1e-4, steps=50)
    assert edge / 2 == pytest.approx((4 * crystal.get_volume()) ** (1 / 3), abs=2e-4)
    assert energy / 32 == pytest.approx(crystal.get_potential_energy(), abs=1e-4)

    cut, large = numbers(said, "vacancy, as cut:")
    relaxed, small = numbers(said, "vacancy, relaxed:")
    assert relaxed < cut - 0.5
    assert small < 1.1e-4 < large
    vacancy = read_lammps_data(folder / "vacancy.data", units="metal")
    vacancy.calc = crystal.calc
    assert vacancy.get_potential_energy() == pytest.approx(relaxed, abs=1e-5)
    assert np.abs(vacancy.get_forces()).max() < 2e-4


def test_dispersion_is_that_of_torch_dftd(run_readme):
    _, said = run_readme("d3-overlay")
    assert "d3bj:pbe" in said  # what inspect says of the file
    model, d3, pressure = numbers(said, "given cell:")
    crystal = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    crystal.calc = Calculator(base_model(), head="pbe")
    assert crystal.get_potential_energy() == pytest.approx(model, abs=1e-6)
    crystal.calc = Calculator(base_model(), head="pbe", dispersion="auto")
    assert crystal.get_potential_energy() - model == pytest.approx(d3, abs=1e-4)
    expected = -crystal.get_stress()[:3].mean() / units.bar
    assert pressure == pytest.approx(expected, abs=20.0)
    a, _, deeper = numbers(said, "relaxed:")
    assert 4.19 < a < 4.23  # 4.256 without
    assert deeper < d3


def test_pressure_is_the_slope_of_the_energy(run_readme):
    _, said = run_readme("lammps-python")
    assert numbers(said, "largest force")[0] < 1e-8
    (difference,) = numbers(said.replace("-dE/dV", "slope"), "pressure and")
    assert difference < 30.0
    a, modulus = numbers(said, "a = ")
    assert a == pytest.approx(4.256, abs=0.002)
    assert 140.0 < modulus < 156.0


@pytest.mark.slow
def test_elastic_constants_are_those_of_validate(run_readme):
    folder, _ = run_readme("elastic")
    table = np.loadtxt(folder / "elastic.txt")
    report = json.loads((folder / "run" / "report.json").read_text())
    (rows,) = [x["rows"] for x in report["properties"] if x["property"] == "elastic"]
    values = {x["quantity"]: x["engines"]["ase"] for x in rows}
    c11, c12, c44 = table[0, 0], table[0, 1], table[3, 3]
    for name, mine in (("C11", c11), ("C12", c12), ("C44", c44)):
        assert mine == pytest.approx(values[name], abs=0.5)
    expected = np.diag([c11] * 3 + [c44] * 3)
    expected[:3, :3] += c12 * (1 - np.eye(3))
    assert np.abs(table - expected).max() < 0.01


@pytest.mark.slow
@pytest.mark.skipif(
    not (LAMMPS_EXAMPLES / "ELASTIC").is_dir(),
    reason="LAMMPS' examples are not here; nox -s examples fetches them",
)
def test_the_deck_of_lammps_gives_the_same_constants(example):
    folder = example("elastic")
    blocks = code_blocks((folder / "README.md").read_text())
    (commands,) = [text for language, text in blocks if language == "bash"]
    said = shell(
        commands.replace("/usr/share/lammps/examples", str(LAMMPS_EXAMPLES)), folder
    )
    found = {
        tuple(map(int, name)): float(value)
        for name, value in re.findall(r"C(\d\d)all = (\S+) GPa", said)
    }
    assert len(found) == 21
    shell("lmp -in in.lammps", folder)
    mine = np.loadtxt(folder / "elastic.txt")
    for (i, j), value in found.items():
        assert value == pytest.approx(mine[i - 1, j - 1], abs=0.3), (i, j)


@pytest.mark.slow
def test_phonons_of_three_programs(run_readme):
    folder, _ = run_readme("phonons")
    found = json.loads((folder / "frequencies.json").read_text())
    lammps = np.array(found["lammps"])
    assert len(lammps) == 192
    assert np.abs(lammps[:3]).max() < 0.01  # translations
    assert lammps[3] > 1.0  # and no other soft mode
    ours = np.array(list(found["lamplighter"].values()))
    assert len(ours) > 12
    nearest = np.abs(lammps[None, :] - ours[:, None]).min(axis=1)
    assert nearest.max() < 2e-3
    assert ours.max() == pytest.approx(lammps.max(), abs=2e-3)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("phonolammps") is None,
    reason="phonoLAMMPS is not installed; nox -s examples installs it",
)
def test_phonolammps_agrees_with_lammps(run_readme):
    folder, _ = run_readme("phonons")
    found = json.loads((folder / "frequencies.json").read_text())
    np.testing.assert_allclose(found["phonolammps"], found["lammps"], atol=1e-3)


@pytest.mark.slow
def test_the_script_in_ase(run_readme):
    _, said = run_readme("ase-script")
    a, pressure = numbers(said, "pbe:")
    assert a == pytest.approx(4.256, abs=0.002)
    assert abs(pressure) < 0.01
    shorter, _ = numbers(said, "r2scan:")
    assert 4.18 < shorter < a
    assert numbers(said, "total energy: spread")[0] < 0.2
