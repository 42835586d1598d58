"""The benchmark of sizes, small: a row per size, and memory with LAMMPS' own apart."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "cpu_size.py"
SMALL = ["--channels", "4", "--turns", "1", "--evaluations", "64"]


def test_what_lammps_needs_alone_is_taken_off(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, SCRIPT, *SMALL, "--sizes", "64", "2744"]
    command += ["--reference", "64", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(out.read_text())
    assert [row["atoms"] for row in result["rows"]] == [64, 2744]
    assert all(row["median_ratio"] > 0 for row in result["rows"])
    total, alone = result["bytes_per_atom"], result["bytes_per_atom_of_lammps"]
    assert abs(result["bytes_per_atom_beyond_lammps"] - (total - alone)) <= 1
    assert 0 < alone < total
    assert "bytes per atom" in done.stdout
    assert out.with_suffix(".svg").exists()
