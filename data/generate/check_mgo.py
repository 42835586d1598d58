"""Lattice constant, bulk modulus and elastic constants of MgO from labelled frames.

python check_mgo.py [../crystal_pbe.xyz.gz]
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from ase.units import GPa
from catalogue import PUBLISHED
from labelled_frames import read_frames, stress_matrix

log = logging.getLogger(__name__)

ELASTIC_LATTICE_CONSTANT = 4.26
"""Å: the cell that the strained frames start from."""

FORMS = ("birchmurnaghan", "vinet")


class TooFewFramesError(Exception):
    """A file lacks the frames that a property needs."""


def frames_of(frames: Sequence[Atoms], kind: str, at_least: int) -> list[Atoms]:
    """The frames of a configuration type, by volume.

    Raises:
        TooFewFramesError: There are fewer than the property needs.
    """
    chosen = [frame for frame in frames if frame.info["config_type"] == kind]
    if len(chosen) < at_least:
        message = f"{len(chosen)} frames of {kind}, wanted {at_least} or more"
        raise TooFewFramesError(message)
    return sorted(chosen, key=lambda frame: frame.get_volume())


def equation_of_state(
    frames: Sequence[Atoms], form: str, kind: str = "mgo_b1_eos"
) -> tuple[float, float, float]:
    """Volume (Å^3) and energy (eV) of a cell at zero pressure, bulk modulus (GPa)."""
    chosen = frames_of(frames, kind, at_least=5)
    volumes = [frame.get_volume() for frame in chosen]
    energies = [frame.info["REF_energy"] for frame in chosen]
    volume, energy, modulus = EquationOfState(volumes, energies, form).fit()
    return volume, energy, modulus / GPa


def lattice_constant(volume: float) -> float:
    """The cubic lattice constant (Å) of a face-centred primitive cell's volume."""
    return float((4 * volume) ** (1 / 3))


def pressure_differences(frames: Sequence[Atoms]) -> np.ndarray:
    """Pressure of the stress minus that of a fit to E(V), GPa, by volume.

    What is left is the Pulay stress of the finite cutoff and the error of the fit.
    """
    chosen = frames_of(frames, "mgo_b1_eos", at_least=5)
    volumes = np.array([frame.get_volume() for frame in chosen])
    energies = np.array([frame.info["REF_energy"] for frame in chosen])
    stress = [stress_matrix(frame.info["REF_stress"]) for frame in chosen]
    pressures = -np.trace(stress, axis1=1, axis2=2) / 3
    strain = volumes ** (-2 / 3)
    slope = np.polyval(np.polyder(np.polyfit(strain, energies, 3)), strain)
    return (pressures + slope * (-2 / 3) * volumes ** (-5 / 3)) / GPa


def elastic_constants(frames: Sequence[Atoms]) -> tuple[float, float, list[float]]:
    """C11 and C12 of a fit, C44 of each sheared frame; GPa, clamped, a = 4.26 Å."""
    half = ELASTIC_LATTICE_CONSTANT / 2
    start = half * (np.ones((3, 3)) - np.eye(3))
    along, across, shear = [], [], []
    for frame in frames_of(frames, "mgo_b1_elastic", at_least=5):
        strain = np.linalg.solve(start, frame.cell.array) - np.eye(3)
        stress = stress_matrix(frame.info["REF_stress"]) / GPa
        if abs(strain[0, 0]) > 1e-6:
            along.append((strain[0, 0], stress[0, 0]))
            across.append((strain[0, 0], (stress[1, 1] + stress[2, 2]) / 2))
        else:
            shear.append(float(stress[0, 1] / (2 * strain[0, 1])))
    slopes = [np.polyfit(*zip(*pairs, strict=True), 2)[1] for pairs in (along, across)]
    return float(slopes[0]), float(slopes[1]), shear


def report(frames: Sequence[Atoms]) -> list[str]:
    """Lines with every property that the frames are enough for."""
    lines = []
    for form in FORMS:
        volume, energy, modulus = equation_of_state(frames, form)
        a0 = lattice_constant(volume)
        lines.append(f"MgO {form}: a0 {a0:.4f} Å, B {modulus:.1f} GPa")
    differences = np.round(pressure_differences(frames), 2)
    lines.append(f"pressure of stress minus that of E(V), GPa: {differences}")
    c11, c12, c44 = elastic_constants(frames)
    shears = " ".join(f"{value:.1f}" for value in c44)
    lines.append(f"C11 {c11:.1f}, C12 {c12:.1f}, C44 {shears} GPa at a = 4.26 Å")
    atoms = {
        frame.get_chemical_formula(): frame.info["REF_energy"]
        for frame in frames
        if frame.info["config_type"] == "IsolatedAtom"
    }
    if {"Mg", "O"} <= set(atoms):
        cohesive = atoms["Mg"] + atoms["O"] - energy
        lines.append(f"MgO cohesive energy {cohesive:.3f} eV per formula unit")
    return lines


def main() -> int:
    """Report from the command line; 1 where the frames are too few."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED / "crystal_pbe.xyz.gz"
    try:
        lines = report(read_frames(path))
    except TooFewFramesError as error:
        log.error("%s: %s", path, error)  # noqa: TRY400 - the user needs no traceback
        return 1
    log.info("%s", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
