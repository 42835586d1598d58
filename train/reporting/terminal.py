"""What a terminal shows of a run beside its progress bar: a line per validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lamplighter.console import status
from lamplighter.train.evaluation import Residual

MOST_HEADS = 8
"""Heads of which a line tells the errors."""


class ValidationLines:
    """Writes the errors of every head above the progress bar, at a terminal only."""

    def __init__(self, heads: Sequence[str]) -> None:
        """Tell the errors of `heads`, in this order."""
        self._heads = list(heads)[:MOST_HEADS]
        self._best = float("inf")
        self._begun = False

    def logged(self, record: Mapping[str, Any]) -> None:
        """Write a line after a validation."""
        if record["event"] != "validation":
            return
        if not self._begun:
            self._begun = True
            names = "  ".join(f"{_short(name):>16}" for name in self._heads)
            status(f"validation: force error in %, energy RMSE in meV/atom\n"
                   f"{'step':>9} {'score':>8}   {names}")  # fmt: skip
        status(self.line(record))

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Nothing: the record tells the errors."""

    def line(self, record: Mapping[str, Any]) -> str:
        """Return a validation as one line; a star marks the best so far."""
        score, accepted = record.get("score"), record.get("accepted", True)
        mark = " " if accepted else "!"
        if accepted and score is not None and score < self._best:
            self._best, mark = score, "*"
        cells = []
        for name in self._heads:
            row = record["heads"].get(name, {})
            force, energy = row.get("force_percent"), row.get("energy_rmse")
            left = "-" if force is None else f"{force:.2f}"
            right = "-" if energy is None else f"{energy:.2f}"
            cells.append(f"{left:>7} {right:>8}")
        shown = "-" if score is None else f"{score:.3g}"
        return f"{record['step']:>9} {shown:>8} {mark} {'  '.join(cells)}"


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"
