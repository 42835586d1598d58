"""The commands of docs/uncertainty.md run, and do what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read
from ase.io.lammpsdata import write_lammps_data

from lamplighter.errors import DataError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.model import CommitteeCalculator, load_potential, save_potential
from lamplighter.resources import base_model
from lamplighter.train import read_frames

# A potential and a training so small that three take seconds.
SMALL = """  max_steps: 2
  validate_every: 2
  threads: 1
model:
  cutoff: 4.0
  n_radial: 4
  radial_hidden: [8]
  l_max: 1
  channels: 4
  edge_channels: 4
"""


@pytest.fixture
def block(root):
    """Return a function that finds the one block of a language on the page."""
    text = (root / "docs" / "uncertainty.md").read_text()

    def find(language):
        pattern = rf"^```{language}\n(.*?)^```$"
        (found,) = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
        return found

    return find


@pytest.mark.slow
def test_a_committee_is_trained_and_converted(block, tmp_path):
    (tmp_path / "train.yaml").write_text(block("yaml") + SMALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", block("sh")],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    header = bundle.read(tmp_path / "committee.pt").header
    assert len(set(header.member_sha256)) == header.n_members == 3
    assert re.search("n members +3", done.stdout)


@pytest.fixture
def members(tmp_path):
    """Stand-ins for three trainings that disagree soon: readouts 1, 1.25, 1.5 times."""
    paths = []
    for seed in range(3):
        member = load_potential(base_model())
        for weight in member.readouts.parameters():
            weight.data *= 1.0 + 0.25 * seed
        paths.append(tmp_path / f"m{seed}.safetensors")
        save_potential(member, paths[-1])
    return paths


def test_a_run_stops_and_leaves_frames_to_label(block, members, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convert(members, "pbe", ["Mg", "O"], "committee.pt")
    crystal = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    write_lammps_data("mgo.data", crystal, specorder=["Mg", "O"], masses=True)
    Path("in.lammps").write_text(block("lammps"))
    done = run_lammps(Path("in.lammps"), timeout_s=300)

    table = done.thermo[0]
    steps, worst = table["Step"], table["c_worst"]
    (last,) = re.findall(r"fix-id stop met on step (\d+)", done.output)
    assert steps[-1] == int(last) < 1000
    assert worst[-1] > 1.0
    assert (worst[:-1] <= 1.0).all()

    frames = read("doubt.xyz", index=":")
    wanted = worst >= 0.3
    assert 1 < wanted.sum() < len(wanted)
    assert [one.info["Timestep"] for one in frames] == steps[wanted].tolist()
    committee = CommitteeCalculator(members, head="pbe")
    for atoms, uncertainty in zip(frames, worst[wanted], strict=True):
        assert atoms.calc is None
        assert set(atoms.arrays) == {"numbers", "positions"}
        assert str(atoms.symbols) == str(crystal.symbols)
        assert atoms.pbc.all()
        found = committee.get_property("forces_norm_std", atoms).max()
        assert found == pytest.approx(uncertainty, abs=1e-5)

    with pytest.raises(DataError, match="REF_energy is missing"):
        read_frames("doubt.xyz", head="pbe")
    exec(compile(block("python"), "docs/uncertainty.md", "exec"), {})
    labelled = read_frames("labelled.xyz", head="pbe")
    assert [one.uid for one in labelled] == [f"doubt-{k:g}" for k in steps[wanted]]
    for one, atoms in zip(labelled, frames, strict=True):
        np.testing.assert_allclose(one.positions, atoms.positions, atol=1e-8)
        assert one.forces is not None
        assert one.stress is not None
