"""Pseudolabels are whole or absent, know what they depend on, and are computed once."""

from __future__ import annotations

import dataclasses
import fcntl
import multiprocessing
import time

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.db import connect
from ase.io import write

from lamplighter.errors import ConfigError, DataError
from lamplighter.model import (
    Calculator,
    HeadSpec,
    Potential,
    PotentialConfig,
    save_potential,
)
from lamplighter.train import pseudolabels
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.reader import read_frames
from lamplighter.train.pseudolabels import fingerprint_of, label_structures

SHAPE = PotentialConfig(
    elements=("H", "O", "Mg"),
    heads=tuple(
        HeadSpec(
            name=name,
            level_of_theory=name.upper(),
            reference_energies={"H": -1.0, "O": -3.0, "Mg": -2.0},
            dispersion=rule,
        )
        for name, rule in (("pbe", "d3bj:pbe"), ("hot", "none"))
    ),
    cutoff=4.0,
    n_radial=4,
    radial_hidden=(8,),
    density_hidden=(8,),
    l_max=1,
    channels=4,
    edge_channels=4,
    correlation=2,
    readout_hidden=4,
    density_alpha=8.0,
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "base.safetensors"
    torch.manual_seed(8)
    save_potential(Potential(SHAPE).double(), path)
    return path


@pytest.fixture
def structures(tmp_path):
    """A crystal, a molecule, a molecule in a box, and old labels to be left out."""
    crystal = bulk("MgO", "rocksalt", a=4.2)
    crystal.positions[0] += 0.1
    crystal.info = {"REF_energy": 1e3, "head": "old", "config_type": "a kind"}
    crystal.arrays["REF_forces"] = np.full((2, 3), 9.0)
    boxed = molecule("H2O", cell=[8.0] * 3, pbc=True)
    boxed.info = {"box": 1, "uid": "boxed"}
    path = tmp_path / "structures.xyz"
    write(path, [crystal, molecule("H2O"), boxed], format="extxyz")
    return path


def test_labels_are_those_of_the_head(model, structures, tmp_path):
    out = tmp_path / "labelled.xyz"
    done = label_structures(model, [structures], head="hot", output=out)
    assert (done.frames, done.reused) == (3, False)
    frames = read_frames(out)
    crystal, water, boxed = frames
    assert (crystal.head, crystal.level) == ("hot", "HOT")
    assert crystal.config_type == "a kind"
    assert boxed.uid == "boxed"
    assert crystal.stress is not None
    assert water.stress is None
    assert boxed.stress is None
    for frame in frames:
        atoms = frame.atoms()
        atoms.calc = Calculator(model, head="hot")
        assert frame.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(frame.forces, atoms.get_forces(), atol=1e-9)
    atoms = crystal.atoms()
    atoms.calc = Calculator(model, head="hot")
    stress = atoms.get_stress(voigt=False)
    np.testing.assert_allclose(crystal.stress, stress, atol=1e-10)


def test_geometries_are_kept_to_the_bit(model, tmp_path):
    rng = np.random.default_rng(2)
    positions = rng.uniform(0.0, 1.0, (3, 3)) + np.diag([0.0, 2.0, 4.0])
    path, out = tmp_path / "one.traj", tmp_path / "out.xyz"
    write(path, Atoms("HOH", positions=positions))
    label_structures(model, [path], head="hot", output=out)
    (frame,) = read_frames(out)
    assert np.array_equal(frame.positions, positions)


BOHR = LabelSettings(
    length_unit="bohr",
    uid_key="name",
    config_type_key="kind",
    group_key="trajectory",
    where={"charge": "0"},
)


def test_structures_are_read_as_they_are_declared(model, tmp_path):
    """Other units and names, and frames that are not wanted."""
    positions = molecule("H2O").positions
    frames = [Atoms("OHH", positions / 0.529177210903) for _ in range(2)]
    for charge, atoms in enumerate(frames):
        atoms.info = {"charge": charge, "name": f"n{charge}", "kind": "wet"}
        atoms.info["trajectory"] = "t"
    path, out = tmp_path / "bohr.xyz", tmp_path / "out.xyz"
    write(path, frames, format="extxyz")
    done = label_structures(model, [path], head="hot", output=out, labels=BOHR)
    (frame,) = read_frames(out)
    assert done.frames == 1
    assert (frame.uid, frame.config_type, frame.group) == ("n0", "wet", "t")
    np.testing.assert_allclose(frame.positions, positions, atol=1e-6)
    with pytest.raises(ConfigError, match=r"depend on something else.*input"):
        label_structures(model, [path], head="hot", output=out)
    other = dataclasses.replace(BOHR, where={"charge": "7"})
    with pytest.raises(DataError, match=r"no frame of .* has the values"):
        label_structures(
            model, [path], head="hot", output=tmp_path / "o.xyz", labels=other
        )


def test_databases_keep_their_words(model, tmp_path):
    path, out = tmp_path / "one.db", tmp_path / "out.xyz"
    with connect(path) as database:
        database.write(molecule("H2O"), uid="w1", config_type="wet")
    label_structures(model, [path], head="hot", output=out)
    (frame,) = read_frames(out)
    assert (frame.uid, frame.config_type) == ("w1", "wet")


def test_units_of_a_format_that_has_its_own_are_refused(model, tmp_path):
    path = tmp_path / "one.traj"
    write(path, molecule("H2O"))
    out = tmp_path / "out.xyz"
    with pytest.raises(ConfigError, match="names and units of its own"):
        label_structures(model, [path], head="hot", output=out, labels=BOHR)


def test_a_head_with_dispersion_labels_without_it(model, structures, tmp_path):
    """Labels of such a head lack dispersion; so do those that stand in for them."""
    out = tmp_path / "labelled.xyz"
    label_structures(model, [structures], head="pbe", output=out)
    frame = read_frames(out)[1]
    atoms = frame.atoms()
    atoms.calc = Calculator(model, head="pbe", dispersion="none")
    assert frame.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


def test_the_same_is_used_again_and_not_computed(
    model, structures, tmp_path, monkeypatch
):
    out = tmp_path / "labelled.xyz"
    first = label_structures(model, [structures], head="hot", output=out)
    before = out.read_bytes()

    monkeypatch.delattr(pseudolabels, "evaluate")
    again = label_structures(model, [structures], head="hot", output=out)
    assert again == dataclasses.replace(first, reused=True)
    assert out.read_bytes() == before


def _other_weights(model, _):
    torch.manual_seed(9)
    save_potential(Potential(SHAPE).double(), model)
    return {}


def _other_atoms(model, _):
    """E0 is no tensor; labels depend on it all the same."""
    heads = tuple(
        dataclasses.replace(h, reference_energies={"H": 0.0, "O": 0.0, "Mg": 0.0})
        for h in SHAPE.heads
    )
    torch.manual_seed(8)
    changed = Potential(dataclasses.replace(SHAPE, heads=heads)).double()
    save_potential(changed, model)
    return {}


def _other_structures(_, structures):
    structures.write_text(structures.read_text().replace("0.1", "0.2"))
    return {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_other_weights, "weights"),
        (_other_atoms, "weights"),
        (_other_structures, "input"),
        (lambda *_: {"head": "pbe"}, "head hot instead of pbe"),
        (lambda *_: {"dtype": "float32"}, "dtype float64 instead of float32"),
    ],
)
def test_another_fingerprint_is_refused(model, structures, tmp_path, change, named):
    out = tmp_path / "labelled.xyz"
    options = {"head": "hot", "output": out}
    label_structures(model, [structures], **options)
    before = out.read_bytes()
    options |= change(model, structures)
    with pytest.raises(ConfigError, match=f"depend on something else.*{named}"):
        label_structures(model, [structures], **options)
    assert out.read_bytes() == before


