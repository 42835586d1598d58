"""A fast engine of smooth pairs, for tests that need many steps or known answers."""

from __future__ import annotations

import numpy as np
from vesin import NeighborList

from lamplighter.validation.engines.base import EngineInfo, Result


class SmoothPairs:
    """Morse pairs that end smoothly: energy, forces and stress of any structure.

    The energy of a pair is ``depth (x^2 - 2 x) s(r)`` with ``x = exp(-width (r - r0))``
    and ``s`` falling from 1 at `inner` to 0 at `cutoff` with a continuous slope.
    """

    def __init__(self, depth=0.3, width=1.6, r0=2.6, inner=3.2, cutoff=4.2):
        self.depth, self.width, self.r0 = depth, width, r0
        self.inner, self.cutoff = inner, cutoff
        self.calls = 0
        self.neighbors = NeighborList(cutoff=cutoff, full_list=True)
        self.info = EngineInfo(
            kind="ase", name="pairs", model="smooth Morse", cutoff=cutoff
        )

    def pair(self, r):
        """Return energy and its derivative at distances."""
        x = np.exp(-self.width * (r - self.r0))
        e, de = self.depth * (x * x - 2 * x), -2 * self.depth * self.width * (x * x - x)
        t = np.clip((r - self.inner) / (self.cutoff - self.inner), 0, 1)
        s = 1 - t**3 * (10 - 15 * t + 6 * t**2)
        ds = -30 * t**2 * (1 - t) ** 2 / (self.cutoff - self.inner)
        return e * s, de * s + e * ds

    def compute(self, atoms, want=()):
        del want
        self.calls += 1
        i, r, vectors = self.neighbors.compute(
            atoms.positions, atoms.cell.array, atoms.pbc, "idD"
        )
        e, de = self.pair(r)
        pull = (de / r)[:, None] * vectors  # of i towards j
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pull)
        stress = None
        if atoms.cell.rank == 3:
            stress = vectors.T @ pull / 2 / atoms.get_volume()
        return Result(
            energy=float(e.sum() / 2),
            forces=forces,
            stress=stress,
            energies=None,
            info=self.info,
            wall_s=0.0,
        )

    def compute_many(self, structures, want=()):
        return [self.compute(atoms, want) for atoms in structures]
