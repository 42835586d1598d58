"""What a rank certificate compares, reports and survives; without LAMMPS."""

import dataclasses
import hashlib
import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from lamplighter import cli
from lamplighter.errors import ConfigError
from lamplighter.lammps_interface import certificate as room
from lamplighter.lammps_interface.bundle import read
from lamplighter.lammps_interface.certificate import job
from lamplighter.lammps_interface.certificate.compare import (
    TOLERANCES,
    Difference,
    Numbers,
    differences,
    excess,
    largest,
)
from lamplighter.lammps_interface.certificate.report import Outcome

SYMBOLS = ["O", "Mg", "Mg"]


@pytest.fixture
def mgo(root: Path) -> Path:
    return root / "examples" / "mgo-nvt" / "mgo-pbe.pt"


def numbers() -> Numbers:
    return Numbers(
        energy=-10.0,
        energies=np.array([-5.0, -3.0, -2.0]),
        forces=np.arange(9.0).reshape(3, 3),
        virial=np.eye(3),
        volume=50.0,
    )


@pytest.mark.parametrize(
    ("quantity", "wrong", "value", "where"),
    [
        ("energy", {"energy": -10.0 + 6e-9}, 2e-9, ""),
        ("energies", {"energies": np.array([-5, -3 - 3e-9, -2])}, 3e-9, "atom 2 (Mg)"),
        ("stress", {"virial": np.eye(3) + np.eye(3, k=1) * [0, 0, 1e-6]}, 3.2e-6, "yz"),
    ],
)
def test_a_wrong_number_is_found_and_named(quantity, wrong, value, where):
    off = differences(dataclasses.replace(numbers(), **wrong), numbers(), SYMBOLS)
    assert off[quantity].value == pytest.approx(value, rel=0.01)
    assert off[quantity].where == where
    (sentence,) = excess(off, TOLERANCES["float64"], "one rank")
    assert sentence.startswith(f"{quantity} off one rank by ")
    assert where in sentence
    assert excess(off, TOLERANCES["float32"], "one rank") == []


def test_a_wrong_force_is_found_and_named():
    wrong = numbers()
    wrong.forces[2, 1] += 4e-8
    off = differences(wrong, numbers(), SYMBOLS)
    assert off["forces"].where == "atom 3 (Mg), y"
    assert excess(off, TOLERANCES["float64"], "the reference") == [
        "forces off the reference by 4.00e-08 eV/Å at atom 3 (Mg), y (at most 1e-08)"
    ]


def test_what_is_no_number_is_infinitely_wrong():
    wrong = dataclasses.replace(numbers(), energy=np.nan)
    wrong.energies[0] = np.inf
    off = differences(wrong, numbers(), SYMBOLS)
    assert off["energy"].value == off["energies"].value == np.inf
    assert len(excess(off, TOLERANCES["float32"], "one rank")) == 2


def test_equal_numbers_agree():
    off = differences(numbers(), numbers(), SYMBOLS)
    assert {one.value for one in off.values()} == {0.0}
    assert excess(off, TOLERANCES["float64"], "one rank") == []


def off(value: float) -> dict[str, Difference]:
    names = ("energy", "energies", "forces", "stress")
    return {name: Difference(value=value, where="xx") for name in names}


def outcome(status="agrees", **more) -> Outcome:
    settings = {"case": "slab", "ranks": 2, "comm": "brick"} | more
    return Outcome(status=status, **settings)


@pytest.fixture
def certify_as(mgo):
    """Return a function that makes a certificate of some outcomes."""

    def make(*outcomes):
        return room.Certificate.of(
            read(mgo).header,
            mgo,
            outcomes,
            lammps={"command": "lmp", "version": "1"},
            settings={"ranks": [1, 2]},
            wall_s=1.5,
        )

    return make


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["agrees", "agrees"], "holds"),
        (["agrees", "not applicable"], "holds"),
        (["agrees", "differs", "not run"], "fails"),
        (["agrees", "failed"], "fails"),
        (["agrees", "not run"], "incomplete"),
        (["not applicable"], "incomplete"),
        ([], "incomplete"),
    ],
)
def test_verdict(certify_as, statuses, verdict):
    assert certify_as(*map(outcome, statuses)).verdict == verdict


def test_the_document_says_what_was_found_and_where(certify_as, mgo, tmp_path):
    found = certify_as(
        outcome(reference=off(1e-12), atoms_per_rank=(3, 0)),
        outcome(reference=off(1e-13), one_rank=off(2e-12), atoms_per_rank=(1, 1)),
        outcome("differs", case="wire", reference=off(np.inf), migrated=2),
    )
    room.write(found, tmp_path / "c.json")
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["verdict"] == "fails"
    assert document["largest"]["forces"] is None  # infinity is no JSON
    digest = hashlib.sha256(mgo.read_bytes()).hexdigest()
    assert document["model"]["sha256"] == digest
    assert document["model"]["elements"] == ["O", "Mg"]
    assert document["tolerances"] == TOLERANCES["float64"]
    assert document["versions"].keys() >= {"lamplighter", "torch", "python"}
    assert document["machine"]["cores"] >= 1
    assert document["coverage"]["with_an_empty_rank"] == 1
    assert document["coverage"]["with_one_atom_on_each_rank"] == 1
    assert document["coverage"]["with_migration"] == 1
    assert document["cases"][1]["from_one_rank"]["stress"]["value"] == 2e-12
    rows = found.rows()
    assert rows[0] == ["slab", "2", "2e-12", "2e-12", "2e-12", "agrees"]
    assert rows[1] == ["wire", "1", "inf", "inf", "inf", "differs (1)"]
    assert [len(row) for row in rows] == [len(room.COLUMNS)] * 2


