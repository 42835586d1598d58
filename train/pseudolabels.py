"""Labels that a potential gives to structures: a stage of its own, cached and whole.

The file holds every structure or does not exist. Its frames carry a digest of what they
depend on; the first frame spells it out. A file whose digest agrees is used again, one
whose digest does not is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms

from lamplighter import __version__
from lamplighter.errors import ConfigError, DataError, LamplighterError, explain
from lamplighter.files import atomic_path, sha256_file
from lamplighter.model import (
    Evaluation,
    Potential,
    evaluate,
    load_potential,
    read_header,
)
from lamplighter.train.data.extxyz import read_atoms
from lamplighter.train.data.labels import LabelSettings, describe
from lamplighter.train.structures import read_structures, uid_of
from lamplighter.train.xyz_writer import write_xyz

VERSION = 2
"""Raised when the same inputs would give other labels."""

DIGEST = "pseudolabel"
PARTS = ("weights", "head", "dtype", "code", "input", "frames")
KEPT = (
    *("config_type", "uid", "box", "domain", "group", "weight"),
    *("total_charge", "total_spin"),
)
"""Keys of the structures that the labelled file keeps."""

BATCH = 64
POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What the labels depend on.

    Attributes:
        weights: SHA-256 of the tensors, heads and hyperparameters of the potential.
        head: head that labels.
        dtype: precision of the evaluation.
        code: version of Lamplighter and of this stage.
        input: SHA-256 of the files with the structures, in their order, and of what
            is declared about them.
    """

    weights: str
    head: str
    dtype: str
    code: str
    input: str

    @property
    def digest(self) -> str:
        """64 hexadecimal digits of everything."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A file with pseudolabels.

    Attributes:
        path: the file, extended XYZ.
        frames: number of structures.
        fingerprint: what its labels depend on.
        reused: whether it was there already.
    """

    path: Path
    frames: int
    fingerprint: Fingerprint
    reused: bool


def label_structures(  # noqa: PLR0913 - each is an option of the command
    model: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    *,
    head: str,
    output: str | os.PathLike[str],
    labels: LabelSettings | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    device: str = "cpu",
    wait_s: float = 600.0,
) -> Labelled:
    """Write energies, forces and stresses of one head for all structures of some files.

    The labels are those of the head, without a dispersion term that it asks to add.
    Stresses are written for structures that are periodic in three directions and are
    not molecules in a box (``box=1``). Several processes may ask for the same file: one
    computes, the others wait for it.

    Args:
        model: a potential (safetensors).
        files: structures, extended XYZ (plain or gzip), the databases that training
            reads, or any format that ASE reads; labels that they have are left out.
        head: the head that labels.
        output: the file to write.
        labels: names and units in the files, and which of their structures are
            wanted; None means the defaults.
        dtype: precision of the evaluation.
        device: where to compute.
        wait_s: how long to wait for another process that writes the same file, s.

    Returns:
        The file, written now or found with the same fingerprint.

    Raises:
        ArtifactError: the model file is unusable.
        DataError: a structure cannot be read or evaluated; no file is written then, and
            the message names it.
        ConfigError: an unknown head; `output` is there with another fingerprint; or
            another process holds it for longer than `wait_s`.
    """
    target = Path(output)
    wanted = fingerprint_of(model, files, head=head, labels=labels, dtype=dtype)
    with _only_one(target, wait_s):
        if target.exists():
            return _reuse(target, wanted)
        potential = load_potential(model, dtype=dtype, device=device)
        level = potential.config.head(head).level_of_theory
        structures = [n for path in files for n in read_structures(Path(path), labels)]
        found = list(_evaluated(potential, structures, head))
        marks = _marks(wanted, len(structures))
        frames = [
            _labelled(atoms, one, {"head": head, "level": level, **mark})
            for (_, atoms), one, mark in zip(structures, found, marks, strict=True)
        ]
        with atomic_path(target) as temporary:
            write_xyz(temporary, frames)
    return Labelled(path=target, frames=len(frames), fingerprint=wanted, reused=False)


