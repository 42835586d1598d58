from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamplighter.demo import DemoConfig, prepare_folder, stages
from lamplighter.demo import report as demo_report
from lamplighter.errors import ConfigError, EngineError
from lamplighter.lammps_interface.runner import LammpsRun


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == [".lamplighter-demo"]


def test_an_earlier_demo_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    (tmp_path / "validation" / "results").mkdir(parents=True)
    (tmp_path / "validation" / "results" / "x.json").write_text("{}")
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    prepare_folder(tmp_path)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {".lamplighter-demo", "notes.txt"}


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds no earlier demo.*--output"):
        prepare_folder(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_link_in_the_place_of_a_folder_is_removed_and_not_followed(
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    demo = tmp_path / "demo"
    prepare_folder(demo)
    (demo / "validation").symlink_to(elsewhere)
    prepare_folder(demo)
    assert (elsewhere / "precious").is_file()
    assert not (demo / "validation").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ConfigError, match="the output is a file"):
        prepare_folder(tmp_path / "x")


@pytest.mark.parametrize("name", ["training_minutes", "dynamics_steps", "repeats"])
def test_amounts_are_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=f"demo: {name}; got: 0"):
        DemoConfig(**{name: 0})


def test_the_default_dynamics_is_one_picosecond_of_216_atoms() -> None:
    config = DemoConfig()
    assert config.n_atoms == 216
    assert config.dynamics_steps * 0.002 == pytest.approx(1.0)


def _lammps(thermo: dict[str, list[float]]) -> Any:
    tables = ({key: np.array(value) for key, value in thermo.items()},)

    def run(script: Path, **_: Any) -> LammpsRun:
        return LammpsRun(
            returncode=0, output="", log=script.with_name("log.lammps"),
            thermo=tables, wall_s=2.0, command=("lmp",),
        )  # fmt: skip

    return run


def test_dynamics_are_read_from_lammps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thermo = {"Step": [0.0, 10.0], "Temp": [600.0, 310.0], "PotEng": [-5.0, -4.0]}
    monkeypatch.setattr(stages, "run_lammps", _lammps(thermo))
    config = DemoConfig(dynamics_steps=10, repeats=1)
    data = stages.run_dynamics(tmp_path / "m.pt", tmp_path / "md", config)
    np.testing.assert_allclose(data["time_ps"], [0, 0.02])
    assert data["n_atoms"] == 8
    script = (tmp_path / "md" / "in.lammps").read_text()
    assert f'unified "{tmp_path / "m.pt"}" 0' in script
    assert "block 0 1 0 1 0 1" in script


def test_dynamics_that_stop_early_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thermo = {"Step": [0.0, 5.0], "Temp": [600.0, 310.0], "PotEng": [-5.0, -4.0]}
    monkeypatch.setattr(stages, "run_lammps", _lammps(thermo))
    config = DemoConfig(dynamics_steps=10)
    with pytest.raises(EngineError, match=r"dynamics is not complete.*10 steps"):
        stages.run_dynamics(tmp_path / "m.pt", tmp_path / "md", config)


def test_the_shipped_pbesol_energies_have_their_minimum_where_pbesol_has_it() -> None:
    # Haas, Tran, Blaha, Phys. Rev. B 79, 085104 (2009): 4.216 Å with WIEN2k.
    assert demo_report.dft_lattice_constant() == pytest.approx(4.216, abs=0.01)


def test_learning_curves_come_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    records = [
        {"event": "train", "step": 1, "loss": 1.0},
        {"event": "validation", "step": 0, "heads": {"pbe": {"force_rmse": 40.0}}},
        {"event": "validation", "step": 5, "heads": {"pbe": {"force_rmse": 38.0}}},
    ]
    log.write_text("".join(json.dumps(record) + "\n" for record in records))

    class Trained:
        class result:  # noqa: N801 - stands for the attribute
            pass

    Trained.result.log = log
    data = demo_report.learning_curve(Trained)
    assert data["heads"]["pbe"] == {"steps": [0, 5], "force_rmse": [40.0, 38.0]}