def test_largest_of_nothing_is_nothing():
    assert largest([]) == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ranks": ()}, "ranks"),
        ({"ranks": (0, 1)}, "ranks"),
        ({"ranks": (2, 2)}, "different numbers above 0"),
        ({"flag": 2}, "flag; got: 2; wanted: 0 or 1"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"comm_cutoff": -1.0}, "comm_cutoff"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        room.CertifyOptions(**wrong)


def test_flag_1_widens_the_communication_cutoff(mgo):
    header = read(mgo).header
    assert room.CertifyOptions().reach(header) is None
    assert room.CertifyOptions(flag=1).reach(header) == pytest.approx(2 * 4.5 + 0.5)
    assert room.CertifyOptions(flag=1, comm_cutoff=12.0).reach(header) == 12.0


def test_a_case_that_does_not_exist_is_refused(mgo):
    options = room.CertifyOptions(cases=("slab", "slob"))
    with pytest.raises(ConfigError, match="no such case; got: slob; wanted: some of"):
        room.plan(mgo, None, options)


def test_a_head_that_does_not_exist_is_refused(mgo):
    with pytest.raises(ConfigError, match="no such head; got: scan; wanted: one of p"):
        room.plan(mgo, None, room.CertifyOptions(head="scan"))
    assert room.plan(mgo, None, room.CertifyOptions(head="pbe")).head == "pbe"


FAKE = """#!{python}
import sys, time
for line in sys.stdin:
    if "HANG" == "{mode}" and line.startswith("clear"):
        time.sleep(600)
    if "DIE" == "{mode}" and line.startswith("run 0"):
        print("ERROR on proc 1: something broke (src/pair.cpp:7)", flush=True)
        sys.exit(1)
    if line.startswith("print"):
        mark, number, *rest = line.split('"')[1].split()
        answer = "20250722 {ranks}" if "version" in line else "0 " * 8
        print(mark, number, answer, flush=True)
"""


@pytest.fixture
def fake(tmp_path):
    """Return a function that writes an executable which behaves like a bad LAMMPS."""

    def write(mode: str, ranks: int = 1) -> str:
        path = tmp_path / "bin" / "lmp"
        path.parent.mkdir()
        path.write_text(FAKE.format(python=sys.executable, mode=mode, ranks=ranks))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


def certify(mgo, lmp, **options):
    what = room.plan(mgo, None, room.CertifyOptions(lmp=lmp, **options))
    return room.certify(what)


def test_a_lammps_that_hangs_is_ended_and_named(mgo, fake):
    options = {"ranks": (1,), "cases": ("slab", "wire"), "timeout_s": 3.0}
    found = certify(mgo, fake("HANG"), **options)
    assert found.verdict == "fails"
    statuses = [one.status for one in found.outcomes]
    # Each one costs a process; after three of them no more are tried.
    assert statuses == ["failed"] * job.GIVE_UP_AFTER + ["not run"]
    assert all("no answer within 3 s" in one.message for one in found.outcomes)
    assert found.outcomes[0].seconds >= 3.0


def test_a_lammps_that_stops_is_quoted(mgo, fake, capsys):
    words = ["certify", str(mgo), "--ranks", "1", "--cases", "slab"]
    assert cli.run([*words, "--lmp", fake("DIE")]) == 1
    shown = capsys.readouterr().out
    assert "slab, 1 ranks, brick: failed" in shown
    assert "something broke" in shown
    assert "the certificate fails" in shown


def test_a_lammps_that_answers_without_results_fails(mgo, fake):
    found = certify(mgo, fake("LAZY"), ranks=(1,), cases=("slab",))
    assert [one.status for one in found.outcomes] == ["failed", "failed"]
    assert "left no begin.dump" in found.outcomes[0].message


def test_ranks_that_know_nothing_of_each_other_are_noticed(mgo, fake, monkeypatch):
    monkeypatch.setattr(job, "launch_words", lambda target, _: list(target.command))
    found = certify(mgo, fake("LAZY", ranks=1), ranks=(2,), cases=("slab",))
    assert found.verdict == "incomplete"
    assert "each rank runs a job of its own" in found.outcomes[0].message


def test_without_mpiexec_the_rest_is_not_run(mgo, fake, monkeypatch, capsys):
    monkeypatch.setattr(job, "find_launcher", lambda _: None)
    words = ["certify", str(mgo), "--ranks", "2", "--cases", "slab"]
    assert cli.run([*words, "--lmp", fake("LAZY")]) == 3
    assert "there is no mpiexec" in capsys.readouterr().out


def test_bad_input_ends_with_2(mgo, tmp_path, capsys):
    assert cli.run(["certify", str(tmp_path / "none.pt")]) == 2
    for name in ("odd.cif", "odd.vasp", "odd"):
        (tmp_path / name).write_text("nothing")
        assert cli.run(["certify", str(mgo), str(tmp_path / name)]) == 2
        assert f"cannot read {tmp_path / name}" in capsys.readouterr().err
    assert cli.run(["certify", str(mgo), "--ranks", "0"]) == 2
    assert cli.run(["certify", str(mgo), "--ranks", "two"]) == 2
    assert "ranks" in capsys.readouterr().err
