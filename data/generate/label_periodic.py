"""Label crystals, slabs and boxed molecules with GPAW (plane waves); resumes.

    python label_periodic.py LEVEL STRUCTURES.xyz OUTPUT.xyz [--uids LIST]

LEVEL is pbe, pbesol, rpbe or r2scan. One serial process.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from catalogue import GPAW
from labelling import Label, labeller_arguments, load_code, run_labeller

FUNCTIONALS = {
    "pbe": "PBE",
    "pbesol": "PBEsol",
    "rpbe": "RPBE",
    "r2scan": "MGGA_X_R2SCAN+MGGA_C_R2SCAN",
}
LEVELS = {"pbe": "PBE", "pbesol": "PBEsol", "rpbe": "RPBE", "r2scan": "r2SCAN"}
CUTOFF = 800
"""Plane-wave cutoff, eV."""

K_LENGTH = 11.0
K_LENGTH_METAL = 30.0
"""Å: a direction with lattice-plane distance L gets ceil(length / L) k points."""

METALS = (
    *("mg_hcp_eos", "mg_hcp_rattle", "mg_fcc", "mg_bcc"),
    *("reference_mg", "reference_mg_gamma", "reference_mg_shear", "reference_mg_mesh"),
)
LOW_DENSITY = 1e-6
"""e/Bohr^3: r2SCAN of boxed atoms and molecules is zeroed below this density."""

SPIN_ORDER = {"O": 3, "C": 2, "Mg": 1, "H": 0}
"""Where the starting spin of a molecule sits: on the element ranked highest."""

SECOND_MIXER = {"name": "pulay", "beta": 0.02, "nmaxold": 5}
"""Density mixing of the second attempt; the first takes GPAW's own, msr1."""


def k_mesh(atoms: Atoms) -> tuple[int, int, int]:
    """The Gamma-centred mesh n_i = ceil(length / L_i) of a structure.

    L_i is the distance of the lattice planes; a slab has one point along its normal, a
    box has the Gamma point only. A structure with `kpts` names its mesh itself: cells
    of one fit must not differ in it.
    """
    if "kpts" in atoms.info:
        first, second, third = map(int, atoms.info["kpts"].split("x"))
        return (first, second, third)
    if atoms.info["box"]:
        return (1, 1, 1)
    metal = atoms.info["config_type"] in METALS
    spacings = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    length = K_LENGTH_METAL if metal else K_LENGTH
    mesh = [max(1, int(np.ceil(length / spacing))) for spacing in spacings]
    if atoms.info["domain"] == "surface":
        mesh[2] = 1
    return (mesh[0], mesh[1], mesh[2])


def occupations(atoms: Atoms) -> dict[str, Any]:
    """Smearing: 0.1 eV for metals, fixed spin without smearing for open shells."""
    if atoms.info["config_type"] in METALS:
        return {"name": "fermi-dirac", "width": 0.1}
    if atoms.info["spin"]:
        return {"name": "fermi-dirac", "width": 0.0, "fixmagmom": True}
    return {"name": "fermi-dirac", "width": 0.01}


def calculator_settings(atoms: Atoms, method: str) -> dict[str, Any]:
    """GPAW's parameters for a structure, except the functional of PBEsol."""
    settings: dict[str, Any] = {
        "mode": {"name": "pw", "ecut": CUTOFF},
        "xc": FUNCTIONALS[method],
        "kpts": {"size": k_mesh(atoms), "gamma": True},
        "maxiter": 80 if method == "r2scan" else 200,
        "convergence": {"energy": 1e-5, "density": 1e-5, "eigenstates": 4e-8},
        "occupations": occupations(atoms),
    }
    if atoms.info["config_type"] == "IsolatedAtom":
        settings["symmetry"] = "off"
        if atoms.info["spin"]:
            settings |= {"hund": True, "spinpol": True}
            del settings["occupations"]
    return settings


def starting_moments(atoms: Atoms) -> np.ndarray | None:
    """Magnetic moments to start an open-shell molecule from; None for the others."""
    if not atoms.info["spin"] or atoms.info["config_type"] == "IsolatedAtom":
        return None
    symbols = atoms.get_chemical_symbols()
    if atoms.get_chemical_formula() == "O2":
        return np.ones(2)
    moments = np.zeros(len(atoms))
    moments[np.argmax([SPIN_ORDER[symbol] for symbol in symbols])] = atoms.info["spin"]
    return moments


