"""Every block of docs/python.md runs, in order, in one interpreter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def blocks(root: Path) -> list[str]:
    text = (root / "docs" / "python.md").read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_page_runs(
    blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(blocks) == 8
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
    assert names["stress"].shape == (6,)
    assert names["vectors"].shape == (2, 2 * names["last"].shape[1])
    assert names["spread"] > 0.0
    assert names["matrix"].shape == (2, 3, 2, 3)
    single = [
        one.energy
        for one in names["evaluate"](names["potential"], names["curve"], "pbe")
    ]
    np.testing.assert_allclose(names["energies"].numpy(), single, atol=1e-9)
