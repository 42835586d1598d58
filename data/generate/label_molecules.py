"""Label molecules and reaction paths with PySCF (density fitting); resumes.

    python label_molecules.py LEVEL STRUCTURES.xyz OUTPUT.xyz [--every N]

LEVEL is wb97m-v or b3lyp-d3bj. One serial process.
"""

import sys
from dataclasses import dataclass

from ase import Atoms
from catalogue import PYSCF
from labelling import Label, labeller_arguments, load_code, run_labeller

HARTREE = 27.211386245988
"""eV, CODATA 2018 (ase.units still has 2014)."""

BOHR = 0.529177210903
"""Å, CODATA 2018."""

MEMORY_MB = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Settings of a level of theory.

    Attributes:
        functional: PySCF's name, dispersion included.
        basis: Basis set.
        grid: Level of the integration grid.
        nonlocal_grid: Level of the grid of the nonlocal correlation.
    """

    functional: str
    basis: str
    grid: int
    nonlocal_grid: int


METHODS = {
    "wb97m-v": Method(
        functional="wb97m-v", basis="def2-tzvpd", grid=2, nonlocal_grid=0
    ),
    "b3lyp-d3bj": Method(
        functional="b3lyp-d3bj", basis="def2-tzvp", grid=2, nonlocal_grid=0
    ),
}


class NotConvergedError(RuntimeError):
    """No attempt reached self-consistency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How hard one attempt pushes the SCF.

    Attributes:
        cycles: Largest number of SCF cycles.
        level_shift: Hartree added to the virtual orbitals.
        damping: Weight of the previous Fock matrix.
        second_order: Whether the second-order solver is used.
    """

    cycles: int
    level_shift: float = 0.0
    damping: float = 0.0
    second_order: bool = False


def attempts(atoms: Atoms) -> tuple[Attempt, ...]:
    """The attempts for a structure, gentlest last.

    Open-shell p atoms get a small level shift at once: their orbitals are degenerate.
    """
    shift = (
        atoms.info["config_type"] == "IsolatedAtom" and int(atoms.info["spin"]) > 1
    ) * 0.1
    return (
        Attempt(cycles=80, level_shift=shift),
        Attempt(cycles=200, level_shift=0.3, damping=0.2),
        Attempt(cycles=60, second_order=True),
    )


def mean_field(atoms: Atoms, method: Method, attempt: Attempt, energy_step: float):  # noqa: ANN201 - a PySCF object
    """PySCF's Kohn-Sham object of a structure, not run yet."""
    gto, dft = load_code("pyscf.gto"), load_code("pyscf.dft")
    load_code("pyscf.lib").num_threads(1)
    molecule = gto.M(
        atom=list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)),
        basis=method.basis,
        verbose=0,
        spin=int(atoms.info["spin"]),
        max_memory=MEMORY_MB,
    )
    solver = (dft.UKS if molecule.spin else dft.RKS)(molecule)
    solver.xc = method.functional
    solver = solver.density_fit()
    solver.grids.level = method.grid
    solver.nlcgrids.level = method.nonlocal_grid
    solver.conv_tol = energy_step
    solver.max_cycle = attempt.cycles
    if attempt.level_shift:
        solver.level_shift = attempt.level_shift
    if attempt.damping:
        solver.damp = attempt.damping
    if attempt.second_order:
        solver = solver.newton()
        solver.max_cycle = attempt.cycles
    return solver


def label(atoms: Atoms, name: str, *, energy_step: float = 1e-9) -> Label:
    """The label of a structure.

    Args:
        atoms: Structure with `spin` (2S) and `config_type`.
        name: Level of theory, a key of `METHODS`.
        energy_step: Hartree between the last two SCF cycles.

    Raises:
        MissingCodeError: PySCF is not installed.
        NotConvergedError: No attempt reached self-consistency.
    """
    method = METHODS[name]
    for attempt in attempts(atoms):
        solver = mean_field(atoms, method, attempt, energy_step)
        energy = solver.kernel()
        if solver.converged:
            break
    else:
        message = f"{len(attempts(atoms))} SCF attempts did not converge"
        raise NotConvergedError(message)
    gradient = solver.nuc_grad_method()
    gradient.verbose = 0
    gradient.grid_response = False
    spin_square = solver.spin_square()[0] if solver.mol.spin else 0.0
    return Label(
        energy=energy * HARTREE,
        forces=-gradient.kernel() / BOHR * HARTREE,
        stress=None,
        record={
            "head": name,
            "level": f"{method.functional}/{method.basis}",
            "s2": round(float(spin_square), 4),
            "code": PYSCF,
        },
    )


def main() -> int:
    """Label from the command line."""
    arguments = labeller_arguments(__doc__.splitlines()[0], tuple(METHODS))
    return run_labeller(arguments, lambda atoms: label(atoms, arguments.method))


if __name__ == "__main__":
    sys.exit(main())
