"""Values of single steps on their way into the log, and a watch over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lamplighter.errors import explain
from lamplighter.train.stepping import TERMS, StepRecord
from lamplighter.train.stopping import TrainingDivergedError

NAMES = ("loss", *TERMS, "gradient_norm")
ALWAYS = frozenset({"loss", "energy", "forces", "stress", "gradient_norm"})
"""Values that the log holds even where they are 0."""


@dataclass(slots=True)
class StepLog:
    """The values of the steps since the last record of the log.

    Attributes:
        rows: [len(NAMES)] for each step, float64.
    """

    rows: list[Tensor] = field(default_factory=list)

    def add(self, record: StepRecord) -> None:
        """Remember a step."""
        terms, norm = record.terms.detach(), record.norm.detach().double()
        self.rows.append(torch.stack([terms.sum(), *terms, norm]))

    def mean(self) -> dict[str, float]:
        """Return the means by name and forget the steps."""
        values = torch.stack(self.rows).mean(dim=0).tolist()
        self.rows.clear()
        named = dict(zip(NAMES, values, strict=True))
        return {k: v for k, v in named.items() if k in ALWAYS or v != 0.0}

    def pack(self) -> Tensor | None:
        """Return [n_steps, len(NAMES)] for a checkpoint; None where that is empty."""
        return torch.stack(self.rows) if self.rows else None


def check_finite(
    record: StepRecord, *, step: int, frames: Callable[[], Sequence[str]], kept: object
) -> None:
    """Refuse a loss or a gradient that is not finite.

    Args:
        record: what the step found, in all processes.
        step: steps done before.
        frames: tells what the frames of the batch are called; those of caches would
            have to be read for that.
        kept: where the last good state is.

    Raises:
        TrainingDivergedError: as above.
    """
    if torch.isfinite(record.terms).all() and torch.isfinite(record.norm):
        return
    named = dict(zip(TERMS, record.terms.tolist(), strict=True))
    values = ", ".join(f"{k} {v:g}" for k, v in named.items() if v != 0.0)
    names = frames()
    more = ", ..." if len(names) > 8 else ""
    raise TrainingDivergedError(
        explain(
            f"the loss is not finite at step {step}",
            got=f"{values}, gradient {record.norm.item():g}; "
            f"frames: {', '.join(names[:8])}{more}",
            fix="look at these frames, or lower optimizer.learning_rate or "
            f"optimizer.clip_norm, and run again; {kept} holds the last good state",
        )
    )
