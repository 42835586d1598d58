"""The whole road once, on real data: what ``lamplighter demo`` and ``make demo`` do.

Stages: post-train the shipped base model on a new level of theory by multi-head replay;
convert the head ``pbe``; run molecular dynamics of MgO in LAMMPS; validate through ASE
and LAMMPS; look at the new head; write a report.

The exit code says whether the road holds: 1 when LAMMPS does not give the model's
numbers or a calculation is invalid. A physics number outside its tolerance is shown
as ``miss`` in the table and the report and does not change the exit code: it tells what
the model is worth, not that something broke.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lamplighter import console
from lamplighter.demo.config import ELEMENTS, HEAD, NEW_HEAD, DemoConfig
from lamplighter.errors import ConfigError, explain
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.validation.runner import SuiteResult

__all__ = ["DemoConfig", "prepare_folder", "run_demo"]

MARKER: Final = ".lamplighter-demo"
_OWN: Final = (
    *("post-training", "dynamics", "validation"),
    *("mgo-pbe.pt", "mgo-pbe-float32.pt", "report.html", "report.json"),
)


@dataclass(slots=True)
class Clock:
    """Names of the stages with the seconds that each took."""

    start: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str, text: str) -> Iterator[None]:
        """Announce a stage and time it."""
        begin = time.perf_counter()
        console.info(f"[{_clock(begin - self.start)}] {name}: {text}")
        yield
        self.stages[name] = time.perf_counter() - begin

    def say(self, text: str) -> None:
        """Write a line with the time since the start."""
        console.info(f"[{_clock(time.perf_counter() - self.start)}] {text}")


def run_demo(output: Path, config: DemoConfig | None = None) -> int:
    """Run the demo and return its exit code.

    Args:
        output: folder for the report, the models and every log. An earlier demo in it
            is overwritten.
        config: how much of everything to do.

    Returns:
        0 when everything ran and LAMMPS gives the model's numbers, 1 otherwise.

    Raises:
        ConfigError: the folder holds something that is not an earlier demo.
        LamplighterError: a stage failed; the message says what to do, and what was
            finished stays in the folder.
    """
    prepare_folder(output)
    config = config or DemoConfig()
    clock = Clock()
    console.info(f"Lamplighter demo, about ten minutes on two cores; files in {output}")
    from lamplighter.validation.open_engines import (  # noqa: PLC0415 - ase
        one_thread_each,
    )

    with one_thread_each():
        suite, document = _road(output, config, clock)
    show(document)
    clock.say(f"report: {output / 'report.html'}")
    return suite.exit_code


def _road(
    output: Path, config: DemoConfig, clock: Clock
) -> tuple[SuiteResult, dict[str, Any]]:
    """Go through the stages and return the validation and the report's document."""
    from lamplighter.demo import report, stages  # noqa: PLC0415 - loads torch

    with clock.stage("post-training", f"add head {NEW_HEAD}, replay the others"):
        trained = stages.post_train(output / "post-training", config)
    with clock.stage("conversion", f"head {HEAD}, {' '.join(ELEMENTS)}, for LAMMPS"):
        exact, fast = stages.convert_model(trained.result.model, output)
    with clock.stage("dynamics", f"{config.n_atoms} atoms of MgO in LAMMPS"):
        dynamics = stages.run_dynamics(fast, output / "dynamics", config)
    with clock.stage("validation", "parity, then physics through ASE and LAMMPS"):
        suite = stages.validate(
            trained.result.model, exact, output / "validation", config
        )
    with clock.stage("report", "errors of every head, the new head, figures"):
        document = report.demo_document(suite, trained, dynamics)
        document["stages"] = [
            *({"name": name, "seconds": spent} for name, spent in clock.stages.items()),
            *document["stages"],
        ]
        report.write_report(document, output)
    return suite, document


def show(document: dict[str, Any]) -> None:
    """Write the verdict to the terminal."""
    from lamplighter.validation.report.terminal import (  # noqa: PLC0415 - matplotlib
        verdict_lines,
    )

    for line in verdict_lines(document):
        console.info(line)


def prepare_folder(output: Path) -> None:
    """Make the folder of a demo, or clear an earlier demo out of it.

    Only what a demo writes is removed; a folder that holds anything else and no earlier
    demo is refused.

    Raises:
        ConfigError: as above, or `output` is a file.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(
            explain("the output is a file", got=output, wanted="a folder")
        )
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()) and not (output / MARKER).is_file():
        raise ConfigError(
            explain(
                "the output folder is not empty and holds no earlier demo",
                got=output,
                wanted="a new or empty folder, or that of an earlier demo",
                fix="choose another folder with --output",
            )
        )
    with atomic_path(output / MARKER) as marker:
        marker.write_text("Made by lamplighter demo, which overwrites its own files.\n")
    for name in _OWN:
        path = output / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _clock(seconds: float) -> str:
    """Return minutes and seconds, for example ``2:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