def fingerprint_of(
    model: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    *,
    head: str,
    labels: LabelSettings | None = None,
    dtype: str = "float64",
) -> Fingerprint:
    """Return what pseudolabels of these files would depend on.

    Raises:
        ArtifactError: the model file is unusable.
        ConfigError: an unknown head, or no file.
        DataError: a file that is missing.
    """
    header = read_header(model)
    header.config.head_index(head)
    if not files:
        raise ConfigError(explain("there is nothing to label", wanted="files"))
    digests = []
    for path in files:
        if not Path(path).is_file():
            raise DataError(explain("structure file not found", got=path))
        digests.append(sha256_file(path))
    if labels is not None and not labels.is_plain:
        digests.append(json.dumps(describe(labels), sort_keys=True))
    config = json.dumps(header.config.to_dict(), sort_keys=True)
    return Fingerprint(
        weights=_digest(header.tensors_sha256 + config),
        head=head,
        dtype=dtype,
        code=f"{__version__}/{VERSION}",
        input=_digest(" ".join(digests)),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _only_one(target: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock of a file; the system gives it back when the process ends."""
    if not target.parent.is_dir():
        raise ConfigError(
            explain(
                f"cannot write {target.name}: its folder does not exist",
                got=target.parent,
                fix=f"mkdir -p {target.parent}",
            )
        )
    lock = target.with_name(f".{target.name}.lock")
    with lock.open("a") as stream:
        end = time.monotonic() + wait_s
        while not _locked(stream.fileno()):
            if time.monotonic() >= end:
                raise ConfigError(
                    explain(
                        f"another process is writing {target}",
                        got=f"no end after {wait_s:g} s",
                        wanted="one process for each file",
                        fix="wait for it, give it more time (--wait), or end it",
                    )
                )
            time.sleep(min(POLL_S, wait_s))
        yield


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reuse(target: Path, wanted: Fingerprint) -> Labelled:
    """Return a file that is there, if it is whole and its fingerprint agrees."""
    frames = [atoms for _, atoms in read_atoms(target)]
    first = frames[0].info
    there = {name: str(first.get(f"{DIGEST}_{name}", "")) for name in PARTS}
    fix = "remove it, or write to another file"
    if not there["weights"]:
        raise ConfigError(
            explain(f"{target} is there and holds no pseudolabels", fix=fix)
        )
    differing = [
        f"{name} {there[name]} instead of {value}"
        for name, value in dataclasses.asdict(wanted).items()
        if there[name] != value
    ]
    if differing:
        raise ConfigError(
            explain(
                f"{target} holds pseudolabels that depend on something else",
                got="; ".join(differing),
                wanted="the same fingerprint",
                fix=fix,
            )
        )
    marked = [str(atoms.info.get(DIGEST, "")) for atoms in frames]
    if there["frames"] != str(len(frames)) or set(marked) != {wanted.digest}:
        raise ConfigError(
            explain(
                f"{target} was changed after it was written",
                got=f"{len(frames)} frames, {len(set(marked))} fingerprints",
                wanted=f"{there['frames']} frames, one fingerprint",
                fix=fix,
            )
        )
    return Labelled(path=target, frames=len(frames), fingerprint=wanted, reused=True)


def _evaluated(
    potential: Potential, structures: Sequence[tuple[str, Atoms]], head: str
) -> Iterator[Evaluation]:
    """Yield what the potential says; the structure that fails is named."""
    for start in range(0, len(structures), BATCH):
        part = structures[start : start + BATCH]
        try:
            found = _evaluate(potential, [atoms for _, atoms in part], head)
        except LamplighterError:
            _name_the_culprit(potential, part, head)
            raise
        yield from found


def _evaluate(
    potential: Potential, structures: Sequence[Atoms], head: str
) -> list[Evaluation]:
    return list(evaluate(potential, structures, head, dispersion="none"))


def _name_the_culprit(
    potential: Potential, structures: Sequence[tuple[str, Atoms]], head: str
) -> None:
    """Raise the error of the first structure that fails by itself."""
    for name, atoms in structures:
        try:
            _evaluate(potential, [atoms], head)
        except LamplighterError as error:
            raise DataError(
                explain(
                    f"{name} ({uid_of(atoms)}) cannot be labelled, so nothing is",
                    got=error,
                    fix="remove this structure, or replace it",
                )
            ) from error


def _marks(wanted: Fingerprint, frames: int) -> list[dict[str, Any]]:
    """Return the keys of every frame that say where its labels come from."""
    whole = {**dataclasses.asdict(wanted), "frames": frames}
    spelled = {f"{DIGEST}_{name}": whole[name] for name in PARTS}
    rest: list[dict[str, Any]] = [{DIGEST: wanted.digest} for _ in range(frames - 1)]
    return [{DIGEST: wanted.digest, **spelled}, *rest]


def _labelled(atoms: Atoms, found: Evaluation, info: dict[str, Any]) -> Atoms:
    """Return a structure with the labels of an evaluation and nothing else."""
    clean = Atoms(
        numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    kept = {key: atoms.info[key] for key in KEPT if key in atoms.info}
    clean.info = {"REF_energy": found.energy, **kept, "uid": uid_of(atoms), **info}
    clean.arrays["REF_forces"] = np.asarray(found.forces)
    boxed = str(atoms.info.get("box", "")).strip() not in {"", "0", "False"}
    if found.stress is not None and not boxed:
        clean.info["REF_stress"] = np.asarray(found.stress).ravel()
    return clean
