"""The doctor, with LAMMPS of many kinds played by small shell scripts."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lamplighter import cli
from lamplighter.errors import EngineError
from lamplighter.lammps_interface.doctor import examine
from lamplighter.lammps_interface.doctor.help_text import flavour_of, parse_help
from lamplighter.lammps_interface.doctor.mpi_side import launcher_flavour, same_family
from lamplighter.lammps_interface.doctor.processes import ask
from lamplighter.lammps_interface.doctor.python_side import (
    available_gb,
    interpreter_kind,
    python_findings,
    torch_findings,
)
from lamplighter.lammps_interface.doctor.target import find_target
from lamplighter.lammps_interface.doctor.trial import Numbers, judge_one, judge_two
from lamplighter.lammps_interface.doctor.versions import DEFECTS, defects_of

MPICH = "MPI v5.0: MPICH Version:      5.0.2"
OPEN_MPI = "MPI v3.1: Open MPI v4.1.4, package: Debian OpenMPI"
STUBS = "MPI v1.0: LAMMPS MPI STUBS for LAMMPS version 22 Jul 2025"


def help_text(
    version="22 Jul 2025 - Update 4",
    packages="ML-IAP ML-SNAP PLUGIN",
    mpi=MPICH,
    tagint=32,
):
    return textwrap.dedent(f"""
        Large-scale Atomic/Molecular Massively Parallel Simulator - {version}

        {mpi}

        sizeof(smallint): 32-bit
        sizeof(imageint): 32-bit
        sizeof(tagint):   {tagint}-bit
        sizeof(bigint):   64-bit

        Installed packages:

        {packages}

        List of individual style options included in this LAMMPS executable
        """)


def script(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def fake(tmp_path):
    """Make an executable that prints a help text, and the mpiexec beside it."""

    def make(launcher="HYDRA build details:", **changes):
        (tmp_path / "help.txt").write_text(help_text(**changes))
        script(tmp_path / "mpiexec", f"echo '{launcher}'")
        return script(tmp_path / "lmp", f"cat {tmp_path}/help.txt")

    return make


def look(path, **options):
    return examine(str(path), trial=False, **options)


def texts(report, status):
    return [one.found for one in report.findings if one.status == status]


def test_the_help_text_is_understood():
    info = parse_help(help_text())
    assert info.version == "22 Jul 2025 update 4"
    assert info.packages == {"ML-IAP", "ML-SNAP", "PLUGIN"}
    assert info.mpi == "mpich"
    assert info.smallbig
    assert not parse_help(help_text(tagint=64)).smallbig
    assert parse_help(help_text(version="2 Apr 2025 - Development")).update == 0
    assert parse_help("usage: lmp") is None


def test_a_lammps_that_fits_needs_no_more_than_its_plugin_path(fake):
    report = look(fake())
    assert report.exit_code == 0, report.findings
    assert "LAMMPS_PLUGIN_PATH=" in report.command
    assert "mpiexec -n 2" in report.command
    assert report.pair_style.startswith("pair_style mliap unified FILE.pt 0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "29 Aug 2024 - Update 1"}, "not 29 Aug 2024 update 1"),
        ({"packages": "ML-IAP"}, "lacks the package PLUGIN"),
        ({"tagint": 64}, "not those of LAMMPS_SMALLBIG"),
        ({"mpi": OPEN_MPI, "launcher": "mpirun (Open MPI) 4.1.4"}, "MPI is openmpi"),
        ({"mpi": STUBS}, "MPI is stubs"),
    ],
)
def test_a_lammps_that_does_not_fit_is_told_why(fake, changes, said):
    report = look(fake(**changes))
    assert report.exit_code == 1
    assert any(said in text for text in texts(report, "problem"))
    assert report.command == ""


def test_a_lammps_without_mpi_is_warned_of_and_gets_no_mpiexec(fake):
    packages = "ML-IAP PYTHON"
    report = look(fake(mpi=STUBS, packages=packages, version="4 Jul 2026"))
    assert any("built without MPI" in text for text in texts(report, "warning"))
    assert report.exit_code == 0
    assert "mpiexec -n" not in report.command


def test_an_mpiexec_of_another_kind_is_a_problem_and_leaves_one_rank(fake):
    report = look(fake(launcher="mpirun (Open MPI) 4.1.4"))
    assert report.exit_code == 1
    assert any("openmpi" in text for text in texts(report, "problem"))
    assert report.command
    assert "mpiexec -n" not in report.command


def test_an_upstream_build_with_python_gets_a_wide_shell(fake):
    report = look(fake(version="4 Jul 2026", packages="ML-IAP PYTHON PLUGIN"))
    assert report.exit_code == 0
    assert report.pair_style.splitlines()[:2] == [
        "comm_modify cutoff 11",
        "pair_style mliap unified FILE.pt 1",
    ]
    assert any("atoms times pairs" in text for text in texts(report, "warning"))


@pytest.mark.parametrize(
    ("version", "packages", "status", "said"),
    [
        ("29 Aug 2024", "KOKKOS ML-IAP PYTHON", "problem", "no forward_exchange"),
        ("10 Nov 2025", "KOKKOS ML-IAP PYTHON", "problem", "wrong energies"),
        ("10 Nov 2025", "KOKKOS", "warning", "bias temperature"),
        ("11 Feb 2026", "KOKKOS", "warning", "zero yes"),
        ("2 Apr 2025", "ML-IAP PYTHON", "warning", "weights_only"),
        ("12 Jun 2025", "ML-IAP PYTHON", "warning", "FLAG 1"),
        ("4 Jul 2026", "ML-IAP PYTHON", "warning", "14 GB"),
    ],
)
def test_known_defects_of_versions(version, packages, status, said):
    found = defects_of(parse_help(help_text(version=version, packages=packages)))
    assert any(one.status == status and said in one.found for one in found)


def test_every_defect_has_an_end_after_its_beginning_and_the_wheel_has_none():
    assert all(d.until > d.since for d in DEFECTS if d.since and d.until)
    assert defects_of(parse_help(help_text())) == ()


def test_what_is_missing_is_no_lammps(tmp_path):
    report = look(tmp_path / "lmp")
    assert report.exit_code == 3
    assert any("no LAMMPS executable" in text for text in texts(report, "problem"))


def test_what_cannot_be_executed_is_no_lammps(tmp_path):
    path = script(tmp_path / "lmp", "true")
    path.chmod(0o644)
    with pytest.raises(EngineError, match=r"is not executable; fix: chmod \+x"):
        find_target(str(path))
    assert look(path).exit_code == 3


def test_a_program_that_is_no_lammps_is_named(tmp_path):
    report = look(script(tmp_path / "lmp", "echo hello; exit 4"))
    assert report.exit_code == 3
    (said,) = texts(report, "problem")
    assert "no LAMMPS that starts" in said
    assert "exit status 4, hello" in said


def test_a_lammps_that_cannot_load_its_mpi_library_gets_the_cure(tmp_path):
    text = "lmp: error while loading shared libraries: libmpi.so.12: cannot open shared"
    report = look(script(tmp_path / "lmp", f"echo '{text} object file'; exit 127"))
    assert report.exit_code == 3
    assert "lammps[mpi]" in report.findings[0].do


def test_a_lammps_that_hangs_is_ended(tmp_path):
    path = script(tmp_path / "lmp", f"echo $$ > {tmp_path}/pid; sleep 60")
    report = look(path, help_timeout_s=1.0)
    assert report.exit_code == 3
    assert any("did not end within 1 s" in text for text in texts(report, "problem"))
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_without_a_header_line_is_not_started(tmp_path):
    path = tmp_path / "lmp"
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    with pytest.raises(EngineError, match="cannot be started"):
        ask([path], timeout_s=5)


def test_a_trial_that_fails_is_a_problem_with_a_cure(tmp_path, fake):
    lmp = fake()
    lost = 'echo "ERROR: Lost atoms: original 2 current 1"; exit 1'
    body = f'[ "$1" = -h ] && exec cat {tmp_path}/help.txt\n{lost}'
    script(lmp, body)
    report = examine(str(lmp))
    assert report.exit_code == 1
    assert report.command == ""
    (bad,) = [one for one in report.findings if one.status == "problem"]
    assert "Lost atoms" in bad.found
    assert "Minimise first" in bad.do


def test_a_trial_whose_ranks_are_jobs_of_their_own_is_a_problem(tmp_path, fake):
    lmp = fake(mpi="MPI v9: Some MPI", packages="ML-IAP PYTHON", version="4 Jul 2026")
    row = "echo doctor: -1 0 0 0 0 0 0"
    body = f'[ "$1" = -h ] && exec cat {tmp_path}/help.txt\n{row}\n{row}'
    script(lmp, body)
    twice = 'case "$1" in --version) exit 0;; esac\nshift 2\n"$@"; "$@"'
    script(tmp_path / "mpiexec", twice)
    report = examine(str(lmp))
    assert report.exit_code == 1
    assert any("job of its own" in text for text in texts(report, "problem"))


def test_ranks_that_differ_are_a_problem():
    one = Numbers(energies=(-1.0, -1.0), forces=(0.0,) * 12)
    near = Numbers(energies=(-1.0, -1.0 + 1e-10), forces=(1e-9,) + (0.0,) * 11)
    far = Numbers(energies=(-1.0, -1.0), forces=(1e-6,) + (0.0,) * 11)
    lost = Numbers(energies=(float("nan"), -1.0), forces=(0.0,) * 12)
    assert judge_two(one, near, "float64").status == "ok"
    assert judge_two(one, far, "float64").status == "problem"
    assert judge_two(one, far, "float32").status == "ok"
    assert judge_two(one, lost, "float32").status == "problem"
    assert judge_one(one, 1.0).status == "ok"
    assert judge_one(lost, 1.0).status == "problem"


@pytest.mark.parametrize(
    ("text", "flavour"),
    [
        (MPICH, "mpich"),
        (OPEN_MPI, "openmpi"),
        (STUBS, "stubs"),
        ("MPI v3.1: Intel(R) MPI Library 2021.10 for Linux* OS", "intel"),
        ("MPI v3.1: MVAPICH2 Version: 2.3.7", "mvapich"),
        ("MPI v3.1: MPI VERSION : CRAY MPICH version 8.1.28", "cray"),
        ("", "unknown"),
    ],
)
def test_mpi_flavours(text, flavour):
    assert flavour_of(text) == flavour


def test_launchers_and_their_families():
    assert launcher_flavour("HYDRA build details:\n Version: 4.1") == "mpich"
    assert launcher_flavour("mpiexec (OpenRTE) 4.1.4") == "openmpi"
    assert same_family("mpich", "intel")
    assert not same_family("mpich", "openmpi")
    assert same_family("openmpi", "openmpi")


@pytest.mark.parametrize(
    ("prefix", "base", "kind"),
    [
        ("/usr", "/usr", "system"),
        ("/v", "/usr", "venv on system"),
        ("/v", "/opt/.pyenv/versions/3.11.7", "venv on pyenv"),
        ("/v", "/srv/share/uv/python/cpython-3.12", "venv on uv"),
    ],
)
def test_kinds_of_python(prefix, base, kind):
    assert interpreter_kind(Path(prefix), Path(base)) == kind


def test_conda_is_known_by_its_folder(tmp_path):
    (tmp_path / "conda-meta").mkdir()
    assert interpreter_kind(tmp_path, tmp_path) == "conda"


def test_a_static_python_gets_advice_and_runs_lammps_as_a_module(monkeypatch):
    from lamplighter.lammps_interface.doctor import python_side, target

    monkeypatch.setattr(python_side, "find_libpython", lambda: None)
    monkeypatch.setattr(target, "find_libpython", lambda: None)
    (one,) = [f for f in python_findings() if f.subject == "libpython"]
    assert one.status == "warning"
    assert "--enable-shared" in one.do
    assert find_target().command[1:] == ("-m", "lamplighter.lammps_interface.host")


def test_a_foreign_python_home_is_a_warning(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/usr")
    (one,) = [f for f in python_findings() if f.subject == "PYTHONHOME"]
    assert one.status == "warning"


@pytest.mark.parametrize(
    ("value", "status"), [("1", "ok"), ("4096", "warning"), ("two", "warning")]
)
def test_threads(monkeypatch, value, status):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    (one,) = [f for f in torch_findings() if f.subject == "threads"]
    assert one.status == status


def test_free_memory(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 9 kB\nMemAvailable:  2000000 kB\n")
    assert available_gb(file) == pytest.approx(2.048)
    assert available_gb(tmp_path / "none") is None


def test_a_file_that_is_no_model_is_a_problem(fake, tmp_path):
    file = tmp_path / "model.pt"
    file.write_bytes(b"not a model")
    report = look(fake(), model=file)
    assert report.exit_code == 1
    assert any("not a Lamplighter ML-IAP file" in t for t in texts(report, "problem"))


def test_a_package_without_our_entry_point_is_a_problem(monkeypatch):
    from lamplighter.lammps_interface.doctor import routes

    monkeypatch.setattr(routes.metadata, "entry_points", lambda **_: [])
    (one,) = routes.entry_point_findings()
    assert one.status == "problem"
    assert "not lamplighter" in one.found


def test_the_command_writes_json_and_its_exit_code(tmp_path, capfd):
    assert cli.run(["doctor", str(tmp_path / "lmp"), "--json"]) == 3
    report = json.loads(capfd.readouterr().out)
    assert report["exit_code"] == 3
    assert report["findings"][0]["status"] == "problem"


@pytest.mark.mpi
@pytest.mark.slow
def test_the_lammps_of_this_environment_is_well():
    report = examine()
    assert report.exit_code == 0, texts(report, "problem")
    subjects = [one.subject for one in report.findings]
    assert "trial, 1 rank" in subjects
    assert "trial, 2 ranks" in subjects
    assert str(Path(sys.executable).parent / "lmp") in report.command


@pytest.mark.slow
def test_the_command_line_for_a_bare_executable_works(tmp_path):
    binary = find_target().binary
    assert binary is not None
    report = examine(str(binary))
    assert report.exit_code == 0, texts(report, "problem")
    text = 'plugin list\nprint "alive"\n'
    (tmp_path / "in.lammps").write_text(text)
    words = report.command.split()
    words = words[words.index("env") :]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mliap/unified" in done.stdout


@pytest.mark.slow
def test_lammps_inside_python_is_well():
    report = examine("module")
    assert report.exit_code == 0, texts(report, "problem")
    assert "-m lamplighter.lammps_interface.host -in in.lammps" in report.command
