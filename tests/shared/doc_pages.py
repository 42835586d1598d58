"""Code blocks of the pages in docs/, and a shell in which those of `sh` run."""

import os
import re
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Return language and content of each code block of a page, in order."""
    return _BLOCK.findall(text)


def run_shell(block: str) -> str:
    """Run a block with the programs of this environment; return what it printed."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-ec", block],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
