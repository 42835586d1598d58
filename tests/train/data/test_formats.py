"""Every kind of file gives the same frames, exactly; a damaged one gives one error."""

from __future__ import annotations

import json
import sqlite3
import sys
import zlib

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from data_rows import pack, row_of

from lamplighter.errors import DataError, OptionalDependencyError
from lamplighter.train import read_frames
from lamplighter.train.data.aselmdb import metadata
from lamplighter.train.data.hdf5 import read_hdf5
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.sources import expand_files, read_source
from lamplighter.train.xyz_writer import write_xyz


def assert_labels(frames, structures):
    assert len(frames) == len(structures)
    for frame, atoms in zip(frames, structures, strict=True):
        results = atoms.calc.results
        assert frame.energy == results["energy"]
        np.testing.assert_array_equal(frame.numbers, atoms.numbers)
        np.testing.assert_array_equal(frame.positions, atoms.positions)
        np.testing.assert_array_equal(frame.cell, atoms.cell.array)
        np.testing.assert_array_equal(frame.forces, results["forces"])
        assert frame.pbc == tuple(atoms.pbc)
        assert (frame.stress is None) == ("stress" not in results)
        if frame.stress is not None:
            voigt = frame.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            np.testing.assert_array_equal(voigt, results["stress"])


@pytest.mark.parametrize("ending", ["db", "json"])
def test_ase_databases_round_trip(tmp_path, structures, ending):
    path = tmp_path / f"labels.{ending}"
    with connect(path) as database:
        for k, atoms in enumerate(structures):
            database.write(atoms, config_type=f"kind{k % 2}", data={"sid": f"s{k}"})
    labels = LabelSettings(group_key="sid")
    frames = read_frames(path, "pbe", labels=labels)
    assert_labels(frames, structures)
    assert [f.config_type for f in frames[:2]] == ["kind0", "kind1"]
    assert [f.group for f in frames[:2]] == ["s0", "s1"]
    assert {f.head for f in frames} == {"pbe"}
    numbers = [found.number for found in read_source(path, 5)]
    assert numbers == [5, 6, 7]


def test_arrays_in_the_data_of_an_ase_database_can_be_labels(tmp_path, structures):
    path = tmp_path / "labels.db"
    with connect(path) as database:
        for atoms in structures:
            forces = 2.0 * atoms.calc.results["forces"]
            database.write(atoms, data={"better": {}, "dft_forces": forces})
    frames = read_frames(
        path,
        "pbe",
        labels=LabelSettings(forces_key="dft_forces"),
        limits=None,
    )[:1]
    np.testing.assert_array_equal(
        frames[0].forces, 2.0 * structures[0].calc.results["forces"]
    )


def test_shards_round_trip(shard, structures):
    assert_labels(read_frames(shard, "pbe"), structures)


def test_the_shard_of_another_program(files):
    path = files / "shard.aselmdb"
    labels = LabelSettings(config_type_key="data_id", group_key="sid")
    frames = read_frames(path, "omol", labels=labels)
    assert [f.config_type for f in frames] == [*["oxides"] * 3, *["dimers"] * 2]
    assert [f.group for f in frames] == ["mp-0", "mp-1", "mp-1", "mp-2", "mp-2"]
    assert frames[0].stress is not None
    assert frames[-1].stress is None
    assert metadata(path) == {"format": "test"}
    neutral = LabelSettings(where={"charge": "0", "spin": "1"})
    assert len(read_frames(path, "omol", labels=neutral)) == 4


def test_arrays_as_older_writers_mark_them(write_shard, structures):
    def marked(value):
        array = np.asarray(value)
        return {"__ndarray__": [array.shape, array.dtype.str, array.ravel().tolist()]}

    rows = {}
    for k, atoms in enumerate(structures, 1):
        row = row_of(atoms)
        arrays = {"numbers", "positions", "cell", "pbc", "forces", "stress"}
        row |= {key: marked(row[key]) for key in arrays & set(row)}
        rows[str(k)] = pack(row)
    path = write_shard(rows | {"nextid": pack(len(rows) + 1)})
    assert_labels(read_frames(path, "pbe"), structures)


def test_deleted_rows_are_passed_over(write_shard, structures):
    rows = {str(k): pack(row_of(a)) for k, a in enumerate(structures, 1) if k != 3}
    extra = {"nextid": pack(9), "deleted_ids": pack([3]), "metadata": pack({"a": 1})}
    path = write_shard(rows | extra)
    assert_labels(read_frames(path, "pbe"), structures[:2] + structures[3:])


