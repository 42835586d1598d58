"""The benchmark of phonons: the reference's own displacements, its cell kept.

The folder holds ``crystals.csv`` (``name``, ``file``) and one phonopy file a crystal,
with its displacements and forces (``phonopy_params.yaml``, packed or not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import phonopy
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.optimize import FIRE
from phonopy import Phonopy
from scipy import constants

from lamplighter.errors import DataError, explain
from lamplighter.validation.benchmarks.crystals import measured, read_crystals
from lamplighter.validation.benchmarks.protocol import Outcome
from lamplighter.validation.engines.ase import EngineCalculator
from lamplighter.validation.engines.base import Engine

FMAX: Final = 0.005
STEPS: Final = 1000
MESH: Final = (6, 6, 6)
FINE_MESH: Final = (20, 20, 20)
TEMPERATURE: Final = 300.0
IMAGINARY_THZ: Final = -0.05
KELVIN_PER_THZ: Final = 1e12 * constants.h / constants.k


def phonons(engine: Engine, elements: Sequence[str], data: Path) -> Outcome:
    """Return errors of frequencies (K), thermal properties, and of the stability.

    Atoms relax within the space group at the reference's cell; force constants are
    symmetrised; frequencies on a 6 x 6 x 6 mesh, thermal properties at 300 K on
    20 x 20 x 20.
    """

    def one(row: Mapping[str, str]) -> dict[str, Any] | None:
        reference = _load(data / row["file"], row["name"])
        cell = reference.unitcell
        if not set(cell.symbols) <= set(elements):
            return None
        mine = _model(reference, engine)
        theirs, ours = _numbers(reference), _numbers(mine)
        found: dict[str, Any] = {"name": row["name"]}
        for key, value in ours.items():
            found[key], found[f"{key}_reference"] = value, theirs[key]
        return found

    rows, deviations = measured(read_crystals(data, []), 9958, one)
    if not rows:
        return Outcome(values={}, deviations=deviations)
    values = {
        key: float(np.mean([abs(row[key] - row[f"{key}_reference"]) for row in rows]))
        for key in ("highest", "mean", "lowest", "entropy", "free_energy", "heat")
    }
    return Outcome(
        values={**values, "stability_f1": _f1(rows)}, rows=rows, deviations=deviations
    )


def _load(path: Path, name: str) -> Phonopy:
    try:
        found = phonopy.load(path, log_level=0, produce_fc=True, is_nac=False)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise DataError(
            explain(f"{path} of {name} cannot be read", got=error)
        ) from error
    if found.force_constants is None:
        raise DataError(
            explain(
                f"{path} of {name} has no forces", wanted="displacements and forces"
            )
        )
    found.symmetrize_force_constants()
    return found


def _model(reference: Phonopy, engine: Engine) -> Phonopy:
    """Return the model's phonons, from the reference's cell and displacements."""
    cell = reference.unitcell
    atoms = Atoms(
        symbols=list(cell.symbols),
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        pbc=True,
    )
    atoms.set_constraint(FixSymmetry(atoms, symprec=1e-4))
    atoms.calc = EngineCalculator(engine)
    optimiser = FIRE(atoms, logfile=None)
    if not optimiser.run(fmax=FMAX, steps=STEPS):
        raise DataError(explain("atoms do not relax", got=f"{STEPS} steps"))
    relaxed = cell.copy()
    relaxed.scaled_positions = atoms.get_scaled_positions()
    mine = Phonopy(
        relaxed,
        supercell_matrix=reference.supercell_matrix,
        primitive_matrix=reference.primitive_matrix,
        symprec=1e-4,
        log_level=0,
    )
    displacements: Any = _displacements(reference)
    mine.dataset = displacements
    displaced: Any = mine.supercells_with_displacements
    supercells = [mine.supercell, *displaced]
    results = engine.compute_many([_atoms(one) for one in supercells], ("forces",))
    rest = results[0].forces
    mine.forces = np.array([result.forces - rest for result in results[1:]])
    mine.produce_force_constants()
    mine.symmetrize_force_constants()
    return mine


def _displacements(reference: Phonopy) -> dict[str, Any]:
    """Return the reference's displacements without its forces."""
    dataset: Any = reference.dataset
    if dataset is None or "first_atoms" not in dataset:
        raise DataError(
            explain("the reference has no displacements of single atoms", got="none")
        )
    first = [
        {"number": item["number"], "displacement": item["displacement"]}
        for item in dataset["first_atoms"]
    ]
    return {"natom": dataset["natom"], "first_atoms": first}


def _atoms(cell: Any) -> Atoms:
    return Atoms(
        symbols=list(cell.symbols),
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        pbc=True,
    )


def _numbers(found: Phonopy) -> dict[str, float]:
    """Return frequencies in K and thermal properties per cell, J/K/mol and kJ/mol."""
    # Meshes around Γ keep the symmetry of every lattice.
    found.run_mesh(MESH, is_gamma_center=True)
    mesh: Any = found.mesh
    frequencies = np.array(mesh.frequencies)
    weights = np.array(mesh.weights)
    found.run_mesh(FINE_MESH, is_gamma_center=True)
    thermal: Any = found.run_thermal_properties(
        temperatures=[TEMPERATURE], exclude_gamma_acoustic=True
    )
    return {
        "highest": float(frequencies.max() * KELVIN_PER_THZ),
        "mean": float(np.average(frequencies.mean(axis=1), weights=weights))
        * KELVIN_PER_THZ,
        "lowest": float(frequencies.min() * KELVIN_PER_THZ),
        "entropy": float(thermal.entropy[0]),
        "free_energy": float(thermal.free_energy[0]),
        "heat": float(thermal.heat_capacity[0]),
    }


def _f1(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the F1 score of "stable" as the model tells it."""
    limit = IMAGINARY_THZ * KELVIN_PER_THZ
    said = np.array([row["lowest"] >= limit for row in rows])
    true = np.array([row["lowest_reference"] >= limit for row in rows])
    right = int(np.sum(said & true))
    wrong = int(np.sum(said != true))
    return 2 * right / (2 * right + wrong) if right + wrong else 1.0
