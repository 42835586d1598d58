"""The benchmarks of speed: their code runs, and what cannot be measured is refused."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "benchmarks"
TINY = ["--widths", "4", "4", "--turns", "1"]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))


def run(script, *options):
    command = [sys.executable, SCRIPTS / f"{script}.py", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys):
    import gpu_step

    with pytest.raises(SystemExit, match=r"measures a GPU, and torch .* finds none"):
        gpu_step.main([])
    with pytest.raises(SystemExit):
        gpu_step.main(["--device", "cpu"])
    assert "nothing is measured: name a file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_code_for_gpus_runs_without_one(tmp_path):
    out = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--cells", 1, "--steps", 1, "--deterministic"]
    done = run("gpu_step", *TINY, *options, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "only our sides run" in done.stdout
    result = json.loads(out.read_text())
    assert result["device"] == "cpu"
    (case,) = result["cases"]
    assert case["atoms"] == 8
    assert case["differences"]["kernels"] < 2e-4
    for side in case["sides"].values():
        assert side["steps_per_s"]["median"] > 0
    assert case["sides"]["kernels"]["pairs"] > 100


def test_the_start_of_the_command_line(tmp_path):
    out = tmp_path / "startup.json"
    assert run("startup", "--turns", 1, "--out", out).returncode == 0
    result = json.loads(out.read_text())
    assert result["help"]["wall_ms"]["median"] > result["python"]["wall_ms"]["min"] > 0


@pytest.mark.slow
def test_a_conversion(tmp_path):
    out = tmp_path / "conversion.json"
    done = run("conversion", *TINY, "--shapes", "mp0", "--out", out)
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(out.read_text())["cases"]
    assert case["elements"] == ["H", "C", "O"]
    assert case["bytes"] > 10_000
    assert case["wall_s"] > 0


def test_the_head_of_a_result_names_no_path(tmp_path):
    import result_file

    options = argparse.Namespace(out=tmp_path, mace_python="/a/b", turns=3)
    result = result_file.started(options, "mace_python", cases=[])
    assert result["settings"] == {"turns": 3}
    assert result["machine"]["cores"] >= 1
    result_file.write(result, tmp_path / "new" / "one.json")
    assert json.loads((tmp_path / "new" / "one.json").read_text()) == result


def test_several_threads_have_a_file_of_their_own():
    import cpu_step

    assert cpu_step.parse([]).out.name == "cpu_step.json"
    assert cpu_step.parse(["--threads", "2"]).out.name == "cpu_step_2_threads.json"


def test_ratios_are_of_the_clock_that_is_asked_for():
    import cpu_step

    sides = {
        "mace": {"cpu_ms": {"median": 8.0, "min": 6.0}, "wall_ms": _times(4.0)},
        "lammps": {"cpu_ms": {"median": 2.0, "min": 2.0}, "wall_ms": _times(0.5)},
    }
    ratios = [cpu_step._ratios(sides, clock) for clock in ("cpu_ms", "wall_ms")]
    assert ratios[0] == {"mace/lammps": {"median": 4.0, "min": 3.0}}
    assert ratios[1] == {"mace/lammps": {"median": 8.0, "min": 8.0}}


def _times(value):
    return {"median": value, "min": value}