def test_without_nextid_the_keys_are_counted(write_shard, structures):
    rows = {str(k): pack(row_of(a)) for k, a in enumerate(structures * 2, 1)}
    path = write_shard(rows)
    found = [f.atoms.positions for f in read_source(path)]
    for positions, atoms in zip(found, structures * 2, strict=True):
        np.testing.assert_array_equal(positions, atoms.positions)


def test_a_folder_stands_for_its_shards(shard, tmp_path):
    assert expand_files([tmp_path]) == [shard]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"holds no data.*aselmdb"):
        expand_files([empty])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"2": b"nonsense"}, r"2 cannot be decompressed"),
        ({"2": pack("x" * 99)[:-9]}, r"2 is cut off"),
        ({"2": zlib.compress(b"{not json")}, r"2 is not a row of an ASE database"),
        ({"2": pack([1, 2])}, r"row 2 is missing"),
        ({"2": pack({"numbers": [1]})}, r"row 2 holds no structure.*positions"),
        ({"2": pack({"numbers": [], "positions": []})}, r"row 2 has no atoms"),
        (
            {"2": pack({"numbers": {"__ndarray__": [[2], "object", [1, 2]]}})},
            r"dtype object",
        ),
        ({"nextid": pack(20)}, r"row 9 is missing.*nextid"),
        ({"nextid": pack("many")}, r"nextid is no number"),
    ],
)
def test_damaged_rows_of_a_shard_are_named(write_shard, structures, entry, message):
    rows = {str(k): pack(row_of(a)) for k, a in enumerate(structures, 1)}
    path = write_shard(rows | {"nextid": pack(9)} | entry)
    with pytest.raises(DataError, match=message):
        read_frames(path, "pbe")


def test_a_truncated_shard_is_refused_before_it_is_touched(write_shard, structures):
    rows = {str(k): pack(row_of(a)) for k, a in enumerate(structures * 20, 1)}
    path = write_shard(rows | {"nextid": pack(161)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"truncated.*bytes.*fetch it again"):
        read_frames(path, "pbe")
    with pytest.raises(DataError, match="truncated"):
        metadata(path)


def test_a_file_that_is_no_lmdb_is_refused(tmp_path):
    path = tmp_path / "data.aselmdb"
    path.write_bytes(b"not an environment" * 1000)
    with pytest.raises(DataError, match=r"cannot read.*wanted: an LMDB file"):
        read_frames(path, "pbe")


def test_a_missing_package_names_the_command(shard, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(OptionalDependencyError, match=r'pip install "lamplighter\[da'):
        read_frames(shard, "pbe")


def test_sqlite_files_that_are_no_ase_database(tmp_path, structures):
    path = tmp_path / "labels.db"
    path.write_bytes(b"no database" * 500)
    with pytest.raises(DataError, match=r"cannot read.*an ASE database"):
        read_frames(path, "pbe")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE systems (id INTEGER, numbers BLOB)")
    with pytest.raises(DataError, match=r"is not an ASE database.*columns id, numbers"):
        read_frames(other, "pbe")
    old = tmp_path / "old.db"
    with connect(old) as database:
        database.write(structures[0])
    with sqlite3.connect(old) as connection:
        connection.execute("UPDATE information SET value='4' WHERE name='version'")
    with pytest.raises(DataError, match=r"old ASE.*ase\.db\.convert"):
        read_frames(old, "pbe")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("positions", b"12345", r"row 1 is damaged"),
        ("numbers", None, r"row 1 is damaged.*numbers"),
        ("forces", b"\0" * 8, r"row 1 is damaged"),
        ("key_value_pairs", "{", r"row 1 is not a row"),
        ("data", b"\xff" * 12, r"row 1: data cannot be decoded"),
        ("data", "{", r"row 1 is not a row"),
    ],
)
def test_damaged_rows_of_an_ase_database(tmp_path, structures, column, value, message):
    path = tmp_path / "labels.db"
    with connect(path) as database:
        database.write(structures[0])
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE systems SET {column}=?", (value,))
    with pytest.raises(DataError, match=message):
        read_frames(path, "pbe")


def test_truncated_ase_databases(tmp_path, structures):
    path = tmp_path / "labels.db"
    with connect(path) as database:
        for atoms in structures * 40:
            database.write(atoms)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot read"):
        read_frames(path, "pbe")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a row of an ASE database"),
        ("[1]", "is not an ASE database"),
        ('{"a": 1}', "is not an ASE database"),
        ('{"ids": [1, 2], "nextid": 3}', "row 1 is missing"),
    ],
)
def test_json_that_is_no_ase_database(tmp_path, content, message):
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_frames(path, "pbe")


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "labels.json"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="cannot read"):
        read_frames(path, "pbe")


