"""Every way in which a data file can be wrong is refused, naming what is wrong."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest

from lamplighter.errors import ConfigError, DataError
from lamplighter.resources import dataset
from lamplighter.train import ReaderLimits, read_frames


def test_frames_carry_labels_and_masks(data_file):
    path = data_file(change=lambda frames: frames[3].info.pop("REF_stress"))
    frames = read_frames(path)
    assert len(frames) == 18
    crystal, unstressed, molecule = frames[2], frames[3], frames[-1]
    assert crystal.stress.shape == (3, 3)
    assert crystal.forces.shape == (2, 3)
    assert crystal.volume == pytest.approx(abs(np.linalg.det(crystal.cell)))
    assert unstressed.stress is None
    assert molecule.stress is None
    assert molecule.volume == 0.0
    assert (crystal.head, crystal.level, crystal.config_type) == (
        "pbe",
        "PBE",
        "rattle",
    )
    assert frames[0].is_isolated_atom


def test_gzip_reads_the_same(data_file, tmp_path):
    path = data_file()
    packed = tmp_path / "pbe.xyz.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    plain, unpacked = read_frames(path), read_frames(packed)
    assert [f.energy for f in plain] == [f.energy for f in unpacked]


def test_missing_uid_becomes_a_digest_of_the_geometry(data_file):
    path = data_file(change=lambda frames: [f.info.pop("uid") for f in frames])
    uids = [f.uid for f in read_frames(path)]
    assert len(set(uids)) == len(uids)
    assert uids == [f.uid for f in read_frames(path)]


def _set(key, value, frame=4):
    return lambda frames: frames[frame].info.__setitem__(key, value)


def _forces(change, frame=4):
    def apply(frames):
        frames[frame].arrays["REF_forces"] = change(frames[frame].arrays["REF_forces"])

    return apply


def _rename(old, new):
    def apply(frames):
        for frame in frames:
            frame.info[new] = frame.info.pop(old)

    return apply


def _nan(forces):
    broken = forces.copy()
    broken[1, 2] = math.nan
    return broken


def _overlap(frames):
    frames[-1].positions[1] = [0, 0, 0.4]


def _asymmetric(frames):
    frames[4].info["REF_stress"] = frames[4].info["REF_stress"] + np.triu(
        np.full((3, 3), 0.01), 1
    )


def _hartree(frames):
    for frame in frames:
        atoms = {"O": -75.06, "Mg": -200.0}
        total = sum(atoms[s] for s in frame.get_chemical_symbols())
        frame.info["REF_energy"] = total - 0.1 * (len(frame) - 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("REF_energy", math.nan), r"frame 4 \(uid cry002\): REF_energy.*NaN"),
        (_forces(_nan), r"frame 4 .*REF_forces holds a NaN.*\[1, 2\]"),
        (_set("REF_stress", np.full((3, 3), math.inf)), "REF_stress holds a NaN or an"),
        (lambda f: f[4].info.pop("REF_energy"), "frame 4 .*REF_energy is missing"),
        (_rename("REF_energy", "energy_ev"), "rename energy_ev to REF_energy"),
        (lambda f: [x.arrays.pop("REF_forces") for x in f], "REF_forces is missing"),
        (_set("REF_energy", np.ones(3)), "REF_energy has the wrong shape.*one number"),
        (_forces(lambda f: f[:, :2]), "REF_forces have the wrong shape"),
        (_set("REF_stress", np.zeros(6)), "REF_stress has the wrong shape"),
        (_set("REF_energy", "abc"), "REF_energy is not numbers"),
        (_set("REF_energy", -9.1e4), "REF_energy is beyond what the electrons.*kcal"),
        (_set("REF_energy", -300.0), "REF_energy is far from the free atoms"),
        (_hartree, "looks like hartree.*multiply by 27.2113"),
        (_forces(lambda f: f + 400.0), "REF_forces on atom . is beyond the limit"),
        (_set("REF_stress", np.eye(3) * 12.0), "REF_stress is beyond.*GPa or kbar"),
        (_asymmetric, "REF_stress is not symmetric"),
        (_set("REF_stress", np.eye(3) * 0.1, frame=-1), "cell means nothing.*pbc"),
        (_set("REF_stress", np.eye(3) * 0.1, frame=0), "cell means nothing.*box 1"),
        (_set("uid", "cry003"), "uid names two frames of one head.*cry003"),
        (_set("level", "PBEsol"), "level is not that of the other frames.*'PBE'"),
        (_overlap, r"puts atoms 0 and 1 on top of each other.*0\.4 Å"),
        (lambda f: f[4].info.pop("head"), "head is missing"),
    ],
)
def test_bad_frames_are_refused_by_name(data_file, change, message):
    path = data_file(change=change)
    with pytest.raises(DataError, match=message) as refusal:
        read_frames(path)
    assert str(path) in str(refusal.value)


def test_a_foreign_head_is_refused(data_file):
    path = data_file()
    with pytest.raises(DataError, match=r"head is not the head.*'pbe'.*'rpbe'"):
        read_frames(path, "rpbe")


def test_a_foreign_level_is_refused(data_file):
    path = data_file()
    with pytest.raises(DataError, match=r"level differs.*'PBE'.*'r2SCAN'"):
        read_frames(path, "pbe", level="r2SCAN")


def test_a_frame_without_head_takes_the_one_named(data_file):
    path = data_file(change=lambda frames: [f.info.pop("head") for f in frames])
    assert {f.head for f in read_frames(path, "mine")} == {"mine"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t[: t.rindex("\n", 0, -2) + 1], "frame 17 is cut off.*wanted: 2"),
        (lambda t: t[:-9], "ends in the middle of a line"),
        (lambda _: "", "holds no frame"),
        (lambda t: t.replace("\n2\n", "\n\n2\n", 1), "frame 2 does not begin with a"),
        (lambda t: "garbage\n" + t, "frame 0 does not begin with a number of atoms"),
        (lambda t: t.replace("Mg ", "Xx ", 1), "is not extended XYZ"),
    ],
)
def test_damaged_files_are_refused(data_file, damage, message):
    path = data_file()
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=message):
        read_frames(path)


def test_a_short_line_is_refused(data_file):
    path = data_file()
    lines = path.read_text().splitlines()
    lines[-1] = " ".join(lines[-1].split()[:-1])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="atom lines of different lengths"):
        read_frames(path)


def test_a_truncated_gzip_is_refused(data_file, tmp_path):
    packed = tmp_path / "cut.xyz.gz"
    packed.write_bytes(gzip.compress(data_file().read_bytes())[:-20])
    with pytest.raises(DataError, match=r"cannot read .*cut\.xyz\.gz"):
        read_frames(packed)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="data file not found"):
        read_frames(tmp_path / "none.xyz")


def test_limits_can_be_moved(data_file):
    path = data_file(change=_forces(lambda f: f + 200.0))
    with pytest.raises(DataError, match=r"limits.max_force"):
        read_frames(path)
    assert read_frames(path, limits=ReaderLimits(max_force=500.0))


def test_a_negative_limit_is_refused():
    with pytest.raises(ConfigError, match="limit max_force"):
        ReaderLimits(max_force=-1.0)


def test_a_flat_periodic_cell_is_refused(data_file):
    def flatten(frames):
        frames[4].cell[2] = 0.0

    with pytest.raises(DataError, match="Lattice spans no volume"):
        read_frames(data_file(change=flatten))


@pytest.mark.parametrize(
    "name", ["crystal_pbe", "crystal_r2scan", "surface_rpbe", "react_b3lyp"]
)
def test_shipped_data_pass_every_check(name):
    frames = read_frames(dataset(name))
    assert len({f.level for f in frames}) == 1
    assert all(f.forces is not None for f in frames)
