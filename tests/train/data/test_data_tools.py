"""`lamplighter data`: what is wrong is found, what is written is read back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from ase import Atoms

from lamplighter.cli import run
from lamplighter.errors import ConfigError, DataError
from lamplighter.resources import dataset
from lamplighter.train import ReaderLimits, read_frames
from lamplighter.train.data.filtering import (
    DivideSettings,
    FilterSettings,
    filter_files,
    split_files,
)
from lamplighter.train.data.inspection import inspect_files
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.writing import write_frames
from lamplighter.train.xyz_writer import write_xyz


def test_clean_data_have_no_problem(data_file):
    found = inspect_files([data_file()])
    assert found.problems == ()
    head = found.heads["pbe"]
    assert head["frames"] == 18
    assert head["elements"] == {"O": 17, "Mg": 17}
    assert head["config_types"] == {"rattle": 8, "molecule": 8, "IsolatedAtom": 2}
    assert head["max_force"]["max"] == pytest.approx(
        max(np.linalg.norm(f.forces, axis=1).max() for f in read_frames(data_file()))
    )
    assert head["missing"]["forces"] == 0


def test_shipped_data_have_no_problem():
    for name in ("crystal_pbesol", "surface_pbe"):
        assert inspect_files([dataset(name)]).problems == ()


def test_the_atoms_of_a_head_are_found_from_its_compositions():
    head = inspect_files([dataset("mol_wb97mv")]).heads["wb97m-v"]
    atoms = {
        f.atoms().get_chemical_formula(): f.energy
        for f in read_frames(dataset("mol_wb97mv"))
        if f.is_isolated_atom
    }
    for element, energy in head["reference_energies"].items():
        assert energy == pytest.approx(atoms[element], abs=12.0)
    assert head["undetermined"] == []
    assert inspect_files([dataset("slab_pbe")]).heads["pbe"]["undetermined"] == [
        "O",
        "Mg",
    ]


def spoiled(data_file, change):
    return inspect_files([data_file(change=change)])


def test_duplicates_are_found(data_file):
    def twice(frames):
        copy = frames[3].copy()
        copy.info["uid"] = "other"
        frames.append(copy)

    found = spoiled(data_file, twice)
    assert "1 geometries come again" in found.problems[-1]
    assert len(found.duplicates) == 1
    assert "frame 18" in next(iter(found.duplicates))


def test_outliers_are_found(data_file):
    def shift(frames):
        frames[5].info["REF_energy"] -= 90.0

    limits = ReaderLimits(max_binding=1e3, check_work=False)
    found = inspect_files([data_file(change=shift)], limits=limits)
    assert any("1 energies do not fit" in p for p in found.problems)
    assert "frame 5" in next(iter(found.outliers))


def test_mixed_units_are_suspected(data_file):
    def kcal(frames):
        for k in (4, 7, 8, 12):
            frames[k].info["REF_energy"] *= 23.060547830619026

    limits = ReaderLimits(max_binding=1e4, check_work=False)
    found = inspect_files([data_file(change=kcal)], limits=limits)
    assert any("mixed units are suspected: 4 " in p for p in found.problems)
    assert any("kcal/mol" in p for p in found.problems)
    assert len(found.outliers) == 4


def test_one_kind_of_structures_with_forces_of_another_unit_is_found(tmp_path, label):
    """Few frames are not seen among all of a file, but among their kind."""
    found = []
    for kind, bonds in (("good", (1.7, 1.8)), ("bad", (1.9, 2.0))):
        for k, bond in enumerate(np.linspace(*bonds, 6)):
            atoms = Atoms("MgO", positions=[[0, 0, 0], [0, 0, bond]])
            words = {"uid": f"{kind}{k}", "head": "pbe", "level": "PBE", "kind": kind}
            atoms = label(atoms, **words)
            if kind == "bad":
                atoms.arrays["REF_forces"] /= 51.422
            found.append(atoms)
    path = tmp_path / "mixed.xyz"
    write_xyz(path, found)
    problems = inspect_files([path]).problems
    assert any("bad: REF_forces" in p and "hartree/bohr" in p for p in problems)
    assert not any("good: REF_forces" in p for p in problems)


def test_bad_frames_are_counted_by_reason(data_file):
    def spoil(frames):
        frames[4].arrays["REF_forces"][0, 0] = 1e4
        frames[9].arrays["REF_forces"][1, 1] = 2e4
        frames[10].info.pop("REF_energy")

    found = spoiled(data_file, spoil)
    assert found.problems[0].startswith("2 frames are refused: REF_forces on atom N")
    assert any("REF_energy is missing" in p for p in found.problems)
    assert len(found.refused["messages"]) == 3


def test_missing_forces_and_mixed_levels_are_problems(data_file):
    def strip(frames):
        del frames[5].arrays["REF_forces"]
        frames[6].info["level"] = "LDA"

    path = data_file(change=strip)
    found = inspect_files([path], limits=ReaderLimits(require_forces=False))
    assert any("1 frames lack forces" in p for p in found.problems)
    assert any("levels PBE, LDA are mixed" in p for p in found.problems)


def test_files_without_heads_can_be_inspected(data_file):
    path = data_file(change=lambda frames: [f.info.pop("head") for f in frames])
    assert list(inspect_files([path]).heads) == ["(no head)"]
    labels = LabelSettings(default_head="mine")
    assert list(inspect_files([path], labels=labels).heads) == ["mine"]


def test_nothing_that_fits_is_a_problem(data_file):
    labels = LabelSettings(where={"colour": "red"})
    assert inspect_files([data_file()], labels=labels).problems == (
        "no frame fits what was asked for",
    )


@pytest.mark.parametrize("name", ["out.xyz", "out.xyz.gz", "out.h5", "out.hdf5"])
def test_written_frames_are_read_back_exactly(tmp_path, name):
    frames = read_frames(dataset("crystal_pbesol"))
    frames += read_frames(dataset("slab_pbe"))
    frames = [dataclasses.replace(f, group=f"g{f.n_atoms}") for f in frames]
    frames[3] = dataclasses.replace(frames[3], weight=0.25, uid="007")
    path = tmp_path / name
    assert write_frames(path, frames) == 42
    limits = ReaderLimits(check_work=False)
    for one, other in zip(frames, read_frames(path, limits=limits), strict=True):
        for field in dataclasses.fields(one):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if field.name != "source":
                same = (a is None and b is None) or np.array_equal(a, b)
                assert same, field.name


def test_unknown_endings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"out\.cif.*\.xyz"):
        write_frames(tmp_path / "out.cif", [])


def test_hdf5_has_no_place_for_a_hessian(tmp_path, data_file):
    from lamplighter.train.data.hessian import HessianRows

    rows = HessianRows(
        atoms=np.array([0]), components=np.array([0]), values=np.zeros((1, 2, 3))
    )
    frame = dataclasses.replace(read_frames(data_file())[3], hessian=rows)
    with pytest.raises(DataError, match=r"no place for rows of a Hessian"):
        write_frames(tmp_path / "a.h5", [frame])
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.__setitem__("version", 9), "newer Lamplighter"),
        (lambda f: f["numbers"].resize(3, axis=0), "not those of the frames"),
        (lambda f: f.pop("uid"), "layout that it claims"),
    ],
)
def test_damaged_files_of_the_own_layout(tmp_path, data_file, change, message):
    import h5py

    path = tmp_path / "own.h5"
    write_frames(path, read_frames(data_file()))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(DataError, match=message):
        read_frames(path)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"elements": ("Mg",)}, 1),
        ({"min_atoms": 2}, 16),
        ({"max_atoms": 1}, 2),
        ({"config_types": ("rat*",)}, 8),
        ({"not_config_types": ("rat*", "Iso*")}, 8),
        ({"max_force": 1e-9}, 2),
        ({}, 18),
    ],
)
def test_filters(data_file, tmp_path, settings, kept):
    output = tmp_path / "kept.xyz"
    dropped = filter_files([data_file()], output, FilterSettings(**settings))
    assert dropped.kept == kept
    assert sum(dropped.reasons.values()) == 18 - kept
    assert len(read_frames(output)) == kept


def test_duplicates_outliers_and_bad_frames_are_dropped(data_file, tmp_path):
    def spoil(frames):
        copy = frames[3].copy()
        copy.info["uid"] = "other"
        frames.append(copy)
        frames[5].info["REF_energy"] -= 90.0
        frames[7].arrays["REF_forces"][0, 0] = 1e4

    path = data_file(change=spoil)
    limits = ReaderLimits(max_binding=1e3, check_work=False)
    settings = FilterSettings(drop_duplicates=True, drop_outliers=True)
    dropped = filter_files([path], tmp_path / "kept.xyz", settings, limits=limits)
    assert dropped.reasons["duplicate"] == 1
    assert dropped.reasons["outlier"] == 1
    assert dropped.kept == 16
    strict = FilterSettings(bad_frames="refuse")
    with pytest.raises(DataError, match="beyond the limit"):
        filter_files([path], tmp_path / "none.xyz", strict, limits=limits)
    assert not (tmp_path / "none.xyz").exists()


def test_a_filter_that_leaves_nothing_writes_nothing(data_file, tmp_path):
    with pytest.raises(DataError, match="no frame passes the filter"):
        filter_files([data_file()], tmp_path / "none.h5", FilterSettings(min_atoms=99))
    assert not (tmp_path / "none.h5").exists()
    with pytest.raises(ConfigError, match="filter: elements"):
        FilterSettings(elements=("Xx1",))


def test_no_composition_is_on_two_sides(tmp_path):
    settings = DivideSettings(
        by="composition", ending=".h5", validation_fraction=0.3, test_fraction=0.3
    )
    written = split_files([dataset("react_wb97mv")], tmp_path / "split", settings)
    sides = {
        name: {f.atoms().get_chemical_formula() for f in read_frames(entry["path"])}
        for name, entry in written.items()
    }
    assert set(sides) == {"train", "validation", "test"}
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not sides[a] & sides[b]
    assert sum(entry["frames"] for entry in written.values()) == 59


def test_no_trajectory_is_on_two_sides(tmp_path):
    labels = LabelSettings(group_key="config_type")
    path, settings = dataset("surface_rpbe"), DivideSettings(test_fraction=0.3)
    written = split_files([path], tmp_path, settings, labels=labels)
    sides = [
        {f.group for f in read_frames(entry["path"])} for entry in written.values()
    ]
    assert len(sides) == 3
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_one_group_cannot_be_split(data_file, tmp_path):
    with pytest.raises(ConfigError, match=r"no group can be held out.*group-key"):
        split_files([data_file()], tmp_path / "split", DivideSettings())
    with pytest.raises(ConfigError, match="split: by"):
        DivideSettings(by="frame")


def test_the_command_line(data_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(data_file())
    assert run(["data", "inspect", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["heads"]["pbe"]["frames"] == 18
    assert run(["data", "inspect", path]) == 0
    assert "no problem found" in capsys.readouterr().out
    assert run(["data", "inspect", path, "--limit-force", "0.001"]) == 1
    assert "problem: " in capsys.readouterr().out
    words = ["--elements", "Mg", "O", "--config-type", "rattle"]
    assert run(["data", "filter", path, "-o", "few.h5", *words]) == 0
    out = capsys.readouterr().out
    assert "wrote 8 frames" in out
    assert "dropped 10: config_type" in out
    words = ["--group-key", "uid", "--validation", "0.4", "--test", "0"]
    assert run(["data", "split", path, "-o", "parts", *words]) == 0
    assert "validation: " in capsys.readouterr().out
    words = ["--cutoff", "4", "--shard-frames", "6"]
    assert run(["data", "cache", path, "-o", "cache", *words]) == 0
    assert "frames: 18" in capsys.readouterr().out
    assert run(["data", "verify", "cache"]) == 0
    assert run(["data", "inspect", "cache"]) == 0
    capsys.readouterr()
    assert run(["data", "filter", path, "-o", "few.cif"]) == 2
    assert run(["data", "inspect", "nothing.xyz"]) == 2
    assert "data file not found" in capsys.readouterr().err


def test_declared_keys_on_the_command_line(tmp_path, capsys, structures):
    found = []
    for atoms in structures:
        plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        plain.info = {"E": atoms.calc.results["energy"] / 27.211386245988, "spin": 1}
        plain.arrays["F"] = atoms.calc.results["forces"] / 27.211386245988
        found.append(plain)
    path = tmp_path / "foreign.xyz"
    write_xyz(path, found)
    words = ["--energy-key", "E", "--forces-key", "F", "--energy-unit", "hartree"]
    words += ["--head", "mine", "--where.spin", "1"]
    assert run(["data", "inspect", str(path), "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)["heads"]["mine"]["frames"] == 8
    output = tmp_path / "ours.xyz"
    assert run(["data", "filter", str(path), "-o", str(output), *words]) == 0
    frames = read_frames(output)
    assert {f.head for f in frames} == {"mine"}
    assert frames[0].energy == pytest.approx(structures[0].calc.results["energy"])
