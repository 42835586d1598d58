"""How far old heads moved in a post-training, where there are no labels to tell.

Needs geometries only: those of the held-out frames of all heads, and pairs of atoms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from lamplighter.arrays import Floats
from lamplighter.metrics import rmse
from lamplighter.model import Potential
from lamplighter.train.data.frame import Frame
from lamplighter.train.evaluation import residuals

MOST_FRAMES = 24
MOST_ELEMENTS = 6
N_DISTANCES = 30
WELL = 0.01
"""Depth on both sides from which a minimum of a pair curve counts, eV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadDrift:
    """How far the predictions of a head moved.

    Attributes:
        n_frames: geometries compared.
        energy_moved: RMS change, meV/atom; None without geometries.
        force_moved: RMS change of a component, meV/Å; None without geometries.
        pair_moved: RMS change of the energies of pairs of atoms, meV/atom.
        wells_before: minima of all pair curves together, before.
        wells_after: after.
    """

    n_frames: int
    energy_moved: float | None
    force_moved: float | None
    pair_moved: float | None
    wells_before: int
    wells_after: int


def unlabelled_drift(
    before: Potential, after: Potential, frames: Sequence[Frame]
) -> dict[str, dict[str, Any]]:
    """Return how far every head of `before` moved, by name, as plain mappings.

    Args:
        before: the potential that was post-trained.
        after: what it became; has all heads of `before`.
        frames: geometries; their labels and heads do not count. At most `MOST_FRAMES`,
            spread over the sequence, are used for each head. Pairs are made of their
            most frequent elements, or of the head's first ones where there is no frame.
    """
    return {
        head.name: asdict(_head_drift(before, after, frames, head.name))
        for head in before.config.heads
    }


def _head_drift(
    before: Potential, after: Potential, frames: Sequence[Frame], head: str
) -> HeadDrift:
    known = {
        atomic_numbers[s] for s in before.config.head(head).reference_energies
    }  # fmt: skip
    usable = [f for f in frames if known.issuperset(f.numbers.tolist())]
    picks = np.linspace(0, len(usable) - 1, min(MOST_FRAMES, len(usable)))
    chosen = [usable[k] for k in picks.round().astype(int)]
    counts = Counter(int(z) for f in usable for z in f.numbers)
    common = [z for z, _ in counts.most_common(MOST_ELEMENTS)]
    elements = sorted(common or sorted(known)[:MOST_ELEMENTS])
    pairs = [_pair(a, b, float(before.config.cutoff))
             for a, b in combinations_with_replacement(elements, 2)]  # fmt: skip
    frames = [*chosen, *(frame for curve in pairs for frame in curve)]
    said = [residuals(potential, frames, head=head) for potential in (before, after)]
    n = len(chosen)
    energies = np.array(
        [[r.predicted.energy / r.frame.n_atoms for r in found] for found in said]
    ).reshape(2, -1)
    moved = energies[1] - energies[0]
    forces = [
        (b.predicted.forces - a.predicted.forces).ravel()
        for a, b in zip(said[0][:n], said[1][:n], strict=True)
    ]
    curves = 2.0 * energies[:, n:].reshape(2, len(pairs), N_DISTANCES)
    return HeadDrift(
        n_frames=n,
        energy_moved=1e3 * rmse(moved[:n]) if n else None,
        force_moved=1e3 * rmse(np.concatenate(forces)) if n else None,
        pair_moved=1e3 * rmse(moved[n:]) if pairs else None,
        wells_before=sum(count_wells(curve) for curve in curves[0]),
        wells_after=sum(count_wells(curve) for curve in curves[1]),
    )


def count_wells(energies: Floats) -> int:
    """Return the minima of a curve that are deeper than `WELL` on both sides."""
    wells, top, bottom = 0, float(energies[0]), float(energies[0])
    falling = False
    for value in map(float, energies[1:]):
        if not falling:
            top = max(top, value)
            if value < top - WELL:
                falling, bottom = True, value
        else:
            bottom = min(bottom, value)
            if value > bottom + WELL:
                falling, top, wells = False, value, wells + 1
    return wells


def _pair(a: int, b: int, cutoff: float) -> list[Frame]:
    """Return two atoms at distances from 0.7 bond lengths to the cutoff."""
    bond = covalent_radii[a] + covalent_radii[b]
    name = f"{chemical_symbols[a]}-{chemical_symbols[b]}"
    return [
        Frame(
            numbers=np.array([a, b], dtype=np.int64),
            positions=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]),
            cell=np.zeros((3, 3)),
            pbc=(False, False, False),
            energy=float("nan"),
            forces=None,
            stress=None,
            head="",
            level="",
            config_type="pair",
            uid=f"{name}-{k}",
            source=name,
        )
        for k, distance in enumerate(
            np.linspace(0.7 * bond, max(cutoff, bond), N_DISTANCES)
        )
    ]
