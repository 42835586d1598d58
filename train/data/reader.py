"""Labelled frames from files, checked before anything is trained on them.

Extended XYZ, ASE databases, LMDB shards of ASE rows and HDF5 are told apart by their
endings; [`lamplighter.train.data.labels.LabelSettings`][] says what their labels are
called. Keys of extended XYZ:

* ``REF_energy`` (eV, total), ``REF_forces`` (eV/Å, columns);
* ``REF_stress`` (3x3, eV/Å^3, tension positive, optional) or ``REF_virial`` (3x3, eV,
  minus the stress times the volume);
* ``REF_hessian`` (columns of the atoms, three for each row of the Hessian, eV/Å^2,
  optional) with ``REF_hessian_index`` (atom and component of each row);
* ``weight`` (factor on the loss, optional), ``head``, ``level``, ``config_type``,
  ``uid``, ``domain``, ``group`` and ``box`` (1: a molecule in a periodic box, whose
  stress means nothing).
"""

from __future__ import annotations

import difflib
import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.errors import DataError, explain
from lamplighter.train.data.checks import check_file, check_frame
from lamplighter.train.data.foreign_weights import check_foreign_weights
from lamplighter.train.data.frame import Frame, geometry_digest
from lamplighter.train.data.hessian import HessianRows
from lamplighter.train.data.labels import LabelSettings, is_wanted
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.data.sources import is_xyz, read_source, translated

ENERGY, FORCES, STRESS = "REF_energy", "REF_forces", "REF_stress"
VIRIAL, HESSIAN, ROWS = "REF_virial", "REF_hessian", "REF_hessian_index"


def read_frames(
    path: str | os.PathLike[str],
    head: str | None = None,
    *,
    level: str | None = None,
    limits: ReaderLimits | None = None,
    labels: LabelSettings | None = None,
) -> list[Frame]:
    """Return the labelled frames of a file: extended XYZ, a database or HDF5.

    Args:
        path: the file.
        head: the head that every frame must belong to; frames without a ``head`` key
            take it. None accepts any head, and then every frame must name one.
        level: the level of theory that every frame which names one must have.
        limits: bounds on magnitudes and distances; None means the defaults.
        labels: names and units of the labels; None means the defaults.

    Raises:
        DataError: anything that cannot be trained on: no frame, a truncated file, NaN,
            missing or misshapen labels, magnitudes that smell of other units, a
            foreign head or level, a stress that is asymmetric or belongs to a
            molecule, atoms on top of each other, a uid used twice. The message names
            file, frame number, uid and key.
        OptionalDependencyError: a package that the file needs is not installed.
    """
    source, bounds = Path(path), limits or ReaderLimits()
    found = numbered_frames(source, head, level=level, limits=bounds, labels=labels)
    frames = [frame for _, frame in found]
    check_file(frames, source, bounds)
    return frames


def numbered_frames(
    path: str | os.PathLike[str],
    head: str | None = None,
    *,
    level: str | None = None,
    limits: ReaderLimits | None = None,
    labels: LabelSettings | None = None,
    start: int = 0,
    refused: Callable[[int, DataError], None] | None = None,
) -> Iterator[tuple[int, Frame]]:
    """Yield the frames of a file with their numbers, each checked by itself.

    Args:
        path: the file.
        head: as for `read_frames`.
        level: as for `read_frames`.
        limits: as for `read_frames`.
        labels: as for `read_frames`.
        start: frames to pass over without looking at their labels.
        refused: is called with the number of a frame that is refused, and why; reading
            then goes on with the next one. None raises instead.

    Raises:
        DataError: the file cannot be read, holds no frame, or a frame is refused.
    """
    source = Path(path)
    bounds, settings = limits or ReaderLimits(), labels or LabelSettings()
    plain = settings.is_plain and is_xyz(source)
    number = -1
    for found in read_source(source, start):
        number = found.number
        if not is_wanted(found, settings.where):
            continue
        try:
            atoms = found.atoms if plain else translated(found, settings, source)
            frame = _frame(_Raw(atoms, source, number), head, level, bounds)
        except DataError as error:
            if refused is None:
                raise
            refused(number, error)
        else:
            yield number, frame
    if number < start and start == 0:
        text = explain(f"{source} holds no frame", got="an empty file", wanted=">= 1")
        raise DataError(text)


