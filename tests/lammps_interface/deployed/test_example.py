"""The shipped example runs as its README says, with the shipped base model."""

import shutil

import numpy as np
import pytest

from lamplighter.files import sha256_file
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.resources import base_model


@pytest.fixture
def copied(root, tmp_path):
    """A copy of the example at the same place below another root."""
    target = tmp_path / "examples" / "mgo-nvt"
    shutil.copytree(root / "examples" / "mgo-nvt", target)
    return target


def test_from_the_root(copied, tmp_path):
    run = run_lammps(
        copied / "in.lammps", cwd=tmp_path, variables={"steps": 20}, timeout_s=300
    )
    assert "216 atoms" in run.output
    (table,) = run.thermo
    np.testing.assert_array_equal(table["Step"], [0, 20])
    assert table["Temp"][0] == pytest.approx(300.0)
    # 40 fs: the conserved quantity holds to a fiftieth of the kinetic energy.
    assert abs(np.diff(table["Econserve"])[0]) < 0.02 * table["KinEng"][0]
    assert 100.0 < table["Temp"][1] < 350.0


@pytest.mark.mpi
def test_in_its_folder_on_two_ranks(copied):
    run = run_lammps(copied / "in.lammps", ranks=2, variables={"steps": 2})
    assert run.thermo[0]["Step"][-1] == 2


def test_model_comes_from_the_shipped_base_model(root):
    header = bundle.read(root / "examples" / "mgo-nvt" / "mgo-pbe.pt").header
    assert header.model_sha256 == sha256_file(base_model())
    assert (header.head, header.dtype) == ("pbe", "float64")
    assert set(header.elements) == {"Mg", "O"}
