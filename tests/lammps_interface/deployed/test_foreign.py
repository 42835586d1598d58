"""ML-IAP files that mace-torch itself wrote, in the stock `lmp`."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

COMMITTED = Path(__file__).parents[2] / "oracle" / "mliap"
FILES = Path(os.environ.get("LAMPLIGHTER_ORACLE_MLIAP", COMMITTED))
TIGHT = {"energy": 1e-9, "forces": 1e-8, "stress": 1e-9}
LOOSE = {"energy": 3e-5, "forces": 1e-4, "stress": 1e-5}  # float32 on both sides


def unpacked(name, folder):
    """Return the file that mace-torch wrote, and what mace-torch computes with it."""
    path = folder / f"{name}-mliap_lammps.pt"
    path.write_bytes(gzip.decompress((FILES / f"{name}.pt.gz").read_bytes()))
    packed = (FILES / f"{name}.json.gz").read_bytes()
    return path, json.loads(gzip.decompress(packed))


def as_atoms(structure):
    atoms = Atoms(
        numbers=structure["numbers"],
        positions=structure["positions"],
        cell=structure["cell"],
        pbc=structure["pbc"],
    )
    if not atoms.pbc.all():  # LAMMPS loses atoms that are outside a fixed boundary
        atoms.positions[:, ~atoms.pbc] += 5.0
    return atoms


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "within"),
    [("class-charged", TIGHT), ("command-heads", TIGHT), ("command-float32", LOOSE)],
)
def test_one_and_two_ranks_equal_mace_torch(lammps, tmp_path, name, within):
    path, reference = unpacked(name, tmp_path)
    structures = {k: as_atoms(v) for k, v in reference["structures"].items()}
    types = ("H", "O", "Mg")
    # The second run also compares itself with an evaluation of the whole.
    checked = f"pair_style mliap unified {path} 0 check 1\npair_coeff * * H O Mg"
    runs = [
        lammps(structures, path, types=types),
        lammps(structures, path, types=types, ranks=2, pair=checked),
    ]
    largest = 0.0
    for wanted in reference["results"]:
        for run in runs:
            found = run[wanted["structure"]]
            n_atoms = len(found.forces)
            assert abs(found.energy - wanted["energy"]) < within["energy"] * n_atoms
            np.testing.assert_allclose(
                found.forces, wanted["forces"], rtol=0, atol=within["forces"]
            )
            if wanted["stress"] is not None:
                np.testing.assert_allclose(
                    found.stress, wanted["stress"], rtol=0, atol=within["stress"]
                )
            largest = max(largest, np.abs(found.forces).max())
    assert largest > 0.1
    output = runs[0]["rattled"].output
    assert "ML-IAP file of mace-torch, evaluated by Lamplighter" in output
    options = reference["options"]
    assert f"head {options['head']}" in output
    assert f"dtype {options['dtype']}" in output
