"""Which frames of the shipped data each head learns from, and which nobody learns from.

A geometry is on one side for every head: no head is trained or validated on a geometry
(by `uid`, and for molecules also by its distances) that any test set holds.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from lamplighter.errors import DataError, explain
from lamplighter.files import atomic_path
from lamplighter.resources import dataset
from lamplighter.train import Frame, read_frames
from lamplighter.train.config import SplitSettings
from lamplighter.train.data.split import Split, split_frames

SAME_DISTANCES = 1e-3
"""Two molecules are one geometry when their sorted distances agree to this, Å."""

CONTRADICTING = ("rx_H2CO_H+HCO",)
"""A path of triplets, whose labels contradict singlets at the same geometries."""

NOT_CRYSTALS = ("dimer", "gas_molecule")
"""Kinds of `crystal_pbe` that the PBE head is not given: they are not its domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A labelled file and its head.

    Attributes:
        name: of the shipped data set, or of the file beside this script.
        head: its head.
        level: its level of theory.
        beside: whether the file lies beside this script.
    """

    name: str
    head: str
    level: str
    beside: bool = False

    @property
    def path(self) -> Path:
        """Where the file lies."""
        here = Path(__file__).resolve().parent
        return here / f"{self.name}.xyz.gz" if self.beside else dataset(self.name)


PBE = Source(name="crystal_pbe", head="pbe", level="PBE")
R2SCAN = Source(name="crystal_r2scan", head="r2scan", level="r2SCAN")
RPBE = Source(name="surface_rpbe", head="rpbe", level="RPBE")
WB97 = Source(name="mol_wb97mv", head="wb97m-v", level="wb97m-v/def2-tzvpd")
B3LYP = Source(name="react_b3lyp", head="b3lyp-d3bj", level="b3lyp-d3bj/def2-tzvp")
SOURCES = (PBE, R2SCAN, RPBE, WB97, B3LYP)
SLABS = Source(name="slab_pbe", head="pbe", level="PBE")
THICK = Source(name="slab_pbe_thick", head="pbe", level="PBE")
SURFACES = Source(name="surface_pbe", head="pbe", level="PBE")
MOLECULES = Source(name="molecules_pbe", head="pbe", level="PBE", beside=True)
"""Held-out molecules and paths at PBE; `label_pbe.py` makes it."""

PATHS = Source(name="react_wb97mv", head="wb97m-v", level="wb97m-v/def2-tzvpd")

SEED = 4
"""Of the first twelve draws the one that leaves every head enough frames to be judged
on (15 of r2SCAN, 10 of PBE for validation); chosen by these counts, before training."""

CRYSTALS_AND_MOLECULES = SplitSettings(
    validation_fraction=0.07, test_fraction=0.25, min_stratum=3, seed=SEED
)
SURFACES_AND_PATHS = SplitSettings(
    validation_fraction=0.07, test_fraction=0.0, min_stratum=3, seed=SEED
)
"""Their test frames are those with a second label, at PBE or wB97M-V."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """Frames that no head has seen, the head that is judged on them, and its relation.

    Attributes:
        name: name of the set and of its file.
        head: the head that is judged, at whose level the labels are.
        relation: "own" for the domain that the head trains on, else "foreign".
        sources: the files that hold its labels.
        kinds: patterns of config types that count; empty for all.
        not_kinds: patterns of config types that do not.
    """

    name: str
    head: str
    relation: str
    sources: tuple[Source, ...] = ()
    kinds: tuple[str, ...] = ()
    not_kinds: tuple[str, ...] = ()

    def takes(self, frame: Frame) -> bool:
        """Whether a frame is of this set, as far as its kind goes."""
        listed = not self.kinds or _fits(frame, self.kinds)
        return listed and not _fits(frame, (*self.not_kinds, *CONTRADICTING))


TEST_SETS = (
    TestSet(
        name="pbe-crystals",
        head="pbe",
        relation="own",
        sources=(PBE,),
        not_kinds=NOT_CRYSTALS,
    ),
    TestSet(
        name="pbe-surfaces",
        head="pbe",
        relation="foreign",
        sources=(SURFACES,),
        not_kinds=("gas_molecule",),
    ),
    TestSet(name="pbe-slabs", head="pbe", relation="foreign", sources=(SLABS, THICK)),
    TestSet(
        name="pbe-gas",
        head="pbe",
        relation="foreign",
        sources=(PBE, SURFACES),
        kinds=("gas_molecule",),
    ),
    TestSet(
        name="pbe-molecules",
        head="pbe",
        relation="foreign",
        sources=(MOLECULES,),
        not_kinds=("rx_*",),
    ),
    TestSet(
        name="pbe-paths",
        head="pbe",
        relation="foreign",
        sources=(MOLECULES,),
        kinds=("rx_*",),
    ),
    TestSet(name="r2scan-crystals", head="r2scan", relation="own", sources=(R2SCAN,)),
    TestSet(name="rpbe-surfaces", head="rpbe", relation="own", sources=(RPBE,)),
    TestSet(name="wb97m-v-molecules", head="wb97m-v", relation="own", sources=(WB97,)),
    TestSet(name="wb97m-v-paths", head="wb97m-v", relation="foreign", sources=(PATHS,)),
    TestSet(
        name="b3lyp-d3bj-paths", head="b3lyp-d3bj", relation="own", sources=(B3LYP,)
    ),
)


def write_data(folder: Path) -> dict[str, int]:
    """Write `HEAD-train.xyz`, `HEAD-validation.xyz` and a file for each test set.

    Frames are copied as text, so that no digit changes.

    Returns:
        The number of frames of every file, also written to ``counts.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = (SLABS, THICK, SURFACES, PATHS, MOLECULES)
    frames = {s.name: read_source(s) for s in (*SOURCES, *others)}
    split = divide(frames)
    counts = {}
    for source in SOURCES:
        for use in ("train", "validation"):
            chosen = [f for f in getattr(split, use) if f.head == source.head]
            file = f"{source.head}-{use}"
            counts[file] = _write(folder / f"{file}.xyz", {source: chosen})
    for test in TEST_SETS:
        groups = test_frames(test, frames, split)
        check_unseen(test.name, groups, split)
        counts[test.name] = _write(folder / f"{test.name}.xyz", groups)
    with atomic_path(folder / "counts.json") as path:
        path.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    return counts


