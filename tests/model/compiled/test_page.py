"""Every block of docs/compiled.md runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from doc_pages import code_blocks, run_shell

from lamplighter.lammps_interface.convert import convert
from lamplighter.model import Calculator, Potential, save_potential, select
from lamplighter.resources import base_model


@pytest.fixture
def blocks(root: Path) -> list[tuple[str, str]]:
    return code_blocks((root / "docs" / "compiled.md").read_text())


def test_the_calculator_of_the_page(
    blocks: list[tuple[str, str]],
    make_potential: Callable[..., Potential],
    crystal: Atoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (block,) = (text for language, text in blocks if language == "python")
    monkeypatch.chdir(tmp_path)
    small = select(make_potential(l_max=1, correlation=1), "pbe", ["H", "O", "Mg"])
    save_potential(small, tmp_path / "model.safetensors", provenance={})
    names: dict[str, Any] = {}
    exec(compile(block, "docs/compiled.md", "exec"), names)
    found = names["calculator"].evaluate(crystal)
    wanted = Calculator(small, backend="reference").evaluate(crystal)
    np.testing.assert_allclose(found.forces, wanted.forces, atol=2e-6)


def test_the_commands_of_the_page(
    blocks: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (block,) = (text for language, text in blocks if language == "sh")
    monkeypatch.chdir(tmp_path)
    convert(base_model(), "pbe", ["Mg", "O"], tmp_path / "mgo.pt", "float32")
    assert "bound by: processor" in run_shell(block)
