"""Relaxation of slabs with atoms that stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.optimize import BFGS

from lamplighter.validation.engines.ase import EngineCalculator
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.relax import MAX_STEP, largest_force


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelaxedSlab:
    """A slab after relaxation of its free atoms.

    Attributes:
        atoms: without constraints.
        energy: eV.
        force: largest force on a free atom, eV/Å.
        converged: whether it came below the threshold.
    """

    atoms: Atoms
    energy: float
    force: float
    converged: bool


def relax_free(
    atoms: Atoms, engine: Engine, fixed: Sequence[int], *, fmax: float, max_steps: int
) -> RelaxedSlab:
    """Return the structure with all but some atoms relaxed, at a fixed cell.

    Args:
        atoms: the start; it is not changed.
        engine: what evaluates.
        fixed: indices of the atoms that stay.
        fmax: largest force on a free atom, eV/Å.
        max_steps: after which the relaxation has failed.

    Raises:
        EngineError: an evaluation fails.
    """
    work = atoms.copy()
    work.info = dict(atoms.info)
    work.calc = EngineCalculator(engine)
    work.set_constraint(FixAtoms(indices=list(fixed)) if len(fixed) else None)
    optimiser = BFGS(work, logfile=None, maxstep=2 * MAX_STEP)
    converged = False
    for _ in optimiser.irun(fmax=0.0, steps=max_steps):
        if largest_force(work.get_forces()) <= fmax:
            converged = True
            break
    energy, force = work.get_potential_energy(), largest_force(work.get_forces())
    end = work.copy()
    end.set_constraint(None)
    return RelaxedSlab(
        atoms=end, energy=float(energy), force=force, converged=converged
    )


def lower_half(slab: Atoms, share: float) -> list[int]:
    """Return the indices of the lowest atoms of a slab, a share of its thickness."""
    heights = slab.positions[:, 2]
    limit = heights.min() + share * np.ptp(heights)
    return [int(i) for i in np.flatnonzero(heights < limit - 1e-6)]