def divide(frames: Mapping[str, Sequence[Frame]]) -> Split:
    """Return training, validation and test frames of all heads."""
    own = {s.name: [f for f in frames[s.name] if not _left_out(f)] for s in SOURCES}
    drawn = split_frames(
        [*own[PBE.name], *own[R2SCAN.name], *own[WB97.name]], CRYSTALS_AND_MOLECULES
    )
    twice = {f.uid for s in (SURFACES, PATHS) for f in _unbound(frames[s.name])}
    others = [*own[RPBE.name], *own[B3LYP.name]]
    held = tuple(f for f in others if f.uid in twice)
    rest = split_frames(
        others, SURFACES_AND_PATHS, fixed=Split(train=(), validation=(), test=held)
    )
    test = (*drawn.test, *rest.test)
    seen = [f for f in test if f.head in (WB97.head, B3LYP.head)]
    return Split(
        train=_without_twins((*drawn.train, *rest.train), seen),
        validation=_without_twins((*drawn.validation, *rest.validation), seen),
        test=test,
    )


def test_frames(
    test: TestSet, frames: Mapping[str, Sequence[Frame]], split: Split
) -> dict[Source, list[Frame]]:
    """Return the frames of a test set by the file that holds them.

    Of a file that heads train on, only what is held out counts, and what no head of
    the study is given at all.
    """
    held = {f.uid for f in split.test}
    return {
        source: [
            f
            for f in _unbound(frames[source.name])
            if test.takes(f)
            and (f.uid in held or source not in SOURCES or _left_out(f))
        ]
        for source in test.sources
    }


def check_unseen(
    name: str, groups: Mapping[Source, Sequence[Frame]], split: Split
) -> None:
    """Refuse a test set with a geometry that a head is trained or validated on.

    Raises:
        DataError: the message names the geometry.
    """
    used = {f.uid: f for f in (*split.train, *split.validation)}
    for frame in (f for frames in groups.values() for f in frames):
        if frame.uid in used:
            raise DataError(
                explain(
                    f"test set {name}: a geometry is not held out",
                    got=f"{frame.uid}, also {used[frame.uid].source}",
                    wanted="geometries that no head is trained or validated on",
                )
            )


def read_source(source: Source) -> list[Frame]:
    """Return the frames of a file; none where the file beside this script is not."""
    if source.beside and not source.path.is_file():
        return []
    return read_frames(source.path, source.head, level=source.level)


def _fits(frame: Frame, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(frame.config_type, pattern) for pattern in patterns)


def _left_out(frame: Frame) -> bool:
    """Whether a frame is neither to be learnt nor of the domain of its head."""
    not_crystal = frame.head in (PBE.head, R2SCAN.head)
    return frame.config_type in CONTRADICTING or (
        not_crystal and frame.config_type in NOT_CRYSTALS
    )


def _unbound(frames: Iterable[Frame]) -> list[Frame]:
    """Everything but the free atoms, which give every head its zero of energy."""
    return [f for f in frames if not f.is_isolated_atom]


def _without_twins(frames: Sequence[Frame], held: Sequence[Frame]) -> tuple[Frame, ...]:
    """Return `frames` without molecules that are a held-out one under another name."""
    prints = [_distances(f) for f in held]
    return tuple(f for f in frames if any(f.pbc) or not _among(_distances(f), prints))


def _distances(frame: Frame) -> tuple[tuple[int, ...], np.ndarray]:
    """Sorted atomic numbers, and sorted distances, Å."""
    i, j = np.triu_indices(frame.n_atoms, 1)
    apart = np.linalg.norm(frame.positions[i] - frame.positions[j], axis=1)
    return tuple(sorted(int(z) for z in frame.numbers)), np.sort(apart)


def _among(
    one: tuple[tuple[int, ...], np.ndarray],
    others: Sequence[tuple[tuple[int, ...], np.ndarray]],
) -> bool:
    numbers, distances = one
    return len(distances) > 0 and any(
        numbers == n and np.abs(distances - d).max() < SAME_DISTANCES for n, d in others
    )


def _write(path: Path, groups: Mapping[Source, Sequence[Frame]]) -> int:
    """Copy frames of labelled files, in their order there."""
    blocks = []
    for source, frames in groups.items():
        wanted = {f.uid for f in frames}
        if wanted:
            blocks += [text for uid, text in _blocks(source) if uid in wanted]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(blocks), encoding="utf-8")
    return len(blocks)


def _blocks(source: Source) -> list[tuple[str, str]]:
    """Uid and text of every frame of a file."""
    with gzip.open(source.path, "rt", encoding="utf-8") as file:
        lines = file.readlines()
    found, start = [], 0
    while start < len(lines):
        end = start + int(lines[start]) + 2
        words = lines[start + 1].split()
        (uid,) = [w[4:].strip('"') for w in words if w.startswith("uid=")]
        found.append((uid, "".join(lines[start:end])))
        start = end
    return found