def test_another_version_of_the_code_is_refused(
    model, structures, tmp_path, monkeypatch
):
    out = tmp_path / "labelled.xyz"
    label_structures(model, [structures], head="hot", output=out)
    monkeypatch.setattr(pseudolabels, "VERSION", 99)
    with pytest.raises(ConfigError, match=r"code .*/2 instead of .*/99"):
        label_structures(model, [structures], head="hot", output=out)


def test_other_provenance_of_the_same_weights_is_the_same(model, structures):
    first = fingerprint_of(model, [structures], head="hot")
    torch.manual_seed(8)
    save_potential(Potential(SHAPE).double(), model, {"copied": "again"})
    assert fingerprint_of(model, [structures], head="hot") == first
    assert len(first.digest) == 64


def test_a_failing_frame_fails_all_and_is_named(model, tmp_path, structures):
    """Two atoms at one place, in the middle of a batch."""
    bad = Atoms("HH", positions=np.zeros((2, 3)), info={"uid": "collapsed"})
    path = tmp_path / "bad.xyz"
    write(path, [molecule("H2O"), bad, molecule("H2")], format="extxyz")
    out = tmp_path / "labelled.xyz"
    message = r"bad.xyz: frame 1 \(collapsed\) cannot be labelled.*same place"
    with pytest.raises(DataError, match=message):
        label_structures(model, [structures, path], head="hot", output=out)
    assert not out.exists()


