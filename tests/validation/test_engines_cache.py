"""Single points are remembered: by everything that they depend on, and nothing else."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from lamplighter.errors import EngineError
from lamplighter.validation.engines import (
    AseEngine,
    CachedEngine,
    EngineInfo,
    LammpsLibEngine,
    cache,
    pair_style,
)
from lamplighter.validation.engines.base import WANT_ALL, Engine

INFO = EngineInfo(kind="ase", name="emt", model="EMT")


class Counted(AseEngine):
    """EMT that counts what it computes."""

    def __init__(self, info: EngineInfo = INFO) -> None:
        super().__init__(EMT(), info)
        self.asked: list[int] = []
        self.closed = 0

    def compute_many(self, structures, want=("energy", "forces", "stress")):
        self.asked.append(len(structures))
        return super().compute_many(structures, want)

    def close(self):
        self.closed += 1


def copper(seed=0):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=seed)
    return atoms


def same(a, b):
    assert a.energy == b.energy
    np.testing.assert_array_equal(a.forces, b.forces)
    np.testing.assert_array_equal(a.stress, b.stress)
    assert (a.energies is None) == (b.energies is None)
    if a.energies is not None:
        np.testing.assert_array_equal(a.energies, b.energies)


def test_a_result_is_found_bit_for_bit(tmp_path):
    engine = Counted()
    first = CachedEngine(engine, tmp_path).compute(copper(), WANT_ALL)
    again = CachedEngine(engine, tmp_path)
    assert isinstance(again, Engine)
    same(again.compute(copper(), WANT_ALL), first)
    assert (again.hits, again.misses) == (1, 0)
    assert engine.asked == [1, 0]


def test_only_what_is_missing_is_computed_at_once_and_in_order(tmp_path):
    engine = CachedEngine(Counted(), tmp_path)
    engine.compute(copper(1))
    found = engine.compute_many([copper(0), copper(1), copper(2), copper(0)])
    assert engine.inner.asked == [1, 2]
    for seed, result in zip((0, 1, 2, 0), found, strict=True):
        assert result.energy == pytest.approx(Counted().compute(copper(seed)).energy)
    same(found[0], found[3])


def moved(atoms, by):
    atoms.positions[0, 0] += by
    return atoms


def test_the_key_is_what_a_result_depends_on(tmp_path, monkeypatch):
    engine = CachedEngine(Counted(), tmp_path)
    key = engine.path(copper(), ("energy", "forces"))
    assert engine.path(copper(), ("forces", "energy")) == key
    assert engine.path(moved(copper(), 1e-14), ("energy", "forces")) == key
    named = CachedEngine(Counted(dataclasses.replace(INFO, name="x")), tmp_path)
    assert named.path(copper(), ("energy", "forces")) == key

    others = [moved(copper(), 1e-11) for _ in range(6)]
    others[1] = copper()
    others[1].set_cell(others[1].cell * (1 + 1e-10))
    others[2] = copper()
    others[2].pbc = (True, True, False)
    others[3] = copper()
    others[3].symbols[0] = "Ni"
    others[4] = copper()
    others[4].set_initial_charges([1e-3, 0, 0, 0])
    others[5] = copper()[::-1]
    keys = {engine.path(atoms, ("energy", "forces")) for atoms in others}
    keys.add(engine.path(copper(), WANT_ALL))
    for change in ({"head": "pbe"}, {"model_sha256": "ab"}, {"ranks": 2}):
        other = Counted(dataclasses.replace(INFO, **change))
        keys.add(CachedEngine(other, tmp_path).path(copper(), ("energy", "forces")))
    assert len(keys | {key}) == len(others) + 1 + 3 + 1
    for name, value in (("PROTOCOL", -1), ("releases", lambda: "torch 9")):
        with monkeypatch.context() as patch:
            patch.setattr(cache, name, value)
            assert engine.path(copper(), ("energy", "forces")) not in keys | {key}


def test_labels_that_calculators_read_are_part_of_the_key(tmp_path):
    engine = CachedEngine(Counted(), tmp_path)
    others = [copper() for _ in range(5)]
    others[0].set_initial_magnetic_moments([1.0, 0, 0, 0])
    others[1].info["charge"] = 1
    others[2].info["spin"] = np.int64(3)
    others[3].set_tags([1, 0, 0, 0])
    others[4].new_array("site", np.array(["a", "b", "c", "d"]))
    keys = {engine.path(atoms, WANT_ALL) for atoms in (copper(), *others)}
    assert len(keys) == 6
    # What no energy depends on is no part of it.
    still = copper()
    still.set_momenta(np.ones((4, 3)))
    still.set_masses([2.0, 2, 2, 2])
    assert engine.path(still, WANT_ALL) == engine.path(copper(), WANT_ALL)


def test_which_type_is_which_element_is_part_of_the_key(tmp_path):
    lines = ["pair_style lj/cut 6.0", "pair_coeff 1 1 0.2 2.3", "pair_coeff 2 2 0.4 2"]
    paths = {
        CachedEngine(LammpsLibEngine(pair_style(lines, names)), tmp_path).path(
            copper(), WANT_ALL
        )
        for names in (["Cu", "Ni"], ["Ni", "Cu"])
    }
    assert len(paths) == 2


def test_the_file_that_lammps_reads_is_part_of_the_key(tmp_path):
    """Not only the model that it was converted from: tables may differ."""
    style = pair_style(["pair_style lj/cut 6.0", "pair_coeff * * 0.2 2.3"], ["Cu"])
    paths = {
        CachedEngine(
            LammpsLibEngine(dataclasses.replace(style, content=content)), tmp_path
        ).path(copper(), WANT_ALL)
        for content in ("", "ab", "cd")
    }
    assert len(paths) == 3


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    engine = CachedEngine(Counted(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        first = engine.compute(copper())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    same(engine.compute(copper()), first)
    assert engine.misses == 2


@pytest.mark.parametrize("damage", ["empty", "half", "a bit", "foreign", "gone"])
def test_a_damaged_entry_is_computed_again(tmp_path, damage):
    engine = CachedEngine(Counted(), tmp_path)
    first = engine.compute(copper(), WANT_ALL)
    path = engine.path(copper(), WANT_ALL)
    content = path.read_bytes()
    spoiled = bytearray(content)
    spoiled[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "half": content[: len(content) // 2],
                "a bit": bytes(spoiled),
                "foreign": b"not an entry at all" * 9,
            }[damage]
        )
    same(engine.compute(copper(), WANT_ALL), first)
    assert (engine.hits, engine.misses) == (0, 2)
    assert path.read_bytes() == content


def test_failures_are_not_remembered(tmp_path):
    engine = CachedEngine(Counted(), tmp_path)
    for _ in range(2):
        with pytest.raises(EngineError):
            engine.compute(bulk("Si"))
    assert list(tmp_path.rglob("*.entry")) == []


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    engine = CachedEngine(Counted(), tmp_path / "cache")
    same(engine.compute(copper()), engine.compute(copper()))
    assert engine.misses == 2


def test_without_a_folder_there_is_no_cache(tmp_path):
    engine = Counted()
    assert cache.cached(engine, None) is engine
    wrapped = cache.cached(engine, tmp_path)
    wrapped.close()
    assert engine.closed == 1
    assert wrapped.family is None


def _fill(folder, seeds):
    CachedEngine(Counted(), folder).compute_many([copper(seed) for seed in seeds])


def test_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    started = [
        context.Process(target=_fill, args=(tmp_path, range(k, k + 4)))
        for k in range(3)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0, 0]
    engine = CachedEngine(Counted(), tmp_path)
    engine.compute_many([copper(seed) for seed in range(6)])
    assert (engine.hits, engine.misses) == (6, 0)
    assert len(list(tmp_path.rglob("*"))) == len(list(tmp_path.rglob("*.entry"))) + len(
        [p for p in tmp_path.iterdir() if p.is_dir()]
    )