def frames_to_judge(
    path: Path, head: str, limits: ReaderLimits, labels: LabelSettings
) -> Iterator[Frame]:
    """Yield frames that are judged, not learnt: one label of each is enough.

    A frame without an energy has NaN; one without a ``head`` key gets `head`.
    """
    plain = labels.is_plain and is_xyz(path)
    for found in read_source(path, 0):
        if is_wanted(found, labels.where):
            atoms = found.atoms if plain else translated(found, labels, path)
            yield _frame(_Raw(atoms, path, found.number, head), None, None, limits)


def _frame(
    raw: _Raw, head: str | None, level: str | None, limits: ReaderLimits
) -> Frame:
    atoms = raw.atoms
    frame = Frame(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=np.asarray(atoms.positions, dtype=float),
        cell=np.asarray(atoms.cell.array, dtype=float),
        pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        energy=raw.energy(),
        forces=raw.forces(required=limits.require_forces and len(atoms) > 1),
        stress=raw.stress(),
        head=raw.head(head),
        level=raw.level(level),
        config_type=raw.text("config_type"),
        uid=raw.uid,
        source=raw.where,
        domain=raw.text("domain"),
        weight=raw.weight(),
        hessian=raw.hessian(),
        group=raw.text("group"),
    )
    check_frame(frame, limits)
    return frame


