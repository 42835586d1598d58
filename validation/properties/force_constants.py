"""Force constants from displaced supercells, through any engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from scipy import constants

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.crystal import conventional, space_group_symbol
from lamplighter.validation.refs.force_sets import Displaced, to_ase, to_phonopy

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Centring = Literal["P", "F", "I", "A", "C", "R"]

N_ACOUSTIC: Final = 3
_THZ: Final = math.sqrt(constants.e / constants.atomic_mass) / (2e2 * math.pi)
"""THz of sqrt(eV/Å^2/amu)."""

_CENTRINGS: Final[dict[str, Centring]] = {
    letter: letter for letter in ("P", "F", "I", "A", "C", "R")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceConstants:
    """Symmetrised force constants, and what it took to make them so.

    Attributes:
        phonons: phonopy's object with the force constants, eV/Å^2.
        residual_force: largest force before any displacement, eV/Å.
        drift: largest mean force on a displaced supercell, eV/Å.
        correction: largest change by symmetrisation over the largest force constant.
        noise: THz, what errors of the size found in the forces do to the lowest modes:
            the larger of the acoustic frequencies at Γ before the mean force is
            subtracted, and of `asymmetry_floor`.
        n_displaced: how many displaced supercells were computed.
    """

    phonons: Phonopy
    residual_force: float
    drift: float
    correction: float
    noise: float
    n_displaced: int


def force_constants(
    unit: Atoms,
    supercell_matrix: IntArray,
    engine: Engine,
    displacement: float,
    dataset: Sequence[Displaced] | None = None,
) -> ForceConstants:
    """Return force constants from displaced supercells of a relaxed cell.

    Forces of the undisplaced supercell and the mean force are subtracted. An opposite
    displacement is added wherever symmetry does not make it redundant, so that the
    cubic term of the energy drops out.

    Args:
        unit: relaxed cell, conventional or primitive.
        supercell_matrix: [3, 3], phonopy's convention.
        engine: what computes.
        displacement: Å.
        dataset: which atom to move and how far, in place of what the symmetry of the
            crystal asks for; the vectors are scaled to the length `displacement`.
    """
    phonons = Phonopy(
        to_phonopy(unit), supercell_matrix, primitive_matrix=centring(unit), log_level=0
    )
    if dataset is None:
        phonons.generate_displacements(distance=displacement)
    else:
        phonons.dataset = _as_dataset(dataset, phonons, displacement)
    displaced = [
        to_ase(cell) for cell in phonons.supercells_with_displacements or () if cell
    ]
    structures = [to_ase(phonons.supercell), *displaced]
    results = engine.compute_many(structures, want=("energy", "forces"))
    rest = results[0].forces
    changes = [result.forces - rest for result in results[1:]]
    drift = max(float(np.abs(change.mean(axis=0)).max()) for change in changes)
    # Without their mean the forces keep translations at zero frequency whatever their
    # noise: the acoustic modes tell the noise only before.
    phonons.forces = changes
    phonons.produce_force_constants()
    acoustic = float(np.abs(acoustic_at_gamma(phonons)).max())
    phonons.forces = [change - change.mean(axis=0) for change in changes]
    phonons.produce_force_constants()
    raw = np.array(phonons.force_constants)
    noise = max(acoustic, asymmetry_floor(raw, float(phonons.masses.min())))
    phonons.symmetrize_force_constants(level=2, show_drift=False)
    final = np.asarray(phonons.force_constants)
    return ForceConstants(
        phonons=phonons,
        residual_force=float(np.abs(rest).max()),
        drift=drift,
        correction=float(np.abs(final - raw).max() / np.abs(raw).max()),
        noise=noise,
        n_displaced=len(displaced),
    )


def _as_dataset(
    moves: Sequence[Displaced], phonons: Phonopy, displacement: float
) -> Any:
    """Return phonopy's data set for displacements of single atoms.

    Raises:
        DataError: an atom is not in the supercell.
    """
    n_atoms = len(phonons.supercell)
    if not all(0 <= move.atom < n_atoms for move in moves):
        raise DataError(
            explain(
                "a displaced atom is not in the supercell",
                got=f"atoms {[move.atom for move in moves]}",
                wanted=f"0 to {n_atoms - 1}",
                fix="use the supercell that the displacements were made for",
            )
        )
    first_atoms = [
        {
            "number": move.atom,
            "displacement": np.asarray(move.vector)
            * (displacement / float(np.linalg.norm(move.vector))),
        }
        for move in moves
    ]
    return {"natom": n_atoms, "first_atoms": first_atoms}


def acoustic_at_gamma(phonons: Phonopy) -> FloatArray:
    """Return the three frequencies at Γ that are closest to zero, in THz."""
    frequencies = np.asarray(phonons.run_qpoints([[0, 0, 0]]).frequencies)[0]
    closest = np.argsort(np.abs(frequencies))[:N_ACOUSTIC]
    return np.asarray(frequencies[closest], dtype=float)


def asymmetry_floor(matrix: FloatArray, mass: float) -> float:
    """Return what errors like the asymmetry of force constants do to a mode, THz.

    The constants of one pair of atoms from either one's displacement differ by the
    errors of two forces; a squared frequency is a sum over all atoms of the supercell,
    in which they add up as random numbers do. A potential whose forces always sum to
    zero shows its noise here alone.

    Args:
        matrix: [N, N, 3, 3], eV/Å^2, force constants before any symmetrisation.
        mass: of the lightest atom, amu.
    """
    apart = matrix - matrix.transpose(1, 0, 3, 2)
    error = float(np.sqrt((apart**2).mean() / 2.0))
    return _THZ * math.sqrt(error * math.sqrt(len(matrix)) / mass)


def centring(unit: Atoms) -> Centring:
    """Return how the primitive cell lies in `unit`, a standard or primitive cell."""
    if len(conventional(unit)) != len(unit):
        return "P"
    return _CENTRINGS[space_group_symbol(unit)[0]]


def diagonal_supercell(unit: Atoms, length: float) -> IntArray:
    """Return the smallest diagonal supercell whose faces are `length` Å apart."""
    heights = 1 / np.linalg.norm(np.linalg.inv(unit.cell.array), axis=0)
    repeats = [max(1, math.ceil(length / height - 1e-6)) for height in heights]
    return np.diag(np.asarray(repeats, dtype=np.int64))
