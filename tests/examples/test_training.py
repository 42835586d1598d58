"""Examples that train and validate, run by the commands of their READMEs."""

import json
import re

import pytest

pytestmark = pytest.mark.slow


def test_a_head_is_added_and_the_others_stay(run_readme):
    folder, said = run_readme("add-a-head")
    run = folder / "runs" / "replay"
    found = json.loads((run / "forgetting.json").read_text())
    assert found["run"]["ended_by"] == "steps"
    assert said.count("kept") >= 5
    assert "drifted" not in said
    edges = [float(x) for x in re.findall(r"lattice_constant +│ +([\d.]+)", said)]
    before, after = edges
    assert before == pytest.approx(4.256, abs=0.002)
    assert after == pytest.approx(4.219, abs=0.01)  # PBEsol by DFT
    assert (run / "report.html").is_file()


def test_a_suite_of_every_key(run_readme):
    folder, said = run_readme("validate-mgo")
    report = json.loads((folder / "run" / "report.json").read_text())
    assert report["verdict"]["state"] == "pass"
    assert "LAMMPS gives the model's numbers" in said
    names = {x["property"] for x in report["properties"]}
    assert {"bulk", "elastic", "phonon", "surface"} <= names