@dataclass(frozen=True)
class _Raw:
    """A parsed frame and the means to complain about it."""

    atoms: Atoms
    path: Path
    number: int
    for_judging: str | None = None

    @property
    def labels(self) -> Mapping[str, Any]:
        """Keys of the comment line."""
        return self.atoms.info

    @functools.cached_property
    def uid(self) -> str:
        """The ``uid`` key, or a digest of the geometry."""
        atoms = self.atoms
        return self.text("uid") or geometry_digest(
            np.asarray(atoms.numbers), atoms.positions, atoms.cell.array
        )

    @property
    def where(self) -> str:
        """File, frame number and uid."""
        return f"{self.path}: frame {self.number} (uid {self.uid})"

    def text(self, key: str) -> str:
        """A key as text, "" when absent."""
        value = self.labels.get(key, "")
        return str(value).strip()

    def refuse(self, key: str, problem: str, **parts: Any) -> NoReturn:
        raise DataError(explain(f"{self.where}: {key} {problem}", **parts))

    def missing(self, key: str, wanted: str) -> NoReturn:
        there = [*self.labels, *self.atoms.arrays]
        if self.atoms.calc is not None:
            there += [str(name) for name in self.atoms.calc.results]
        bare = key.removeprefix("REF_")
        near = [k for k in there if bare in k.lower()]
        near += difflib.get_close_matches(key, there, n=1)
        self.refuse(
            key,
            "is missing",
            got=f"keys {', '.join(there)}",
            wanted=wanted,
            fix=f"rename {near[0]} to {key} if that is what it holds, or name it in "
            f"labels.{bare}_key"
            if near
            else None,
        )

    def energy(self) -> float:
        wanted = "the total energy in eV, one number"
        if ENERGY not in self.labels:
            others = FORCES in self.atoms.arrays or STRESS in self.labels
            if self.for_judging is not None and others:
                return math.nan
            self.missing(ENERGY, wanted)
        value = self._numbers(ENERGY, self.labels[ENERGY], wanted)
        if value.shape != ():
            self.refuse(
                ENERGY, "has the wrong shape", got=value.shape, wanted="one number"
            )
        return float(value)

    def forces(self, *, required: bool) -> Floats | None:
        wanted = f"forces in eV/Å, {len(self.atoms)} x 3, as columns of the atoms"
        if FORCES not in self.atoms.arrays:
            if FORCES in self.labels:
                self.refuse(FORCES, "is on the comment line", wanted=wanted)
            if required:
                self.missing(FORCES, wanted)
            return None
        value = self._numbers(FORCES, self.atoms.arrays[FORCES], wanted)
        if value.shape != (len(self.atoms), 3):
            self.refuse(FORCES, "have the wrong shape", got=value.shape, wanted=wanted)
        return value

    def stress(self) -> Floats | None:
        key, wanted = STRESS, "3 x 3 numbers in eV/Å^3, tension positive"
        if VIRIAL in self.labels:
            if STRESS in self.labels:
                self.refuse(VIRIAL, "says the same as REF_stress", wanted="one of them")
            key, wanted = VIRIAL, "3 x 3 numbers in eV, minus the stress x volume"
        if key not in self.labels:
            return None
        value = self._numbers(key, self.labels[key], wanted)
        if value.shape not in {(3, 3), (9,)}:
            self.refuse(key, "has the wrong shape", got=value.shape, wanted=wanted)
        if not all(self.atoms.pbc) or self.text("box") not in {"", "0", "False"}:
            self.refuse(
                key,
                "belongs to a frame whose cell means nothing",
                got=f"pbc {self.atoms.pbc.tolist()}, box {self.text('box') or 0}",
                wanted="stress only for frames that are periodic in three directions",
                fix=f"remove {key} from this frame",
            )
        factor = 1.0 if key == STRESS else -1.0 / self.atoms.get_volume()
        return factor * value.reshape(3, 3)

    def weight(self) -> float:
        wanted = "one number, at least 0"
        value = self._numbers("weight", self.labels.get("weight", 1.0), wanted)
        if value.shape != () or value < 0:
            self.refuse("weight", "is not a weight", got=value.tolist(), wanted=wanted)
        if self.for_judging is None:
            check_foreign_weights(self.labels, self.where)
        return float(value)

    def hessian(self) -> HessianRows | None:
        if HESSIAN not in self.atoms.arrays:
            return None
        wanted = f"atom and component of each row of {HESSIAN}"
        if ROWS not in self.labels:
            self.missing(ROWS, wanted)
        index = self._numbers(ROWS, self.labels[ROWS], wanted).ravel()
        value = self._numbers(HESSIAN, self.atoms.arrays[HESSIAN], "eV/Å^2")
        n_atoms, n_rows = len(self.atoms), len(index) // 2
        if len(index) % 2 or value.size != 3 * n_rows * n_atoms or not n_rows:
            self.refuse(
                HESSIAN,
                f"and {ROWS} do not fit",
                got=f"{value.size // n_atoms} columns, {len(index)} numbers",
                wanted=f"three columns for each row; {wanted}",
            )
        pairs = index.reshape(n_rows, 2).astype(np.int64)
        rows = HessianRows(
            atoms=pairs[:, 0],
            components=pairs[:, 1],
            values=value.reshape(n_atoms, n_rows, 3).swapaxes(0, 1),
        )
        rows.check(self.where)
        return rows

    def head(self, head: str | None) -> str:
        found = self.text("head") or (self.for_judging or "")
        if self.for_judging is not None and head is None:
            return found
        if head is None and not found:
            self.missing("head", "the name of the head that the frame belongs to")
        if head is not None and found and found != head:
            self.refuse(
                "head",
                "is not the head that this file was given for",
                got=repr(found),
                wanted=repr(head),
                fix="give the file to its own head, or correct the key",
            )
        return found or str(head)

    def level(self, level: str | None) -> str:
        found = self.text("level")
        if level is not None and found and found != level:
            self.refuse(
                "level",
                "differs from the level of theory that the head declares",
                got=repr(found),
                wanted=repr(level),
                fix="labels of two levels of theory cannot share a head",
            )
        return found or (level or "")

    def _numbers(self, key: str, value: object, wanted: str) -> Floats:
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(
                explain(
                    f"{self.where}: {key} is not numbers",
                    got=repr(value)[:80],
                    wanted=wanted,
                )
            ) from error
        if not np.isfinite(array).all():
            bad = np.argwhere(~np.isfinite(np.atleast_1d(array)))[0]
            self.refuse(
                key,
                "holds a NaN or an infinity",
                got=f"{np.atleast_1d(array)[tuple(bad)]} at {bad.tolist()}",
                wanted=wanted,
                fix="remove the frame or label it again",
            )
        return array
