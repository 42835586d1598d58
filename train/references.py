"""Energies of the free atoms, E0, per head: given, read from frames, or fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lamplighter.arrays import Floats, Integers
from lamplighter.errors import DataError, explain
from lamplighter.train.data.frame import Frame
from lamplighter.train.head_config import ReferenceSource
from lamplighter.train.least_squares import LeastSquares, Solution

CHUNK = 65536
"""Frames that are turned into equations at a time."""

Origin = Literal["given", "isolated atom", "foundation", "fit", "fit (minimum norm)"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """E0 of one element of one head.

    Attributes:
        element: chemical symbol.
        energy: eV.
        origin: where the number comes from.
        uncertainty: one standard deviation of a fit, eV; infinite when the fit has no
            equation to spare; 0 for a number that was given or labelled.
    """

    element: str
    energy: float
    origin: Origin
    uncertainty: float = 0.0


def reference_energies(
    frames: Sequence[Frame],
    *,
    head: str,
    given: Mapping[str, float] | None = None,
    interaction: Sequence[float] | None = None,
    prior: Mapping[str, float] | None = None,
    sources: Sequence[ReferenceSource] = ("isolated", "fit"),
    foundation: Mapping[str, float] | None = None,
) -> list[Reference]:
    """Return E0 of every element in the frames of a head, by atomic number.

    A given number wins; every other element takes the first of `sources` that knows it:
    "isolated" (IsolatedAtom frames), "foundation" (E0 of another potential's head),
    "fit". The fit minimises ``sum_f ((E_f - I_f - sum_i E0(z_i)) / n_f)^2`` over the
    elements that are left. What it does not determine comes as close to the foundation
    as the data allow when "foundation" is named after "fit", and is refused otherwise.

    Args:
        frames: frames of the head, at least one.
        head: name of the head, for messages.
        given: E0 by element, eV.
        interaction: ``I_f``, an estimate of the interaction energy of each frame (from
            another head on the same geometry), eV; None means zero, the plain fit.
        prior: E0 by element, eV, to stay closest to where the data do not determine an
            element (minimum norm of the difference); None refuses that case.
        sources: where E0 comes from, in this order.
        foundation: E0 by element of the foundation's head, eV.

    Raises:
        DataError: two atoms of one element with different energies, or an element that
            no source determines; the message names the elements and, after a fit, the
            combinations of them that the data leave free.
    """
    foundation = foundation or {}
    symbols = _elements(frames)
    known = {
        e: Reference(element=e, energy=v, origin="given")
        for e, v in (given or {}).items()
    }
    for source in sources:
        unknown = [e for e in symbols if e not in known]
        if not unknown:
            break
        if source == "isolated":
            found = _isolated(frames)
        elif source == "foundation":
            found = {
                e: Reference(element=e, energy=foundation[e], origin="foundation")
                for e in unknown
                if e in foundation
            }
        else:
            later = "foundation" in sources[list(sources).index("fit") :]
            found = _fit(
                _Equations(frames, head, known, unknown, interaction),
                {**(foundation if later else {}), **(prior or {})},
                unlimited=prior is not None,
            )
        known = {**found, **known}
    _check_complete(head, [e for e in symbols if e not in known], sources)
    return sorted(known.values(), key=lambda r: atomic_numbers[r.element])


def _check_complete(
    head: str, missing: Sequence[str], sources: Sequence[ReferenceSource]
) -> None:
    if missing:
        raise DataError(
            explain(
                f"no source knows the free atoms {', '.join(missing)} of head {head!r}",
                got=f"reference_sources {', '.join(sources)}",
                wanted="an IsolatedAtom frame for each, or another source",
                fix="add the atoms, give reference_energies in the head's settings, or "
                "name another of isolated, foundation, fit",
            )
        )


def _elements(frames: Sequence[Frame]) -> list[str]:
    numbers = sorted({int(z) for f in frames for z in f.numbers})
    return [chemical_symbols[z] for z in numbers]


def _isolated(frames: Sequence[Frame]) -> dict[str, Reference]:
    found: dict[str, tuple[Reference, Frame]] = {}
    for frame in (f for f in frames if f.is_isolated_atom):
        element = chemical_symbols[int(frame.numbers[0])]
        reference = Reference(
            element=element, energy=frame.energy, origin="isolated atom"
        )
        first = found.setdefault(element, (reference, frame))
        if abs(first[0].energy - frame.energy) > 1e-6:
            raise DataError(
                explain(
                    f"{frame.source}: a second {element} atom of head {frame.head!r} "
                    "with another energy",
                    got=f"{frame.energy} eV",
                    wanted=f"{first[0].energy} eV, as at {first[1].source}",
                    fix="keep the atom in its ground state only",
                )
            )
    return {element: reference for element, (reference, _) in found.items()}


@dataclass(frozen=True, slots=True)
class _Equations:
    """Energies per atom as linear functions of the unknown E0."""

    frames: Sequence[Frame]
    head: str
    known: Mapping[str, Reference]
    unknown: Sequence[str]
    interaction: Sequence[float] | None

    def solve(self, start: Floats) -> Solution:
        """Return the fitted change of E0 from `start`; uses part of the frames."""
        system = LeastSquares(len(self.unknown))
        fixed = np.array([r.energy for r in self.known.values()])
        for first in range(0, len(self.frames), CHUNK):
            part = self.frames[first : first + CHUNK]
            counts = element_counts(part, self.unknown)
            energies = np.array([f.energy for f in part])
            if self.interaction is not None:
                energies = energies - self.interaction[first : first + CHUNK]
            energies = energies - element_counts(part, list(self.known)) @ fixed
            sizes = np.array([f.n_atoms for f in part])
            rows = counts.any(axis=1)
            design = counts[rows] / sizes[rows, None]
            system.add(design, energies[rows] / sizes[rows] - design @ start)
        return system.solve()


def _fit(
    equations: _Equations, prior: Mapping[str, float], *, unlimited: bool
) -> dict[str, Reference]:
    """Return E0 of the unknown elements, as close to `prior` as the data allow.

    Where `prior` lacks an element that the data do not determine, it counts as 0 when
    `unlimited`, and is refused otherwise.
    """
    unknown = equations.unknown
    start = np.array([prior.get(e, 0.0) for e in unknown])
    solution = equations.solve(start)
    free = solution.free(unknown)
    lacking = [] if unlimited else [e for e in free if e not in prior]
    if lacking:
        raise DataError(
            explain(
                f"the data of head {equations.head!r} do not determine the energy of "
                f"the free atoms {', '.join(lacking)}",
                got=f"{solution.n_rows} frames with too few independent compositions; "
                f"free to change: {'; '.join(solution.combinations(unknown))}",
                wanted="an IsolatedAtom frame for each, or more compositions",
                fix="add the atoms, give reference_energies in the head's settings, or "
                "set reference_fit: minimum-norm when only this composition matters",
            )
        )
    return {
        element: Reference(
            element=element,
            energy=float(start[k] + solution.values[k]),
            origin="fit (minimum norm)" if element in free else "fit",
            uncertainty=float(solution.uncertainties[k]),
        )
        for k, element in enumerate(unknown)
    }


def element_counts(frames: Sequence[Frame], elements: Sequence[str]) -> Integers:
    """Return the number of atoms of each element in each frame, [n_frames, n]."""
    column = np.full(len(chemical_symbols), len(elements))
    column[[atomic_numbers[e] for e in elements]] = np.arange(len(elements))
    sizes = [f.n_atoms for f in frames]
    rows = np.repeat(np.arange(len(frames)), sizes)
    columns = column[np.concatenate([f.numbers for f in frames])]
    counts = np.zeros((len(frames), len(elements) + 1), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts[:, :-1]
