"""The side of Symmetrix-XL: generates and compiles its code, then evaluates.

Started by cpu_step.py with the Python of an environment that has Symmetrix-XL and
mace-torch; the argument is the folder of the task. Reads the model that the side of
mace-torch wrote.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

# see train_step_mace.py
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
warnings.filterwarnings("ignore")

from cpu_step_side import (  # noqa: E402
    AseSteps,
    Clock,
    read_task,
    serve,
    structure,
    write_answer,
)


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    cache = task["symmetrix_cache"] or str(folder / "symmetrix")
    Path(cache).mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["SYMMETRIX_JIT_CACHE"] = cache
    import symmetrix  # noqa: PLC0415  (reads the environment)

    clock = Clock()
    calculator = symmetrix.Symmetrix(
        str(folder / "mace.model"), dtype=task["dtype"], execution_profile="speed"
    )
    steps = AseSteps(calculator, structure(task))
    steps.run(1)
    setup = clock.read()
    write_answer(folder / "symmetrix.npz", *steps.results())
    serve(steps.run, {"symmetrix_xl": symmetrix.__version__, "setup": setup})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
