"""Running LAMMPS: thermo tables come back, failures are errors, nothing lingers."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from lamplighter.errors import ConfigError, EngineError
from lamplighter.lammps_interface.runner import parse_thermo, run_lammps

ARGON = """
variable steps index 20
units lj
lattice fcc 0.8442
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.44 87287
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0
thermo_style custom step temp pe etotal
thermo_modify format float %.17g
thermo 5
fix 1 all nve
run ${steps}
run 10
"""


@pytest.fixture
def argon(tmp_path: Path) -> Path:
    script = tmp_path / "in.argon"
    script.write_text(ARGON)
    return script


def test_thermo_of_every_run(argon):
    run = run_lammps(argon, timeout_s=60)
    assert run.returncode == 0
    first, second = run.thermo
    np.testing.assert_array_equal(first["Step"], [0, 5, 10, 15, 20])
    np.testing.assert_array_equal(second["Step"], [20, 25, 30])
    assert np.ptp(first["TotEng"]) < 1e-2 < np.ptp(first["PotEng"])
    assert run.log == argon.parent / "log.lammps"
    assert "Loop time" in run.log.read_text()


def test_variables_override_the_script(argon):
    run = run_lammps(argon, variables={"steps": 10}, timeout_s=60)
    assert run.thermo[0]["Step"][-1] == 10


@pytest.mark.mpi
def test_ranks(argon):
    run = run_lammps(argon, ranks=2, timeout_s=60)
    assert "1 by 1 by 2 MPI processor grid" in run.output
    assert run.thermo[0]["Step"][-1] == 20


def test_failure_shows_the_last_lines(argon):
    argon.write_text(ARGON.replace("lj/cut 2.5", "no/such/style 2.5"))
    with pytest.raises(EngineError, match=r"(?s)status 1.*no/such/style"):
        run_lammps(argon, timeout_s=60)


def test_failure_can_be_looked_at(argon):
    argon.write_text("units nonsense\n")
    run = run_lammps(argon, timeout_s=60, check=False)
    assert run.returncode != 0
    assert "ERROR: Unknown units style nonsense" in run.output
    assert run.thermo == ()


@pytest.mark.mpi
def test_timeout_ends_every_process(argon):
    argon.write_text(ARGON.replace("${steps}", "100000000"))
    with pytest.raises(EngineError, match="did not end within 3 s"):
        run_lammps(argon, ranks=2, timeout_s=3)
    deadline = time.monotonic() + 10
    while _running(str(argon)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _running(str(argon)) == []


def _running(word: str) -> list[str]:
    """Return the process numbers whose command line contains `word`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            if word.encode() in words:
                found.append(entry.name)
    return found


def test_missing_script(tmp_path):
    with pytest.raises(ConfigError, match="no such LAMMPS script"):
        run_lammps(tmp_path / "in.absent")


def test_missing_folder(argon, tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        run_lammps(argon, cwd=tmp_path / "absent")


def test_no_ranks(argon):
    with pytest.raises(ConfigError, match="ranks; got: 0"):
        run_lammps(argon, ranks=0)


def test_lmp_missing_beside_python(argon, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(EngineError, match="lmp is not installed beside"):
        run_lammps(argon)


def test_lines_that_are_not_numbers_are_passed_over():
    output = """
   Step          PotEng
         0   1.5
WARNING: something happened
         5   2.5
Loop time of 1 on 1 procs
"""
    (table,) = parse_thermo(output)
    assert table["PotEng"].tolist() == [1.5, 2.5]


def test_run_that_was_cut_short_keeps_its_lines():
    (table,) = parse_thermo("Step Temp\n0 300\n")
    assert table["Temp"].tolist() == [300.0]
