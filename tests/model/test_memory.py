"""Freed memory is kept, unless the user said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
from lamplighter.memory import reuse_freed_memory
print(reuse_freed_memory())
"""


@pytest.mark.parametrize(
    ("setting", "answer"), [({}, "True"), ({"MALLOC_ARENA_MAX": "1"}, "False")]
)
def test_settings_of_the_user_win(setting: dict[str, str], answer: str) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=clean | setting,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == answer
