"""The settings of the draw of batches and of the run: how long, how often, on what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lamplighter.train.setting_check import check


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How batches are drawn. They are the same for any number of processes.

    Attributes:
        batch_frames: structures in a batch, on average.
        max_atoms: most atoms in a batch.
        max_pairs: most directed pairs within the cutoff in a batch, to which time and
            memory are proportional; None leaves them to `max_atoms`.
        steps_per_epoch: batches in an epoch; None: as many as show each frame once.
        temperature: head k is drawn with probability proportional to n_k^(1/T) when it
            has no quota: 1 in proportion to its frames, large the same for all heads.
    """

    batch_frames: int = 8
    max_atoms: int = 256
    max_pairs: int | None = None
    steps_per_epoch: int | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check(self.batch_frames > 0, "batch_frames", self.batch_frames, "at least 1")
        check(self.max_atoms > 0, "max_atoms", self.max_atoms, "at least 1")
        check(self.temperature > 0, "temperature", self.temperature, "more than 0")
        for name in ("steps_per_epoch", "max_pairs"):
            value = getattr(self, name)
            check(value is None or value > 0, name, value, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How long, how often, on what.

    Attributes:
        max_steps: optimiser steps of the whole run; 0 judges and saves the start.
        max_minutes: stop after this time, over all restarts; 0 means no limit.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: newest checkpoints that are kept; where the newest is damaged,
            a run goes on from the one before.
        keep_best: the best weights so far of this many validations are kept as models,
            ``best-STEP.safetensors``; 0 keeps only those of the end.
        accumulate: parts in which a process computes its share of a batch, one after
            the other: the same step with less memory.
        edge_chunk: pairs that a layer looks at together in a training step; what it
            computes of them is then computed again for every derivative and not kept,
            which takes longer and less memory. 0: all pairs, everything is kept.
        seed: seed of the starting weights and of the sampling.
        dtype: "float32", "float64", or "mixed": energies, forces and their gradients in
            float32; weights, sums of gradients, moments and averages in float64.
        threads: CPU threads; 0 leaves torch's choice.
        device: torch device; with several processes "cuda" is one GPU each.
        selection: which weights are kept: "mean" has the lowest mean over the heads of
            half (force RMSE / RMS force / `force_target` + energy RMSE per atom /
            `energy_target`); "worst" takes the worst head instead of the mean; "last"
            keeps the last weights.
        selection_heads: weights of the heads in the mean, or factors on their scores
            for "worst", by pattern of their names; the first that fits counts, and a
            head that none fits does not. Empty: all heads alike; in a post-training
            those that are added. ``{"*": 1}`` is all heads.
        force_target: force error that counts as 1, fraction of the head's RMS force.
        energy_target: energy error that counts as 1, eV/atom.
        logging: also write for "tensorboard" or "wandb", which are extras.
        wandb_online: let W&B send the run to its servers; else it stays in the folder.
    """

    max_steps: int = 2000
    max_minutes: float = 0.0
    validate_every: int = 100
    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    keep_best: int = 0
    accumulate: int = 1
    edge_chunk: int = 0
    seed: int = 1
    dtype: Literal["float32", "float64", "mixed"] = "float32"
    threads: int = 0
    device: str = "cpu"
    selection: Literal["mean", "worst", "last"] = "mean"
    selection_heads: dict[str, float] = field(default_factory=dict)
    force_target: float = 0.05
    energy_target: float = 0.005
    logging: tuple[Literal["tensorboard", "wandb"], ...] = ()
    wandb_online: bool = False

    def __post_init__(self) -> None:
        check(self.max_steps >= 0, "run: max_steps", self.max_steps, "at least 0")
        for pattern, weight in self.selection_heads.items():
            check(weight > 0, f"run: selection_heads: {pattern}", weight, "more than 0")
        names = ("validate_every", "checkpoint_every")
        for name in (*names, "keep_checkpoints", "accumulate"):
            value = getattr(self, name)
            check(value > 0, f"run: {name}", value, "at least 1")
        for name in ("force_target", "energy_target"):
            value = getattr(self, name)
            check(value > 0, f"run: {name}", value, "more than 0")
        for name in ("max_minutes", "threads", "keep_best", "edge_chunk"):
            value = getattr(self, name)
            check(value >= 0, f"run: {name}", value, "at least 0")

    @property
    def compute_dtype(self) -> str:
        """Precision of the frames and of the model that meets them, by name."""
        return "float64" if self.dtype == "float64" else "float32"
