"""The benchmark of a training step: its plumbing, with our side alone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "train_step.py"
SMALL = ["--channels", "4", "--edge-channels", "2", "--frames", "2", "--turns", "1"]
FEW = [*SMALL, "--warm-up", "1", "--steps", "2", "--shapes", "mh1"]


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import train_step

    return train_step


def test_without_the_peer_our_side_is_measured(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, SCRIPT, *FEW, "--dtypes", "float64", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "only our side runs" in done.stdout
    result = json.loads(out.read_text())
    (case,) = result["cases"]
    assert result["settings"]["threads"] == 1
    assert result["machine"]["cores"] >= 1
    assert case["differences"] is None
    assert "ratio" not in case
    ours = case["sides"]["lamplighter"]
    assert ours["pairs"] > 100
    assert ours["cpu_ms"]["median"] > 0
    assert ours["memory"]["step"] > 0
    assert ours["memory"]["process"] >= ours["memory"]["rest"]


def test_sides_that_differ_are_refused(driver, tmp_path):
    same = {
        "energy": np.ones(2),
        "forces": np.ones((3, 3)),
        "stress": np.ones((2, 3, 3)),
        "loss": np.array(2.0),
        "gradient": np.ones((4, 5)),
    }
    np.savez(tmp_path / "lamplighter.npz", **same)
    scaled = same | {"gradient": same["gradient"].reshape(20) / 2}
    np.savez(tmp_path / "mace.npz", **scaled)
    assert driver.agreement(tmp_path)["gradient"] == 0.0
    np.savez(tmp_path / "mace.npz", **(scaled | {"forces": np.full((3, 3), 1.1)}))
    with pytest.raises(RuntimeError, match="do not compute the same"):
        driver.agreement(tmp_path)


def test_a_side_that_fails_ends_the_run(driver, tmp_path):
    (tmp_path / "train_step_none.py").write_text("raise SystemExit(3)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "HERE", tmp_path)
        with pytest.raises(RuntimeError, match="status 3"):
            driver.SideProcess("none", sys.executable, tmp_path, 1)
