"""Forces and stress must do the work that the energies show, or the file is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from lamplighter.errors import DataError
from lamplighter.train import ReaderLimits, read_frames


@pytest.fixture
def neighbours(tmp_path, label):
    """A file with a scan of strains and a walk of small steps, after a change."""

    def make(change=lambda _: None):
        rng = np.random.default_rng(4)
        frames = []
        for k, strain in enumerate(np.linspace(-0.04, 0.04, 6)):
            crystal = bulk("MgO", "rocksalt", a=4.0)
            shear = np.array(
                [[1 + strain, 0.3 * strain, 0], [0, 1 + strain, 0], [0, 0, 1]]
            )
            crystal.set_cell(crystal.cell @ shear, scale_atoms=True)
            frames.append((crystal, f"s{k}", "strain"))
        for k in range(6):
            molecule = Atoms("MgO", positions=[[0, 0, 0], [0, 0, 1.85]])
            molecule.positions += rng.normal(0, 0.03, (2, 3))
            frames.append((molecule, f"m{k}", "walk"))
        labelled = [
            label(a, uid=u, head="pbe", level="PBE", kind=k) for a, u, k in frames
        ]
        change(labelled)
        path = tmp_path / "walk.xyz"
        write(path, labelled, format="extxyz")
        return path

    return make


def _scale(key, factor):
    def change(frames):
        for frame in frames:
            store = frame.arrays if key == "REF_forces" else frame.info
            if key in store:
                store[key] = store[key] * factor

    return change


def test_consistent_labels_pass(neighbours):
    assert len(read_frames(neighbours())) == 12


@pytest.mark.parametrize(
    ("key", "factor", "message"),
    [
        ("REF_forces", -1.0, "REF_forces .*the sign is wrong"),
        ("REF_forces", 1 / 51.422, "REF_forces .*forces in hartree/bohr"),
        ("REF_stress", -1.0, "REF_stress .*tension is positive"),
        ("REF_stress", 160.2177, "REF_stress .*(in GPa|smells of GPa)"),
        ("REF_stress", 0.1, "REF_stress .*check units and signs"),
        ("REF_forces", 0.1, "REF_forces .*check units and signs"),
    ],
)
def test_labels_of_other_units_are_refused(neighbours, key, factor, message):
    path = neighbours(_scale(key, factor))
    with pytest.raises(DataError, match=message):
        read_frames(path)


def test_the_check_can_be_switched_off(neighbours):
    path = neighbours(_scale("REF_forces", -1.0))
    with pytest.raises(DataError, match=r"limits\.check_work: false"):
        read_frames(path)
    assert read_frames(path, limits=ReaderLimits(check_work=False))


def test_too_few_neighbours_say_nothing(neighbours):
    def change(frames):
        _scale("REF_forces", -1.0)(frames)
        del frames[-4:]

    assert read_frames(neighbours(change))
