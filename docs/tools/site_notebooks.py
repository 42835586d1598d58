"""Notebooks as pages: executed when the site is built, with their pictures beside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

_FOLDER = "notebooks"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def _notebooks(root: Path) -> list[Path]:
    return sorted((root / "docs" / _FOLDER).glob("*.ipynb"))


def pages(root: Path) -> list[Any]:
    """Return the entry of the navigation, empty without notebooks."""
    found = [f"{_FOLDER}/{path.stem}.md" for path in _notebooks(root)]
    return [{"Notebooks": found}] if found else []


def texts(root: Path, *, execute: bool) -> dict[str, str | bytes]:
    """Return the pages and their pictures by their address in the site.

    Args:
        root: the repository.
        execute: whether the notebooks are run; a cell that fails ends the build.
    """
    found: dict[str, str | bytes] = {}
    for path in _notebooks(root):
        found |= _page(path, execute=execute)
    return found


def _page(path: Path, *, execute: bool) -> dict[str, str | bytes]:
    notebook = nbformat.read(path, as_version=4)
    if execute:
        resources = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=600, resources=resources).execute()
    body, found = MarkdownExporter().from_notebook_node(
        notebook, resources={"output_files_dir": path.stem, "unique_key": path.stem}
    )
    pictures = {
        f"{_FOLDER}/{name}": data for name, data in found.get("outputs", {}).items()
    }
    return {f"{_FOLDER}/{path.stem}.md": _ANSI.sub("", body)} | pictures