def test_hdf5_of_mace_torch(files):
    frames = read_frames(files / "mace_torch.h5", "pbe")
    assert [f.config_type for f in frames] == ["rattle", "rattle", "molecule"]
    assert frames[0].stress.shape == (3, 3)
    assert frames[2].stress is None
    assert not any(frames[2].pbc)
    assert [f.number for f in read_hdf5(files / "mace_torch.h5", 1)] == [1, 2]


def _mace_without(files, tmp_path, change):
    import h5py

    path = tmp_path / "mace.h5"
    path.write_bytes((files / "mace_torch.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_a_property_that_weighs_nothing_is_absent(files, tmp_path):
    def change(file):
        group = file["config_batch_0/config_0/property_weights"]
        group["stress"][...] = 0.0

    frames = read_frames(_mace_without(files, tmp_path, change), "pbe")
    assert frames[0].stress is None
    assert frames[1].stress is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["config_batch_0"].pop("config_1"), r"config_\.\.\. are missing"),
        (lambda f: f["config_batch_0/config_1"].pop("cell"), r"layout that it claims"),
        (lambda f: f.move("config_batch_0", "batch"), r"layout that is not known"),
        (
            lambda f: f["config_batch_0/config_1"].pop("atomic_numbers"),
            r"layout that it claims",
        ),
    ],
)
def test_damaged_hdf5_of_mace_torch(files, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        read_frames(_mace_without(files, tmp_path, change), "pbe")


def test_truncated_hdf5(files, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes((files / "mace_torch.h5").read_bytes()[:9000])
    with pytest.raises(DataError, match=r"cannot read.*damaged or incomplete"):
        read_frames(path, "pbe")


def test_words_of_extended_xyz_stay_words(tmp_path, structures):
    uids = ["007", "1e5", "123456789012345678", "T", "a b", "x=1"]
    found = []
    for atoms, uid in zip(structures, uids, strict=False):
        plain = atoms.copy()
        plain.info = {"REF_energy": atoms.calc.results["energy"], "uid": uid}
        plain.arrays["REF_forces"] = atoms.calc.results["forces"]
        found.append(plain)
    path = tmp_path / "words.xyz"
    write_xyz(path, found)
    assert [f.uid for f in read_frames(path, "pbe")] == uids


def test_declared_keys_and_units(tmp_path, structures):
    hartree, bohr, gpa = 27.211386245988, 0.529177210903, 160.2176634
    found = []
    for atoms in structures:
        other = atoms.copy()
        other.set_cell(atoms.cell.array / bohr)
        other.positions = atoms.positions / bohr
        results = atoms.calc.results
        other.info = {"E": results["energy"] / hartree, "kind": "k", "level": "x"}
        other.arrays["F"] = results["forces"] / (hartree / bohr)
        if "stress" in results:
            other.info["S"] = -results["stress"] * gpa
        found.append(other)
    path = tmp_path / "foreign.xyz"
    write_xyz(path, found)
    labels = LabelSettings(
        energy_key="E",
        forces_key="F",
        stress_key="S",
        config_type_key="kind",
        level_key="theory",
        energy_unit="hartree",
        length_unit="bohr",
        stress_unit="GPa",
        stress_sign="pressure",
    )
    frames = read_frames(path, "pbe", labels=labels)
    for frame, atoms in zip(frames, structures, strict=True):
        results = atoms.calc.results
        assert frame.energy == pytest.approx(results["energy"], rel=1e-14)
        np.testing.assert_allclose(frame.positions, atoms.positions, rtol=1e-14)
        np.testing.assert_allclose(frame.cell, atoms.cell.array, rtol=1e-14)
        np.testing.assert_allclose(frame.forces, results["forces"], rtol=1e-13)
        if frame.stress is not None:
            voigt = frame.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            np.testing.assert_allclose(voigt, results["stress"], rtol=1e-13)
        assert frame.config_type == "k"
        assert frame.level == ""


def test_units_are_not_guessed(tmp_path, structures):
    """Energies and forces in kcal/mol are consistent and read as told."""
    factor = 23.060547830619026
    path = tmp_path / "labels.db"
    with connect(path) as database:
        for atoms in structures:
            results = {
                "energy": atoms.calc.results["energy"] * factor,
                "forces": atoms.calc.results["forces"] * factor,
            }
            atoms.calc = SinglePointCalculator(atoms, **results)
            database.write(atoms)
    frames = read_frames(path, "pbe", labels=LabelSettings(energy_unit="kcal/mol"))
    assert frames[0].energy == pytest.approx(
        structures[0].calc.results["energy"] / factor, rel=1e-9
    )


def test_results_of_ases_own_keys_in_extended_xyz(tmp_path, structures):
    path = tmp_path / "ase.xyz"
    found = []
    for atoms in structures:
        plain = atoms.copy()
        plain.info = {"energy": atoms.calc.results["energy"]}
        plain.arrays["forces"] = atoms.calc.results["forces"]
        found.append(plain)
    write_xyz(path, found)
    with pytest.raises(DataError, match=r"REF_energy is missing.*labels\.energy_key"):
        read_frames(path, "pbe")
    labels = LabelSettings(energy_key="energy", forces_key="forces")
    frames = read_frames(path, "pbe", labels=labels)
    assert frames[0].energy == structures[0].calc.results["energy"]


def test_labels_of_fixed_units_refuse_other_units(tmp_path, structures):
    atoms = structures[0].copy()
    atoms.info = {"REF_energy": -1.0, "REF_virial": np.eye(3)}
    atoms.arrays["REF_forces"] = np.zeros((2, 3))
    path = tmp_path / "virial.xyz"
    write_xyz(path, [atoms])
    assert read_frames(path, "pbe", labels=LabelSettings(uid_key="name"))[
        0
    ].stress.any()
    with pytest.raises(DataError, match=r"REF_virial is in eV.*convert"):
        read_frames(path, "pbe", labels=LabelSettings(energy_unit="hartree"))


def test_labels_that_do_not_fit_their_atoms(write_shard, structures):
    for entry, message in (
        ({"forces": [[0.0, 0.0, 0.0]]}, r"forces do not belong to the atoms"),
        ({"energy": "low"}, r"energy is not numbers"),
        ({"stress": [1.0, 2.0]}, r"REF_stress has the wrong shape"),
        ({"energy": None}, r"REF_energy is missing"),
        ({"forces": [[None] * 3, [0.0] * 3]}, r"REF_forces holds a NaN"),
    ):
        row = row_of(structures[0]) | entry
        path = write_shard({"1": pack(row), "nextid": pack(2)})
        with pytest.raises(DataError, match=message):
            read_frames(path, "pbe")


@pytest.mark.parametrize("name", ["energy_unit", "length_unit", "stress_unit"])
def test_unknown_units_are_refused(name):
    with pytest.raises(ValueError, match=f"labels: {name}.*one of"):
        LabelSettings(**{name: "furlong"})


def test_empty_keys_are_refused():
    with pytest.raises(ValueError, match="labels: a key"):
        LabelSettings(uid_key="")


def test_missing_files_say_so(tmp_path):
    for name in ("a.xyz", "a.db", "a.aselmdb", "a.h5", "a.json"):
        with pytest.raises(DataError, match="data file not found"):
            read_frames(tmp_path / name, "pbe")


def test_json_rows_are_plain_data(tmp_path, structures):
    path = tmp_path / "labels.json"
    with connect(path) as database:
        database.write(structures[0])
    content = json.loads(path.read_text())
    content["1"]["cell"] = {"__ase_objtype__": "cell", "array": content["1"]["cell"]}
    path.write_text(json.dumps(content))
    frame = read_frames(path, "pbe")[0]
    np.testing.assert_array_equal(frame.cell, structures[0].cell.array)


def test_weights_of_mace_torch_count_or_are_refused(files, tmp_path):
    def heavier(file):
        file["config_batch_0/config_1/weight"][...] = 3.0

    frames = read_frames(_mace_without(files, tmp_path, heavier), "pbe")
    assert [f.weight for f in frames] == [1.0, 3.0, 1.0]

    def half(file):
        file["config_batch_0/config_0/property_weights/forces"][...] = 0.5

    with pytest.raises(DataError, match=r"config_forces_weight would have no effect"):
        read_frames(_mace_without(files, tmp_path, half), "pbe")


@pytest.mark.parametrize("key", ["config_weight", "config_energy_weight"])
def test_keys_of_mace_torch_are_refused_where_they_say_something(
    key, structures, tmp_path
):
    atoms = structures[0]
    path = tmp_path / "one.xyz"
    for value, fits in ((1.0, True), (0.5, False)):
        atoms.info[key] = value
        write(path, atoms, format="extxyz")
        labels = LabelSettings(
            energy_key="energy", forces_key="forces", stress_key="stress"
        )
        if fits:
            (frame,) = read_frames(path, "pbe", labels=labels)
            assert frame.weight == 1.0
        else:
            with pytest.raises(DataError, match=f"{key} would have no effect"):
                read_frames(path, "pbe", labels=labels)
