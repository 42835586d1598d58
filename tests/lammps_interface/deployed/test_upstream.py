"""The same files in an upstream LAMMPS that was built with ML-IAP and Python.

The environment variable LAMPLIGHTER_UPSTREAM names its prefix (bin/lmp, python/lammps);
it has to use the Python that runs the tests.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from lamplighter.lammps_interface import certificate as room
from lamplighter.lammps_interface.certificate import CertifyOptions

PREFIX = os.environ.get("LAMPLIGHTER_UPSTREAM", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PREFIX, reason="LAMPLIGHTER_UPSTREAM names no LAMMPS"),
]
CHEAT = Path(__file__).parents[1] / "cheat"
SCRIPT = """
units metal
read_data a.data
mass 1 24.305
mass 2 15.999
{before}
pair_style mliap unified {model} {flag}
pair_coeff * * Mg O
run 0
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Let LAMMPS find its own Python package, and the Python of the tests."""
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{PREFIX}/python")


@pytest.fixture
def run(tmp_path, model):
    """Run a script beside the data file of a rattled crystal; return what it said."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * 2
    atoms.rattle(0.05, seed=3)
    write_lammps_data(tmp_path / "a.data", atoms, specorder=["Mg", "O"])

    def go(flag, before="", ranks=1):
        text = SCRIPT.format(model=model.float64, flag=flag, before=before)
        (tmp_path / "in.lammps").write_text(text)
        launch = [] if ranks == 1 else ["mpiexec", "-n", str(ranks)]
        done = subprocess.run(
            [*launch, f"{PREFIX}/bin/lmp", "-in", "in.lammps", "-log", "none"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return go


@pytest.mark.mpi
def test_ranks_do_not_change_the_numbers(model):
    """FLAG 1: every rank evaluates its ghosts, LAMMPS' ML-IAP has no exchange."""
    options = CertifyOptions(lmp=f"{PREFIX}/bin/lmp", flag=1)
    found = room.certify(room.plan(model.float64, None, options))
    assert found.verdict == "holds", [f"{x.case}: {x.message}" for x in found.bad]
    assert found.coverage["cases"] >= 20
    assert found.coverage["with_an_empty_rank"] >= 20
    assert found.lammps["version"] != "20250722"


@pytest.mark.mpi
def test_a_rank_that_fails_alone_ends_all(run, monkeypatch):
    """LAMMPS itself would wait for the other rank, which waits in an exchange."""
    monkeypatch.setenv("PYTHONPATH", f"{PREFIX}/python{os.pathsep}{CHEAT}")
    monkeypatch.setenv("CHEAT", "fail")
    monkeypatch.setenv("CHEAT_UPSTREAM", "1")
    status, said = run(1, "comm_modify cutoff 11", ranks=2)
    assert status != 0
    assert "ERROR: lamplighter on rank 1:" in said
    assert "RuntimeError: this rank fails" in said


def test_flag_0_is_refused_with_advice(run):
    status, said = run(0)
    assert status != 0
    assert "no exchange of ghost features" in said
    assert "comm_modify cutoff 8" in said


def test_a_thin_shell_is_refused_with_advice(run):
    status, said = run(1)
    assert status != 0
    assert "ghost atoms end before the 2 layers" in said
    assert "comm_modify cutoff 10" in said
    status, said = run(1, "comm_modify cutoff 11")
    assert status == 0, said[-2000:]
