"""Phonon bands, densities of states and thermal functions out of force constants.

What happens after the forces: the same code serves a model and the DFT reference, so
that the two are compared at the same wave vectors in the same basis.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import spglib
from numpy.typing import NDArray
from phonopy import Phonopy

from lamplighter.errors import DataError, explain

FloatArray = NDArray[np.float64]
Corner = tuple[str, tuple[float, float, float]]

GAMMA: Final = "Γ"

# Corners in the basis of phonopy's primitive cells "F", "I" and "P", whose lattice
# vectors are those of Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010).
_G: Final[Corner] = (GAMMA, (0.0, 0.0, 0.0))
_FCC: Final = (
    (_G, ("X", (0.5, 0.0, 0.5)), ("U", (0.625, 0.25, 0.625))),
    (("K", (0.375, 0.375, 0.75)), _G, ("L", (0.5, 0.5, 0.5)), ("W", (0.5, 0.25, 0.75))),
)
_BCC: Final = (
    (
        _G,
        ("H", (0.5, -0.5, 0.5)),
        ("N", (0.0, 0.0, 0.5)),
        _G,
        ("P", (0.25, 0.25, 0.25)),
    ),
)
_CUBIC: Final = (
    (_G, ("X", (0.0, 0.5, 0.0)), ("M", (0.5, 0.5, 0.0)), _G, ("R", (0.5, 0.5, 0.5))),
)
_FIRST_CUBIC_GROUP: Final = 195


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPath:
    """A path through the Brillouin zone.

    Attributes:
        segments: continuous pieces, each a sequence of labelled corners in fractions of
            the reciprocal vectors of the primitive cell.
    """

    segments: tuple[tuple[Corner, ...], ...]

    def corners(self) -> dict[str, tuple[float, float, float]]:
        """Return each label once, with its wave vector."""
        return {label: q for segment in self.segments for label, q in segment}


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


def default_path(phonons: Phonopy) -> BandPath:
    """Return the usual path for the primitive cell of `phonons`.

    Cubic crystals have tabulated paths; for the others pymatgen's, carried over into
    the basis of this primitive cell.

    Raises:
        DataError: the primitive cell spans another lattice than the standard one.
    """
    cell = phonons.primitive
    as_tuple: Any = (cell.cell, cell.scaled_positions, cell.numbers)
    spacegroup = spglib.get_symmetry_dataset(as_tuple, symprec=1e-4)
    if spacegroup is None:
        problem = "spglib finds no space group for the primitive cell"
        raise DataError(explain(problem, got=f"{len(cell)} atoms"))
    if spacegroup.number >= _FIRST_CUBIC_GROUP:
        centring = spacegroup.international[0]
        return BandPath(segments={"F": _FCC, "I": _BCC}.get(centring, _CUBIC))
    return _general_path(phonons)


def _general_path(phonons: Phonopy) -> BandPath:
    from pymatgen.core.structure import Structure  # noqa: PLC0415 - half a second of import
    from pymatgen.symmetry.bandstructure import HighSymmKpath  # noqa: PLC0415

    cell = phonons.primitive
    structure = Structure(cell.cell, cell.symbols, cell.scaled_positions)
    with warnings.catch_warnings():
        # It says that the orientation differs; the next lines carry the path over.
        warnings.filterwarnings("ignore", "The input structure does not match")
        standard = HighSymmKpath(structure, symprec=1e-4)
    basis = standard.prim.lattice.matrix @ np.linalg.inv(cell.cell)
    if np.abs(basis - np.rint(basis)).max() > 1e-3:
        raise DataError(
            explain(
                "no automatic band path for this orientation of the cell",
                got=f"{np.round(basis, 3).tolist()} in units of the standard cell",
                wanted="whole numbers",
                fix="give the path in the settings",
            )
        )
    # q_cart = q_standard . inv(A_standard)^T, and A_standard = basis . A_cell.
    turn = np.linalg.inv(basis).T
    points: dict[str, tuple[float, float, float]] = {}
    for label, q in standard.kpath["kpoints"].items():
        one, two, three = map(float, np.asarray(q) @ turn)
        points[label.replace("\\Gamma", GAMMA)] = (one, two, three)
    names = [
        [label.replace("\\Gamma", GAMMA) for label in segment]
        for segment in standard.kpath["path"]
    ]
    return BandPath(segments=tuple(tuple((n, points[n]) for n in s) for s in names))


def run_bands(phonons: Phonopy, path: BandPath, *, n_points: int = 160) -> Bands:
    """Return the frequencies along a path.

    Args:
        phonons: phonopy's object with force constants.
        path: the corners.
        n_points: about how many wave vectors the whole path gets, by length.
    """
    reciprocal = np.linalg.inv(phonons.primitive.cell).T
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
    """Return the highest frequency in THz at Γ, approached along `direction`."""
    with with_charges(phonons, born):
        result = phonons.run_qpoints([[0, 0, 0]], nac_q_direction=list(direction))
    return float(np.max(result.frequencies))


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