@functools.cache
def mask_low_density() -> None:
    """Zero a meta-GGA where the density is low, for structures with vacuum.

    The plane-wave density rings around zero in vacuum; libxc 5.2, built with its
    Fermi-hole-curvature clamp, then gives huge potentials and the SCF diverges (seen:
    isolated H with r2SCAN).
    """
    functional = load_code("gpaw.xc.libxc").LibXC
    functional.calculate = masked_calculate(functional.calculate)


def masked_calculate(calculate: Callable[..., None]) -> Callable[..., None]:
    """GPAW's evaluation of a libxc functional, masked if it is a meta-GGA."""

    def masked(  # noqa: PLR0913, PLR0917 - GPAW's own signature
        self: object,
        e_g: np.ndarray,
        n_sg: np.ndarray,
        dedn_sg: np.ndarray,
        sigma_xg: np.ndarray | None = None,
        dedsigma_xg: np.ndarray | None = None,
        tau_sg: np.ndarray | None = None,
        dedtau_sg: np.ndarray | None = None,
    ) -> None:
        if tau_sg is None or dedtau_sg is None or dedsigma_xg is None:
            calculate(
                self, e_g, n_sg, dedn_sg, sigma_xg, dedsigma_xg, tau_sg, dedtau_sg
            )
            return
        before = dedn_sg.copy()
        low = n_sg.sum(0) < LOW_DENSITY
        calculate(self, e_g, n_sg, dedn_sg, sigma_xg, dedsigma_xg, tau_sg, dedtau_sg)
        e_g[low] = 0.0
        dedsigma_xg[:, low] = 0.0
        for spin, density in enumerate(n_sg):
            spin_low = low | (density < LOW_DENSITY / 2)
            dedn_sg[spin][spin_low] = before[spin][spin_low]
            dedtau_sg[spin][spin_low] = 0.0
            if len(n_sg) == 2:
                dedsigma_xg[2 * spin][spin_low] = 0.0
                dedsigma_xg[1][spin_low] = 0.0

    return masked


def pbesol_on_pbe_sets() -> object:
    """GPAW's PBEsol functional that asks for PBE PAW sets (it has none of its own)."""
    functional = load_code("gpaw.xc").XC("PBEsol")
    functional.get_setup_name = lambda: "PBE"
    return functional


def label(atoms: Atoms, method: str, text_file: Path | str) -> Label:
    """The label of a structure; a second attempt mixes the density in small steps.

    Raises:
        MissingCodeError: GPAW is not installed.
    """
    gpaw = load_code("gpaw")
    settings = calculator_settings(atoms, method)
    try:
        return _converge(atoms, method, settings, text_file)
    except gpaw.KohnShamConvergenceError:
        settings |= {"mixer": SECOND_MIXER, "maxiter": 400}
        return _converge(atoms, method, settings, text_file)


def _converge(
    atoms: Atoms, method: str, settings: dict[str, Any], text_file: Path | str
) -> Label:
    """One self-consistent calculation with energy, forces and stress."""
    if method == "r2scan" and atoms.info["box"]:
        mask_low_density()
    system = atoms.copy()
    moments = starting_moments(atoms)
    if moments is not None:
        system.set_initial_magnetic_moments(moments)
    if method == "pbesol":
        settings = settings | {"xc": pbesol_on_pbe_sets()}
    system.calc = load_code("gpaw").GPAW(**settings, txt=str(text_file))
    mesh = "x".join(map(str, settings["kpts"]["size"]))
    return Label(
        energy=system.get_potential_energy(),
        forces=system.get_forces(),
        stress=None if atoms.info["box"] else system.get_stress(),
        record={
            "head": method,
            "level": LEVELS[method],
            "code": GPAW,
            "ecut": CUTOFF,
            "kpts": mesh,
        },
    )


def main() -> int:
    """Label from the command line."""
    arguments = labeller_arguments(__doc__.splitlines()[0], tuple(FUNCTIONALS))
    text_file = arguments.output.with_suffix(".gpaw.txt")
    return run_labeller(
        arguments, lambda atoms: label(atoms, arguments.method, text_file)
    )


if __name__ == "__main__":
    sys.exit(main())
