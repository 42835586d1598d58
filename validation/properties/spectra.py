"""Projected densities of states, thermal functions over temperature, group velocities.

They follow from force constants alone, like the rest in `bands`, and serve a model
and a DFT reference alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

from lamplighter.validation.properties.bands import FloatArray

_SHARE_MESH: Final = 13
_M_PER_S: Final = 100.0
"""m/s of one THz Å."""


def projected_density(
    phonons: Phonopy, *, mesh: int, frequencies: FloatArray, total: FloatArray
) -> dict[str, FloatArray]:
    """Return the density of states of each element, states per THz and primitive cell.

    The shares of the elements come from a coarser mesh than the whole density, since
    they need eigenvectors at all of its wave vectors; together they give the whole.

    Args:
        phonons: phonopy's object with force constants.
        mesh: wave vectors along each reciprocal vector; at most 13 serve.
        frequencies: [n_bins], evenly spaced, THz: where the density is wanted.
        total: [n_bins], the whole density there.
    """
    phonons.run_mesh(
        [min(mesh, _SHARE_MESH)] * 3,
        is_gamma_center=True,
        with_eigenvectors=True,
        is_mesh_symmetry=False,
    )
    step = float(frequencies[1] - frequencies[0])
    found = phonons.run_projected_dos(
        freq_min=float(frequencies[0]),
        freq_max=float(frequencies[-1]) + 0.5 * step,
        freq_pitch=step,
    )
    atoms = np.asarray(found.projected_dos)[:, : len(frequencies)]
    whole = np.maximum(atoms.sum(axis=0), 1e-12)
    symbols = phonons.primitive.symbols
    shares = {
        element: np.sum(
            [atoms[i] for i, symbol in enumerate(symbols) if symbol == element], axis=0
        )
        / whole
        for element in dict.fromkeys(symbols)
    }
    return {element: share * total for element, share in shares.items()}


def thermal_curves(
    phonons: Phonopy, temperatures: Sequence[float]
) -> dict[str, FloatArray]:
    """Return free energy, entropy and heat capacity per atom, by temperature.

    phonopy's last mesh serves; the acoustic modes at Γ are left out.

    Args:
        phonons: phonopy's object after `run_mesh`.
        temperatures: K.

    Returns:
        ``free_energy`` kJ/mol, ``entropy`` and ``heat_capacity`` J/mol/K, each
        [n_temperatures].
    """
    result = phonons.run_thermal_properties(
        temperatures=list(temperatures), exclude_gamma_acoustic=True
    )
    n_atoms = len(phonons.primitive)
    return {
        "free_energy": np.asarray(result.free_energy, dtype=float) / n_atoms,
        "entropy": np.asarray(result.entropy, dtype=float) / n_atoms,
        "heat_capacity": np.asarray(result.heat_capacity, dtype=float) / n_atoms,
    }


def group_velocities(phonons: Phonopy, qpoints: FloatArray) -> FloatArray:
    """Return the speed of each mode in m/s, modes by ascending frequency.

    At Γ the acoustic modes have no derivative: the speed there is left at zero.

    Args:
        phonons: phonopy's object with force constants.
        qpoints: [n_q, 3], fractions of the reciprocal vectors.

    Returns:
        [n_q, n_branches].
    """
    result = phonons.run_qpoints(qpoints, with_group_velocities=True)
    order = np.argsort(np.asarray(result.frequencies), axis=1)
    speeds = np.linalg.norm(np.asarray(result.group_velocities), axis=2) * _M_PER_S
    return np.take_along_axis(speeds, order, axis=1)


def acoustic_velocities(
    phonons: Phonopy, direction: Sequence[float], length: float = 1e-3
) -> FloatArray:
    """Return the three sound velocities along a Cartesian direction, m/s, ascending.

    The slope of the frequency near Γ; what elastic constants give must be the same up
    to the range of the forces that the supercell holds.

    Args:
        phonons: phonopy's object with force constants and without charges.
        direction: Cartesian, any length.
        length: of the wave vector, 1/Å without 2 pi.
    """
    unit = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    q = phonons.primitive.cell @ (length * unit)
    frequencies = np.sort(phonons.run_qpoints([q]).frequencies[0])[:3]
    return np.asarray(frequencies / length * _M_PER_S)


def commensurate_points(phonons: Phonopy) -> FloatArray:
    """Return the wave vectors that fit the supercell, one of each pair q and -q.

    Returns:
        [n_q, 3], fractions of the reciprocal vectors of the primitive cell, Γ first.
    """
    ratio = phonons.supercell.cell @ np.linalg.inv(phonons.primitive.cell)
    matrix: Any = np.rint(ratio).astype(np.int64).T
    points = get_commensurate_points(matrix)
    folded = np.round(points - np.floor(points + 1e-9), 9)
    kept: list[FloatArray] = []
    seen: set[tuple[float, ...]] = set()
    for q in folded[np.lexsort(folded.T[::-1])]:
        negative = np.round(-q - np.floor(-q + 1e-9), 9)
        if tuple(negative) not in seen:
            kept.append(q)
            seen.add(tuple(q))
    return np.array(kept)


def frequencies_at(phonons: Phonopy, qpoints: FloatArray) -> FloatArray:
    """Return sorted frequencies [n_q, n_branches] in THz, imaginary ones negative."""
    return np.sort(np.asarray(phonons.run_qpoints(qpoints).frequencies), axis=1)
