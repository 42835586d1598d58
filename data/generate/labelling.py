"""The loop of both labellers: resume by uid, one frame at a time on the disk."""

import argparse
import importlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
from ase import Atoms
from ase.io import read
from catalogue import read_uids, select_structures
from labelled_frames import append_frame, done_uids, failed_reasons

log = logging.getLogger(__name__)


class MissingCodeError(ImportError):
    """An electronic-structure code is not installed."""


def load_code(module: str) -> ModuleType:
    """An electronic-structure module, imported when it is needed.

    Raises:
        MissingCodeError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = (
            f"{module} cannot be imported ({error}). Labelling needs its own "
            "interpreter: install requirements.txt as data/README.md says, then run "
            "this script with that interpreter."
        )
        raise MissingCodeError(message) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a code says about one structure.

    Attributes:
        energy: Total energy, eV.
        forces: [n_atoms, 3], eV/Å, as the code gives them.
        stress: [6] or [3, 3], eV/Å^3, tension positive; None where it has none.
        record: Further keys of the frame.
    """

    energy: float
    forces: np.ndarray
    stress: np.ndarray | None
    record: dict[str, str | float] = field(default_factory=dict)


def label_structures(
    structures: Sequence[Atoms],
    output: Path,
    label: Callable[[Atoms], Label],
    *,
    limit_s: float = float("inf"),
) -> int:
    """Label the structures that the output does not hold yet.

    Args:
        structures: What to label, in this order.
        output: Plain extended XYZ file; frames are appended to it.
        label: Computes one structure.
        limit_s: No structure is begun after this many seconds.

    Returns:
        The number of labels added.
    """
    done = done_uids(output)
    start = time.monotonic()
    added = 0
    for atoms in structures:
        if atoms.info["uid"] in done:
            continue
        if time.monotonic() - start > limit_s:
            break
        added += label_one(atoms, output, label)
    return added


def failed_last(structures: Sequence[Atoms], words: Path) -> list[Atoms]:
    """The structures, those that failed before behind the others.

    A long calculation that never converges would else use up every turn of its file.
    """
    failed = failed_reasons(words)
    return sorted(structures, key=lambda atoms: atoms.info["uid"] in failed)


def label_one(atoms: Atoms, output: Path, label: Callable[[Atoms], Label]) -> bool:
    """Label one structure and append it; log the failure where there is one.

    Returns:
        Whether there is a label.
    """
    name = f"{atoms.info['uid']} {atoms.info['config_type']}"
    cpu, wall = time.process_time(), time.monotonic()
    try:
        result = label(atoms)
    except MissingCodeError:
        raise
    except Exception as error:  # noqa: BLE001 - one structure must not end the run
        reason = " ".join(str(error).split())[:120]
        log.info("%s FAILED %s %s", name, type(error).__name__, reason)
        return False
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    net = float(np.abs(result.forces.sum(axis=0)).max())
    append_frame(
        output,
        atoms,
        energy=result.energy,
        forces=result.forces - result.forces.mean(axis=0),
        stress=result.stress,
        record={**result.record, "net_force": net, "cpu_s": round(cpu, 1)},
    )
    log.info(
        "%s %d E/atom %.4f Fmax %.3f net %.5f cpu %.1f wall %.1f",
        name,
        len(atoms),
        result.energy / len(atoms),
        np.abs(result.forces).max(),
        net,
        cpu,
        wall,
    )
    return True


def labeller_arguments(
    description: str, methods: Sequence[str], argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """The command line that both labellers share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("method", choices=methods)
    parser.add_argument("structures", type=Path, help="unlabelled extended XYZ")
    parser.add_argument("output", type=Path, help="plain extended XYZ to append to")
    parser.add_argument("--uids", type=Path, help="label only the uids of this list")
    parser.add_argument("--every", type=int, default=1, help="take every n-th")
    parser.add_argument("--max-atoms", type=int, help="largest structure to take")
    parser.add_argument(
        "--limit-s", type=float, default=float("inf"), help="begin none after this time"
    )
    return parser.parse_args(argv)


def run_labeller(arguments: argparse.Namespace, label: Callable[[Atoms], Label]) -> int:
    """Label what the command line asks for; the exit code of the labeller."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    structures = select_structures(
        read(arguments.structures, ":"),
        uids=read_uids(arguments.uids) if arguments.uids else None,
        every=arguments.every,
        max_atoms=arguments.max_atoms,
    )
    structures = failed_last(structures, arguments.output.with_suffix(".log"))
    try:
        label_structures(structures, arguments.output, label, limit_s=arguments.limit_s)
    except MissingCodeError as error:
        log.error("%s", error)  # noqa: TRY400 - the user needs no traceback
        return 3
    return 0
