"""Every deck, run for a few steps in the LAMMPS of this environment."""

import re

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from lamplighter.lammps_interface.decks.abilities import obstacle
from lamplighter.lammps_interface.decks.options import DeckOptions
from lamplighter.lammps_interface.decks.write import write_deck
from lamplighter.lammps_interface.doctor.processes import ask
from lamplighter.lammps_interface.doctor.target import find_target
from lamplighter.lammps_interface.runner import run_lammps

LONG = pytest.mark.slow  # together they take two minutes

SHORT = {"steps": 4, "every": 2, "settle": 2}


def run(deck, **variables):
    return run_lammps(deck.folder / "in.lammps", variables={**SHORT, **variables})


@pytest.mark.parametrize(
    "kind", ["nvt", *(pytest.param(k, marks=LONG) for k in ("nve", "npt", "melt"))]
)
def test_dynamics(tmp_path, mgo, model, kind):
    deck = write_deck(kind, mgo, model, tmp_path / "deck")
    result = run(deck)
    table = result.thermo[-1]
    assert np.isfinite(table["PotEng"]).all()
    assert result.thermo[0]["Temp"][0] == pytest.approx(
        600.0 if kind == "nve" else 300.0, rel=1e-6
    )
    frames = read(deck.folder / "trajectory.lammpstrj", index=":")
    assert frames[0].get_chemical_symbols() == read(mgo).get_chemical_symbols()
    for name in ("final.data", "final.restart"):
        assert (deck.folder / name).is_file()
    if kind == "nve":
        assert np.ptp(table["TotEng"]) < 1e-3


@LONG
def test_a_skewed_cell_under_pressure(tmp_path, model):
    file = tmp_path / "primitive.xyz"
    bulk("MgO", "rocksalt", a=4.25).write(file)
    result = run(write_deck("npt", file, model, tmp_path / "deck"))
    assert {"Xy", "Xz", "Yz"} <= set(result.thermo[-1])


@LONG
def test_pulling_writes_a_curve(tmp_path, mgo, model):
    deck = write_deck("deform", mgo, model, tmp_path / "deck")
    run(deck, steps=20, strain=0.02)
    curve = np.atleast_2d(np.loadtxt(deck.folder / "stress-strain.txt"))
    # The last line is the mean of the last ten steps; two steps went before the pull.
    assert curve[-1, 1] == pytest.approx(0.02 * 13.5 / 20, rel=1e-6)


@LONG
def test_minimising_ends_at_small_forces(tmp_path, mgo, model):
    atoms = read(mgo)
    atoms.rattle(0.05, seed=1)
    atoms.write(tmp_path / "rattled.xyz")
    deck = write_deck("minimize", tmp_path / "rattled.xyz", model, tmp_path / "deck")
    result = run(deck, steps=200, ftol=0.01)
    assert result.thermo[-1]["Fmax"][-1] < 0.01
    assert result.thermo[-1]["PotEng"][-1] < result.thermo[-1]["PotEng"][0]


@LONG
def test_relaxing_the_cell_ends_at_the_pressure(tmp_path, mgo, model):
    deck = write_deck("box-relax", mgo, model, tmp_path / "deck")
    result = run(deck, steps=50)
    assert abs(result.thermo[-1]["Press"][-1]) < 200.0
    assert (deck.folder / "final.data").is_file()


@LONG
def test_elastic_constants_come_out(tmp_path, mgo, model):
    deck = write_deck("elastic", mgo, model, tmp_path / "deck")
    run(deck, temperature=1e-4, steps=4, settle=4)
    table = np.loadtxt(deck.folder / "elastic.txt")
    assert table.shape == (6, 6)
    c11, c12, c44 = table[0, 0], table[0, 1], table[3, 3]
    # Rocksalt without internal strain: three constants, and a stiff ionic crystal.
    assert 150.0 < c11 < 450.0
    assert 20.0 < c12 < c11
    assert 50.0 < c44 < 300.0
    expected = np.diag([c11] * 3 + [c44] * 3)
    expected[:3, :3] += c12 * (1 - np.eye(3))
    assert np.abs(table - expected).max() < 0.02 * c11


@LONG
@pytest.mark.mpi
def test_a_band_of_images(tmp_path, mgo, model):
    end = read(mgo)
    end.positions[1] += [0.3, 0.1, 0.0]
    end.write(tmp_path / "end.xyz")
    options = DeckOptions(end=tmp_path / "end.xyz", images=3, steps=4)
    deck = write_deck("neb", mgo, model, tmp_path / "deck", options)
    target = find_target()
    folder = target.command[0].rpartition("/")[0]
    words = [
        f"{folder}/{word}" if word in ("mpiexec", "lmp") else word
        for word in deck.command.split()
    ]
    answer = ask(words, timeout_s=300, environment=target.environment, cwd=deck.folder)
    assert answer.status == 0, answer.text
    assert {"image.1.data", "image.2.data", "image.3.data"} <= {
        path.name for path in deck.folder.iterdir()
    }
    rows = [
        line.split()
        for line in (deck.folder / "log.lammps").read_text().splitlines()
        if re.match(r"\s*\d+\s+[-\d.]+\s", line)
    ]
    energies = [float(word) for word in rows[0][-5::2]]
    assert energies[0] < energies[1] < energies[2]


@LONG
@pytest.mark.parametrize("kind", ["gcmc", "heat-flux"])
def test_what_the_pair_style_must_be_able_to_do(tmp_path, mgo, model, kind):
    assert obstacle(kind, model) == ""
    gas = {"gas": "O", "chemical_potential": -1.0} if kind == "gcmc" else {}
    options = DeckOptions(steps=4, **gas)
    deck = write_deck(kind, mgo, model, tmp_path / "deck", options)
    numbers = {"gcmc": {"steps": 100, "every": 50, "attempts": 1}}
    result = run(deck, **numbers.get(kind, {"sample": 1, "length": 2}))
    assert np.isfinite(result.thermo[-1]["PotEng"]).all()
    made = {"gcmc": "gas-atoms.txt", "heat-flux": "flux.txt"}[kind]
    assert len(np.loadtxt(deck.folder / made, comments="#")) > 1
