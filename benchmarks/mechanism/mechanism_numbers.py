"""What the tables, the plots and the verdict read out of `mechanism.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results" / "mechanism.json"

ARM_NAMES = {
    "alone": "(a) PBE alone",
    "scratch": "(b) five heads from nothing",
    "base": "base: four heads, without RPBE",
    "replay": "(c) base + RPBE by replay",
    "naive": "(d) base + RPBE naively",
}
"""In the order of the tables."""

SHIPPED_NAMES = ("shipped-replay", "shipped-naive")

SET_NAMES = {
    "pbe-crystals": "crystals",
    "pbe-surfaces": "adsorbates and rattled surfaces",
    "pbe-slabs": "relaxing slabs",
    "pbe-gas": "gas molecules",
    "pbe-molecules": "molecules",
    "pbe-paths": "reaction paths",
}
"""Test sets of the main head, its own domain first."""

KEPT_SETS = {
    "pbe": "pbe-crystals",
    "r2scan": "r2scan-crystals",
    "wb97m-v": "wb97m-v-molecules",
    "b3lyp-d3bj": "b3lyp-d3bj-paths",
}
"""Own domain of every head that post-training must keep."""

NEW_SET = "rpbe-surfaces"
LIMIT = 5.0
"""Largest growth of the error of a kept head, %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Numbers of the seeds.

    Attributes:
        mean: over the seeds.
        deviation: sample standard deviation; None with a single seed.
        largest: of the seeds.
    """

    mean: float
    deviation: float | None
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one number a seed."""
        return cls(
            mean=mean(values),
            deviation=stdev(values) if len(values) > 1 else None,
            largest=max(values),
        )

    def text(self, digits: int = 0, *, signed: bool = False) -> str:
        """Return ``mean ± deviation``."""
        sign = "+" if signed else ""
        text = f"{self.mean:{sign}.{digits}f}"
        if self.deviation is None:
            return text
        return f"{text} ± {self.deviation:.{digits}f}"


class Numbers:
    """The results of a study."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Keep the seeds that every arm has."""
        self.content = content
        runs = content["runs"]
        self.seeds = _common(runs, tuple(ARM_NAMES))
        self.shipped_seeds = _common(content["shipped"], SHIPPED_NAMES)

    @classmethod
    def read(cls, path: Path) -> Numbers:
        """Return the results in a JSON file."""
        return cls(json.loads(path.read_text("utf-8")))

    @property
    def foreign_sets(self) -> list[str]:
        """Test sets of the main head outside its domain, as far as they exist."""
        return [s for s in SET_NAMES if s in self.content["test_sets"]][1:]

    def values(self, arm: str, test: str, number: str) -> list[float]:
        """Return one error of each seed, in meV/atom or meV/Å."""
        runs = self.content["runs"][arm]
        return [runs[seed]["errors"][test][number] for seed in self.seeds]

    def error(self, arm: str, test: str, number: str) -> Spread:
        """Return an error over the seeds."""
        return Spread.of(self.values(arm, test, number))

    def change(self, before: str, after: str, test: str, number: str) -> Spread:
        """Return the change from one arm to another, seed by seed, in %."""
        pairs = zip(
            self.values(before, test, number),
            self.values(after, test, number),
            strict=True,
        )
        return Spread.of([100.0 * (new / old - 1.0) for old, new in pairs])

    def shipped_error(self, arm: str, head: str, number: str) -> Spread:
        """Return an error of an old head of the shipped model after post-training."""
        runs = self.content["shipped"][arm]
        return Spread.of([runs[seed][head][number] for seed in self.shipped_seeds])

    def shipped_before(self, head: str, number: str) -> float:
        """Return the error of a head of the shipped model itself."""
        value: float = self.content["shipped"]["base"]["1"][head][number]
        return value

    def shipped_growth(self, arm: str, head: str, number: str) -> Spread:
        """Return the growth of an error by post-training the shipped model, in %."""
        before = self.shipped_before(head, number)
        runs = self.content["shipped"][arm]
        after = [runs[seed][head][number] for seed in self.shipped_seeds]
        return Spread.of([100.0 * (value / before - 1.0) for value in after])


def _common(runs: Mapping[str, Any], arms: Sequence[str]) -> list[str]:
    """The seeds that every arm has."""
    found = [set(runs.get(arm, {})) for arm in arms]
    return sorted(set.intersection(*found), key=int)
