"""Examples that move atoms or exchange them: dynamics, Monte Carlo, paths, ranks."""

import re

import numpy as np
import pytest
from ase.io import read
from doc_pages import code_blocks
from example_shell import shell

from lamplighter.lammps_interface.runner import parse_thermo

pytestmark = pytest.mark.slow
BOLTZMANN = 8.617333e-5  # eV/K


def tables(folder, log="log.lammps"):
    return parse_thermo((folder / log).read_text())


@pytest.mark.mpi
def test_nvt(example):
    folder = example("mgo-nvt")
    blocks = code_blocks((folder / "README.md").read_text())
    commands = [text for language, text in blocks if language == "sh"]
    assert len(commands) == 2
    for text in commands:
        shell(text, folder.parents[1])  # the root of the repository
    # the script goes to its folder after the log is open
    logs = [folder.parents[1] / f"log.{n}" for n in (1, 2)]
    one, two = (parse_thermo(x.read_text())[0] for x in logs)
    assert one["Step"][-1] == 500
    assert one["Temp"][4:].mean() == pytest.approx(300.0, abs=60.0)
    # 216 atoms, 1 ps: within 0.5 meV/atom of the start.
    assert np.ptp(one["Econserve"]) < 0.5e-3 * 216
    assert "on 2 procs" in logs[1].read_text()
    np.testing.assert_allclose(two["PotEng"][:3], one["PotEng"][:3], rtol=1e-7)


def test_npt_melt(run_readme):
    folder, _ = run_readme("npt-melt")
    heated, held = tables(folder)
    assert heated["c_msd[4]"][4] < 0.3  # a crystal up to 2000 K
    late = held["c_msd[4]"][len(held["Step"]) // 2 :]
    assert late[-1] > 6.0  # and no crystal at the end: Å^2
    assert late[-1] > late[0] + 2.0  # still growing
    assert 1.3 < held["Volume"][5:].mean() / heated["Volume"][0] < 1.9
    assert held["Temp"][3:].mean() == pytest.approx(5000.0, rel=0.1)
    rows = (folder / "rdf.txt").read_text().splitlines()
    pairs = np.array([x.split() for x in rows if len(x.split()) == 4], float)[-60:]
    r, g = pairs[:, 1], pairs[:, 2]
    assert g[r < 1.3].max() == 0.0
    assert 1.7 < r[g.argmax()] < 2.2
    assert g[(r > 2.6) & (r < 3.2)].mean() > 0.2  # between the shells of the crystal


def test_heat_flux(run_readme):
    folder, _ = run_readme("heat-flux")
    (table,) = tables(folder)
    np.testing.assert_allclose(table["v_atoms"], table["c_box"], atol=1e-3)
    assert np.ptp(table["c_box"]) > 1000.0
    assert np.ptp(table["TotEng"]) < 5e-3
    misses = []
    for file, timestep in (("moment.txt", 5e-4), ("half.txt", 2.5e-4)):
        moment = np.loadtxt(folder / file)
        change = moment[-1, 1:4] - moment[0, 1:4]
        integral = np.trapezoid(moment[:, 4:], dx=timestep, axis=0)
        assert np.linalg.norm(change) > 0.5
        misses.append(np.linalg.norm(change - integral) / np.linalg.norm(change))
    assert misses[0] < 3e-3
    assert misses[0] / misses[1] == pytest.approx(4.0, abs=0.5)  # second order


def test_frozen_substrate(run_readme):
    folder, _ = run_readme("frozen-substrate")
    table = tables(folder)[-1]
    assert np.abs(table["TotEng"] - table["TotEng"][0]).max() < 5e-3
    assert np.ptp(table["PotEng"]) > 0.2
    frames = read(folder / "path.lammpstrj", index=":")
    low = frames[0].positions[:, 2] < 1.0
    assert low.sum() == 16
    moved = frames[-1].positions - frames[0].positions
    assert np.abs(moved[low]).max() == 0.0
    assert np.abs(moved[~low]).max() > 0.05


def test_gcmc(run_readme):
    folder, said = run_readme("gcmc-water")
    _, table, again = tables(folder)
    alone = float(re.search(r"^alone: (\S+) eV", said, re.MULTILINE)[1])
    common = np.isin(table["Step"], again["Step"])
    np.testing.assert_array_equal(table["Step"][common], again["Step"])
    np.testing.assert_allclose(
        table["PotEng"][common], again["PotEng"], atol=1e-6, rtol=0
    )
    waters = table["v_n"]
    assert len(np.unique(waters)) > 1
    np.testing.assert_array_equal(table["Atoms"], 32 + 3 * waters)
    bare = table["PotEng"][waters == 0].mean()
    with_one = table["PotEng"][waters == 1]
    assert (with_one - bare - alone < 20 * BOLTZMANN * 700.0).all()

    gas = tables(folder, "log.gas")[1]
    volume = 8.6 * 8.6 * 17.2  # Å^3
    ideal = 100.0 * 6.2415e-7 * volume / (BOLTZMANN * 700.0)
    count = gas["v_n"][100:]
    assert count.mean() == pytest.approx(ideal, abs=0.35)
    assert (count == 0).mean() == pytest.approx(np.exp(-ideal), abs=0.1)
    np.testing.assert_allclose(gas["PotEng"][gas["v_n"] == 1], alone, atol=1e-5)


@pytest.mark.mpi
def test_neb(run_readme):
    folder, said = run_readme("neb")
    rows = [x.split() for x in said.splitlines() if re.match(r" +\d+ +[\d.]+ ", x)]
    last = [float(x) for x in rows[-1]]
    forward, back = last[6:8]
    energies = last[10::2]
    assert len(energies) == 5
    assert last[1] < 0.05
    assert forward == pytest.approx(max(energies) - energies[0], abs=1e-3)
    assert forward == pytest.approx(back, abs=2e-3)
    assert np.argmax(energies) == 2
    assert energies[1] == pytest.approx(energies[3], abs=5e-3)
    assert 1.0 < forward < 6.0
    assert sorted(x.name for x in folder.glob("image.*.data")) == [
        f"image.{i}.data" for i in range(1, 6)
    ]


@pytest.mark.mpi
def test_two_ranks(run_readme):
    folder, _ = run_readme("mpi")
    one, two = (tables(folder, f"log.{n}")[0] for n in (1, 2))
    assert "on 2 procs" in (folder / "log.2").read_text()
    for name in ("PotEng", "TotEng", "Temp", "Press"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-7)
    assert np.ptp(one["TotEng"][1:]) < 0.4e-3 * 216
    for n in (1, 2):
        assert (folder / f"log.{n}").read_text().count("parity check at step") == 2


def test_harvest(run_readme):
    folder, said = run_readme("harvest")
    table = tables(folder)[0]
    frames = read(folder / "doubt.xyz", index=":")
    assert "Fix halt condition" in said
    assert table["c_worst"][0] < table["c_worst"][-1]
    assert table["c_worst"][-1] > 1.5
    doubtful = (table["c_worst"] >= 0.7).sum()
    assert 0 < len(frames) <= doubtful + 1
    assert all("forces" not in x.arrays and x.calc is None for x in frames)
    assert all(
        x.get_chemical_formula() == frames[0].get_chemical_formula() for x in frames
    )
    assert table["Step"][-1] < 1000
