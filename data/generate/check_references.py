"""Reference values of magnesium, brucite, ice and water from the labelled frames.

python check_references.py [FOLDER]

FOLDER holds `reference_pbe`, `reference_wb97mv` and `crystal_pbe` (plain or gzipped).
These are the values that a potential finds which fits the data set perfectly: the same
code, functional, cutoff, k mesh. The error of a fitted value is what fourth powers in
the polynomial change.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import GPa, kJ, mol
from catalogue import PUBLISHED
from labelled_frames import read_frames
from make_reference_structures import ice
from reference_families import FAMILIES, Frames, members, of_kind
from reference_fit import NoReferenceError, Surface, fit_surface, relaxed_curvature
from reference_modes import (
    MASS,
    brucite_stretch,
    frequencies,
    mesh_change,
    metal_optical,
    metal_shears,
)

log = logging.getLogger(__name__)

RELAXED = 0.006
"""eV/Å: largest force component that a relaxed molecule keeps; the grid leaves some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A value with its unit.

    Attributes:
        value: In `unit`.
        unit: As in the reference records.
        error: What another form of the fit changes; None where nothing tells.
    """

    value: float
    unit: str
    error: float | None = None


def fitted(
    frames: Frames, kind: str, values: Callable[[Surface], Mapping[str, float]]
) -> dict[str, tuple[float, float]]:
    """Values of a fit and their errors: what fourth powers change.

    Raises:
        NoReferenceError: The frames are too few, or they have no minimum between them.
    """
    chosen, family = members(frames, kind), FAMILIES[kind]
    wanted = 2 * len(family.centre) + 1
    if len(chosen) < wanted:
        message = f"{len(chosen)} frames of {kind}, wanted {wanted} or more"
        raise NoReferenceError(message)
    first = values(fit_surface(chosen, family))
    second = values(fit_surface(chosen, family, fourth=True))
    return {name: (first[name], abs(second[name] - first[name])) for name in first}


def cell_values(surface: Surface) -> dict[str, float]:
    """Edges (Å), volume (Å^3), energy (eV) and bulk modulus (GPa) of the relaxed cell.

    The bulk modulus is that of a crystal that keeps its shape and its ions relaxed.
    """
    family, place = surface.family, surface.minimum()
    found = surface.coordinates(place)
    volume = family.build(*found).get_volume()
    first, second = found[:2]
    # Hexagonal: the volume goes with a^2 c; ice: with along * across^2.
    growth = (1, 2) if family.build is ice else (2, 1)
    stretch = np.divide(growth, found[:2])
    soft = stretch @ np.linalg.solve(relaxed_curvature(surface, place), stretch)
    return {
        "first": float(first),
        "second": float(second),
        "volume": volume,
        "energy": surface.energy(place),
        "bulk_modulus": float(1 / (volume * soft)) / GPa,
        "pulay": surface.pulay / GPa,
    }


def hexagonal_values(surface: Surface) -> dict[str, float]:
    """The above and C33, C13 and C11 + C12 (GPa) with relaxed ions."""
    values = cell_values(surface)
    a, c = values["first"], values["second"]
    h = relaxed_curvature(surface, surface.minimum()) / values["volume"] / GPa
    return values | {
        "C33": float(c * c * h[1, 1]),
        "C13": float(a * c * h[0, 1] / 2),
        "C11+C12": float(a * a * h[0, 0] / 2),
    }


def hydroxide_values(surface: Surface) -> dict[str, float]:
    """The above, the bond (Å) and the symmetric modes at Gamma (THz)."""
    place = surface.minimum()
    height, bond = surface.coordinates(place)[2:]
    width = np.array(surface.family.steps[2:])
    force_constants = surface.hessian(place)[2:, 2:] / np.outer(width, width)
    # Two layers move against each other: O by h, H by h + d.
    masses = 2 * np.array([[MASS["O"] + MASS["H"], MASS["H"]], [MASS["H"], MASS["H"]]])
    low, high = frequencies(force_constants, masses)
    return hexagonal_values(surface) | {
        "height": float(height),
        "bond": float(bond),
        "A1g_1": low,
        "A1g_2": high,
    }


def water_values(frames: Frames) -> dict[str, tuple[float, float]]:
    """Energy (eV), bond (Å) and angle (degrees) of the water molecule in its box."""

    def values(surface: Surface) -> dict[str, float]:
        place = surface.minimum()
        across, along = surface.coordinates(place)
        return {
            "energy": surface.energy(place),
            "bond": float(np.hypot(across, along)),
            "angle": float(2 * np.degrees(np.arctan2(across, along))),
        }

    return fitted(frames, "reference_water", values)


def _crystal(fit: Mapping[str, tuple[float, float]], n_atoms: int) -> dict[str, Found]:
    """Edges, volume and bulk modulus as records have them."""
    volume, error = fit["volume"]
    rows = (
        ("lattice_constant", fit["first"], "Å"),
        ("lattice_constant_c", fit["second"], "Å"),
        ("volume_per_atom", (volume / n_atoms, error / n_atoms), "Å^3"),
        ("bulk_modulus", fit["bulk_modulus"], "GPa"),
    )
    return {n: Found(value=v[0], error=v[1], unit=unit) for n, v, unit in rows}


def _stiffness(fit: Mapping[str, tuple[float, float]]) -> dict[str, Found]:
    """The elastic constants that the fit alone gives."""
    return {
        n: Found(value=fit[n][0], error=fit[n][1], unit="GPa") for n in ("C33", "C13")
    }


def magnesium_references(frames: Frames) -> dict[str, Found]:
    """Hexagonal magnesium: cell, elastic constants, optical mode."""
    fit = fitted(frames, "reference_mg", hexagonal_values)
    found = _crystal(fit, 2)
    found |= _stiffness(fit)
    if of_kind(frames, "reference_mg_gamma"):
        found["frequency_Gamma_TO"] = Found(value=metal_optical(frames), unit="THz")
    if len(of_kind(frames, "reference_mg_shear")) < 2:
        return found
    modes = metal_shears(frames)
    total, error = fit["C11+C12"]
    numbers = {
        "C11": total / 2 + modes.c66,
        "C12": total / 2 - modes.c66,
        "C11_clamped": total / 2 + modes.c66_clamped,
        "C12_clamped": total / 2 - modes.c66_clamped,
    }
    found |= {
        n: Found(value=v, error=error / 2, unit="GPa") for n, v in numbers.items()
    }
    found["C44"] = Found(value=modes.c44, unit="GPa")
    return found


def brucite_references(frames: Frames) -> dict[str, Found]:
    """Brucite without dispersion: cell, stiffness along c, modes along c at Gamma."""
    fit = fitted(frames, "reference_brucite", hydroxide_values)
    found = _crystal(fit, 5)
    found |= _stiffness(fit)
    found["bond_length_H_O"] = Found(
        value=fit["bond"][0], error=fit["bond"][1], unit="Å"
    )
    if of_kind(frames, "reference_brucite_gamma"):
        # The two O-H stretches are the highest of fifteen modes: in phase and not.
        even, odd = fit["A1g_2"], (brucite_stretch(frames)[1], None)
        for index, (value, error) in enumerate(sorted([even, odd]), start=14):
            name = f"frequency_Gamma_{index}"
            found[name] = Found(value=value, error=error, unit="THz")
    return found


def ice_references(frames: Frames) -> dict[str, Found]:
    """Ferroelectric cubic ice of the data set: cell, bulk modulus, lattice energy."""
    fit = fitted(frames, "reference_ice", cell_values)
    molecule, error = water_values(frames)["energy"]
    found = _crystal(fit, 6)
    along, across = found["lattice_constant"], found["lattice_constant_c"]
    side = 2**-0.5  # the conventional tetragonal cell is turned by 45 degrees
    found["lattice_constant_c"] = along
    found["lattice_constant"] = Found(
        value=across.value * side, error=(across.error or 0.0) * side, unit="Å"
    )
    unit = kJ / mol
    found["lattice_energy"] = Found(
        value=(fit["energy"][0] / 2 - molecule) / unit,
        error=float(np.hypot(fit["energy"][1] / 2, error)) / unit,
        unit="kJ/mol",
    )
    return found


def water_references(frames: Frames) -> dict[str, Found]:
    """The water molecule in the box of the data set."""
    fit = water_values(frames)
    return {
        "bond_length_H_O": Found(value=fit["bond"][0], error=fit["bond"][1], unit="Å"),
        "angle": Found(value=fit["angle"][0], error=fit["angle"][1], unit="°"),
    }


def dimer_references(frames: Frames) -> dict[str, Found]:
    """The water dimer at the level of the molecules; its basis is not corrected for.

    Raises:
        NoReferenceError: A frame is missing, or it is not relaxed.
    """
    pair = of_kind(frames, "reference_water_dimer_free")
    single = of_kind(frames, "reference_water_free")
    if len(pair) != 1 or len(single) != 1:
        message = "the relaxed water molecule or the relaxed dimer is missing"
        raise NoReferenceError(message)
    dimer, molecule = pair[0], single[0]
    largest = max(np.abs(f.arrays["REF_forces"]).max() for f in (dimer, molecule))
    if largest > RELAXED:
        message = f"a force of {largest:.4f} eV/Å is left, wanted {RELAXED} at most"
        raise NoReferenceError(message)
    bonds = [dimer.get_distance(o, h) for o in (0, 3) for h in (o + 1, o + 2)]
    energies = [2 * molecule.info["REF_energy"], dimer.info["REF_energy"]]
    return {
        "binding_energy": Found(value=energies[0] - energies[1], unit="eV"),
        "bond_length_H_O": Found(value=float(np.mean(bonds)), unit="Å"),
        "contact_O_O": Found(value=dimer.get_distance(0, 3), unit="Å"),
    }


REFERENCES: dict[str, Callable[[Frames], dict[str, Found]]] = {
    "Mg": magnesium_references,
    "brucite": brucite_references,
    "ice": ice_references,
    "water": water_references,
    "water_dimer": dimer_references,
}
"""Material -> its values from the frames."""


def frames_in(folder: Path) -> list[Atoms]:
    """The frames of the files that the references need."""
    return [
        frame
        for name in ("reference_pbe", "reference_wb97mv", "crystal_pbe")
        for ending in (".xyz", ".xyz.gz")
        for frame in read_frames(folder / f"{name}{ending}")
    ]


def main() -> int:
    """Report from the command line; 1 where a material lacks frames."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    frames = frames_in(Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED)
    code = 0
    for material, values in REFERENCES.items():
        try:
            found = values(frames)
        except NoReferenceError as error:
            log.error("%s: %s", material, error)  # noqa: TRY400 - no traceback needed
            code = 1
            continue
        for name, value in found.items():
            error = "" if value.error is None else f" +- {value.error:.4f}"
            log.info("%s %s %.4f%s %s", material, name, value.value, error, value.unit)
    try:
        log.info("Mg, denser k mesh over that of the data set: %s", mesh_change(frames))
    except NoReferenceError as error:
        log.info("Mg on a denser k mesh: %s", error)
    return code


if __name__ == "__main__":
    sys.exit(main())
