"""What is wrong in a LAMMPS script ends it, on all ranks, with a message that helps."""

import io
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.runner import run_lammps

SCRIPT = """
units {units}
newton {newton}
read_data mgo.data
pair_style mliap unified {file} 0
pair_coeff {coeff}
run 0
"""
GOOD = {"units": "metal", "newton": "on", "coeff": "* * Mg O"}


@pytest.fixture
def fail(tmp_path, model):
    """Return a function that runs a script that must fail, and returns its output."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True) * 2
    write_lammps_data(tmp_path / "mgo.data", atoms, specorder=["Mg", "O"], masses=True)

    def run(ranks=1, file=model.float64, **changes):
        before = {path.name for path in tmp_path.iterdir()}
        script = SCRIPT.format(**(GOOD | {"file": file} | changes))
        (tmp_path / "in.bad").write_text(script)
        # The limit turns a hang into a failure; a start takes a few seconds.
        done = run_lammps(tmp_path / "in.bad", ranks=ranks, timeout_s=300, check=False)
        assert done.returncode != 0
        assert "Loop time" not in done.output
        assert "ERROR" in done.output
        new = {path.name for path in tmp_path.iterdir()} - before
        assert new <= {"in.bad", "log.lammps"}
        return " ".join(done.output.split())

    return run


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coeff": "* * Mg"}, "names 1 element(s), but the box has 2 atom type(s)"),
        ({"coeff": "* * Mg O O"}, "names 3 element(s), but the box has 2"),
        ({"coeff": "* * Mg Xe"}, "names the element 'Xe' for atom type 2"),
        ({"newton": "off"}, "'newton on' is needed"),
        ({"units": "lj"}, "'units metal' or 'units real' is needed, not 'units lj'"),
    ],
    ids=["too few names", "too many names", "unknown name", "newton off", "units"],
)
def test_script_on_two_ranks(fail, changes, message):
    assert message in fail(ranks=2, **changes)


def test_script_on_one_rank(fail):
    assert "names the element 'Xe' for atom type 1" in fail(coeff="* * Xe O")


def truncated(model) -> bytes:
    return model.float64.read_bytes()[:20_000]


def unconverted(model) -> bytes:
    return model.path.read_bytes()


def newer(model) -> bytes:
    payload = bundle.pack(bundle.read(model.float64))
    number = b'\\"format_version\\": '
    now = number + f"{bundle.FORMAT_VERSION},".encode()
    assert payload.count(now) >= 1
    return bundle.to_file_bytes(payload.replace(now, number + b"9,"))


def checkpoint(_) -> bytes:
    stream = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, stream)
    return stream.getvalue()


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("make", "ranks", "message"),
    [
        (truncated, 2, "damaged or truncated"),
        (unconverted, 1, "not converted for LAMMPS yet"),
        (newer, 1, "written by a newer Lamplighter"),
        (checkpoint, 1, "a torch checkpoint"),
    ],
)
def test_model_file(fail, model, tmp_path, make, ranks, message):
    (tmp_path / "bad.pt").write_bytes(make(model))
    assert message in fail(ranks, file="bad.pt")


@pytest.mark.mpi
def test_missing_model_file(fail):
    assert "absent.pt" in fail(ranks=2, file=Path("absent.pt"))
