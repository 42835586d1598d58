"""The table of targets says what the JSON files say."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "docs" / "tools"))

import site_tables  # noqa: E402  (of the site, which is no package)
import site_targets  # noqa: E402


def rows(folder):
    return {
        f"{what}: {wanted}": (measured, met, why)
        for what, wanted, measured, met, _, why in site_targets.targets(folder)
    }


def test_every_command_is_a_script_of_this_repository():
    for target in site_targets.TARGETS:
        script = target.command.split()[1]
        assert (ROOT / script).is_file(), script


def test_the_page_has_the_table():
    text = (ROOT / "docs" / "results.md").read_text()
    shown = site_tables.fill(text, RESULTS)
    assert "<!-- table" not in shown
    for target in site_targets.TARGETS:
        assert f"| {target.what} | {target.wanted} |" in shown


def test_a_missing_file_is_not_measured(tmp_path):
    for measured, met, why in rows(tmp_path).values():
        assert (measured, met) == ("-", "not measured")
        assert why


@pytest.mark.parametrize(("efficiency", "met"), [(0.9, "yes"), (0.89, "no")])
def test_met_is_what_is_measured(tmp_path, efficiency, met):
    found = json.loads((RESULTS / "cpu_ranks.json").read_text())
    found["cases"][-1]["efficiency"] = efficiency
    (tmp_path / "cpu_ranks.json").write_text(json.dumps(found))
    row = rows(tmp_path)["two ranks against one, 4096 atoms per rank: 90 %"]
    assert row[0].startswith(f"{efficiency:.0%}")
    assert row[1] == met
    assert bool(row[2]) == (met == "no")


def _cpu_step(mace, symmetrix):
    ratios = {"mace/lammps": mace, "symmetrix/lammps": symmetrix}
    return {
        "cases": [
            {
                "shape": shape,
                "dtype": "float32",
                "wall_ratios": {k: {"median": v} for k, v in ratios.items()},
            }
            for shape in ("mp0", "mh1")
        ]
    }


def test_peers_have_limits_of_their_own(tmp_path):
    path = tmp_path / "cpu_step_2_threads.json"
    path.write_text(json.dumps(_cpu_step(30.0, 0.9)))
    found = [one[1] for one in rows(tmp_path).values() if one[1] != "not measured"]
    assert found == ["no", "no", "no", "yes"]
    path.write_text(json.dumps(_cpu_step(60.0, 1.0)))
    found = [one[1] for one in rows(tmp_path).values() if one[1] != "not measured"]
    assert found == ["yes"] * 4


def test_gpus(tmp_path):
    sides = {"lamplighter": 301.0, "mace": 60.1}
    cases = [
        {
            "shape": "mh1",
            "atoms": atoms,
            "sides": {k: {"steps_per_s": {"median": v}} for k, v in sides.items()},
        }
        for atoms in (1000, 10648)
    ]
    found = {"device": "H100", "cases": cases}
    (tmp_path / "gpu_step.json").write_text(json.dumps(found))
    rate, ratio = [one for key, one in rows(tmp_path).items() if _is_of_gpus(key)]
    assert rate[:2] == ("301 steps/s (H100)", "yes")
    assert ratio[:2] == ("5.0 times", "yes")
    cases[1]["sides"]["mace"]["steps_per_s"]["median"] = 61.0
    (tmp_path / "gpu_step.json").write_text(json.dumps(found))
    found = [one for key, one in rows(tmp_path).items() if _is_of_gpus(key)]
    assert found[1][1] == "no"


def _is_of_gpus(key):
    return "H100" in key or "cuEquivariance" in key


def test_a_result_without_an_entry_is_not_measured(tmp_path):
    step = json.loads((RESULTS / "cpu_step.json").read_text())
    for case in step["cases"]:
        del case["wall_ratios"]  # as in files of older releases
    (tmp_path / "cpu_step_2_threads.json").write_text(json.dumps(step))
    found = rows(tmp_path)
    assert {one[1] for one in found.values()} == {"not measured"}
