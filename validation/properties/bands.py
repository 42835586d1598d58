"""Phonon bands, densities of states and thermal functions out of force constants.

What happens after the forces: the same code serves a model and the DFT reference, so
that the two are compared at the same wave vectors in the same basis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.properties.band_path import (
    GAMMA,
    BandPath,
    Corner,
    default_path,
)
from lamplighter.validation.properties.elastic_axes import conventional_vectors
from lamplighter.validation.structures import CUBIC, UNIAXIAL, symmetry

__all__ = [
    "GAMMA",
    "BandPath",
    "Bands",
    "Spectrum",
    "Thermal",
    "corner_frequencies",
    "default_path",
    "is_commensurate",
    "longitudinal_modes",
    "longitudinal_optical",
    "optical_at_gamma",
    "run_bands",
    "run_spectrum",
    "with_charges",
]

FloatArray = NDArray[np.float64]

_N_ACOUSTIC: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """Frequencies along a path, in the form that the plots take.

    Attributes:
        qpoints: [n_q, 3], fractions of the reciprocal vectors.
        distances: [n_q], length along the path, 1/Å without 2 pi; a jump has no length.
        frequencies: [n_q, n_branches], THz, sorted; imaginary ones are negative.
        ticks: positions of the corners along `distances`.
        labels: names of the corners; two of them at a jump, as in ``U|K``.
        breaks: indices of the first point after each jump.
    """

    qpoints: FloatArray
    distances: FloatArray
    frequencies: FloatArray
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    breaks: tuple[int, ...]


def run_bands(
    phonons: Phonopy,
    path: BandPath,
    *,
    n_points: int = 160,
    shape: Phonopy | None = None,
) -> Bands:
    """Return the frequencies along a path.

    Args:
        phonons: phonopy's object with force constants.
        path: the corners.
        n_points: about how many wave vectors the whole path gets, by length.
        shape: whose cell gives the lengths; that of a model for its reference, so that
            both get the same wave vectors at the same distances.
    """
    reciprocal = np.linalg.inv((shape or phonons).primitive.cell).T
    pieces = [
        (segment, start, end)
        for segment, corners in enumerate(path.segments)
        for start, end in pairwise(corners)
    ]
    lengths = [
        float(np.linalg.norm((np.subtract(end[1], start[1])) @ reciprocal))
        for _, start, end in pieces
    ]
    total = sum(lengths)
    grids = [
        np.linspace(start[1], end[1], max(2, round(n_points * length / total) + 1))
        for (_, start, end), length in zip(pieces, lengths, strict=True)
    ]
    result = phonons.run_band_structure(grids)
    steps = [np.linspace(0.0, s, len(g)) for s, g in zip(lengths, grids, strict=True)]
    begins = np.cumsum([0.0, *lengths[:-1]])
    ticks, labels, breaks = _ticks(pieces, lengths, grids)
    return Bands(
        qpoints=np.concatenate(grids),
        distances=np.concatenate([b + s for b, s in zip(begins, steps, strict=True)]),
        frequencies=np.sort(np.concatenate(result.frequencies), axis=1),
        ticks=ticks,
        labels=labels,
        breaks=breaks,
    )


def _ticks(
    pieces: Sequence[tuple[int, Corner, Corner]],
    lengths: Sequence[float],
    grids: Sequence[FloatArray],
) -> tuple[tuple[float, ...], tuple[str, ...], tuple[int, ...]]:
    ticks, labels, breaks = [0.0], [pieces[0][1][0]], []
    position, index = 0.0, 0
    for number, (piece, length, grid) in enumerate(
        zip(pieces, lengths, grids, strict=True)
    ):
        if number and piece[0] != pieces[number - 1][0]:
            labels[-1] += f"|{piece[1][0]}"
            breaks.append(index)
        position, index = position + length, index + len(grid)
        ticks.append(position)
        labels.append(piece[2][0])
    return tuple(ticks), tuple(labels), tuple(breaks)


def is_commensurate(phonons: Phonopy, qpoint: Sequence[float]) -> bool:
    """Return whether a wave vector fits the supercell, so that it is not interpolated.

    Only there do the force constants give the frequency exactly; elsewhere it depends
    on how forces beyond the supercell are folded.
    """
    cartesian = np.asarray(qpoint) @ np.linalg.inv(phonons.primitive.cell).T
    phases = phonons.supercell.cell @ cartesian
    return bool(np.abs(phases - np.rint(phases)).max() < 1e-6)


def corner_frequencies(phonons: Phonopy, path: BandPath) -> dict[str, FloatArray]:
    """Return the sorted frequencies in THz at the corners that fit the supercell."""
    corners = {
        label: q for label, q in path.corners().items() if is_commensurate(phonons, q)
    }
    frequencies = phonons.run_qpoints(list(corners.values())).frequencies
    return {
        label: np.sort(values)
        for label, values in zip(corners, np.asarray(frequencies), strict=True)
    }


@contextmanager
def with_charges(phonons: Phonopy, born: Mapping[str, Any] | None) -> Iterator[Phonopy]:
    """Give `phonons` the non-analytical term of Born charges inside a ``with`` block.

    Where the charges come from DFT, the longitudinal optical branch is the forces' with
    DFT's electrostatics. Without charges nothing changes.

    Source: Pick, Cohen, Martin, Phys. Rev. B 1, 910 (1970).
    """
    if born is None:
        yield phonons
        return
    before = phonons.nac_params
    charges: Any = dict(born)
    phonons.nac_params = charges
    try:
        yield phonons
    finally:
        phonons.nac_params = before


def longitudinal_optical(
    phonons: Phonopy, born: Mapping[str, Any], direction: Sequence[float] = (1, 0, 0)
) -> float:
    """Return the frequency in THz of the longitudinal mode at Γ along a direction.

    Of all modes it is the one that carries the largest dipole along the direction: the
    highest one need not be polar at all, as in wurtzite.

    Args:
        phonons: phonopy's object with force constants.
        born: Born charges and dielectric tensor, phonopy's ``nac_params``.
        direction: from which Γ is approached, fractions of the reciprocal vectors.
    """
    with with_charges(phonons, born):
        found: Any = phonons.run_qpoints(
            [[0, 0, 0]], nac_q_direction=list(direction), with_eigenvectors=True
        )
    primitive = phonons.primitive
    cartesian = np.asarray(direction) @ np.linalg.inv(primitive.cell).T
    vectors = np.asarray(found.eigenvectors)[0].reshape(len(primitive), 3, -1)
    moves = vectors / np.sqrt(primitive.masses)[:, None, None]
    dipoles = np.einsum("a,nab,nbm->m", cartesian, np.asarray(born["born"]), moves)
    return float(np.asarray(found.frequencies)[0][np.abs(dipoles).argmax()])


def longitudinal_modes(phonons: Phonopy, born: Mapping[str, Any]) -> dict[str, float]:
    """Return the longitudinal modes at Γ in THz, by the names of values.

    ``frequency_Gamma_LO`` of a cubic crystal; else ``frequency_Gamma_LO_a`` and ``_c``
    along these edges of the conventional cell, and ``_b`` where it is another direction
    than a.
    """
    atoms = Atoms(
        numbers=phonons.primitive.numbers,
        cell=phonons.primitive.cell,
        scaled_positions=phonons.primitive.scaled_positions,
    )
    edges = dict(zip("abc", conventional_vectors(atoms), strict=True))
    number = symmetry(atoms).number
    chosen = "a" if number >= CUBIC else "ac" if number >= UNIAXIAL else "abc"
    found = {}
    for edge in chosen:
        # The fractions of a wave vector along a Cartesian direction.
        direction = phonons.primitive.cell @ edges[edge] / np.linalg.norm(edges[edge])
        name = "frequency_Gamma_LO" + ("" if number >= CUBIC else f"_{edge}")
        found[name] = longitudinal_optical(phonons, born, direction.tolist())
    return found


def optical_at_gamma(frequencies: FloatArray) -> FloatArray:
    """Return the frequencies at Γ without those of the three translations, ascending.

    Translations are the closest to zero, not the lowest: imaginary modes lie below.

    >>> optical_at_gamma(np.array([-2.0, -1e-6, 0.0, 1e-6, 5.0, 7.0])).tolist()
    [-2.0, 5.0, 7.0]
    """
    return np.sort(frequencies[np.argsort(np.abs(frequencies))[_N_ACOUSTIC:]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """Harmonic thermal functions per atom at one temperature.

    Attributes:
        free_energy: Helmholtz free energy with zero-point motion, kJ/mol per atom.
        entropy: J/mol/K per atom.
        heat_capacity: at constant volume, J/mol/K per atom.
    """

    free_energy: float
    entropy: float
    heat_capacity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """What a regular mesh of wave vectors gives.

    Attributes:
        frequencies: [n_bins], THz.
        density: [n_bins], states per THz and primitive cell.
        lowest: lowest frequency away from Γ, THz.
        highest: highest frequency, THz.
        thermal: thermal functions; ``None`` if there are imaginary modes.
    """

    frequencies: FloatArray
    density: FloatArray
    lowest: float
    highest: float
    thermal: Thermal | None


def run_spectrum(
    phonons: Phonopy,
    *,
    mesh: int,
    temperature: float,
    gamma_radius: float = 0.05,
    imaginary_below: float = -0.05,
) -> Spectrum:
    """Return density of states, extreme frequencies and thermal functions.

    Args:
        phonons: phonopy's object with force constants.
        mesh: wave vectors along each reciprocal vector, Γ included.
        temperature: K.
        gamma_radius: `lowest` ignores wave vectors whose fractions are all smaller;
            interpolation noise of the acoustic modes near Γ is no instability.
        imaginary_below: frequencies under this, THz, count as imaginary.
    """
    result = phonons.run_mesh([mesh] * 3, is_gamma_center=True)
    values = np.asarray(result.frequencies)
    away = np.abs(result.qpoints - np.rint(result.qpoints)).max(axis=1) > gamma_radius
    if not away.any():
        raise ConfigError(
            explain(
                "the mesh of wave vectors is Γ alone",
                got=f"{mesh} along each reciprocal vector",
                wanted="2 or more",
                fix="leave mesh out to use the default",
            )
        )
    lowest = float(values[away].min())
    density = phonons.run_total_dos(use_tetrahedron_method=True)
    thermal = None
    if lowest > imaginary_below:
        thermal = _thermal(phonons, temperature)
    return Spectrum(
        frequencies=np.asarray(density.frequency_points),
        density=np.asarray(density.dos),
        lowest=lowest,
        highest=float(values.max()),
        thermal=thermal,
    )


def _thermal(phonons: Phonopy, temperature: float) -> Thermal:
    # The three acoustic modes at Γ are zero up to rounding; phonopy leaves them out.
    result = phonons.run_thermal_properties(
        temperatures=[temperature], exclude_gamma_acoustic=True
    )
    energy, entropy, heat = (
        float(np.ravel(np.asarray(values, dtype=float))[0]) / len(phonons.primitive)
        for values in (result.free_energy, result.entropy, result.heat_capacity)
    )
    return Thermal(free_energy=energy, entropy=entropy, heat_capacity=heat)
