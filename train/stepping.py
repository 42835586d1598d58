"""One optimiser step on a batch that may be divided: over processes, and in time."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor

from lamplighter.errors import CheckFailedError, explain
from lamplighter.model import Potential
from lamplighter.train.config import LossSettings, OptimizerSettings
from lamplighter.train.data.dataset import Batch, Item, make_batch
from lamplighter.train.loss import LossCounts, LossTerms, compute_loss
from lamplighter.train.optim import MovingAverage, Optimizers, clip_gradients
from lamplighter.train.ranks import Ranks

TERMS = tuple(f.name for f in fields(LossTerms))
"""Names of the terms of the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What a step found, summed over all parts of the batch.

    Attributes:
        terms: [len(TERMS)], the terms of the loss, float64; 0 where there is none.
        norm: norm of the gradient before clipping.
    """

    terms: Tensor
    norm: Tensor


class Stepper:
    """Moves the weights of a potential, and an average of them.

    The loss of a part of a batch is divided by the structures and atoms of the whole
    batch, so that gradients of parts add up to the gradient of the whole: however a
    batch is divided, the step is the same but for rounding. A part without frames adds
    nothing, and a weight that no part depends on is left alone, as in one process.

    In mixed precision the potential that meets the frames is in float32. Gradients are
    added up in float64, and what moves are weights in float64 with moments and averages
    in float64; their float32 images go back into the potential. Small steps late in a
    run, and slow averages, are then not lost to rounding.

    Attributes:
        potential: meets the frames.
        weights: what the optimiser moves: `potential` itself, or its float64 twin.
        optimizers: move `weights`.
        average: running average of `weights`.
    """

    def __init__(
        self,
        potential: Potential,
        loss: LossSettings,
        settings: OptimizerSettings,
        *,
        mixed: bool = False,
        ranks: Ranks | None = None,
        edge_chunk: int = 0,
    ) -> None:
        """Set up the optimiser and the average.

        Args:
            potential: starting weights; those that require a gradient move.
            loss: what is minimised.
            settings: how the weights move.
            mixed: move float64 twins of the weights.
            ranks: processes that share the batches; None: one.
            edge_chunk: pairs that are looked at together; 0: all.

        Raises:
            ConfigError: see [`lamplighter.train.optim.Optimizers`][].
        """
        self.potential = potential
        self.weights = copy.deepcopy(potential).double() if mixed else potential
        self._loss = loss
        self._edge_chunk = edge_chunk
        self._settings = settings
        self._ranks = ranks or Ranks()
        self.optimizers = Optimizers(self.weights, settings)
        for mine, moved in self._twins():
            mine.requires_grad_(moved.requires_grad)
        self.average = MovingAverage(copy.deepcopy(self.weights), settings.ema_decay)

    def compute(self, parts: Sequence[Sequence[Item]]) -> StepRecord:
        """Compute the loss and leave its clipped gradient at the weights.

        Args:
            parts: the share of this process in a batch, part by part.

        Raises:
            RankFailedError: another process has failed.
        """
        self.optimizers.zero_grad()
        with self._ranks.together("making a batch"):
            batches = [make_batch(part) for part in parts if part]
        counts = self._counts(batches)
        terms = torch.zeros(len(TERMS), dtype=torch.float64, device=self._ranks.device)
        with self._ranks.together("a training step"):
            for batch in batches:
                loss = compute_loss(
                    self.potential, batch, self._loss, counts, self._edge_chunk
                )
                loss.total.backward()
                terms += _row(loss.named, terms)
                self._hand_over_gradients()
        self._sum_over_ranks(terms)
        norm = clip_gradients(self.optimizers.parameters, self._settings.clip_norm)
        return StepRecord(terms=terms, norm=norm)

    def move(self, rate: float, step: int) -> None:
        """Take the step that `compute` has prepared.

        Args:
            rate: learning rate.
            step: number of the step, from 1 on.
        """
        self.optimizers.set_rate(rate)
        self.optimizers.step()
        self.sync_potential()
        if self._settings.method == "schedule-free":
            self.average.follow(self.weights, self.optimizers)
        else:
            self.average.update(self.weights, step)

    @torch.no_grad()
    def sync_potential(self) -> None:
        """Copy the weights into the potential, after they were moved or loaded."""
        for mine, moved in self._twins():
            mine.copy_(moved)

    def _twins(self) -> list[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
        """Parameters of the potential and their float64 twins; none if not mixed."""
        if self.weights is self.potential:
            return []
        pairs = zip(self.potential.parameters(), self.weights.parameters(), strict=True)
        return list(pairs)

    def _hand_over_gradients(self) -> None:
        for mine, moved in self._twins():
            if mine.grad is None:
                continue
            gradient = mine.grad.double()
            moved.grad = gradient if moved.grad is None else moved.grad + gradient
            mine.grad = None

    def _counts(self, batches: Sequence[Batch]) -> LossCounts:
        """Structures and atoms of the whole batch, over all parts and processes."""
        names = [f.name for f in fields(LossCounts)]
        total = LossCounts(**dict.fromkeys(names, 0))
        for batch in batches:
            total = total.plus(LossCounts.of(batch))
        values = [asdict(total)[name] for name in names]
        sums = self._ranks.sum_numbers(values)
        return LossCounts(**dict(zip(names, sums, strict=True)))

    def _sum_over_ranks(self, terms: Tensor) -> None:
        """Add up gradients and terms; all in one message.

        A flag for each weight tells whether any process has a gradient for it.
        """
        if self._ranks.size == 1:
            return
        weights = self.optimizers.parameters
        own = [p.grad is not None for p in weights]
        flags = torch.tensor(own, dtype=weights[0].dtype, device=terms.device)
        rows = [
            torch.zeros_like(p) if p.grad is None else p.grad.detach() for p in weights
        ]
        message = torch.cat(
            [terms.to(flags.dtype), flags, *(row.reshape(-1) for row in rows)]
        )
        self._ranks.sum_tensor(message)
        sizes = [len(terms), len(flags), *(p.numel() for p in weights)]
        summed, found, *gradients = torch.split(message, sizes)
        terms.copy_(summed)
        for p, count, gradient in zip(weights, found.tolist(), gradients, strict=True):
            p.grad = gradient.view_as(p).clone() if count > 0 else None


def _row(named: Mapping[str, Tensor], like: Tensor) -> Tensor:
    zero = like.new_zeros(())
    return torch.stack([named.get(n, zero).detach().to(like.dtype) for n in TERMS])


def check_same_weights(weights: Potential, ranks: Ranks, step: int) -> None:
    """Refuse to go on when processes have other weights than each other.

    Raises:
        CheckFailedError: as above.
    """
    if ranks.size == 1:
        return
    digest = hashlib.sha256()
    for p in weights.parameters():
        raw = p.detach().cpu().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    if len(set(ranks.gather(digest.hexdigest()))) > 1:
        raise CheckFailedError(
            explain(
                f"the processes have different weights after step {step}",
                fix="run again from the last checkpoint, with the same kind of device "
                "and the same version of torch in every process",
            )
        )
