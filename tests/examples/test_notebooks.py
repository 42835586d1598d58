"""The notebooks run from top to bottom, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NAMES = ["first-look", "validation-report"]


def cells(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return notebook, [x for x in notebook.cells if x.cell_type == "code"]


def test_these_are_all():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_outputs_are_committed(name):
    _, code = cells(name)
    assert len(code) > 5
    assert all(not x.outputs and x.execution_count is None for x in code)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of the kernel's transport
@pytest.mark.parametrize(("name", "says"), [(NAMES[0], "r2scan"), (NAMES[1], "GPa")])
def test_it_runs(name, says, tmp_path):
    notebook, code = cells(name)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [one for x in code for one in x.outputs]
    assert any(says in one.get("text", "") for one in outputs)
    assert sum("image/png" in one.get("data", {}) for one in outputs) >= 2
