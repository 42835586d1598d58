"""What the demo works on, and how much of everything it does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.errors import ConfigError, explain

HEAD: Final = "pbe"
ELEMENTS: Final = ("Mg", "O")
NEW_HEAD: Final = "pbesol"
NEW_LEVEL: Final = "PBEsol"
NEW_DATA: Final = "crystal_pbesol"

REPLAY_DATA: Final = {
    "pbe": ("crystal_pbe", "slab_pbe"),
    "r2scan": ("crystal_r2scan",),
    "rpbe": ("surface_rpbe",),
    "wb97m-v": ("mol_wb97mv",),
    "b3lyp-d3bj": ("react_b3lyp",),
}
"""Head of the base model -> the shipped data sets that are replayed for it."""

LEFT_OUT: Final = {"b3lyp-d3bj": ("rx_H2CO_H+HCO",)}
"""Head -> kinds of frames that the base model was not trained on either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """How much of everything the demo does.

    Attributes:
        training_minutes: time budget of the post-training.
        max_steps: optimiser steps after which it ends at the latest.
        replay_frames: most frames of each old head that are replayed.
        dynamics_steps: steps of 2 fs.
        repeats: MgO cells of 8 atoms along each edge of the box.
        ranks: MPI ranks of the molecular dynamics; 0 takes two, or one where there is
            only one core.
        temperature: of the thermostat, K.
        base: the potential to start from; none is the shipped one.
        properties: what is validated.
    """

    training_minutes: float = 1.4
    max_steps: int = 1500
    replay_frames: int = 60
    dynamics_steps: int = 500
    repeats: int = 3
    ranks: int = 0
    temperature: float = 300.0
    base: Path | None = None
    properties: tuple[str, ...] = ("parity", "bulk", "elastic", "phonon", "surface")

    def __post_init__(self) -> None:
        """Refuse amounts that are not positive."""
        for name in ("training_minutes", "max_steps", "dynamics_steps", "repeats"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(explain(f"demo: {name}", got=value, wanted="> 0"))

    @property
    def n_ranks(self) -> int:
        """Return the number of MPI ranks of the molecular dynamics."""
        return self.ranks or min(2, os.cpu_count() or 1)

    @property
    def n_atoms(self) -> int:
        """Return the number of atoms in the molecular dynamics."""
        return 8 * self.repeats**3
