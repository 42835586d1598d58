"""Every block of docs/validation_engines.md runs, in order, in one folder."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from doc_pages import code_blocks

from lamplighter import cli
from lamplighter.validation.engines.pair_style import shipped_potentials
from lamplighter.validation.suite import read_suite


@pytest.fixture
def blocks(root, tmp_path, monkeypatch) -> list[tuple[str, str]]:
    found = code_blocks((root / "docs" / "validation_engines.md").read_text())
    assert [kind for kind, _ in found] == ["yaml", "python", "python", "sh", "python"]
    monkeypatch.chdir(tmp_path)
    shutil.copy(shipped_potentials() / "Si.tersoff", tmp_path)
    Path("suite.yaml").write_text(found[0][1])
    return found


def test_the_python_of_the_page_runs(blocks, capsys) -> None:
    names: dict[str, Any] = {}
    for number, (kind, block) in enumerate(blocks):
        if kind == "python":
            exec(compile(block, f"docs, block {number}", "exec"), names)
    assert capsys.readouterr().out.endswith("pass\n")
    suite = read_suite("suite.yaml")
    assert [engine.kind for engine in suite.engines] == ["ase", "lammps-file"]


@pytest.mark.slow
@pytest.mark.mpi
def test_the_suite_of_the_page_has_parity(blocks, capsys) -> None:
    (command,) = [block for kind, block in blocks if kind == "sh"]
    program, *words = shlex.split(command)
    assert program == "lamplighter"
    assert cli.run(words) == 0
    out = capsys.readouterr().out
    assert "newton off: LAMMPS says ERROR: Pair style Tersoff requires" in out
    assert "8. through a restart" in out
