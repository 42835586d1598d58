"""Modes and shears from cells with one broken symmetry, and the error of a k mesh."""

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import GPa, fs
from labelled_frames import stress_matrix
from make_reference_structures import MAGNESIUM, SHEAR, SHIFT_HYDROXIDE, SHIFT_METAL
from reference_families import Frames, of_kind
from reference_fit import NoReferenceError

MASS = {s: atomic_masses[atomic_numbers[s]] for s in ("H", "O", "Mg")}


def frequencies(force_constants: np.ndarray, masses: np.ndarray) -> list[float]:
    """Frequencies (THz) of a force-constant (eV/Å^2) and a mass (amu) matrix."""
    square = np.linalg.eigvals(np.linalg.solve(masses, force_constants)).real
    omega = np.sign(square) * np.sqrt(np.abs(square))
    return sorted((omega / (2 * np.pi) * fs * 1000).tolist())


def brucite_stretch(frames: Frames) -> tuple[float, float]:
    """The antisymmetric modes of brucite along c (A2u) at Gamma, THz: low, high.

    Both O, or both H, are moved upwards; what Mg feels follows from translation.
    """
    pairs = {"H": [3, 4], "O": [1, 2]}
    groups = [[0], pairs["O"], pairs["H"]]
    matrix = np.zeros((3, 3))
    for frame in of_kind(frames, "reference_brucite_gamma"):
        lift = frame.positions[1, 2] + frame.positions[2, 2] - frame.cell[2, 2]
        moved = 1 if abs(lift) > SHIFT_HYDROXIDE else 2
        matrix[:, moved] = [
            -frame.arrays["REF_forces"][group, 2].sum() / SHIFT_HYDROXIDE
            for group in groups
        ]
    matrix[:, 0] = -matrix[:, 1] - matrix[:, 2]
    masses = np.diag([MASS["Mg"], 2 * MASS["O"], 2 * MASS["H"]])
    _, low, high = frequencies((matrix + matrix.T) / 2, masses)
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class MetalShears:
    """What the sheared cells of magnesium say.

    Attributes:
        c44: GPa; no ion is free to relax.
        c66_clamped: GPa.
        c66: GPa, ions relaxed.
    """

    c44: float
    c66_clamped: float
    c66: float


def metal_spring(frames: Frames) -> float:
    """What pulls the second atom of magnesium back along x, eV/Å^2.

    Raises:
        NoReferenceError: The frame is missing.
    """
    moved = of_kind(frames, "reference_mg_gamma")
    if len(moved) != 1:
        message = "magnesium lacks its displaced cell"
        raise NoReferenceError(message)
    return float(-moved[0].arrays["REF_forces"][1, 0] / SHIFT_METAL)


def metal_optical(frames: Frames) -> float:
    """The doubly degenerate optical mode of magnesium at Gamma, THz.

    Raises:
        NoReferenceError: The frame is missing.
    """
    # Two equal masses against each other: the reduced mass is half of one.
    spring = np.array([[2 * metal_spring(frames)]])
    return frequencies(spring, np.array([[MASS["Mg"]]]))[0]


def metal_shears(frames: Frames) -> MetalShears:
    """Shears of magnesium.

    Raises:
        NoReferenceError: A frame is missing.
    """
    shears = of_kind(frames, "reference_mg_shear")
    if len(shears) != 2:
        message = f"{len(shears)} sheared cells of magnesium, wanted 2"
        raise NoReferenceError(message)
    out, inside = shears if abs(shears[0].cell[0, 1]) < 1e-9 else shears[::-1]
    stress = stress_matrix(inside.info["REF_stress"])[0, 1]
    pull = inside.arrays["REF_forces"][1, 0] / SHEAR
    softer = pull**2 / (metal_spring(frames) * inside.get_volume())
    return MetalShears(
        c44=stress_matrix(out.info["REF_stress"])[1, 2] / SHEAR / GPa,
        c66_clamped=stress / SHEAR / GPa,
        c66=(stress / SHEAR - softer) / GPa,
    )


def mesh_change(frames: Frames) -> dict[str, float]:
    """C33 and C13 of magnesium on a denser k mesh over those of the data set's mesh.

    Both from the stresses of the cells that are longer and shorter along c.

    Raises:
        NoReferenceError: A frame is missing.
    """
    slopes = []
    for kind in ("reference_mg_mesh", "reference_mg"):
        cells = [
            frame
            for frame in of_kind(frames, kind)
            if abs(frame.cell[0, 0] - MAGNESIUM[0]) < 1e-6
            and abs(frame.cell[2, 2] - MAGNESIUM[1]) > 1e-6
        ]
        if len(cells) != 2:
            message = f"{len(cells)} frames of {kind} stretched along c, wanted 2"
            raise NoReferenceError(message)
        first, second = (stress_matrix(frame.info["REF_stress"]) for frame in cells)
        apart = cells[0].cell[2, 2] - cells[1].cell[2, 2]
        slopes.append((first - second) / apart)
    ratio = slopes[0] / np.where(slopes[1] == 0, np.inf, slopes[1])
    return {"C33": float(ratio[2, 2]), "C13": float(ratio[0, 0])}
