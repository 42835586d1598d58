"""What a benchmark is: protocol, metrics, score."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.validation.engines.base import Engine

Domain = Literal[
    "materials", "molecules", "surfaces", "molecular crystals", "physicality"
]

DOMAIN_WEIGHTS: Final[Mapping[Domain, float]] = {
    "materials": 0.25,
    "molecules": 0.25,
    "surfaces": 0.20,
    "molecular crystals": 0.20,
    "physicality": 0.10,
}
"""Weights of the overall score; their authors call them subjective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number of a benchmark and what it is worth.

    Attributes:
        name: of the number.
        unit: of the number and of both ends.
        good: value that scores 1.
        bad: value that scores 0.
        weight: within the benchmark.
    """

    name: str
    unit: str
    good: float
    bad: float
    weight: float = 1.0

    def score(self, value: float) -> float:
        """Return 1 at `good`, 0 at `bad`, a straight line between, clipped.

        >>> Metric(name="x", unit="GPa", good=2, bad=30).score(16)
        0.5
        >>> Metric(name="x", unit="", good=1, bad=-1).score(2)
        1.0
        """
        fraction = (value - self.bad) / (self.good - self.bad)
        return float(min(max(fraction, 0.0), 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a protocol measured.

    Attributes:
        values: metric -> number.
        rows: one mapping for each system, for a table.
        deviations: where the protocol could not be kept, in words.
    """

    values: Mapping[str, float]
    rows: Sequence[Mapping[str, Any]] = ()
    deviations: Sequence[str] = ()


Measure = Callable[[Engine, Sequence[str], Path], Outcome]
"""``measure(engine, elements, data)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One benchmark.

    Attributes:
        name: on the command line.
        number: in the list of the paper.
        title: for people.
        domain: whose score it enters.
        version: raised when anything changes that changes a number.
        reference: what it is held against.
        text: the protocol in a few words.
        metrics: that it measures.
        measure: ``module:function`` below this folder that does the work.
        needs: files that a folder of data must have; none for a benchmark without data.
        unavailable: why it cannot be run; empty when it can.
    """

    name: str
    number: int
    title: str
    domain: Domain
    version: str
    reference: str
    text: str
    metrics: tuple[Metric, ...]
    measure: str
    needs: str = ""
    unavailable: str = ""

    def run(
        self, engine: Engine, elements: Sequence[str], data: Path | None = None
    ) -> BenchmarkResult:
        """Measure and score.

        Args:
            engine: what computes.
            elements: that it knows.
            data: folder with the benchmark's data.

        Raises:
            ConfigError: no folder is given where one is needed, or the benchmark cannot
                be run.
            DataError: files are missing or wrong; the message names them.
            EngineError: the engine fails.
        """
        if self.unavailable:
            raise ConfigError(
                explain(f"{self.title} cannot be run", got=self.unavailable)
            )
        if self.needs and data is None:
            raise ConfigError(
                explain(
                    f"{self.title} needs its data",
                    wanted=f"a folder with {self.needs}",
                    fix="name it with --data",
                )
            )
        outcome = self._measure()(engine, elements, data or Path())
        lacking = [m.name for m in self.metrics if m.name not in outcome.values]
        if lacking:
            raise DataError(
                explain(
                    f"{self.title} gave no {', '.join(lacking)}",
                    got=f"{len(outcome.rows)} systems",
                    wanted="one system or more for each metric",
                )
            )
        scores = {m.name: m.score(outcome.values[m.name]) for m in self.metrics}
        return BenchmarkResult(
            name=self.name,
            domain=self.domain,
            version=self.version,
            engine=engine.info.to_dict(),
            values=dict(outcome.values),
            units={m.name: m.unit for m in self.metrics},
            scores=scores,
            score=_mean([(scores[m.name], m.weight) for m in self.metrics]),
            rows=tuple(outcome.rows),
            deviations=tuple(outcome.deviations),
        )

    def _measure(self) -> Measure:
        """Import what does the work: a list of benchmarks needs none of it."""
        module, _, function = self.measure.partition(":")
        folder = "lamplighter.validation.benchmarks"
        found: Measure = getattr(
            importlib.import_module(f"{folder}.{module}"), function
        )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """Numbers and scores of one benchmark and one engine.

    Attributes:
        name: of the benchmark.
        domain: whose score it enters.
        version: of the protocol.
        engine: who computed, in JSON types.
        values: metric -> number.
        units: metric -> unit.
        scores: metric -> 0 to 1.
        score: their weighted mean.
        rows: one mapping for each system.
        deviations: where the protocol was not kept; with any, the score is not
            comparable with others.
    """

    name: str
    domain: Domain
    version: str
    engine: Mapping[str, Any]
    values: Mapping[str, float]
    units: Mapping[str, str]
    scores: Mapping[str, float]
    score: float
    rows: tuple[Mapping[str, Any], ...] = field(default=())
    deviations: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {
            "benchmark": self.name,
            "domain": self.domain,
            "version": self.version,
            "engine": dict(self.engine),
            "values": dict(self.values),
            "units": dict(self.units),
            "scores": dict(self.scores),
            "score": self.score,
            "deviations": list(self.deviations),
            "rows": [dict(row) for row in self.rows],
        }


def overall(results: Sequence[BenchmarkResult]) -> dict[str, float]:
    """Return the score of each domain and, under ``overall``, of all that are present.

    Domains without a result take no part: the weights of the others are scaled up.

    Raises:
        ConfigError: there is no result.
    """
    if not results:
        raise ConfigError(explain("nothing to score", wanted="one benchmark or more"))
    found: dict[str, float] = {}
    weighted = []
    for domain, weight in DOMAIN_WEIGHTS.items():
        mine = [(r.score, 1.0) for r in results if r.domain == domain]
        if mine:
            found[domain] = _mean(mine)
            weighted.append((found[domain], weight))
    return found | {"overall": _mean(weighted)}


def _mean(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(v * w for v, w in pairs) / sum(w for _, w in pairs)
