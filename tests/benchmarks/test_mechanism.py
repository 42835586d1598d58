"""The mechanism study: nothing judged was learnt, fair shares, the road end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mechanism_data as data
import mechanism_numbers as numbers
import mechanism_recipes as recipes
import mechanism_tables as tables
import pytest

from lamplighter.errors import DataError
from lamplighter.train.data.split import Split

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "mechanism"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("data")
    return folder, data.write_data(folder)


def uids(path: Path) -> set[str]:
    words = path.read_text("utf-8").split()
    return {w.removeprefix("uid=") for w in words if w.startswith("uid=")}


def results(growth: float) -> numbers.Numbers:
    """Two seeds; the naive run raises every error of r2SCAN by `growth`."""

    def run(factor: float) -> dict[str, dict[str, dict[str, float]]]:
        tests = {t.name: t for t in data.TEST_SETS}
        return {
            "errors": {
                name: dict.fromkeys(
                    ("force_mae", "force_rmse", "energy_mae"),
                    factor if test.head == "r2scan" else 1.0,
                )
                for name, test in tests.items()
            }
        }

    runs = {arm: {"1": run(1.0), "2": run(2.0)} for arm in numbers.ARM_NAMES}
    runs["naive"] = {"1": run(growth), "2": run(2.0)}
    return numbers.Numbers({"runs": runs, "shipped": {}, "test_sets": {}, "frames": {}})


def test_growth_is_counted_seed_by_seed():
    grown = results(1.06).change("base", "naive", "r2scan-crystals", "force_mae")
    assert grown.mean == pytest.approx(3.0)
    assert grown.largest == pytest.approx(6.0)
    assert grown.deviation == pytest.approx(18**0.5)


@pytest.mark.parametrize(
    ("growth", "on_mean", "always"), [(1.04, 4, 4), (1.06, 4, 3), (1.2, 3, 3)]
)
def test_the_verdict_counts_heads_within_the_limit(growth, on_mean, always):
    verdict = tables.blocks(results(growth))["verdict"]
    assert f"| 2 | {on_mean} of 4 | {always} of 4 |" in verdict


def test_a_page_without_a_place_for_the_numbers_is_refused():
    with pytest.raises(ValueError, match="0 places for 'verdict'"):
        tables.with_blocks("no block here", results(1.0))


def test_no_test_geometry_is_learnt(written):
    folder, counts = written
    learnt, judged = set(), set()
    for name in counts:
        side = learnt if name.endswith(("-train", "-validation")) else judged
        side |= uids(folder / f"{name}.xyz")
    assert len(judged) > 150
    assert not learnt & judged


def test_a_test_geometry_that_is_learnt_is_refused():
    frames = data.read_source(data.THICK)
    split = Split(train=tuple(frames), validation=(), test=())
    with pytest.raises(DataError, match="a geometry is not held out"):
        data.check_unseen("pbe-slabs", {data.THICK: frames}, split)


def test_the_trainings_from_nothing_see_as_many_pbe_frames_a_step(tmp_path):
    seen = {}
    for arm in ("alone", "base", "scratch"):
        made = recipes.recipe(
            arm, seed=1, size=recipes.Size(), data=tmp_path, folder=tmp_path
        )
        quotas = {h["name"]: h["quota"] for h in made["heads"]}
        share = quotas["pbe"] / sum(quotas.values())
        frames = share * made["sampling"]["batch_frames"]
        seen[arm] = (frames, made["run"]["max_steps"])
    assert len(set(seen.values())) == 1


def test_replay_and_naive_see_as_many_new_frames_a_step(tmp_path):
    seen = []
    for arm in ("replay", "naive"):
        made = recipes.recipe(
            arm, seed=1, size=recipes.Size(), data=tmp_path, folder=tmp_path
        )
        new = (1 - made["replay"]["fraction"]) * made["sampling"]["batch_frames"]
        seen.append((round(new, 9), made["run"]["max_steps"], made["optimizer"]))
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_the_whole_study_in_two_steps_each(tmp_path):
    results = tmp_path / "mechanism.json"
    words = ["--steps", "2", "--new-steps", "2", "--seeds", "1"]
    words += ["--channels", "4", "--shipped-steps", "2"]
    command = [sys.executable, FOLDER / "run.py", "--output", tmp_path / "runs"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(2):  # the second finds everything done
        done = subprocess.run(
            [*command, "--results", results, *words],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stderr.count("done before") == len(recipes.ARMS) + len(
        recipes.SHIPPED_ARMS
    )
    found = numbers.Numbers.read(results)
    assert found.seeds == ["1"]
    assert "(c) base + RPBE by replay" in tables.blocks(found)["new"]
    plot = [sys.executable, FOLDER / "plot.py", "--results", results]
    subprocess.run([*plot, "--output", tmp_path], env=env, check=True)
    for name in ("mechanism-foreign.svg", "mechanism-kept.svg"):
        assert "<svg" in (tmp_path / name).read_text("utf-8")
