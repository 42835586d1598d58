"""Copies of the examples, run by the very commands of their READMEs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from doc_pages import code_blocks
from example_shell import shell


@pytest.fixture
def example(root: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies an example, with what it refers to beside it."""

    def copy(name: str) -> Path:
        folder = tmp_path / "examples" / name
        shutil.copytree(root / "examples" / name, folder)
        if name != "mgo-nvt":
            (folder.parent / "mgo-nvt").symlink_to(root / "examples" / "mgo-nvt")
        (tmp_path / "models").symlink_to(root / "models")
        return folder

    return copy


@pytest.fixture
def run_readme(example: Callable[[str], Path]) -> Callable[[str], tuple[Path, str]]:
    """Return a function that runs the shell blocks of a README in a copy."""

    def run(name: str) -> tuple[Path, str]:
        folder = example(name)
        blocks = code_blocks((folder / "README.md").read_text())
        commands = [text for language, text in blocks if language == "sh"]
        assert commands, f"{name}/README.md has no commands"
        return folder, "".join(shell(text, folder) for text in commands)

    return run
