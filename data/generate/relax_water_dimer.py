"""Relax the water molecule and the water dimer at the level of the molecules.

    python relax_water_dimer.py FOLDER

Writes `reference_mol.xyz`, the origin of `structures/reference_mol.xyz`, which
`label_molecules.py` then labels like any other. The dimer starts from S22 (CCSD(T)).
Steps are kept in trajectories in FOLDER, and a second run goes on from them. About five
minutes of one core.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.collections import s22
from ase.io import read
from ase.optimize import BFGS
from label_molecules import label
from structure_tools import Collection, write_structures

LEVEL = "wb97m-v"
INFO = {"config_type": "reference_water_mol", "spin": 0}
FMAX = 0.004
"""eV/Å: what the grid leaves; 1e-5 eV in the softest mode that matters."""

MAX_STEPS = 25
STIFF, BENDING, HYDROGEN_BOND, WEAK, FLOOR = 52.0, 3.5, 1.0, 0.15, 0.1
"""eV/Å^2: springs of the first Hessian; O-H, H-H in a molecule, O-H and O-O between
molecules, other pairs between them, every coordinate."""


class Level(Calculator):
    """Energy and forces at the level of the data set."""

    implemented_properties = ("energy", "forces")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: tuple[str, ...] = ("energy",),
        system_changes: list[str] = all_changes,
    ) -> None:
        """Label the atoms; the net force of the grid is taken away, as in a frame."""
        super().calculate(atoms, properties, system_changes)
        found = label(self.atoms, LEVEL)
        forces = found.forces - found.forces.mean(axis=0)
        self.results = {"energy": found.energy, "forces": forces}


def spring_constant(atoms: Atoms, first: int, second: int) -> float:
    """The spring between two atoms in the first Hessian, eV/Å^2."""
    symbols = {atoms.symbols[first], atoms.symbols[second]}
    distance = atoms.get_distance(first, second)
    if first // 3 == second // 3:
        return STIFF if symbols == {"O", "H"} else BENDING
    return HYDROGEN_BOND if "O" in symbols and distance < 3.2 else WEAK


def first_hessian(atoms: Atoms) -> np.ndarray:
    """A network of springs, so that the optimiser knows soft from stiff."""
    n = len(atoms)
    hessian = FLOOR * np.eye(3 * n)
    for first in range(n):
        for second in range(first):
            unit = atoms.get_distance(first, second, vector=True)
            unit /= np.linalg.norm(unit)
            spring = spring_constant(atoms, first, second)
            block = np.kron([[1, -1], [-1, 1]], spring * np.outer(unit, unit))
            rows = [3 * i + k for i in (first, second) for k in range(3)]
            hessian[np.ix_(rows, rows)] += block
    return hessian


def start(name: str) -> Atoms:
    """Where a relaxation begins; in the dimer, molecule by molecule."""
    return molecule("H2O") if name == "water" else s22["Water_dimer"]


def relax(name: str, folder: Path) -> Atoms:
    """The relaxed structure; the steps go to a trajectory in the folder."""
    path = folder / f"{name}.traj"
    begin = read(path, -1) if path.exists() and path.stat().st_size else start(name)
    atoms = Atoms(begin.symbols, begin.positions, info=dict(INFO))
    atoms.calc = Level()
    optimiser = BFGS(
        atoms,
        trajectory=str(path),
        append_trajectory=path.exists(),
        logfile=str(folder / f"{name}.log"),
        maxstep=0.1,
    )
    optimiser.H0 = first_hessian(atoms)
    if not optimiser.run(fmax=FMAX, steps=MAX_STEPS):
        message = f"{name} is not relaxed after {MAX_STEPS} steps; run again to go on"
        raise RuntimeError(message)
    atoms.calc = None
    atoms.positions -= atoms.positions.mean(axis=0)
    return atoms


def main() -> int:
    """Relax from the command line."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    found = Collection("refm", factor=0.6)
    for name in ("water", "water_dimer"):
        found.add(relax(name, folder), f"reference_{name}_free", "molecule")
    write_structures(folder / "reference_mol.xyz", found.structures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
