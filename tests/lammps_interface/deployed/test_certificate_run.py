"""The rank certificate in the stock `lmp`, with honest and with cheating models."""

import contextlib
import json
import os
import time
from pathlib import Path

import pytest
from ase.build import bulk

from lamplighter import cli
from lamplighter.errors import ConfigError
from lamplighter.lammps_interface import certificate as room
from lamplighter.lammps_interface.certificate.compare import (
    COMPILED_TOLERANCES,
    TOLERANCES,
)
from lamplighter.lammps_interface.convert import convert
from lamplighter.resources import base_model

pytestmark = pytest.mark.mpi

CHEAT = Path(__file__).parent.parent / "cheat"


def test_two_ranks_hold(model, tmp_path, capsys):
    """All cases: empty ranks, one atom per rank, atoms that move, a structure's own."""
    atoms = bulk("MgO", "rocksalt", a=4.25) * (2, 2, 2)
    atoms.rattle(0.05, seed=3)
    atoms.rotate(50, (3, 1, 2), rotate_cell=True)
    atoms.write(tmp_path / "mgo.xyz")
    out = tmp_path / "certificate.json"
    words = ["certify", str(model.float64), str(tmp_path / "mgo.xyz")]
    words += ["--ranks", "1", "2", "--json", str(out)]
    assert cli.run(words) == 0, capsys.readouterr().out
    assert "the certificate holds" in capsys.readouterr().out
    document = json.loads(out.read_text())
    assert document["verdict"] == "holds"
    assert document["coverage"]["cases"] >= 20
    assert len(document["cases"]) == document["coverage"]["cases"] * 4
    statuses = [one["status"] for one in document["cases"]]
    assert set(statuses) == {"agrees", "not applicable"}
    assert statuses.count("agrees") >= 80
    assert document["coverage"]["with_an_empty_rank"] >= 6
    assert document["coverage"]["with_one_atom_on_each_rank"] >= 2
    assert document["coverage"]["with_migration"] >= 1
    assert document["lammps"]["version"] == "20250722"
    # None of this is about zeros.
    cases = [one for one in document["cases"] if one["case"] == "structure"]
    assert any(one["from_reference"]["forces"]["value"] > 0.0 for one in cases)
    assert all(one["from_one_rank"] for one in cases[1:])


def test_one_head_of_several(model, tmp_path):
    """The head that is asked for is run, and is what it is compared with."""
    file = convert(model.path, ["pbe", "scan"], ["Mg", "O"], tmp_path / "two.pt")
    with pytest.raises(ConfigError, match="several heads; wanted: one of pbe, scan"):
        room.plan(file)
    options = room.CertifyOptions(ranks=(1,), head="scan", cases=("chain of 2",))
    found = room.certify(room.plan(file, None, options))
    assert found.verdict == "holds", found.bad
    assert found.model["head"] == "scan"
    assert found.settings["backend"] == "compiled"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_compiled_potential_holds(in_dtype, dtype):
    """A few cases here, all of them in the slow test below."""
    cases = ("crystal", "one atom", "chain of 2")
    options = room.CertifyOptions(ranks=(1, 2), cases=cases)
    found = room.certify(room.plan(in_dtype(dtype, tables=True), None, options))
    assert found.verdict == "holds", [(one.case, one.message) for one in found.bad]
    assert found.settings["backend"] == "compiled"
    assert found.tolerances == COMPILED_TOLERANCES[dtype]


def test_the_reference_can_be_asked_for(model):
    options = room.CertifyOptions(ranks=(1,), cases=("crystal",), backend="reference")
    found = room.certify(room.plan(model.compiled64, None, options))
    assert found.verdict == "holds", found.bad
    assert found.settings["backend"] == "reference"
    assert found.tolerances == TOLERANCES["float64"]
    with pytest.raises(ConfigError, match="backend; got: fast"):
        room.CertifyOptions(backend="fast")


@pytest.fixture
def cheating(monkeypatch):
    """Return a function that makes the models in LAMMPS cheat."""

    def cheat(how):
        path = os.pathsep.join([str(CHEAT), os.environ.get("PYTHONPATH", "")])
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("CHEAT", how)

    return cheat


def test_a_model_that_ignores_other_ranks_is_caught(model, cheating):
    cheating("deaf")
    options = room.CertifyOptions(ranks=(1, 2), cases=("crystal", "one atom"))
    found = room.certify(room.plan(model.float64, None, options))
    assert found.verdict == "fails"
    bad = {(one.case, one.ranks) for one in found.bad}
    assert bad == {("crystal", 2)}  # an atom alone needs nobody
    (first, *_) = found.bad
    assert first.status == "differs"
    assert "off the independent evaluation" in first.message
    assert "off one rank" in first.message
    assert "at atom" in first.message


def sleepers() -> list[str]:
    """Return the processes that were started with a cheat, and still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"CHEAT=slow" in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
    return [number for number in found if int(number) != os.getpid()]


def test_a_rank_that_falls_asleep_does_not_hang_the_certificate(model, cheating):
    cheating("slow")
    options = room.CertifyOptions(ranks=(2,), cases=("one atom",), timeout_s=8.0)
    begin = time.perf_counter()
    found = room.certify(room.plan(model.float64, None, options))
    assert time.perf_counter() - begin < 120.0
    assert [one.status for one in found.outcomes] == ["failed", "failed"]
    assert "no answer within 8 s" in found.outcomes[0].message
    end = time.perf_counter() + 20.0
    while sleepers() and time.perf_counter() < end:
        time.sleep(0.2)
    assert sleepers() == []


@pytest.fixture
def in_dtype(model, tmp_path):
    """Return a function that gives an ML-IAP file of a dtype.

    In float32 the shipped potential: the untrained one has pressures of 900 GPa in the
    dense cases, and float32 rounds such numbers by more than the tolerances.
    """

    def choose(dtype, *, tables=False):
        if dtype == "float64":
            return model.compiled64 if tables else model.float64
        out = tmp_path / "base.pt"
        elements = ["Mg", "O", "H", "C"]
        return convert(base_model(), "pbe", elements, out, dtype, tables=tables)

    return choose


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_all_cases_of_the_compiled_potential_hold(in_dtype, dtype):
    options = room.CertifyOptions(ranks=(1, 2))
    found = room.certify(room.plan(in_dtype(dtype, tables=True), None, options))
    assert found.verdict == "holds", [(one.case, one.message) for one in found.bad]
    assert found.coverage["cases"] >= 20


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_four_ranks_hold(in_dtype, dtype):
    """At least twenty cases, on 1 to 4 ranks, brick and tiled."""
    found = room.certify(room.plan(in_dtype(dtype)))
    assert found.verdict == "holds", [(one.case, one.message) for one in found.bad]
    assert found.tolerances == TOLERANCES[dtype]
    assert found.coverage["cases"] >= 20
    assert found.coverage["compared"] >= 160
    assert found.coverage["with_an_empty_rank"] >= 20
    assert found.coverage["with_one_atom_on_each_rank"] >= 6
    assert found.coverage["with_migration"] >= 10
    assert len(found.outcomes) == found.coverage["cases"] * 4 * 2


@pytest.mark.slow
def test_ghosts_that_are_evaluated_here_hold(model):
    """FLAG 1, the way of a LAMMPS without exchange, with a wide enough shell."""
    options = room.CertifyOptions(ranks=(1, 3), flag=1)
    found = room.certify(room.plan(model.float64, None, options))
    assert found.verdict == "holds", [(one.case, one.message) for one in found.bad]
    assert found.settings["comm_cutoff"] == pytest.approx(2 * 4.0 + 0.5)
