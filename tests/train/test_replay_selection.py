"""The choice of replay frames: what each method promises, and how relevant it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers

from lamplighter.errors import ConfigError
from lamplighter.model import HeadSpec, Potential, PotentialConfig
from lamplighter.train.data.frame import Frame, geometry_digest
from lamplighter.train.finetune_config import ReplaySettings
from lamplighter.train.replay_report import report_relevance
from lamplighter.train.replay_selection import select_frames
from lamplighter.train.structure_space import (
    ABSENT,
    StructureSpace,
    structure_vectors,
)

ELEMENTS = ("H", "C", "O", "Na", "Mg", "Cl")


@pytest.fixture(scope="module")
def potential() -> Potential:
    torch.manual_seed(1)
    head = HeadSpec(
        name="h", level_of_theory="L", reference_energies=dict.fromkeys(ELEMENTS, 0.0)
    )
    shape = PotentialConfig(
        elements=ELEMENTS,
        heads=(head,),
        cutoff=4.0,
        n_radial=4,
        radial_hidden=(8,),
        density_hidden=(8,),
        l_max=1,
        channels=6,
        edge_channels=4,
        correlation=2,
        readout_hidden=4,
        density_alpha=3.0,
    )
    return Potential(shape).double().requires_grad_(requires_grad=False)


def frame(symbols, spread=1.0, *, kind="", seed=0):
    """A molecule with atoms in a row, `spread` Å more or less apart."""
    rng = np.random.default_rng(seed)
    numbers = np.array([atomic_numbers[s] for s in symbols])
    positions = np.zeros((len(numbers), 3))
    positions[:, 0] = 1.6 * spread * np.arange(len(numbers))
    positions += 0.05 * rng.normal(size=positions.shape)
    return Frame(
        numbers=numbers,
        positions=positions,
        cell=np.zeros((3, 3)),
        pbc=(False, False, False),
        energy=0.0,
        forces=np.zeros_like(positions),
        stress=None,
        head="h",
        level="L",
        config_type=kind,
        uid=geometry_digest(numbers, positions, np.zeros((3, 3))),
        source=f"frame {seed}",
    )


def pool(n=10):
    """Mostly water, a few salts, one hydrocarbon."""
    found = [frame(["H", "O", "H"], kind="water", seed=k) for k in range(n)]
    found += [frame(["Na", "Cl"], kind="salt", seed=100 + k) for k in range(n // 2)]
    return [*found, frame(["C", "H", "C", "H"], kind="carbon", seed=200)]


def settings(method, n, **changes):
    return ReplaySettings(selection=method, max_frames=n, **changes)


METHODS = ("fps", "elements", "kinds", "random")


@pytest.mark.parametrize("method", METHODS)
def test_the_choice_is_deterministic_and_free_of_file_order(method, potential):
    frames = pool()
    new = [frame(["Na", "O"], seed=300)]
    chosen = select_frames(frames, settings(method, 5), new=new, potential=potential)
    shuffled = [frames[k] for k in np.random.default_rng(4).permutation(len(frames))]
    again = select_frames(shuffled, settings(method, 5), new=new, potential=potential)
    assert len(chosen) == 5
    assert len({f.uid for f in chosen}) == 5
    assert {f.uid for f in chosen} == {f.uid for f in again}
    places = {f.uid: k for k, f in enumerate(frames)}
    order = [places[f.uid] for f in chosen]
    assert order == sorted(order)


@pytest.mark.parametrize("method", ["random", "kinds", "elements"])
def test_the_seed_changes_a_drawn_choice(method):
    frames = pool(20)
    choices = {
        frozenset(f.uid for f in select_frames(frames, settings(method, 6, seed=s)))
        for s in range(4)
    }
    assert len(choices) > 1


@pytest.mark.parametrize("method", METHODS)
def test_no_limit_or_enough_room_takes_all(method, potential):
    frames = pool(4)
    for n in (0, len(frames), 99):
        chosen = select_frames(frames, settings(method, n), potential=potential)
        assert list(chosen) == list(frames)


def test_kinds_take_turns():
    chosen = select_frames(pool(), settings("kinds", 7))
    kinds = [f.config_type for f in chosen]
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "water": 3,
        "salt": 3,
        "carbon": 1,
    }


def test_every_element_is_covered_those_of_the_new_data_first():
    chosen = select_frames(
        pool(), settings("elements", 3), new=[frame(["C", "O"], seed=9)]
    )
    assert {f.config_type for f in chosen} == {"water", "salt", "carbon"}
    more = select_frames(
        pool(), settings("elements", 8), new=[frame(["Na", "Cl"], seed=9)]
    )
    counts = [f.config_type for f in more]
    assert counts.count("salt") >= 3
    assert "carbon" in counts


def test_a_cover_that_is_impossible_is_refused():
    with pytest.raises(ConfigError, match=r"too small to cover.*2 frames, none with"):
        select_frames(pool(), settings("elements", 2))


def test_farthest_points_need_a_potential():
    with pytest.raises(ConfigError, match="farthest points need a potential"):
        select_frames(pool(), settings("fps", 3))


def test_farthest_points_find_what_random_misses(potential):
    """Forty nearly equal waters and two odd ones."""
    frames = [frame(["H", "O", "H"], seed=k) for k in range(40)]
    odd = [frame(["H", "O", "H"], s, seed=90) for s in (0.6, 1.9)]
    chosen = select_frames([*frames, *odd], settings("fps", 3), potential=potential)
    assert {f.uid for f in odd} <= {f.uid for f in chosen}


@pytest.mark.parametrize(
    ("relevance", "kinds"),
    [
        ("any", {"water", "salt", "carbon"}),
        ("shared", {"water", "carbon"}),
        ("subset", {"water"}),
    ],
)
def test_only_relevant_frames_are_candidates(relevance, kinds):
    new = [frame(["O", "H"], seed=9)]
    chosen = select_frames(pool(), settings("kinds", 0, relevance=relevance), new=new)
    assert {f.config_type for f in chosen} == kinds


def test_nothing_relevant_is_an_error_and_nothing_is_filled_up():
    new = [frame(["Mg"], seed=9)]
    with pytest.raises(ConfigError, match=r"no frame may be replayed.*shared.*Mg"):
        select_frames(pool(), settings("random", 5, relevance="shared"), new=new)
    few = select_frames(
        pool(),
        settings("random", 9, relevance="subset"),
        new=[frame(["C", "H"], seed=9)],
    )
    assert len(few) == 1


def test_distances_are_free_of_scales(potential):
    """Features a million times as large, or other units, change nothing."""
    vectors = structure_vectors(potential, pool())
    scales = np.logspace(-3, 6, len(next(iter(vectors[0].values()))))
    scaled = [{z: v * scales for z, v in one.items()} for one in vectors]
    for k in (0, 11, 15):
        first = StructureSpace(vectors).squared_distances(vectors[k])
        second = StructureSpace(scaled).squared_distances(scaled[k])
        np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-10)


def test_distances_do_not_depend_on_the_number_of_atoms(potential):
    """A structure twice is the structure."""
    single, far = frame(["H", "O", "H"], seed=3), np.array([0.0, 0.0, 50.0])
    twice = dataclasses.replace(
        single,
        numbers=np.tile(single.numbers, 2),
        positions=np.concatenate([single.positions, single.positions + far]),
    )
    space = StructureSpace(structure_vectors(potential, pool()))
    vectors = structure_vectors(potential, [single, twice])
    first, second = map(space.squared_distances, vectors)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_an_absent_element_counts_a_bounded_term(potential):
    vectors = structure_vectors(potential, pool())
    space = StructureSpace(vectors)
    stranger = structure_vectors(potential, [frame(["Mg", "Mg"], seed=7)])[0]
    np.testing.assert_allclose(space.squared_distances(stranger), ABSENT)
    salt = space.squared_distances(vectors[10])
    np.testing.assert_allclose(salt[:10], ABSENT)
    assert salt[10] == 0.0
    assert salt[11:15].max() < 20.0


def test_two_random_structures_of_a_kind_are_at_root_two(potential):
    vectors = structure_vectors(
        potential, [frame(["H", "O", "H"], seed=k) for k in range(60)]
    )
    space = StructureSpace(vectors)
    mean = np.mean([space.squared_distances(v).sum() / 59 for v in vectors])
    assert mean == pytest.approx(2.0, rel=0.1)


def test_the_report_counts_what_is_relevant(potential):
    new = [frame(["H", "O"], seed=50), frame(["Mg", "O"], seed=51)]
    chosen = pool()
    report = report_relevance(
        chosen,
        new,
        settings("fps", 16),
        head="pbe",
        candidates=99,
        potential=potential,
    )
    assert report.new_elements == ("H", "O", "Mg")
    assert report.not_covered == ("Mg",)
    assert report.with_any == pytest.approx(11 / 16)
    assert report.with_all == 0.0
    assert report.with_only == pytest.approx(10 / 16)
    assert report.distances is not None
    assert (report.distances.n_new, report.distances.n_replay) == (2, 16)
    assert report.distances.farthest == new[1].uid
    text = report.text()
    assert "16 of 99 frames" in text
    assert "NOT COVERED: Mg" in text
    assert report.to_dict()["distances"]["largest"] == report.distances.largest


def test_a_replayed_copy_is_at_distance_zero(potential):
    frames = pool()
    report = report_relevance(
        frames,
        frames[:3],
        settings("random", 0),
        head="h",
        candidates=16,
        potential=potential,
    )
    assert report.distances is not None
    assert report.distances.largest == pytest.approx(0.0, abs=1e-6)
    rules = settings("random", 0)
    bare = report_relevance(frames, frames, rules, head="h", candidates=9)
    assert bare.distances is None
