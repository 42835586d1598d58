"""What is in some files of labelled frames, and what is wrong with them."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lamplighter.arrays import Floats
from lamplighter.errors import DataError
from lamplighter.train.data.cache import Cache
from lamplighter.train.data.cache_builder import reason
from lamplighter.train.data.checks import check_file
from lamplighter.train.data.consistency import MAX_FRAMES, check_consistency
from lamplighter.train.data.energies import EnergyFit, fit_energies
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.groups import digest64
from lamplighter.train.data.labels import LabelSettings
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.data.reader import numbered_frames
from lamplighter.train.data.sources import expand_files, is_cache

NO_HEAD = "(no head)"
SHOWN = 10
"""Frames of a kind that are named."""
COMPARED = 4000
"""Most frames of a head that are compared with each other."""

Refused = Callable[[Path, int, DataError], None]


def frames_of(
    paths: Sequence[Path],
    labels: LabelSettings,
    limits: ReaderLimits,
    refused: Refused | None = None,
) -> Iterator[tuple[str, Frame]]:
    """Yield a name for each frame of some files and caches, and the frame.

    Args:
        paths: files, folders of shards, caches.
        labels: names and units of the labels; not those of caches, which are settled.
        limits: what is refused.
        refused: is called for frames that are refused; None raises.

    Raises:
        DataError: a file cannot be read.
    """
    for path in expand_files(paths):
        if is_cache(path):
            for frame in Cache(path).frames():
                yield frame.source, frame
            continue

        def complain(number: int, error: DataError, path: Path = path) -> None:
            assert refused is not None
            refused(path, number, error)

        for _, frame in numbered_frames(
            path,
            limits=limits,
            labels=labels,
            refused=None if refused is None else complain,
        ):
            yield frame.source, frame


@dataclass(slots=True)
class _HeadStore:
    """Numbers of the frames of a head, eight bytes each."""

    frames: int = 0
    atoms: int = 0
    elements: Counter[int] = field(default_factory=Counter)
    config_types: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    energies: array[float] = field(default_factory=lambda: array("d"))
    compositions: array[int] = field(default_factory=lambda: array("l"))
    formulas: dict[tuple[tuple[int, int], ...], int] = field(default_factory=dict)
    forces: array[float] = field(default_factory=lambda: array("d"))
    stresses: array[float] = field(default_factory=lambda: array("d"))
    digests: array[int] = field(default_factory=lambda: array("Q"))
    names: list[str] = field(default_factory=list)
    compared: dict[tuple[str, int], list[Frame]] = field(
        default_factory=lambda: defaultdict(list)
    )
    n_compared: int = 0

    def add(self, name: str, frame: Frame) -> None:
        z, counts = np.unique(frame.numbers, return_counts=True)
        key = tuple(zip(z.tolist(), counts.tolist(), strict=True))
        formula = self.formulas.setdefault(key, len(self.formulas))
        self.frames += 1
        self.atoms += frame.n_atoms
        self.elements.update(dict(key))
        self.config_types[frame.config_type or "(none)"] += 1
        self.domains[frame.domain or "(none)"] += 1
        self.levels[frame.level or "(none)"] += 1
        self.missing["forces"] += frame.forces is None and frame.n_atoms > 1
        self.missing["stress"] += frame.stress is None and all(frame.pbc)
        self.groups.add(frame.group)
        self.energies.append(frame.energy)
        self.compositions.append(formula)
        self.digests.append(digest64(frame))
        self.names.append(name)
        if frame.forces is not None:
            self.forces.append(float(np.linalg.norm(frame.forces, axis=1).max()))
        if frame.stress is not None:
            self.stresses.append(float(np.abs(frame.stress).max()))
        group = self.compared[frame.config_type, formula]
        if len(group) < MAX_FRAMES and self.n_compared < COMPARED:
            group.append(frame)
            self.n_compared += 1

    def fit(self) -> EnergyFit:
        """E0 of the head and how far each frame is from them."""
        elements = sorted(self.elements)
        table = np.zeros((len(self.formulas), len(elements)))
        for key, row in self.formulas.items():
            for z, n in key:
                table[row, elements.index(z)] = n
        rows = table[np.array(self.compositions, dtype=np.int64)]
        return fit_energies(rows, np.array(self.energies), elements)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        heads: numbers by head, as JSON.
        refused: frames that the reader refuses, by reason, with some of their messages.
        problems: sentences, worst first; empty when nothing is wrong.
        outliers: names of frames whose energy does not fit.
        duplicates: names of frames whose geometry came before in their head.
    """

    heads: Mapping[str, Any]
    refused: Mapping[str, Any]
    problems: tuple[str, ...]
    outliers: frozenset[str]
    duplicates: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON; lists of names are cut to `SHOWN`."""
        return {
            "problems": list(self.problems),
            "heads": dict(self.heads),
            "refused": dict(self.refused),
            "units": {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å^3"},
        }


def inspect_files(
    paths: Sequence[Path],
    *,
    labels: LabelSettings | None = None,
    limits: ReaderLimits | None = None,
) -> Inspection:
    """Read some files of labelled frames and say what is in them.

    Args:
        paths: files, folders of ``.aselmdb`` shards, caches.
        labels: names and units of the labels.
        limits: what counts as a bad frame.

    Raises:
        DataError: a file cannot be read at all; frames that are refused are counted.
    """
    settings, bounds = labels or LabelSettings(default_head=NO_HEAD), limits
    bounds = bounds or ReaderLimits()
    reasons: Counter[str] = Counter()
    messages: list[str] = []

    def refused(path: Path, number: int, error: DataError) -> None:
        del path, number
        reasons[reason(error)] += 1
        if len(messages) < SHOWN:
            messages.append(str(error))

    stores: dict[str, _HeadStore] = defaultdict(_HeadStore)
    for name, frame in frames_of(paths, settings, bounds, refused):
        stores[frame.head].add(name, frame)
    problems = [f"{n} frames are refused: {why}" for why, n in reasons.most_common()]
    if not stores and not problems:
        problems.append("no frame fits what was asked for")
    heads, outliers, duplicates = {}, set(), set()
    for head, store in stores.items():
        found = _judge(head, store, bounds)
        heads[head] = found.numbers
        problems += found.problems
        outliers |= found.outliers
        duplicates |= found.duplicates
    return Inspection(
        heads=heads,
        refused={"reasons": dict(reasons), "messages": messages},
        problems=tuple(problems),
        outliers=frozenset(outliers),
        duplicates=frozenset(duplicates),
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    numbers: dict[str, Any]
    problems: list[str]
    outliers: set[str]
    duplicates: set[str]


def _judge(head: str, store: _HeadStore, limits: ReaderLimits) -> _Verdict:
    fit = store.fit()
    problems = [*_comparisons(head, store, limits)]
    strange = [store.names[k] for k in np.flatnonzero(fit.outlier)]
    if fit.unit:
        problems.append(
            f"head {head!r}: energies of mixed units are suspected: {fit.n_unit} "
            f"energies that do not fit look like {fit.unit}"
        )
    if strange:
        problems.append(
            f"head {head!r}: {len(strange)} energies do not fit the others: "
            + ", ".join(strange[:3])
        )
    copies = _copies(store)
    if copies:
        problems.append(
            f"head {head!r}: {len(copies)} geometries come again: "
            + ", ".join(copies[:3])
        )
    if len([level for level in store.levels if level != "(none)"]) > 1:
        problems.append(f"head {head!r}: levels {', '.join(store.levels)} are mixed")
    if store.missing["forces"] > 0:
        problems.append(f"head {head!r}: {store.missing['forces']} frames lack forces")
    numbers = {
        "frames": store.frames,
        "atoms": store.atoms,
        "elements": {chemical_symbols[z]: n for z, n in sorted(store.elements.items())},
        "config_types": dict(store.config_types.most_common()),
        "domains": dict(store.domains.most_common()),
        "levels": dict(store.levels.most_common()),
        "compositions": len(store.formulas),
        "groups": len(store.groups - {""}),
        "missing": dict(store.missing),
        "reference_energies": fit.reference_energies,
        "undetermined": list(fit.undetermined),
        "energy_per_atom": _range(fit.residual),
        "max_force": _range(np.array(store.forces)),
        "max_stress": _range(np.array(store.stresses)),
        "outliers": {"count": len(strange), "frames": strange[:SHOWN]},
        "duplicates": {"count": len(copies), "frames": copies[:SHOWN]},
    }
    return _Verdict(numbers, problems, set(strange), set(copies))


def _comparisons(head: str, store: _HeadStore, limits: ReaderLimits) -> Iterator[str]:
    """Say what only shows when the frames of a kind stand side by side."""
    by_type: dict[str, list[Frame]] = defaultdict(list)
    for (kind, _), group in store.compared.items():
        by_type[kind] += group
    everything = [f for group in by_type.values() for f in group]
    unique = list({f.uid: f for f in everything}.values())
    for kind, group in (("", unique), *by_type.items()):
        where = Path(f"head {head!r}" + (f", {kind}" if kind else ""))
        try:
            if kind:
                check_consistency(group, where)
            else:
                check_file(group, where, limits)
        except DataError as error:
            yield str(error)


def _copies(store: _HeadStore) -> list[str]:
    """Names of frames whose geometry came before."""
    digests = np.array(store.digests, dtype=np.uint64)
    _, first = np.unique(digests, return_index=True)
    later = np.ones(len(digests), dtype=bool)
    later[first] = False
    return [store.names[k] for k in np.flatnonzero(later)]


def _range(values: Floats) -> dict[str, float] | None:
    if not len(values):
        return None
    names = ("min", "p1", "median", "p99", "max")
    quantiles = np.quantile(values, [0.0, 0.01, 0.5, 0.99, 1.0])
    return {name: float(q) for name, q in zip(names, quantiles, strict=True)}
