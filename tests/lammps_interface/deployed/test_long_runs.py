"""Runs of picoseconds: energy is conserved, and ranks stay on one trajectory."""

import numpy as np
import pytest
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.resources import base_model

pytestmark = [pytest.mark.slow, pytest.mark.mpi]

SCRIPT = """
units metal
atom_style atomic
newton on
read_data a.data
mass 1 24.305
mass 2 15.999
pair_style mliap unified {file} 0
pair_coeff * * Mg O
velocity all create 300 4928 loop geom mom yes
fix 1 all nve
timestep {step}
thermo_style custom step time temp pe ke etotal
thermo_modify format float %.17g
thermo 1
run {early}
thermo {every}
run {late}
"""


@pytest.fixture(scope="module")
def runs(root, tmp_path_factory):
    """5 ps of 216 atoms of MgO with the shipped potential, on one rank and on two."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * 3
    file = root / "examples" / "mgo-nvt" / "mgo-pbe.pt"
    found = {}
    for ranks in (1, 2):
        folder = tmp_path_factory.mktemp(f"ranks{ranks}")
        write_lammps_data(folder / "a.data", atoms, specorder=["Mg", "O"])
        (folder / "in.lammps").write_text(
            SCRIPT.format(file=file, step=0.002, early=200, every=10, late=2300)
        )
        run = run_lammps(folder / "in.lammps", ranks=ranks, timeout_s=6 * 3600)
        found[ranks] = run.thermo
    return found


@pytest.mark.parametrize("ranks", [1, 2])
def test_energy_does_not_drift(runs, ranks):
    table = runs[ranks][1]
    slope = np.polyfit(table["Time"], table["TotEng"], 1)[0] / 216
    assert abs(slope) < 1e-6  # eV/atom/ps
    assert table["Temp"].mean() > 100


def test_two_ranks_follow_one(runs):
    one, two = (runs[ranks][0] for ranks in (1, 2))
    assert len(one["Step"]) == 201
    for name in ("PotEng", "KinEng"):
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-7)


def test_energy_does_not_drift_with_tables_in_float32(tmp_path):
    """3 ps of 64 atoms with cubic tables."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * 2
    file = convert(base_model(), "pbe", ["Mg", "O"], tmp_path / "m.pt", "float32")
    write_lammps_data(tmp_path / "a.data", atoms, specorder=["Mg", "O"])
    (tmp_path / "in.lammps").write_text(
        SCRIPT.format(file=file, step=0.001, early=100, every=10, late=2900)
    )
    run = run_lammps(tmp_path / "in.lammps", timeout_s=3600)
    assert "compiled" in run.output
    table = run.thermo[1]
    slope = np.polyfit(table["Time"], table["TotEng"], 1)[0] / 64
    assert abs(slope) < 1e-5  # eV/atom/ps
    assert table["Temp"].mean() > 100
