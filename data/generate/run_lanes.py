"""Run one lane of labelling: its heads in rounds, so that each has data early.

    nice -n 19 python run_lanes.py periodic --labels FOLDER
    nice -n 19 python run_lanes.py molecules --labels FOLDER

Begins from the published frames, resumes by uid, stops when a whole round adds nothing.
Start it again at any time to go on. Run it with the interpreter that has the codes.
"""

import argparse
import gzip
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from catalogue import GENERATE, PUBLISHED, STRUCTURES, Dataset, dataset_named
from labelled_frames import done_uids, write_atomically

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One labeller call within a round.

    Attributes:
        name: The data set.
        limit_s: Seconds after which the labeller begins no further structure.
        uid_list: The one list to take; None takes all that the data set asks for.
    """

    name: str
    limit_s: float = float("inf")
    uid_list: str | None = None


ROUNDS = {
    "periodic": (
        Turn(name="crystal_pbesol", limit_s=600, uid_list="crystal_pbesol"),
        Turn(name="surface_rpbe", limit_s=600),
        Turn(name="crystal_r2scan", limit_s=480, uid_list="crystal_r2scan"),
        Turn(name="crystal_r2scan", limit_s=300, uid_list="crystal_r2scan_box"),
        Turn(name="crystal_pbe", limit_s=480),
    ),
    "molecules": (
        Turn(name="react_b3lyp", limit_s=420),
        Turn(name="mol_wb97mv", limit_s=600),
    ),
}
LAST = {
    "periodic": (
        Turn(name="surface_pbe", uid_list="surface_pbe"),
        Turn(name="reference_pbe"),
    ),
    "molecules": (Turn(name="react_wb97mv"), Turn(name="reference_wb97mv")),
}
"""The test-only files, labelled once the others are done."""

RELAXED = ("slab_pbe", "slab_pbe_thick")
"""Steps of relaxations: `relax_slabs.py` makes them, not a lane."""


def labeller_command(turn: Turn, labels: Path) -> list[str]:
    """The command line of a turn."""
    dataset = dataset_named(turn.name)
    script = "label_periodic.py" if dataset.periodic else "label_molecules.py"
    command = [
        sys.executable,
        str(GENERATE / script),
        dataset.method,
        str(STRUCTURES / f"{dataset.structures}.xyz"),
        str(labels / f"{dataset.name}.xyz"),
        "--limit-s",
        str(turn.limit_s),
        "--every",
        str(dataset.every),
    ]
    if turn.uid_list:
        command += ["--uids", str(STRUCTURES / f"{turn.uid_list}.uids")]
    if dataset.max_atoms is not None:
        command += ["--max-atoms", str(dataset.max_atoms)]
    return command


def unpack_published(dataset: Dataset, labels: Path, published: Path) -> None:
    """Begin a labeller's file from the published frames, unless it is there."""
    target = labels / f"{dataset.name}.xyz"
    source = published / f"{dataset.name}.xyz.gz"
    if source.exists() and not target.exists():
        write_atomically(target, gzip.decompress(source.read_bytes()))


def take_turn(turn: Turn, labels: Path) -> int:
    """Run a labeller, its words appended to `NAME.log`; how many labels it added.

    Raises:
        subprocess.CalledProcessError: The labeller could not run.
    """
    output = labels / f"{turn.name}.xyz"
    before = len(done_uids(output))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with (labels / f"{turn.name}.log").open("a") as words:
        subprocess.run(
            labeller_command(turn, labels),
            env=os.environ | threads,
            stdout=words,
            stderr=subprocess.STDOUT,
            check=True,
        )
    added = len(done_uids(output)) - before
    log.info("%s: %d new labels", turn.name, added)
    return added


def run_rounds(turns: Sequence[Turn], take: Callable[[Turn], int]) -> None:
    """Take the turns in rounds until a whole round adds no label."""
    while sum([take(turn) for turn in turns]):
        log.info("next round")


def main() -> int:
    """Run a lane from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lane", choices=tuple(ROUNDS))
    parser.add_argument("--labels", type=Path, required=True, help="working folder")
    arguments = parser.parse_args()
    labels: Path = arguments.labels.resolve()
    labels.mkdir(parents=True, exist_ok=True)
    turns = (*ROUNDS[arguments.lane], *LAST[arguments.lane])
    for turn in turns:
        unpack_published(dataset_named(turn.name), labels, PUBLISHED)
    try:
        run_rounds(ROUNDS[arguments.lane], lambda turn: take_turn(turn, labels))
        run_rounds(LAST[arguments.lane], lambda turn: take_turn(turn, labels))
    except subprocess.CalledProcessError as error:
        log.error("%s; see the log of the data set in %s", error, labels)  # noqa: TRY400 - the log has it
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
