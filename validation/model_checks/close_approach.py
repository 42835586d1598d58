"""Two atoms pushed together: where do they start to repel, and is there a hole?

Distances are in units of the contact distance, the sum of the covalent radii. No bond
of the periodic table is shorter than 0.6 of it (Cr2 and Mo2 come closest), so that
below 0.55 the energy has to rise on approach; between 0.55 and 1 it may do either.
"""

from __future__ import annotations

import itertools

import numpy as np
from ase import Atoms

from lamplighter.validation.model_checks import structures
from lamplighter.validation.model_checks.record import CheckRecord, information, judged
from lamplighter.validation.model_checks.subject import Subject

_CLOSEST, _REPULSIVE, _CONTACT = 0.3, 0.55, 1.0
_FRACTIONS = np.linspace(_CLOSEST, _CONTACT, 57)
_DEPTH = 1e-3


def check_close_approach(subject: Subject) -> list[CheckRecord]:
    """Push pairs of all elements of the sample together."""
    worst, note, records = -np.inf, "", []
    pairs = list(itertools.combinations_with_replacement(subject.sample, 2))
    for a, b in pairs:
        hole, record = _approach(subject, a, b)
        records.append(record)
        if hole > worst or not np.isfinite(hole):
            worst, note = hole, f"{a}-{b}, of {len(pairs)} pairs"
        if not np.isfinite(hole):
            break
    return [judged("close_approach.hole", worst, _DEPTH, "eV", note), *records]


def _approach(subject: Subject, a: str, b: str) -> tuple[float, CheckRecord]:
    """Return the depth of the deepest hole, eV, and what else there is to say."""
    contact = structures.contact(a, b)
    alone = [Atoms([a]), Atoms([b])]
    close = [structures.pair(a, b, f * contact) for f in _FRACTIONS]
    found = np.array([one.energy for one in subject.evaluate_many([*alone, *close])])
    energies = found[2:] - found[:2].sum()
    # How far the energy falls on the way in from anywhere below _REPULSIVE, and how far
    # the closest point lies below separate atoms.
    near = energies[_FRACTIONS <= _REPULSIVE + 1e-9]
    barrier = np.maximum.accumulate(near[::-1])[::-1]
    hole = max(float((barrier - near).max()), -float(near[0]))
    falling = np.flatnonzero(np.diff(energies) > 0.0)
    onset = _FRACTIONS[falling[0]] if len(falling) else _CONTACT
    note = f"energy at {_CLOSEST:g} of {contact:.2f} Å; "
    if onset > _CLOSEST:
        note += f"rises on approach below {onset:.2f}"
    else:
        note += "falls on approach there: known bad below this distance"
    name = f"close_approach.{a}-{b}"
    return hole, information(name, float(energies[0]), "eV", note)