def test_an_unknown_element_is_named_with_its_frame(model, tmp_path):
    path = tmp_path / "iron.xyz"
    write(path, [molecule("H2"), Atoms("Fe")], format="extxyz")
    with pytest.raises(DataError, match=r"iron.xyz: frame 1 .*Fe"):
        label_structures(model, [path], head="hot", output=tmp_path / "out.xyz")


def test_a_changed_file_is_not_used(model, structures, tmp_path):
    out = tmp_path / "labelled.xyz"
    label_structures(model, [structures], head="hot", output=out)
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:-5]))
    with pytest.raises(ConfigError, match=r"was changed.*2 frames.*wanted: 3 frames"):
        label_structures(model, [structures], head="hot", output=out)


def test_a_file_of_something_else_is_left_alone(model, structures):
    with pytest.raises(ConfigError, match="is there and holds no pseudolabels"):
        label_structures(model, [structures], head="hot", output=structures)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"head": "pbe0"}, ConfigError, "unknown head"),
        ({"files": []}, ConfigError, "nothing to label"),
        ({"files": ["none.xyz"]}, DataError, "none.xyz"),
        ({"output": "no/such/out.xyz"}, ConfigError, "folder does not exist"),
    ],
)
def test_bad_requests_are_refused(
    model, structures, tmp_path, options, error, message, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    good = {"files": [structures], "head": "hot", "output": tmp_path / "out.xyz"}
    request = good | options
    files = request.pop("files")
    with pytest.raises(error, match=message):
        label_structures(model, files, **request)


def test_a_file_that_is_no_structure_is_refused(model, tmp_path):
    path = tmp_path / "notes.cif"
    path.write_text("this is no crystal")
    with pytest.raises(DataError, match=r"cannot read structures from .*notes.cif"):
        label_structures(model, [path], head="hot", output=tmp_path / "out.xyz")


def test_a_second_process_refuses_when_it_may_not_wait(model, structures, tmp_path):
    out = tmp_path / "labelled.xyz"
    with (tmp_path / f".{out.name}.lock").open("a") as stream:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"another process is writing .*labelled"):
            label_structures(model, [structures], head="hot", output=out, wait_s=0.05)
    assert label_structures(model, [structures], head="hot", output=out).frames == 3


def _label(model, structures, out, folder, number):
    torch.set_num_threads(1)
    real = pseudolabels.evaluate

    def counted(*args, **kwargs):
        (folder / f"computed-{number}").touch()
        time.sleep(0.3)
        return real(*args, **kwargs)

    pseudolabels.evaluate = counted
    done = label_structures(model, [structures], head="hot", output=out)
    (folder / f"done-{number}-{done.reused}").touch()


def test_two_processes_compute_once(model, structures, tmp_path):
    out = tmp_path / "labelled.xyz"
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_label, args=(model, structures, out, tmp_path, k))
        for k in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [w.exitcode for w in workers] == [0, 0]
    assert len(list(tmp_path.glob("computed-*"))) == 1
    assert len(list(tmp_path.glob("done-*-True"))) == 1
    assert len(list(tmp_path.glob("done-*-False"))) == 1
