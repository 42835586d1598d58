"""The blocks of the tour, the tutorials and the reference run, in order."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_pages import code_blocks, run_shell

FILES = {
    "foundation": "heads.yaml",
    "replay": "finetune.yaml",
    "deployment": "suite.yaml",
}


def _run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run python and sh of a page, write its YAML; return the names of the Python."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LAMPLIGHTER_BACKEND", "auto")
    names: dict[str, Any] = {}
    for number, (kind, block) in enumerate(code_blocks(page.read_text())):
        if kind == "python":
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        elif kind == "sh":
            run_shell(block)
        elif kind == "yaml":
            Path(FILES[page.stem]).write_text(block)
    return names


def test_the_python_of_the_tour_runs(root, tmp_path, monkeypatch) -> None:
    names = _run(root / "docs" / "tour.md", tmp_path, monkeypatch)
    assert abs(names["difference"]) > 1e-3


def test_the_formats_are_as_the_page_says(root, tmp_path, monkeypatch) -> None:
    _run(root / "docs" / "reference" / "formats.md", tmp_path, monkeypatch)


def test_the_folder_of_the_pair_style_is_found(root, tmp_path, monkeypatch) -> None:
    page = root / "docs" / "reference" / "api_lammps.md"
    names = _run(page, tmp_path, monkeypatch)
    assert list(Path(names["folder"]).glob("*plugin.so"))


def test_the_plugin_of_the_tutorial_works(root, tmp_path, monkeypatch) -> None:
    page = root / "docs" / "tutorials" / "plugin.md"
    names = _run(page, tmp_path, monkeypatch)
    assert names["COMPRESSION"].name == "compression"
    (project,) = [
        block for kind, block in code_blocks(page.read_text()) if kind == "toml"
    ]
    points = tomllib.loads(project)["project"]["entry-points"]
    assert points["lamplighter.properties"] == {
        "compression": "compression:COMPRESSION"
    }
    with pytest.raises(names["ConfigError"], match="between 0 and 1"):
        names["CompressionSettings"](factor=2.0)


def test_citing_works_as_the_page_says(root, tmp_path, monkeypatch) -> None:
    _run(root / "docs" / "cite.md", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "page", ["install", "tutorials/cluster", "tutorials/deployment"]
)
def test_scripts_for_other_machines_are_bash(page, root) -> None:
    text = (root / "docs" / f"{page}.md").read_text()
    scripts = [block for kind, block in code_blocks(text) if kind == "bash"]
    assert scripts or page == "install"
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        if "#SBATCH" in script:
            assert script.startswith("#!/bin/bash\n#SBATCH")


def test_the_suite_and_the_settings_of_the_tutorials_are_accepted(
    root, tmp_path
) -> None:
    from lamplighter.train import FinetuneConfig
    from lamplighter.train.preset_files import read_with_preset
    from lamplighter.validation.suite import read_suite

    for page, read in (
        ("replay", lambda path: read_with_preset(FinetuneConfig, path)),
        ("deployment", read_suite),
    ):
        blocks = code_blocks((root / "docs" / "tutorials" / f"{page}.md").read_text())
        (text,) = [block for kind, block in blocks if kind == "yaml"]
        assert yaml.safe_load(text)
        path = tmp_path / FILES[page]
        path.write_text(text)
        assert read(path)


@pytest.mark.slow
def test_a_foundation_model_comes_to_lammps(
    root, tmp_path, monkeypatch, checkpoint
) -> None:
    # A small model of the architecture of MACE-MH-1 with its heads.
    (tmp_path / "mace-mh-1.model").symlink_to(checkpoint("mh1-narrow-old"))
    _run(root / "docs" / "tutorials" / "foundation.md", tmp_path, monkeypatch)
    assert "Loop time" in (tmp_path / "run" / "log.lammps").read_text()


@pytest.mark.slow
def test_the_tutorial_of_replay(root, tmp_path, monkeypatch) -> None:
    _run(root / "docs" / "tutorials" / "replay.md", tmp_path, monkeypatch)
    assert (tmp_path / "mgo-pbesol.pt").is_file()


@pytest.mark.slow
def test_the_tutorial_of_a_deployment(root, tmp_path, monkeypatch) -> None:
    names = _run(root / "docs" / "tutorials" / "deployment.md", tmp_path, monkeypatch)
    assert names["report"]["verdict"]["state"] == "pass"
    assert (tmp_path / "verdicts.xml").is_file()


@pytest.mark.slow
@pytest.mark.mpi
def test_the_tour_of_the_readme(root, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_BACKEND", "auto")
    (tmp_path / "models").symlink_to(root / "models")
    monkeypatch.chdir(tmp_path)
    for kind, block in code_blocks((root / "README.md").read_text()):
        if kind == "python":
            exec(compile(block, "README.md", "exec"), {})
        else:
            assert len(block.splitlines()) <= 22
            said = run_shell(block)
            assert "1 by 1 by 1 MPI processor grid" in said
            assert "2 MPI processor grid" in said or "2 by 1 by 1 MPI" in said
            assert "bulk_modulus" in said or "bulk modulus" in said
