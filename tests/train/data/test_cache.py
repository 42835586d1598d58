"""A cache holds what the files hold, exactly; it resumes, and damage is named."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lamplighter.errors import ConfigError, DataError
from lamplighter.resources import dataset
from lamplighter.train import ReaderLimits, read_frames
from lamplighter.train.config import SplitSettings
from lamplighter.train.data.cache import Cache, summary
from lamplighter.train.data.cache_build import build_cache
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.groups import TEST, TRAIN, VALIDATION, SeenHashes, sides
from lamplighter.train.data.hessian import HessianRows
from lamplighter.train.data.records import find_neighbours, pack_record, unpack_record
from lamplighter.train.data.shards import open_shard, shard_name, write_shard

SMALL = CacheSettings(cutoff=4.0, shard_frames=5, head="pbe")


def assert_same_frame(one, other):
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in {"source", "hessian"}:
            continue
        same = (a is None and b is None) or np.array_equal(a, b)
        assert same, field.name


@pytest.fixture
def cache(data_file, tmp_path):
    """Eighteen frames in four shards."""
    build_cache([data_file()], tmp_path / "cache", SMALL)
    return tmp_path / "cache"


def test_frames_come_back_exactly(cache, data_file):
    frames = read_frames(data_file())
    found = Cache(cache)
    assert len(found) == 18
    assert len(list(cache.glob("shard-*"))) == 4
    for one, other in zip(frames, found.frames(), strict=True):
        assert_same_frame(one, other)
    assert found.frames()[7].source.startswith("pbe.xyz: frame 7 (uid ")
    assert [f.uid for f in found.frames()[3:5]] == [f.uid for f in frames[3:5]]


def test_several_files_are_one_cache(tmp_path):
    names = ("crystal_pbesol", "surface_pbe")
    paths = [dataset(name) for name in names]
    index = build_cache(paths, tmp_path / "c", CacheSettings(cutoff=4.5))
    frames = [f for path in paths for f in read_frames(path)]
    found = Cache(tmp_path / "c")
    for one, other in zip(frames, found.frames(), strict=True):
        assert_same_frame(one, other)
    sizes = summary(found)
    assert sizes["frames"] == len(frames)
    assert sizes["atoms"] == sum(f.n_atoms for f in frames)
    assert [s["name"] for s in index["sources"]] == [p.name for p in paths]
    assert found.frames().elements == {e for f in frames for e in f.atoms().symbols}


def test_float32_rounds_positions_before_their_neighbours(data_file, tmp_path):
    path = data_file()
    settings = dataclasses.replace(SMALL, dtype="float32")
    build_cache([path], tmp_path / "cache", settings)
    cache = Cache(tmp_path / "cache")
    for k, frame in enumerate(read_frames(path)):
        found, pairs = cache.read(k)
        assert found.energy == frame.energy
        np.testing.assert_array_equal(found.positions, np.float32(frame.positions))
        direct = find_neighbours(found, 4.0)
        np.testing.assert_array_equal(pairs.neighbors, direct.neighbors)
        np.testing.assert_array_equal(pairs.vectors(found), direct.vectors(found))


def test_records_hold_everything(data_file):
    frame = read_frames(data_file())[3]
    rows = HessianRows(
        atoms=np.array([0, 1]), components=np.array([2, 0]), values=np.ones((2, 2, 3))
    )
    frame = dataclasses.replace(
        frame, hessian=rows, weight=0.5, group="é", pbc=(True, False, True)
    )
    pairs = find_neighbours(frame, 4.0)
    record = pack_record(frame, pairs, np.dtype("float64"))
    found, again = unpack_record(record, np.dtype("float64"))
    assert_same_frame(frame, found)
    assert found.source == frame.source
    np.testing.assert_array_equal(found.hessian.values, rows.values)
    np.testing.assert_array_equal(found.hessian.components, rows.components)
    np.testing.assert_array_equal(again.shifts, pairs.shifts)
    far = dataclasses.replace(pairs, shifts=pairs.shifts + 1000)
    _, wide = unpack_record(
        pack_record(frame, far, np.dtype("float64")), np.dtype("float64")
    )
    np.testing.assert_array_equal(wide.shifts, far.shifts)


def test_a_second_build_changes_nothing(cache, data_file):
    before = {p.name: p.stat().st_mtime_ns for p in cache.iterdir()}
    build_cache([data_file()], cache, SMALL)
    assert {p.name: p.stat().st_mtime_ns for p in cache.iterdir()} == before


@pytest.mark.parametrize(
    "change",
    [
        {"cutoff": 5.0},
        {"dtype": "float32"},
        {"level": "PBE"},
        {"limits": ReaderLimits(max_force=99.0)},
        {"group_by": "composition"},
    ],
)
def test_other_settings_are_another_cache(cache, data_file, change):
    other = dataclasses.replace(SMALL, **change)
    with pytest.raises(ConfigError, match=r"other sources or settings.*remove"):
        build_cache([data_file()], cache, other)
    (cache / "index.json").unlink()
    with pytest.raises(ConfigError, match="other sources or settings"):
        build_cache([data_file()], cache, other)


def test_another_file_is_another_cache(cache, data_file):
    with pytest.raises(ConfigError, match="other sources or settings"):
        build_cache([data_file(seed=3)], cache, SMALL)


def bytes_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_an_interrupted_build_goes_on(cache, data_file, kept):
    whole = bytes_of(cache)
    (cache / "index.json").unlink()
    for number in range(kept, 4):
        (cache / shard_name(number)).unlink()
    there = {p.name: p.stat().st_mtime_ns for p in cache.iterdir()}
    done = []
    build_cache([data_file()], cache, SMALL, advance=lambda *step: done.append(step))
    assert bytes_of(cache) == whole
    assert done.count((5, "taken over")) == kept
    assert all((cache / n).stat().st_mtime_ns == t for n, t in there.items())


def test_a_lost_shard_of_a_finished_cache_is_built_again(cache, data_file):
    whole = bytes_of(cache)
    (cache / shard_name(2)).unlink()
    with pytest.raises(DataError, match=r"cannot read the shard.*shard-000002"):
        list(Cache(cache).frames())
    build_cache([data_file()], cache, SMALL)
    assert bytes_of(cache) == whole


@pytest.mark.slow
def test_a_killed_build_goes_on(tmp_path):
    folder, source = tmp_path / "cache", dataset("crystal_pbe")
    program = (
        "from pathlib import Path\n"
        "from lamplighter.train.data.cache_build import build_cache\n"
        "from lamplighter.train.data.cache_config import CacheSettings\n"
        f"build_cache([Path({str(source)!r})], {str(folder)!r}, "
        "CacheSettings(cutoff=5.0, shard_frames=8))\n"
    )
    killed = 0
    for _ in range(30):
        process = subprocess.Popen([sys.executable, "-c", program])
        before = len(list(folder.glob("shard-*")))
        while process.poll() is None:
            if len(list(folder.glob("shard-*.safetensors"))) > before + 3:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.002)
        if process.wait() == 0:
            break
        killed += 1
    assert killed > 2
    settings = CacheSettings(cutoff=5.0, shard_frames=8)
    build_cache([source], tmp_path / "direct", settings)
    found = {n: b for n, b in bytes_of(folder).items() if not n.startswith(".")}
    assert found == bytes_of(tmp_path / "direct")


def damage(path, place, content=b"\xff"):
    data = bytearray(path.read_bytes())
    begin = place % len(data)
    data[begin : begin + len(content)] = content
    path.write_bytes(bytes(data))


def test_a_changed_byte_names_the_shard_and_the_frame(cache, data_file):
    path = cache / shard_name(1)
    shard = open_shard(path)
    begin = path.read_bytes().index(shard.record(3))
    damage(path, begin + 40, b"\xfe")
    found = Cache(cache)
    assert found.read(7)[0].n_atoms == 2
    with pytest.raises(DataError, match=r"shard-000001.*damaged.*frame 3 of 5.*remove"):
        found.read(8)
    with pytest.raises(DataError, match="shard-000001"):
        found.verify()
    (cache / "index.json").unlink()
    with pytest.raises(DataError, match=r"shard-000001.*damaged"):
        build_cache([data_file()], cache, SMALL)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.6, 0.999])
def test_a_truncated_shard_is_named(cache, part):
    path = cache / shard_name(2)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match="shard-000002"):
        Cache(cache)


@pytest.mark.parametrize(
    ("place", "content"),
    [(0, b"\xff" * 8), (0, b"\0" * 8), (8, b"not json"), (30, b"\xff\xff")],
)
def test_a_shard_with_a_broken_header_is_named(cache, place, content):
    damage(cache / shard_name(0), place, content)
    with pytest.raises(DataError, match=r"shard-000000.*damaged"):
        Cache(cache)


def test_a_shard_of_another_cache_is_refused(cache, data_file, tmp_path):
    build_cache([data_file(seed=5)], tmp_path / "other", SMALL)
    path = cache / shard_name(1)
    path.write_bytes((tmp_path / "other" / shard_name(1)).read_bytes())
    with pytest.raises(ConfigError, match=r"shard-000001.*belongs to another cache"):
        Cache(cache)


def test_columns_that_do_not_fit_are_refused(cache):
    shard = open_shard(cache / shard_name(0))
    columns = dict(shard.arrays) | {"group": shard.arrays["group"][:3]}
    records = [shard.record(k) for k in range(5)]
    write_shard(cache / shard_name(0), records, columns, shard.note)
    with pytest.raises(DataError, match=r"shard-000000.*do not fit"):
        Cache(cache)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read the cache"),
        ("[]", "is not the index of a cache"),
        ('{"format": "lamplighter-cache"}', "is not the index of a cache"),
    ],
)
def test_a_broken_index_is_refused(cache, content, message):
    (cache / "index.json").write_text(content)
    with pytest.raises(DataError, match=message):
        Cache(cache)


def test_an_index_of_another_version_is_refused(cache):
    content = json.loads((cache / "index.json").read_text())
    (cache / "index.json").write_text(json.dumps(content | {"version": 99}))
    with pytest.raises(DataError, match=r"another version.*99.*build the cache again"):
        Cache(cache)
    with pytest.raises(DataError, match="cannot read the cache"):
        Cache(cache.parent)


def test_duplicates_are_refused_or_dropped(data_file, tmp_path):
    path = data_file(change=lambda frames: frames.append(frames[4].copy()))
    with pytest.raises(DataError, match=r"frame 18.*uid comes twice.*duplicates: drop"):
        build_cache([path], tmp_path / "refused", SMALL)
    dropping = dataclasses.replace(SMALL, duplicates="drop")
    index = build_cache([path], tmp_path / "dropped", dropping)
    assert index["n_frames"] == 18
    assert index["dropped"] == {"duplicate": 1}


def test_bad_frames_are_refused_or_dropped_and_counted(data_file, tmp_path):
    def spoil(frames):
        for k in (4, 9):
            frames[k].arrays["REF_forces"][0, 0] = 1e4

    path = data_file(change=spoil)
    with pytest.raises(DataError, match="beyond the limit"):
        build_cache([path], tmp_path / "refused", SMALL)
    dropping = dataclasses.replace(SMALL, bad_frames="drop")
    index = build_cache([path], tmp_path / "dropped", dropping)
    assert index["n_frames"] == 16
    assert list(index["dropped"].values()) == [2]
    assert "beyond the limit" in next(iter(index["dropped"]))


def test_frames_are_compared_over_the_shards(data_file, tmp_path):
    def shift(frames):
        frames[12].info["REF_energy"] -= 400.0

    path = data_file(change=shift)
    with pytest.raises(DataError, match="far from the free atoms of its head"):
        build_cache([path], tmp_path / "cache", SMALL)

    def relevel(frames):
        frames[12].info["level"] = "LDA"

    path = data_file(change=relevel)
    with pytest.raises(DataError, match=r"frame 12.*level is not that.*'LDA'.*'PBE'"):
        build_cache([path], tmp_path / "other", SMALL)


def test_nothing_left_is_an_error(data_file, tmp_path):
    settings = dataclasses.replace(
        SMALL, bad_frames="drop", limits=ReaderLimits(min_distance=3.0)
    )

    def no_atoms(frames):
        del frames[:2]

    with pytest.raises(DataError, match=r"no frame is left.*dropped"):
        build_cache([data_file(change=no_atoms)], tmp_path / "cache", settings)


def test_missing_sources_are_named(tmp_path):
    with pytest.raises(DataError, match="data file not found"):
        build_cache([tmp_path / "none.xyz"], tmp_path / "cache", SMALL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cutoff": 0.0},
        {"shard_frames": 0},
        {"shard_mib": 0},
        {"dtype": "float16"},
        {"duplicates": "keep"},
        {"bad_frames": "keep"},
        {"group_by": "frame"},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CacheSettings(**wrong)


def test_groups_are_on_one_side_whatever_else_there_is(rng):
    groups = rng.integers(0, 2**63, 500).astype(np.uint64)
    many = np.repeat(groups, rng.integers(1, 9, 500))
    none = np.zeros(len(many), dtype=bool)
    settings = SplitSettings(validation_fraction=0.2, test_fraction=0.1)
    side = sides(many, settings, none)
    by_group = {int(g): set(side[many == g].tolist()) for g in groups}
    assert all(len(s) == 1 for s in by_group.values())
    shares = [np.mean([s == {k} for s in by_group.values()]) for k in (0, 1, 2)]
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.05)
    assert (TRAIN, VALIDATION, TEST) == (0, 1, 2)
    part = rng.permutation(len(many))[:700]
    np.testing.assert_array_equal(sides(many[part], settings, none[part]), side[part])
    other = dataclasses.replace(settings, seed=1)
    assert (sides(many, other, none) != side).any()
    kept = side == VALIDATION
    assert not (sides(many, settings, kept) == VALIDATION)[kept].any()


def test_a_sample_has_all_atoms_and_every_element(tmp_path):
    path = dataset("crystal_pbe")
    build_cache([path], tmp_path / "cache", CacheSettings(cutoff=3.0))
    frames = Cache(tmp_path / "cache").frames()
    sample = frames.sample(40)
    assert 40 <= len(sample) < 80
    assert sample.elements == frames.elements
    assert sample.is_isolated_atom.sum() == frames.is_isolated_atom.sum() > 0
    assert len(frames.sample(1000)) == len(frames)


def test_seen_hashes_are_a_set(rng):
    seen, known = SeenHashes(), set()
    for value in rng.integers(0, 5000, 20_000).tolist():
        assert seen.add(value) == (value not in known)
        known.add(value)
    seen.extend(np.array([2**63 + 1], dtype=np.uint64))
    assert not seen.add(2**63 + 1)
    assert seen.add(2**63 + 2)


@pytest.mark.slow
def test_five_thousand_structures_stay_on_the_disk(root, tmp_path):
    """The benchmark at a small size: the memory of an epoch does not grow with it."""
    found = {}
    for n in (1000, 5000):
        output = tmp_path / f"{n}.json"
        program = [sys.executable, root / "benchmarks" / "data_cache" / "run.py"]
        words = ["--frames", str(n), "--output", output, "--folder", tmp_path / str(n)]
        subprocess.run([*map(str, [*program, *words])], check=True, timeout=1500)
        found[n] = json.loads(output.read_text())
    for n, result in found.items():
        assert result["build"]["frames"] == result["epoch"]["frames_drawn"] == n
    grown = [found[n]["epoch"]["anonymous_mib_peak"] for n in (1000, 5000)]
    assert grown[1] < grown[0] + 8.0
