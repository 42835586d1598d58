"""Energies against the sum of free atoms: what does not fit, and which unit it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from lamplighter.arrays import Floats
from lamplighter.train.data.labels import ENERGY_IN_EV

SIGMAS = 10.0
"""Robust standard deviations beyond which an energy does not fit."""
LEAST = 10.0
"""An energy nearer than this to the fit always fits, eV/atom: bonds are that strong."""
STRANGE = 1.0
"""An energy farther than this from the fit may have another unit, eV/atom."""
FEWEST = 3
"""Fewest energies that a suspected unit must explain."""
ROUNDS = 5
TINY = 1e-8


@dataclass(frozen=True, slots=True)
class EnergyFit:
    """Free atoms of a head by robust least squares, and the distances from them.

    Attributes:
        reference_energies: E0 by element, eV.
        undetermined: elements whose E0 the compositions do not determine.
        residual: [n_frames], energy per atom above the atoms, eV/atom.
        outlier: [n_frames], whether an energy does not fit.
        unit: unit that explains most outliers, "" if none does.
        n_unit: outliers that it explains.
    """

    reference_energies: Mapping[str, float]
    undetermined: tuple[str, ...]
    residual: Floats
    outlier: npt.NDArray[np.bool_]
    unit: str
    n_unit: int


def fit_energies(
    counts: Floats, energies: Floats, elements: Sequence[int]
) -> EnergyFit:
    """Fit E0 so that energies far from the others, and single atoms, hardly count.

    Args:
        counts: atoms of each element in each frame, [n_frames, n_elements].
        energies: total energies, eV.
        elements: atomic numbers of the columns.
    """
    sizes = counts.sum(axis=1)
    lone = sizes == 1
    design, target = counts / sizes[:, None], energies / sizes
    weights = 1.0 - 0.999 * lone
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        solution, *_ = np.linalg.lstsq(
            design * root[:, None], target * root, rcond=TINY
        )
        residual = target - design @ solution
        distance = np.abs(residual - np.median(residual))
        # Absolute deviations instead of squares: half of the frames may be wrong.
        weights = np.where(lone, 0.001, 1.0) / np.maximum(distance, 0.01)
    spread = 1.4826 * float(np.median(distance[~lone] if not lone.all() else distance))
    strange = (distance > max(SIGMAS * spread, STRANGE)) & ~lone
    unit, explained = _unit(target, design @ solution, strange, max(3 * spread, 0.3))
    outlier = (strange & (distance > LEAST)) | explained
    return EnergyFit(
        reference_energies={
            chemical_symbols[z]: float(e)
            for z, e in zip(elements, solution, strict=True)
        },
        undetermined=_undetermined(design, elements),
        residual=residual,
        outlier=outlier,
        unit=unit,
        n_unit=int(explained.sum()),
    )


def _undetermined(design: Floats, elements: Sequence[int]) -> tuple[str, ...]:
    _, values, rows = np.linalg.svd(design.T @ design)
    null = rows[values < TINY * max(float(values.max(initial=0.0)), TINY)]
    free = np.abs(null).max(axis=0, initial=0.0) > 1e-4
    return tuple(chemical_symbols[z] for z, f in zip(elements, free, strict=True) if f)


def _unit(
    target: Floats, fitted: Floats, strange: npt.NDArray[np.bool_], near: float
) -> tuple[str, npt.NDArray[np.bool_]]:
    """Return the unit with which most strange energies fit, if half of them do."""
    best, explained = "", np.zeros(len(target), dtype=bool)
    for name, factor in ENERGY_IN_EV.items():
        if name != "eV":
            fits = strange & (np.abs(factor * target - fitted) < near)
            if fits.sum() > explained.sum():
                best, explained = name, fits
    if explained.sum() >= FEWEST and 2 * explained.sum() >= strange.sum():
        return best, explained
    return "", np.zeros(len(target), dtype=bool)
