"""How relevant the replayed frames are to the new data: shares, distances, gaps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lamplighter.arrays import Floats
from lamplighter.model import Potential
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.streaming import sampled
from lamplighter.train.finetune_config import ReplaySettings
from lamplighter.train.replay_selection import elements_of
from lamplighter.train.structure_space import StructureSpace, structure_vectors

COUNTED = 20_000
"""Most frames of each cache whose elements are counted."""
COMPARED = 300
"""Most frames on either side whose distances are computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """From each new frame to the nearest replayed one, in standard deviations.

    Two random frames of the same elements are at about 1.4.

    Attributes:
        median: half of the new frames are nearer.
        high: nine tenths of the new frames are nearer.
        largest: the farthest new frame.
        farthest: where that frame comes from.
        n_new: new frames compared; at most `COMPARED`, chosen by a hash.
        n_replay: replayed frames compared; the same.
    """

    median: float
    high: float
    largest: float
    farthest: str
    n_new: int
    n_replay: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevance:
    """What one head replays, seen from the new data.

    Attributes:
        head: the head that replays.
        selection: the method.
        relevance: which frames were candidates.
        candidates: training frames that the head has.
        requested: most frames to replay; 0 means all.
        chosen: frames replayed.
        new_elements: chemical symbols in the new data.
        with_any: share of the chosen frames with an element of the new data.
        with_all: share with all of them.
        with_only: share with no other element.
        not_covered: elements of the new data that no chosen frame has.
        distances: how near the chosen frames come; None without a potential.
    """

    head: str
    selection: str
    relevance: str
    candidates: int
    requested: int
    chosen: int
    new_elements: tuple[str, ...]
    with_any: float
    with_all: float
    with_only: float
    not_covered: tuple[str, ...]
    distances: Distances | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and text, for JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return the report as a few lines."""
        elements = ", ".join(self.new_elements)
        shares = (
            f"with an element of the new data ({elements}): {_percent(self.with_any)}",
            f"with all of them: {_percent(self.with_all)}",
            f"with no other: {_percent(self.with_only)}",
        )
        rule = f"selection {self.selection}, relevance {self.relevance}"
        count = f"{self.chosen} of {self.candidates} frames replayed"
        lines = [f"{self.head}: {count} ({rule})", "  " + "; ".join(shares)]
        if self.not_covered:
            lines.append(f"  NOT COVERED: {', '.join(self.not_covered)}")
        if self.distances is not None:
            d = self.distances
            lines.append(
                f"  nearest replayed frame to a new one: median {d.median:.2f}, nine "
                f"tenths within {d.high:.2f}, farthest {d.largest:.2f} standard "
                f"deviations ({d.farthest})"
            )
        return "\n".join(lines)


def report_relevance(
    chosen: Sequence[Frame],
    new: Sequence[Frame],
    settings: ReplaySettings,
    *,
    head: str,
    candidates: int,
    potential: Potential | None = None,
) -> Relevance:
    """Return how relevant the chosen frames of one head are to the new data.

    Args:
        chosen: frames that are replayed, at least one.
        new: frames of the new data, at least one.
        settings: how they were chosen.
        head: their head.
        candidates: number of frames they were chosen from.
        potential: gives the descriptors for the distances.
    """
    wanted = elements_of(new)
    own = [elements_of([f]) for f in sampled(chosen, COUNTED)]
    covered = elements_of(chosen)
    return Relevance(
        head=head,
        selection=settings.selection,
        relevance=settings.relevance,
        candidates=candidates,
        requested=settings.max_frames,
        chosen=len(chosen),
        new_elements=_names(wanted),
        with_any=_share([bool(e & wanted) for e in own]),
        with_all=_share([wanted <= e for e in own]),
        with_only=_share([e <= wanted for e in own]),
        not_covered=_names(wanted - covered),
        distances=None if potential is None else _distances(chosen, new, potential),
    )


def _distances(
    chosen: Sequence[Frame], new: Sequence[Frame], potential: Potential
) -> Distances:
    replayed, fresh = _some(chosen), _some(new)
    space = StructureSpace(structure_vectors(potential, replayed))
    nearest: Floats = np.sqrt(
        [space.squared_distances(v).min() for v in structure_vectors(potential, fresh)]
    )
    return Distances(
        median=float(np.median(nearest)),
        high=float(np.quantile(nearest, 0.9)),
        largest=float(nearest.max()),
        farthest=fresh[int(nearest.argmax())].uid,
        n_new=len(fresh),
        n_replay=len(replayed),
    )


def _some(frames: Sequence[Frame]) -> list[Frame]:
    """Return at most `COMPARED` frames, whatever the order of the files."""
    ordered = sorted(
        sampled(frames, COMPARED),
        key=lambda f: (hashlib.sha256(f.uid.encode()).digest(), f.uid),
    )
    return ordered[:COMPARED]


def _names(numbers: frozenset[int]) -> tuple[str, ...]:
    return tuple(chemical_symbols[z] for z in sorted(numbers))


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"
