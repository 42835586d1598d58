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

RANK_TOLERANCE = 1e-8
"""Singular values below this fraction of the largest count as zero."""

Origin = Literal["given", "isolated atom", "fit", "fit (minimum norm)"]


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
) -> list[Reference]:
    """Return E0 of every element in the frames of a head, by atomic number.

    A given number wins over an IsolatedAtom frame, and that over the fit. The fit
    minimises ``sum_f ((E_f - I_f - sum_i E0(z_i)) / n_f)^2`` over the elements that are
    left.

    Args:
        frames: frames of the head, at least one.
        head: name of the head, for messages.
        given: E0 by element, eV.
        interaction: ``I_f``, an estimate of the interaction energy of each frame (from
            another head on the same geometry), eV; None means zero, the plain fit.
        prior: E0 by element, eV, to stay closest to where the data do not determine an
            element (minimum norm of the difference); None refuses that case.

    Raises:
        DataError: two atoms of one element with different energies, or an element that
            the data do not determine; the message names the elements.
    """
    symbols = _elements(frames)
    known: dict[str, Reference] = _isolated(frames)
    for element, energy in (given or {}).items():
        known[element] = Reference(element=element, energy=energy, origin="given")
    unknown = [s for s in symbols if s not in known]
    if unknown:
        fitted = _fit(frames, head, known, unknown, interaction, prior)
        known.update({r.element: r for r in fitted})
    return sorted(known.values(), key=lambda r: atomic_numbers[r.element])


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


def _fit(
    frames: Sequence[Frame],
    head: str,
    known: Mapping[str, Reference],
    unknown: Sequence[str],
    interaction: Sequence[float] | None,
    prior: Mapping[str, float] | None,
) -> list[Reference]:
    """Weighted least squares over the unknown elements."""
    estimate = np.zeros(len(frames)) if interaction is None else np.array(interaction)
    rows = _counts(frames, unknown).sum(axis=1) > 0
    frames = [f for f, row in zip(frames, rows, strict=True) if row]
    estimate = estimate[rows]
    start = np.array([(prior or {}).get(e, 0.0) for e in unknown])
    sizes = np.array([f.n_atoms for f in frames])
    design = _counts(frames, unknown) / sizes[:, None]
    energies = np.array([f.energy for f in frames]) - estimate
    fixed = _counts(frames, list(known)) @ np.array([r.energy for r in known.values()])
    target = (energies - fixed) / sizes - design @ start
    null = _null_space(design)
    free = [
        e
        for e, row in zip(unknown, null, strict=True)
        if np.abs(row).max(initial=0) > 1e-6
    ]
    if free and prior is None:
        raise DataError(
            explain(
                f"the data of head {head!r} do not determine the energy of the free "
                f"atoms {', '.join(free)}",
                got=f"{len(frames)} frames with too few independent compositions",
                wanted="an IsolatedAtom frame for each, or more compositions",
                fix="add the atoms, give reference_energies in the head's settings, or "
                "set reference_fit: minimum-norm when only this composition matters",
            )
        )
    step, *_ = np.linalg.lstsq(design, target, rcond=RANK_TOLERANCE)
    errors = _uncertainties(design, target - design @ step)
    return [
        Reference(
            element=element,
            energy=float(start[k] + step[k]),
            origin="fit (minimum norm)" if element in free else "fit",
            uncertainty=float("inf") if element in free else float(errors[k]),
        )
        for k, element in enumerate(unknown)
    ]


def _counts(frames: Sequence[Frame], elements: Sequence[str]) -> Integers:
    """Number of atoms of each element in each frame, [n_frames, n_elements]."""
    numbers = [atomic_numbers[e] for e in elements]
    return np.array(
        [[int((f.numbers == z).sum()) for z in numbers] for f in frames], dtype=np.int64
    ).reshape(len(frames), len(elements))


def _null_space(design: Floats) -> Floats:
    """Directions that no frame determines, as columns, [n_elements, n_directions]."""
    n_elements = design.shape[1]
    _, values, rows = np.linalg.svd(design, full_matrices=True)
    scale = values.max(initial=0.0)
    rank = int((values > RANK_TOLERANCE * max(scale, 1e-300)).sum()) if scale else 0
    return rows[rank:].T.reshape(n_elements, n_elements - rank)


def _uncertainties(design: Floats, residual: Floats) -> Floats:
    """Standard deviations of the fitted energies, eV."""
    spare = len(design) - int(np.linalg.matrix_rank(design, tol=RANK_TOLERANCE))
    if spare <= 0:
        return np.full(design.shape[1], np.inf)
    variance = float(residual @ residual) / spare
    covariance = variance * np.linalg.pinv(design.T @ design, rcond=RANK_TOLERANCE)
    return np.asarray(np.sqrt(np.clip(np.diag(covariance), 0.0, None)), dtype=float)
