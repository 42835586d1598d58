"""Structures with the labels of a pair potential, and rows of databases of them."""

from __future__ import annotations

import json
import zlib

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator


def solved(n: int = 4, seed: int = 0) -> list[Atoms]:
    """Rattled crystals and molecules with the results of a calculator."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n):
        crystal = bulk("MgO", "rocksalt", a=4.2 + 0.02 * k)
        crystal.positions += rng.normal(0, 0.05, (2, 3))
        molecule = Atoms("MgO", positions=[[0, 0, 0], [0, 0, 2.0 + 0.05 * k]])
        for atoms in (crystal, molecule):
            work = atoms.copy()
            work.calc = LennardJones(sigma=1.9, epsilon=0.4, rc=5.0, smooth=True)
            results = {
                "energy": work.get_potential_energy() - 30.0,
                "forces": work.get_forces(),
            }
            if all(atoms.pbc):
                results["stress"] = work.get_stress()
            atoms.calc = SinglePointCalculator(atoms, **results)
            found.append(atoms)
    return found


def pack(value) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def row_of(atoms: Atoms, **extra) -> dict:
    """A row as the writers of shards store it."""
    results = {
        k: np.asarray(v).tolist() if np.ndim(v) else float(v)
        for k, v in atoms.calc.results.items()
    }
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.array.tolist(),
        "pbc": atoms.pbc.tolist(),
        **results,
        **extra,
    }
