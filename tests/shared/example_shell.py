"""A shell in a folder, with the programs of this environment."""

import os
import subprocess
import sys
from pathlib import Path


def shell(text: str, folder: Path) -> str:
    """Run lines of a shell in a folder; return what they printed."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-ec", text],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout
