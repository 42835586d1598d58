"""The settings of post-training; YAML files have exactly these names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lamplighter.train.config import (
    HeadData,
    LossSettings,
    OptimizerSettings,
    RunSettings,
    SamplingSettings,
    SplitSettings,
    check,
    check_heads,
    check_quotas,
)
from lamplighter.train.data.limits import ReaderLimits

Selection = Literal["kinds", "elements", "fps", "random"]
Relevance = Literal["any", "shared", "subset"]
Method = Literal["full", "heads", "frozen_trunk", "lora", "naive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHead(HeadData):
    """A head to add to a potential.

    Attributes:
        start_from: the existing head whose readout the new one starts from.
    """

    start_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """What keeps the old heads in their place.

    Attributes:
        fraction: share of the frames of a batch that belongs to the old heads together.
        max_frames: most replay frames of one head; 0 means all.
        candidates: most frames of each cache among which `max_frames` are chosen: some
            of every element, and beside these the ones with the smallest hashes. Not
            for "random", which chooses among all.
        selection: which they are: "kinds" (config types take turns), "elements" (every
            element is covered, those of the new data first), "fps" (farthest points in
            the space of the base model's invariants), or "random".
        relevance: which frames may be chosen: "any", "shared" (with an element of the
            new data), or "subset" (with none but elements of the new data). Nothing is
            added to reach `max_frames`.
        labels: "real" labels of the files, or "pseudo": those that the base model gives
            to the structures in the files, computed once and kept in the output folder.
        drift_limit: weights are not chosen when the force error of an old head on its
            validation frames has grown by more than this fraction of its RMS force
            (0.02 is two percent points).
        energy_drift_limit: the same for the energy error, eV/atom.
        relative_drift: added to both limits, as a fraction of the error before.
        patience: the run ends after this many validations in a row beyond a limit, and
            gives back the best weights within it.
        guard: whether the limits act; otherwise they are only reported.
        seed: of the selections that draw.
    """

    fraction: float = 0.5
    max_frames: int = 0
    candidates: int = 50_000
    selection: Selection = "kinds"
    relevance: Relevance = "any"
    labels: Literal["real", "pseudo"] = "real"
    drift_limit: float = 0.02
    energy_drift_limit: float = 0.01
    relative_drift: float = 0.1
    patience: int = 10
    guard: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check(0 <= self.fraction < 1, "replay: fraction", self.fraction, "0 to 1")
        check(self.max_frames >= 0, "replay: max_frames", self.max_frames, ">= 0")
        check(self.candidates > 0, "replay: candidates", self.candidates, "at least 1")
        for name in ("drift_limit", "energy_drift_limit", "relative_drift"):
            value = getattr(self, name)
            check(value >= 0, f"replay: {name}", value, "at least 0")
        check(self.patience > 0, "replay: patience", self.patience, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeSettings:
    """Which weights of the trunk stay as they are.

    Attributes:
        patterns: patterns of names, as ``lamplighter.model.Potential`` lists them:
            ``layers.0.*``, ``*.radial.*``, ``embedding``.
        layers: number of layers, from the first, that stay with all before them.
    """

    patterns: tuple[str, ...] = ()
    layers: int = 0

    def __post_init__(self) -> None:
        check(self.layers >= 0, "freeze: layers", self.layers, "at least 0")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self.patterns and not self.layers


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """Low-rank changes of the matrices of the trunk.

    A matrix that has no more numbers than its factors would, and every vector and
    number (biases, LayerNorm, alpha and beta), moves directly.

    Attributes:
        rank: width of the factors.
        alpha: a step moves an entry of a matrix by about this much of a direct step.
    """

    rank: int = 8
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check(self.rank > 0, "lora: rank", self.rank, "at least 1")
        check(self.alpha > 0, "lora: alpha", self.alpha, "more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Multi-head replay post-training: keep every head of a potential, add some.

    Attributes:
        base: the potential to start from; ``model:base`` is the shipped one.
        output: folder for the results.
        heads: the heads to add, and their data.
        replay_heads: data of heads that the potential has.
        method: what moves: "full" all weights; "heads" readouts alone; "frozen_trunk"
            all but what `freeze` names; "lora" low-rank changes of the trunk. All of
            them replay. "naive" moves all weights and does not: data of `replay_heads`
            are then only judged.
        readouts: whose readouts move: of "all" heads, or of the "new" ones. None: of
            the new ones with the method "heads", where all old heads then stay bit for
            bit what they were, and of all heads with the others.
        freeze: what the methods "frozen_trunk", "lora" and "naive" hold fast.
        lora: factors of the method "lora".
        replay: how strongly the old heads are held.
        split: what is held out.
        loss: what is minimised.
        sampling: how batches are drawn.
        optimizer: how the weights move.
        run: how long and on what.
        limits: what the reader refuses.
    """

    base: Path
    output: Path
    heads: tuple[NewHead, ...]
    replay_heads: tuple[HeadData, ...] = ()
    method: Method = "full"
    readouts: Literal["all", "new"] | None = None
    freeze: FreezeSettings = field(default_factory=FreezeSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=3e-4, warmup_steps=20, ema_decay=0.98
        )
    )
    run: RunSettings = field(default_factory=RunSettings)
    limits: ReaderLimits = field(default_factory=ReaderLimits)

    def __post_init__(self) -> None:
        check_heads((*self.heads, *self.replay_heads))
        check_quotas(self.heads)
        check_quotas(self.replay_heads)
        for head in self.heads:
            wanted = "none: a new head is fitted like the one of start_from"
            got = head.reference_like
            check(got is None, f"head {head.name!r}: reference_like", got, wanted)
        plain = self.method == "lora" or self.lora == LoraSettings()
        got = f"rank {self.lora.rank}, alpha {self.lora.alpha:g}"
        wanted = "method: lora, or nothing under lora"
        check(plain, f"lora of method {self.method}", got, wanted)
        held = ", ".join([*self.freeze.patterns, f"{self.freeze.layers} layers"])
        if self.method == "frozen_trunk":
            wanted = "freeze: {layers: ...} or freeze: {patterns: [...]}"
            check(not self.freeze.is_empty, "method frozen_trunk", held, wanted)
        elif self.method in ("full", "heads"):
            wanted = "method: frozen_trunk, or nothing under freeze"
            check(self.freeze.is_empty, f"freeze of method {self.method}", held, wanted)

    @property
    def readouts_that_move(self) -> Literal["all", "new"]:
        """Whose readouts move, with the default of the method."""
        return self.readouts or ("new" if self.method == "heads" else "all")

    @property
    def replay_fraction(self) -> float:
        """Share of the old heads in a batch.

        It is 0 where replay could not change a weight: nothing of the trunk and of the
        old readouts moves.
        """
        blind = self.method == "heads" and self.readouts_that_move == "new"
        if self.method == "naive" or blind or not self.replay_heads:
            return 0.0
        return self.replay.fraction
