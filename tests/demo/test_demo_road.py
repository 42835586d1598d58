from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lamplighter.demo import DemoConfig, run_demo
from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential
from lamplighter.validation.report import check_document

ENERGIES = {"H": -0.5, "C": -1.0, "O": -1.5, "Mg": -0.2}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A potential that knows nothing, with one head that has shipped data."""
    torch.manual_seed(5)
    config = PotentialConfig(
        elements=("H", "C", "O", "Mg"),
        heads=(
            HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=ENERGIES),
        ),
        cutoff=4.0,
        channels=8,
        edge_channels=4,
        n_radial=6,
        radial_hidden=(8,),
        l_max=1,
        correlation=2,
        readout_hidden=4,
    )
    path = tmp_path / "base.safetensors"
    save_potential(Potential(config), path, {})
    return path


@pytest.mark.slow
def test_the_road_holds_end_to_end(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = DemoConfig(
        base=base, training_minutes=5.0, max_steps=3, replay_frames=4,
        dynamics_steps=10, repeats=2, ranks=2, properties=("parity",),
    )  # fmt: skip
    output = tmp_path / "demo"
    assert run_demo(output, config) == 0
    document = check_document(json.loads((output / "report.json").read_text()))
    assert document["verdict"]["state"] == "pass"
    assert [row["verdict"] for row in document["parity"]["rows"]] == ["pass"] * 6
    assert {row["head"] for row in document["training"]["rows"]} == {"pbe", "pbesol"}
    assert {"learning_curve", "force_parity", "dynamics"} <= set(document["plots"])
    assert document["plots"]["dynamics"]["time_ps"][-1] == pytest.approx(0.02)
    assert document["notes"][0]["title"] == "The new head, pbesol"
    page = (output / "report.html").read_text()
    assert "figure-dynamics" in page
    assert {path.name for path in output.iterdir()} == {
        ".lamplighter-demo", "post-training", "mgo-pbe.pt", "mgo-pbe-float32.pt",
        "dynamics", "validation", "report.html", "report.json",
    }  # fmt: skip
    shown = capsys.readouterr().out
    stages = ("post-training", "conversion", "dynamics", "validation", "report")
    places = [shown.index(f"] {name}: ") for name in stages]
    assert places == sorted(places)
