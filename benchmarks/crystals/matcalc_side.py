"""The side of matcalc; started by run.py with the Python of matcalc's environment.

The arguments are the file with the tasks, as run.py wrote it, and the file for the
answers.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from cases import CASES, DISPLACEMENT, FMAX, STRAINS  # noqa: E402
from matcalc import ElasticityCalc, PhononCalc  # noqa: E402


def elastic(name: str, start: Atoms, **settings: Any) -> dict[str, Any]:
    """Return the stiffness in GPa by matcalc."""
    both = tuple(sign * size for size in STRAINS for sign in (-1, 1))
    arguments: dict[str, Any] = {
        "norm_strains": both,
        "shear_strains": tuple(strain / 2 for strain in both),
        "fmax": FMAX,
        "relax_deformed_structures": True,
        "relax_calc_kwargs": {"max_steps": 5000},
        "units_GPa": True,
        **settings,
    }
    found = ElasticityCalc(CASES[name].calculator(), **arguments).calc(start)
    return {
        "C": np.asarray(found["elastic_tensor"].voigt).tolist(),
        "bulk": float(found["bulk_modulus_vrh"]),
        "shear": float(found["shear_modulus_vrh"]),
    }


def phonons(name: str, start: Atoms, task: dict[str, Any]) -> dict[str, Any]:
    """Return sorted frequencies in THz at the wave vectors of the task."""
    found = PhononCalc(
        CASES[name].calculator(),
        atom_disp=DISPLACEMENT,
        supercell_matrix=task["supercell_matrix"],
        fmax=FMAX,
        write_phonon=False,
    ).calc(start)
    at_points = found["phonon"].run_qpoints(task["qpoints"]).frequencies
    thermal = found["thermal_properties"]
    nearest = int(np.abs(np.asarray(thermal["temperatures"]) - 300.0).argmin())
    n_atoms = len(start)
    return {
        "frequencies": np.sort(at_points, axis=1).tolist(),
        "heat_capacity_300K": float(thermal["heat_capacity"][nearest]) / n_atoms,
        "entropy_300K": float(thermal["entropy"][nearest]) / n_atoms,
    }


def main(task_file: Path, answer_file: Path) -> None:
    """Answer every task."""
    tasks = json.loads(task_file.read_text("utf-8"))
    names = ("matcalc", "ase", "phonopy", "pymatgen-core")
    answer: dict[str, Any] = {"versions": {n: version(n) for n in names}}
    for name, task in tasks.items():
        start = Atoms(
            symbols=task["symbols"],
            cell=task["cell"],
            scaled_positions=task["scaled_positions"],
            pbc=True,
        )
        answer[name] = {
            "elastic": elastic(name, start),
            "elastic_clamped": elastic(name, start, relax_deformed_structures=False),
            # What a user gets who asks for relaxed ions and changes nothing else.
            "elastic_defaults": elastic(
                name,
                start,
                norm_strains=(-0.01, -0.005, 0.005, 0.01),
                shear_strains=(-0.06, -0.03, 0.03, 0.06),
                fmax=0.1,
                relax_calc_kwargs=None,
            ),
            "phonon": phonons(name, start, task),
        }
        print(name, "done", flush=True)
    answer_file.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
