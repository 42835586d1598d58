"""GFN-xTB relaxations and dynamics, the source of molecular geometries."""

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, CalculatorError
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from labelling import load_code

FAILURES = (CalculatorError, RuntimeError, np.linalg.LinAlgError)
"""What a calculation that does not converge raises."""

FRICTION_PER_FS = 0.02


def tight_binding(method: str, spin: int = 0) -> Calculator:
    """An xTB calculator; spin is the number of unpaired electrons.

    Raises:
        MissingCodeError: tblite is not installed.
    """
    module = load_code("tblite.ase")
    return module.TBLite(method=method, multiplicity=spin + 1, verbosity=0)


def relax(atoms: Atoms, *, force: float, n_steps: int, longest: float = 0.2) -> None:
    """Relax in place to a largest force (eV/Å), in steps of at most `longest` Å."""
    BFGS(atoms, logfile=None, maxstep=longest).run(fmax=force, steps=n_steps)


def dynamics(
    atoms: Atoms,
    *,
    timestep_fs: float,
    temperature_K: float,
    start_K: float,
    rng: np.random.Generator,
) -> Langevin:
    """Langevin dynamics that begins with velocities of the temperature `start_K`."""
    MaxwellBoltzmannDistribution(atoms, temperature_K=start_K, rng=rng)
    return Langevin(
        atoms,
        timestep_fs * units.fs,
        temperature_K=temperature_K,
        friction=FRICTION_PER_FS / units.fs,
        rng=rng,
    )
